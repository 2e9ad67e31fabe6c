"""Giving a Redis back what it held before, in one step, as a restored backup does."""

from __future__ import annotations

from collections.abc import Callable

from eventsys import EventService


def backup_of(events: EventService) -> Callable[[], None]:
    """Return what puts the bus of a service back as it is now; all that was written since is lost."""
    link, pattern = events.broker.link, f"{events.broker.keys.prefix}:*"
    held = {key: link.call("DUMP", key) for key in link.call("KEYS", pattern)}

    def restore() -> None:
        since = link.call("KEYS", pattern)
        commands = [("DEL", *since)] if since else []
        commands += [("RESTORE", key, 0, value) for key, value in held.items() if value is not None]
        link.pipeline([("MULTI",), *commands, ("EXEC",)])

    return restore


def empty(events: EventService) -> None:
    """Take away everything that the bus of a service has in Redis."""
    link = events.broker.link
    link.call("DEL", *link.call("KEYS", f"{events.broker.keys.prefix}:*"))
