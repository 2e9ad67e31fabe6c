"""The processes that a subscription lives as long as: those that die, and those that were only away."""

from __future__ import annotations

import pytest

from eventsys import EventService
from eventsys.broker.presence import Lease
from tests.support.services import Services

#: Nothing happens by itself while a test runs.
_STILL = Lease(lease_ms=600_000, beat_s=600.0, scan_s=600.0, round_s=600.0)

pytestmark = pytest.mark.usefixtures("rounds_by_hand")


def _host(services: Services, name: str) -> EventService:
    """Return a process of the bus `name` that subscribed `shared` at run time."""
    events = services.make(name=name)
    events.broker.work.lease = _STILL
    events.subscribe("a.b", lambda event: None, name="shared")
    return events


def _take_over(dead: EventService, living: EventService) -> None:
    """Let a process count as dead, and another one take over from it."""
    dead.broker.link.call("ZADD", dead.broker.keys.processes, 1, dead.broker.presence.name)
    living.broker.presence.scan()


def test_whoever_died_is_a_host_no_longer(services: Services) -> None:
    """Else every restart after a crash made the list longer that all processes read in every round."""
    lasting = services.make()
    lasting.broker.work.lease = _STILL
    lasting.subscribe("a.b", lambda event: None, name="shared")
    for _ in range(3):
        _take_over(_host(services, lasting.settings.name), lasting)
    again = _host(services, lasting.settings.name)
    link, keys = lasting.broker.link, lasting.broker.keys
    living = {one.broker.presence.name.encode() for one in (lasting, again)}
    assert set(link.call("SMEMBERS", keys.hosts("shared"))) == living
