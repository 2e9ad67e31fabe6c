"""The functions that an RQ worker runs."""

from __future__ import annotations

import os

from benchmarks.peers.counting import Counter
from benchmarks.peers.sending import Payload

# The default worker forks a process for each job, which ends with it: it must tell before.
counter = Counter(at_once=os.environ["PEER_SETTING"] == "default")


def noop(payload: Payload) -> None:
    """Count."""
    counter.count()


def timed(payload: Payload) -> None:
    """Note how late it is."""
    counter.time(payload)
