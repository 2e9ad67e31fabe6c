"""What the doctor says of a bus, check by check."""

from __future__ import annotations

from eventsys import EventService
from eventsys.model.diagnosis import Finding
from eventsys.runtime.doctor import examine


def findings(events: EventService, check: str) -> list[Finding]:
    """Return all that a check found."""
    return [one for one in examine(events).findings if one.check == check]


def finding(events: EventService, check: str) -> Finding:
    """Return the one thing that a check found."""
    [only] = findings(events, check)
    return only
