"""Send text messages through a provider that is often out of order: what fails is tried again."""

import logging
from typing import Any

from pydantic import BaseModel

from actors.app import events
from eventsys import Event

logger = logging.getLogger(__name__)


class Text(BaseModel):
    """A text message to one telephone."""

    phone: str
    content: str


events.type("text.requested", Text)


class ProviderDownError(Exception):
    """The provider took no message; it may take the next one."""


def request_text(phone: str, content: str) -> Event[Any]:
    """Have a text message sent, and return the event."""
    return events.publish("text.requested", Text(phone=phone, content=content), source="order-service")


@events.on(
    "text.requested",
    name="texts.send",
    max_retries=5,
    retry_delay="1s",
    backoff="exponential",
    retry_on=ProviderDownError,
)
def send_text(event: Event[Text]) -> None:
    """Send a text message. Tries are a second apart, or a little less, then two, then four; other errors end it."""
    hand_to_provider(event)
    logger.info("text to %s sent", event.payload.phone)


def hand_to_provider(event: Event[Text]) -> None:
    """Stand in for the provider: it is down for the first two attempts at every message.

    How many there were is on record, with every other fact about the event and its deliveries.

    Raises:
        ProviderDownError: On the first two attempts.
    """
    deliveries = events.get_event(event.id).deliveries
    failures = sum(delivery.attempts for delivery in deliveries if delivery.subscription == "texts.send")
    if failures < 2:
        raise ProviderDownError(f"the provider is down ({failures + 1} of 2)")
