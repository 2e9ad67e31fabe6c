"""The service behind a command, from its first question to its last."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from eventsys.cli.faults import told_in_a_sentence
from eventsys.cli.options import use_redis

if TYPE_CHECKING:
    from eventsys import EventService


@contextmanager
def service_of(redis_url: str | None, *, debug: bool) -> Iterator[EventService]:
    """Give a service on the Redis of the option, and stop it at the end; errors within are told in a sentence."""
    with told_in_a_sentence(debug=debug, of_options=True):
        use_redis(redis_url)
        from eventsys import EventService

        events = EventService()
        try:
            yield events
        finally:
            events.stop()
