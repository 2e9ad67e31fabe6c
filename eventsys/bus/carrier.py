"""The broker that settings ask for, with the store beside it."""

from __future__ import annotations

from eventsys.broker.broker import EventBroker
from eventsys.middleware import default_middleware
from eventsys.model.durations import to_milliseconds
from eventsys.settings import Settings
from eventsys.store.bus_format import greeting
from eventsys.store.event_store import EventStore
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.location import redis_url_of


def broker_of(settings: Settings) -> EventBroker:
    """Return a broker with the default middleware; nothing is opened or started yet.

    Raises:
        SettingsError: If a file of keys cannot be read.
    """
    cipher = settings.cipher
    broker = EventBroker(
        link=Link(
            lambda: redis_url_of(settings),
            connect_timeout_s=settings.connect_timeout.total_seconds(),
            greet=greeting(Keys(settings.name)),
        ),
        name=settings.name,
        middleware=default_middleware(),
        retention_ms=to_milliseconds(settings.retention),
        seal=settings.seal,
    )
    if cipher is not None:
        broker.work.cipher = cipher.lend()
    return broker


def store_of(broker: EventBroker, settings: Settings) -> EventStore:
    """Return what answers about the events of a broker's bus."""
    work = broker.work
    return EventStore(
        work.link, work.keys, retention_ms=work.retention_ms, clock=work.clock, seal=work.seal, cipher=work.cipher,
        room=work.room, expire_after_ms=to_milliseconds(settings.scheduler.expire_after),
        window_ms=to_milliseconds(settings.idempotency_window),
    )  # fmt: skip
