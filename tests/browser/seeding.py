"""A bus that has been at work for an hour: what the pages are looked at with."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, Field

from eventsys import Event, EventService, Priority, Reject
from eventsys.testing import EventHarness

#: When the hour ends, so that pictures of it are the same whenever they are taken.
BEGINS = datetime(2026, 11, 3, 8, 50, tzinfo=UTC)
NOW = BEGINS + timedelta(minutes=65)

_CITIES = ("Delft", "Utrecht", "Groningen", "Maastricht")


class Address(BaseModel):
    """Where a parcel goes."""

    street: str = Field(description="With the number.")
    city: str


class OrderPlaced(BaseModel):
    """A customer has placed an order."""

    order: str = Field(description="The number on the bill.")
    customer: str
    amount: float = Field(ge=0, description="In euros, taxes among it.")
    currency: Literal["EUR", "USD"] = "EUR"
    express: bool = Field(default=False, description="Whether it is to be there tomorrow.")
    address: Address
    card: str | None = Field(default=None, json_schema_extra={"secret": True})
    items: list[str] = Field(default_factory=list)


class PaymentTaken(BaseModel):
    """The bank has taken a payment."""

    order: str
    amount: float


class BankDownError(Exception):
    """The bank does not answer."""


class Shop:
    """A shop on a bus: its handlers, and an hour of orders.

    Args:
        events: The service.
        harness: What turns the clock.
    """

    def __init__(self, events: EventService, harness: EventHarness) -> None:
        self._events = events
        self._harness = harness
        self._chance = random.Random(7)
        self._types()
        self._handlers()

    def work(self, minutes: int = 60) -> None:
        """Let an hour pass, minute by minute, and then plan what is to come."""
        events, harness = self._events, self._harness
        events.cron.create("nightly-report", "0 6 * * *", "report.due", {"kind": "daily"}, timezone="Europe/Amsterdam")
        events.cron.create("stock-check", "*/5 * * * *", "stock.check", {"shelf": "all"}, overlap="skip")
        events.cron.create("exchange-rates", "*/10 * * * *", "rates.wanted", {}, max_retries=0)
        harness.advance(minutes=5)
        for minute in range(minutes):
            self.order(6 + int(5 * self._chance.random()) + (9 if 30 <= minute < 42 else 0))
            harness.advance(minutes=1)
        events.cron.pause("nightly-report", reason="paused by operator ada@127.0.0.1")
        self._plans()

    def _types(self) -> None:
        self._events.type("order.placed", OrderPlaced, version=2)
        self._events.type("payment.taken", PaymentTaken)

    def _handlers(self) -> None:
        events, spend, chance = self._events, self._harness.spend, self._chance

        @events.on("order.placed", name="payments.charge", max_retries=2, retry_delay="20s")
        def charge(event: Event[OrderPlaced]) -> None:
            spend(timedelta(milliseconds=40 + 160 * chance.random()))
            if event.payload.customer == "mallory":
                raise Reject("the card is on the list of stolen ones")
            if chance.random() < 0.07:
                raise BankDownError("the bank answered 503: out of order until 10:30")
            events.publish("payment.taken", {"order": event.payload.order, "amount": event.payload.amount})

        @events.on("payment.taken", name="parcels.pack", concurrency=8, rate="100/s")
        def pack(event: Event[PaymentTaken]) -> None:
            spend("15ms")
            events.publish("parcel.packed", {"order": event.payload.order}, source="depot", priority=Priority.HIGH)

        @events.on("parcel.packed", name="mail.tell", retry_delay="1m", backoff="exponential")
        def tell(event: Event) -> None:
            spend("25ms")
            events.schedule("review.wanted", {"order": event.payload["order"]}, delay="3d", source="mail")

        @events.on("rates.wanted", name="rates.fetch", max_retries=0)
        def fetch(event: Event) -> None:
            if event.time.minute in {20, 30}:
                raise TimeoutError("no answer from the central bank within 5 s")

        @events.on("stock.check", name="stock.count")
        def count(event: Event) -> None:
            spend("120ms")

        @events.on("#", name="audit.log")
        def audit(event: Event) -> None:
            spend("1ms")

    def beat(self) -> None:
        """Say that the process of the handlers is alive: leases are real, whatever the clock of the shop shows."""
        self._events.broker.presence.beat()

    def order(self, count: int) -> None:
        """Place orders."""
        for _ in range(count):
            number = self._chance.randrange(10_000, 99_999)
            customer = self._chance.choice(["ada", "grace", "linus", "barbara", "edsger"])
            if self._chance.random() < 0.01:
                customer = "mallory"
            self._events.publish(
                "order.placed", self._order(number, customer), source=self._chance.choice(["shop-web", "shop-app"])
            )

    def _order(self, number: int, customer: str) -> dict[str, Any]:
        return {
            "order": f"NL-{number}", "customer": customer, "amount": round(5 + 120 * self._chance.random(), 2),
            "address": {"street": f"Dorpsstraat {number % 90 + 1}", "city": self._chance.choice(_CITIES)},
            "card": "4111 1111 1111 1111", "items": ["book", "lamp"],
        }  # fmt: skip

    def _plans(self) -> None:
        events = self._events
        for days, number in ((0, 4), (1, 12), (2, 7), (5, 30), (9, 3), (12, 18), (20, 9)):
            for at in range(number):
                events.schedule(
                    "invoice.due", {"order": f"NL-{at}"}, source="billing", key=f"invoice:{days}:{at}",
                    at=NOW + timedelta(days=days, minutes=11 * at + 3),
                )  # fmt: skip
        events.schedule("sale.begins", {"percent": 20}, delay="42s", source="marketing", priority=Priority.CRITICAL)
        events.subscribe("order.*", lambda event: None, name="analytics.count")
        events.bus.prepare()
        events.subscriptions.pause("analytics.count")
        events.bus.system.warn(
            "rates:late", "the exchange rates are two hours old; ask the central bank's status page", rule="rates"
        )
        events.bus.system.flush(60)
