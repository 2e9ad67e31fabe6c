"""What the ledger of a bus must say, told by a model small enough to be believed.

An event of the model carries a plan: for each subscription what its attempts come to, a letter each, as in `"fks"`.
After its plan every attempt succeeds. Deliveries of history again have plans of their own, under names such as
`"one#"`.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
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
    expires_ms: int | None = None
    """After when its first attempt may begin no more."""
    status: str = "pending"
    retries: int = 0
    tries: int = 0
    """Attempts on record since it was dispatched, or last redriven."""
    deaths: list[str] = field(default_factory=list)
    """Why it died, each time."""
    redrives: int = 0
    has_begun: bool = False
    started_ms: list[int] = field(default_factory=list)
    """When each attempt on record began."""

    @property
    def is_open(self) -> bool:
        return self.status in OPEN

    def is_late(self, at_ms: int) -> bool:
        """Say whether its first attempt would begin too late."""
        return self.expires_ms is not None and at_ms > self.expires_ms and not self.has_begun


@dataclass
class Fact:
    """An event of the model: when it is due, what cancelled or dispatched it, its deliveries."""

    plan: Plan
    due_ms: int
    is_delayed: bool = False
    lasts_ms: int | None = None
    """How long after that its deliveries may begin."""
    is_cancelled: bool = False
    has_expired: bool = False
    """Whether it expired before it was dispatched."""
    deliveries: dict[str, Delivery] | None = None
    replayed: dict[str, Delivery] = field(default_factory=dict)
    """Deliveries of history again, by `subscription#number`."""
    reopened: list[str] = field(default_factory=list)
    """What it had ended as each time that a redrive made it pending again."""

    @property
    def status(self) -> str:
        if self.is_cancelled:
            return "cancelled"
        if self.has_expired:
            return "expired"
        if self.deliveries is None:
            return "pending"
        ends = {one.status for one in self.deliveries.values()}
        if ends & set(OPEN):
            return "pending"
        if "dead" in ends:
            return "failed"
        if "expired" in ends:
            return "expired"
        return "cancelled" if ends == {"cancelled"} else "delivered"

    @property
    def waits_for_its_time(self) -> bool:
        return self.deliveries is None and not self.is_cancelled and not self.has_expired

    @property
    def expires_ms(self) -> int | None:
        return None if self.lasts_ms is None else self.due_ms + self.lasts_ms

    @property
    def is_history(self) -> bool:
        """Whether it is in the log, and the dispatcher has no more to do with it."""
        return self.has_expired or self.deliveries is not None

    def every_delivery(self) -> dict[str, Delivery]:
        return {**(self.deliveries or {}), **self.replayed}


class Ledger:
    """The model: the same verbs as the bus, and what its ledger then says.

    Args:
        now_ms: The time.
        began: Says whether the handler of a delivery that is too late was called all the same. It may be where a
            process died that held it: nobody knows then whether that one had begun it in time.
    """

    def __init__(self, now_ms: int, began: Callable[[str, str], bool]) -> None:
        self.now_ms = now_ms
        self._began = began
        self.facts: dict[str, Fact] = {}
        self.subscriptions: set[str] = set()
        self.paused: set[str] = set()
        self.replays: dict[str, set[str]] = {}
        """Those that are begun and have given nothing yet, as `subscription#number`; the events there were then."""
        self.replay_numbers: Counter[str] = Counter()

    def publish(self, event_id: str, plan: Plan, lasts_ms: int | None = None) -> None:
        self.facts[event_id] = Fact(plan, self.now_ms, lasts_ms=lasts_ms)

    def schedule(self, event_id: str, plan: Plan, delay_ms: int, lasts_ms: int) -> None:
        self.facts[event_id] = Fact(plan, self.now_ms + delay_ms, is_delayed=True, lasts_ms=lasts_ms)

    def replay(self, name: str) -> str:
        """Begin to give all history to a subscription again; it is given when something runs the next time."""
        self.replay_numbers[name] += 1
        owner = f"{name}#{self.replay_numbers[name]}"
        self.replays[owner] = set(self.facts)
        return owner

    def be_away(self, milliseconds: int) -> None:
        """Let time pass in which nothing runs."""
        self.now_ms += milliseconds

    def sweep(self) -> None:
        """End what was published, is too late and is not dispatched."""
        for fact in self.facts.values():
            is_late = fact.expires_ms is not None and fact.expires_ms < self.now_ms
            if fact.waits_for_its_time and not fact.is_delayed and is_late:
                fact.has_expired = True

    def has_fired(self, event_id: str) -> bool:
        """Say whether it was delayed, and is dispatched."""
        fact = self.facts[event_id]
        return fact.is_delayed and fact.deliveries is not None

    def holds_back(self, event_id: str) -> bool:
        """Say whether a delivery of it is not begun, so that cancelling the event ends that one."""
        deliveries = self.facts[event_id].deliveries or {}
        return any(one.is_open and not one.has_begun for one in deliveries.values())

    def cancel(self, event_id: str) -> None:
        self.facts[event_id].is_cancelled = True

    def cancel_delivery(self, event_id: str, name: str) -> None:
        self.facts[event_id].every_delivery()[name].status = "cancelled"

    def waiting(self) -> list[tuple[str, str]]:
        """Return the event and the name of each delivery that waits for its next attempt, and is not due."""
        return [
            (event_id, name)
            for event_id, fact in self.facts.items()
            for name, delivery in fact.every_delivery().items()
            if delivery.status == "waiting" and delivery.due_ms > self.now_ms
        ]

    def redrive(self, event_id: str, name: str) -> None:
        """Send a dead letter again: its delivery goes on now, with its retries anew."""
        fact = self.facts[event_id]
        delivery = fact.every_delivery()[name]
        if name not in fact.replayed and fact.status != "pending":
            fact.reopened.append(fact.status)
        delivery.status, delivery.due_ms, delivery.tries = "pending", self.now_ms, 0
        delivery.redrives += 1

    def waits(self, event_id: str) -> bool:
        """Say whether an event is delayed, and has neither fired nor been cancelled."""
        fact = self.facts[event_id]
        return fact.is_delayed and fact.waits_for_its_time

    def unsubscribe(self, name: str) -> None:
        self.subscriptions.discard(name)
        self.paused.discard(name)
        for fact in self.facts.values():
            for owner, delivery in fact.every_delivery().items():
                if subscription_of(owner) == name and delivery.is_open:
                    delivery.status = "cancelled"

    def advance(self, milliseconds: int) -> None:
        """Let happen what falls due until then. No event depends on another, so each goes by itself."""
        end_ms = self.now_ms + milliseconds
        self._give_replayed()
        for event_id, fact in self.facts.items():
            if fact.waits_for_its_time and fact.due_ms <= end_ms:
                # Published events are dispatched when the clock is turned the next time; so is what fell due meanwhile.
                at_ms = max(self.now_ms, fact.due_ms)
                fact.deliveries = {name: self._delivery(fact, name, at_ms) for name in self.subscriptions}
            for name, delivery in fact.every_delivery().items():
                is_held = subscription_of(name) in self.paused
                while not is_held and delivery.is_open and delivery.due_ms <= end_ms:
                    # What was held back goes when the clock is turned the next time.
                    at_ms = max(self.now_ms, delivery.due_ms)
                    if delivery.is_late(at_ms) and not self._began(event_id, name):
                        delivery.status = "expired"
                    else:
                        self._attempt(delivery, at_ms)
        self.now_ms = end_ms

    def _delivery(self, fact: Fact, name: str, at_ms: int) -> Delivery:
        # What the state of its subscription holds back is never too late.
        return Delivery(fact.plan.get(name, ""), at_ms, None if name in self.paused else fact.expires_ms)

    def _give_replayed(self) -> None:
        """Give what is begun all history, to the subscriptions that are still there."""
        for owner, there in self.replays.items():
            name = subscription_of(owner)
            for event_id, fact in self.facts.items():
                if name in self.subscriptions and event_id in there and fact.is_history:
                    fact.replayed[owner] = Delivery(fact.plan.get(f"{name}#", ""), self.now_ms)
        self.replays.clear()

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
            for delivery in fact.every_delivery().values():
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
            for name, delivery in fact.every_delivery().items()
            if delivery.status == "dead"
        }

    @staticmethod
    def _is_stored(fact: Fact) -> bool:
        return not fact.is_delayed or fact.is_cancelled or fact.deliveries is not None

    @staticmethod
    def _attempt(delivery: Delivery, at_ms: int) -> None:
        delivery.has_begun = True
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


def subscription_of(name: str) -> str:
    """Return the subscription of a delivery, by its name or its `subscription#number`."""
    return name.partition("#")[0]
