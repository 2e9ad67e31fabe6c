"""A harness for tests: real handlers and a real Redis, under a clock that a test turns.

>>> from eventsys import EventService
>>> from eventsys.testing import EventHarness
>>> events = EventService()
>>> seen = []
>>> handler = events.on("order.placed", name="orders.remind")(lambda event: seen.append(event.payload["id"]))
>>> with EventHarness(events) as harness:
...     delayed = harness.schedule("order.placed", {"id": 42}, delay="24h")
...     deliveries = harness.advance(hours=24)
>>> seen
[42]
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventsys.testing.chronicle import Deliveries, Delivery
    from eventsys.testing.harness import EventHarness
    from eventsys.testing.session_redis import SessionRedis, server_for_tests
    from eventsys.testing.waiting import Waiting

# pytest imports this package in every session, so it loads nothing before a name is used.
_HOMES = {
    "EventHarness": "harness",
    "Deliveries": "chronicle",
    "Delivery": "chronicle",
    "SessionRedis": "session_redis",
    "Waiting": "waiting",
    "server_for_tests": "session_redis",
}

__all__ = ["Deliveries", "Delivery", "EventHarness", "SessionRedis", "Waiting", "server_for_tests"]


def __getattr__(name: str) -> object:
    """Load a public name at its first use."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value: object = getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
    globals()[name] = value
    return value
