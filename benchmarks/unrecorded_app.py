"""The benchmarks' application on scripts that keep no record and no index."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from benchmarks.own_app import THREADS
from benchmarks.records_off import switch_off


def worker() -> Sequence[str]:
    """Return the command of one eventsys worker process that keeps no records."""
    return [sys.executable, "-m", "eventsys", "worker", __name__, "--processes", "1", "--threads", str(THREADS)]


if "REDIS_URL" in os.environ:
    switch_off()
    from benchmarks.own_app import events as events
