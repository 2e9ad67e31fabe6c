"""The service of the application in the storm, on a host whose clock may be wrong.

Configured by the environment: `EVENTSYS_REDIS_URL`, the file of the ledger in `CHAOS_LEDGER`, and in `CHAOS_SKEWS_S`
by how many seconds clocks are wrong, of which each process takes the one that its pid falls on.
"""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventsys import Event, EventService
from eventsys.broker.messages import DeliveryMessage, Received
from eventsys.middleware.witness import Outcome, Witness
from tests.chaos.ledger import Ledger
from tests.chaos.skew import set_wrong
from tests.chaos.storm.names import BUS

LONGEST_S = 0.02
"""What a handler takes at most, in seconds, but for a few."""

LONG_S = 1.0
"""What those few take."""

_skews_s = [float(skew_s) for skew_s in os.environ.get("CHAOS_SKEWS_S", "0").split(",")]
if skew_s := _skews_s[os.getpid() % len(_skews_s)]:
    set_wrong(skew_s)

ledger = Ledger(Path(os.environ["CHAOS_LEDGER"]))


def _note_commit(message: Received, outcome: Outcome, _: BaseException | None) -> None:
    if isinstance(message, DeliveryMessage) and outcome == "succeeded":
        ledger.note("committed", message.event_id, message.subscription)


events = EventService(name=BUS, middleware=[Witness(_note_commit)])


@contextmanager
def noted(event: Event, subscription: str, version: int) -> Iterator[float]:
    """Note the start and the end of a handler, and yield how many seconds it is to take."""
    ledger.note("start", event.id, subscription, version)
    yield LONG_S if random.random() < 0.01 else random.uniform(0, LONGEST_S)
    ledger.note("end", event.id, subscription, version)
