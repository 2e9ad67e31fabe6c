"""What a type checker must see; it is checked, never run."""

from typing import Any, assert_type

from pydantic import BaseModel

from eventsys import (
    BatchError,
    DelayedEvent,
    Event,
    EventFilter,
    EventRecord,
    EventService,
    Page,
    Receipt,
    SubscriptionOptions,
)


class Notification(BaseModel):
    """A payload."""

    user_id: str


events = EventService()


@events.on("user.notification", max_retries=3, retry_delay="5s", timeout="30s")
def send(event: Event[Notification]) -> int:
    """Handle one."""
    assert_type(event.payload, Notification)
    return len(event.payload.user_id)


@events.on("user.#")
async def audit(event: Event) -> None:
    """Handle any."""
    assert_type(event.payload, dict[str, Any])


@events.on("click.#", batch_size=100, batch_wait="50ms")
def count(batch: list[Event[Notification]]) -> int:
    """Handle many."""
    assert_type(batch[0].payload, Notification)
    raise BatchError({batch[0].id: ValueError()})


class Mailer:
    """Handles as an object."""

    def handle(self, event: Event) -> None:
        """Handle any."""


assert_type(events.on("user.login", name="mail")(Mailer()), Mailer)
OPTIONS = SubscriptionOptions(timeout="5s", retry_delay=2, was="old", where={"payload.n": [1]})
events.subscribe("user.login", send, OPTIONS)


def use(event: Event[Notification]) -> None:
    """Use what the service returns."""
    assert_type(send(event), int)
    assert_type(count([event]), int)
    assert_type(events.publish("a.b", {}), Event[Any])
    assert_type(events.publish_async("a.b", {}), Receipt)
    assert_type(events.schedule("a.b", {}, delay="1h"), DelayedEvent[Any])
    assert_type(events.get_event("x"), EventRecord[Any])
    assert_type(events.get_event_records(), Page[EventRecord[Any]])
    assert_type(events.get_event_records(EventFilter(types=["user.*"], ids=["x"], page=2)), Page[EventRecord[Any]])


async def use_loop() -> None:
    """Use what the service returns to coroutines."""
    assert_type(await events.apublish("a.b", {}), Event[Any])
