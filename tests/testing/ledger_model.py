"""What the ledger of a bus must say, told by a model small enough to be believed.

An event of the model carries a plan: for each subscription what its attempts come to, a letter each, as in `"fks"`.
After its plan every attempt succeeds.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

#: What subscriptions are declared with.
MAX_RETRIES = 2
RETRY_MS = 60_000

#: How long a handler asks to wait that raises `Retry`.
ASKED_MS = 10_000

SUCCEEDS, FAILS, REJECTS, ASKS_AGAIN, DIES = "s", "f", "r", "y", "k"

OPEN = ("pending", "waiting")

Plan = dict[str, str]


@dataclass
class Delivery:
    """One event to one subscription."""

    plan: str
    due_ms: int
    status: str = "pending"
    retries: int = 0
    tries: int = 0
    """Attempts on record since it was dispatched, or last redriven."""
    deaths: list[str] = field(default_factory=list)
    """Why it died, each time."""
    redrives: int = 0
    started_ms: list[int] = field(default_factory=list)
    """When each attempt on record began."""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN


@dataclass
class Fact:
    """An event of the model: when it is due, what cancelled or dispatched it, its deliveries."""

    plan: Plan
    due_ms: int
    is_delayed: bool = False
    is_cancelled: bool = False
    deliveries: dict[str, Delivery] | None = None
    reopened: list[str] = field(default_factory=list)
    """What it had ended as each time that a redrive made it pending again."""

    @property
    def status(self) -> str:
        if self.is_cancelled:
            return "cancelled"
        if self.deliveries is None:
            return "pending"
        ends = {one.status for one in self.deliveries.values()}
        if ends & set(OPEN):
            return "pending"
        if "dead" in ends:
            return "failed"
        return "cancelled" if ends == {"cancelled"} else "delivered"


class Ledger:
    """The model: the same verbs as the bus, and what its ledger then says."""

    def __init__(self, now_ms: int) -> None:
        self.now_ms = now_ms
        self.facts: dict[str, Fact] = {}
        self.subscriptions: set[str] = set()
        self.paused: set[str] = set()

    def publish(self, event_id: str, plan: Plan) -> None:
        self.facts[event_id] = Fact(plan, self.now_ms)

    def schedule(self, event_id: str, plan: Plan, delay_ms: int) -> None:
        self.facts[event_id] = Fact(plan, self.now_ms + delay_ms, is_delayed=True)

    def has_fired(self, event_id: str) -> bool:
        """Say whether it was delayed, and is dispatched."""
        fact = self.facts[event_id]
        return fact.is_delayed and fact.deliveries is not None

    def holds_back(self, event_id: str) -> bool:
        """Say whether a delivery of it is not begun, so that cancelling the event ends that one."""
        deliveries = self.facts[event_id].deliveries or {}
        return any(one.is_open and not one.started_ms and not one.deaths for one in deliveries.values())

    def cancel(self, event_id: str) -> None:
        self.facts[event_id].is_cancelled = True

    def redrive(self, event_id: str, name: str) -> None:
        """Send a dead letter again: its delivery goes on now, with its retries anew."""
        fact = self.facts[event_id]
        assert fact.deliveries is not None
        if fact.status != "pending":
            fact.reopened.append(fact.status)
        delivery = fact.deliveries[name]
        delivery.status, delivery.due_ms, delivery.tries = "pending", self.now_ms, 0
        delivery.redrives += 1

    def waits(self, event_id: str) -> bool:
        """Say whether an event is delayed, and has neither fired nor been cancelled."""
        fact = self.facts[event_id]
        return fact.is_delayed and not fact.is_cancelled and fact.deliveries is None

    def unsubscribe(self, name: str) -> None:
        self.subscriptions.discard(name)
        self.paused.discard(name)
        for fact in self.facts.values():
            delivery = (fact.deliveries or {}).get(name)
            if delivery is not None and delivery.is_open:
                delivery.status = "cancelled"

    def advance(self, milliseconds: int) -> None:
        """Let happen what falls due until then. No event depends on another, so each goes by itself."""
        end_ms = self.now_ms + milliseconds
        for fact in self.facts.values():
            if fact.deliveries is None and not fact.is_cancelled and fact.due_ms <= end_ms:
                # Published events are dispatched when the clock is turned the next time.
                at_ms = fact.due_ms if fact.is_delayed else self.now_ms
                fact.deliveries = {name: Delivery(fact.plan.get(name, ""), at_ms) for name in self.subscriptions}
            for name, delivery in (fact.deliveries or {}).items():
                while name not in self.paused and delivery.is_open and delivery.due_ms <= end_ms:
                    # What was held back goes when the clock is turned the next time.
                    self._attempt(delivery, max(self.now_ms, delivery.due_ms))
        self.now_ms = end_ms

    def counts(self) -> Counter[str]:
        """Return the totals, by the names they have in Redis; what is 0 is left out."""
        found: Counter[str] = Counter()
        for fact in self.facts.values():
            if self._is_stored(fact):
                found["total_events"] += 1
            for status in [*fact.reopened, *([fact.status] if fact.status != "pending" else [])]:
                found[f"{status}_events"] += 1
            found["reopened_events"] += len(fact.reopened)
            if fact.deliveries == {}:
                found["unrouted_events"] += 1
            for delivery in (fact.deliveries or {}).values():
                found["deliveries"] += 1
                found["retries"] += delivery.retries
                found["deliveries_redriven"] += delivery.redrives
                if not delivery.is_open and delivery.status != "dead":
                    found[f"deliveries_{delivery.status}"] += 1
                for reason in delivery.deaths:
                    found.update(["deliveries_dead", "dead_letters", f"dead_letters_{reason}"])
        return +found

    def pending(self) -> int:
        """Return how many events have not ended."""
        return sum(fact.status == "pending" for fact in self.facts.values())

    def dead(self) -> set[str]:
        """Return the ids of the dead letters."""
        return {
            f"{event_id}:{name}"
            for event_id, fact in self.facts.items()
            for name, delivery in (fact.deliveries or {}).items()
            if delivery.status == "dead"
        }

    @staticmethod
    def _is_stored(fact: Fact) -> bool:
        return not fact.is_delayed or fact.is_cancelled or fact.deliveries is not None

    @staticmethod
    def _attempt(delivery: Delivery, at_ms: int) -> None:
        letter, delivery.plan = delivery.plan[:1] or SUCCEEDS, delivery.plan[1:]
        if letter == DIES:
            return  # nothing of it is on record, and it comes again at once
        delivery.started_ms.append(at_ms)
        delivery.tries += 1
        if letter == SUCCEEDS:
            delivery.status = "succeeded"
        elif letter == REJECTS or delivery.tries > MAX_RETRIES:
            delivery.status = "dead"
            delivery.deaths.append("rejected" if letter == REJECTS else "failed")
        else:
            delivery.status = "waiting"
            delivery.retries += 1
            delivery.due_ms = at_ms + (RETRY_MS if letter == FAILS else ASKED_MS)
