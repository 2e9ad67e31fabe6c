"""Whether the promises were kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Sequence

from eventsys import DeliveryStatus, EventStatus

from .explaining import Explainer
from .history import History
from .journal import Record
from .names import CAUSED, DUE, MADE, POISON, POISONS, SUBSCRIBERS
from .stored import StoredEvent


class Verdict:
    """What the log, the records, the ledger and the logs say about a run that has come to rest.

    Attributes:
        faults: Every broken promise, as a sentence; none is the promise.
        figures: What was counted.
        named: Events that Redis lost when its power was cut, each by its id.
    """

    def __init__(
        self, record: Record, history: History, explainer: Explainer, stored: Sequence[StoredEvent] | None
    ) -> None:
        self.faults: list[str] = []
        self.figures: dict[str, object] = {}
        self.named: list[str] = []
        self._record = record
        self._history = history
        self._explainer = explainer
        self._types: dict[str, str] = {}
        self._caused: dict[str, Counter[str]] = {kind: Counter() for kind in CAUSED}
        if stored is None:
            self.faults.append("it broke off before Redis was looked at: judged is only what was handled twice")
        else:
            self._read_log(stored)
            self._check_published()
            self._check_caused()
            self._check_deliveries(stored)
        self._check_handled()
        self._check_end()

    def _find(self, fault: str, among: list[str]) -> None:
        if among:
            self.faults.append(f"{fault} ({len(among)}): {', '.join(map(str, among[:5]))}")

    def _read_log(self, stored: Sequence[StoredEvent]) -> None:
        doubled = []
        for event in stored:
            if event.type not in SUBSCRIBERS:
                continue
            if event.id in self._types:
                doubled.append(event.id)
            self._types[event.id] = event.type
            if event.type in self._caused:
                self._caused[event.type][str(event.cause)] += 1
        self._find("events are stored twice", doubled)

    def _check_published(self) -> None:
        told: dict[str | None, list[str]] = defaultdict(list)
        for event_id, one in self._history.published.items():
            told[one.told].append(event_id)
        missing = [one for one in told["accepted"] if one not in self._types]
        self.named = [one for one in missing if self._explainer.was_cut(self._history.published[one].told_at)]
        lost = sorted(set(missing) - set(self.named))
        stored = [one for one in told["refused"] if one in self._types and not self._history.published[one].was_unknown]
        roots = {MADE, DUE, POISON}
        unexpected = [one for one, kind in self._types.items() if kind in roots and one not in self._history.published]
        self._find("accepted events are not stored", lost)
        self._find("events were refused, and are stored", stored)
        self._find("events are stored that nobody published", unexpected)
        self._find("publishing failed with an error that says nothing", told["broken"])
        self.figures |= {
            "events accepted": len(told["accepted"]), "events refused": len(told["refused"]),
            "events of unknown fate": len(told["unknown"]) + len(told[None]),
            "of these stored": sum(one in self._types for one in (*told["unknown"], *told[None])),
            "accepted events lost": len(lost),
            "lost by Redis itself, when its power was cut": len(self.named),
        }  # fmt: skip

    def _check_caused(self) -> None:
        made = {one for one, kind in self._types.items() if kind == MADE}
        for kind, name in CAUSED.items():
            caused = self._caused[kind]
            doubled = [one for one, count in caused.items() if count > 1]
            self._find(f"{name} are missing", sorted(made - caused.keys()))
            self._find(f"{name} are doubled", doubled)
            self._find(f"{name} have no cause", sorted(caused.keys() - made))
            self.figures |= {name: caused.total(), f"doubled {name}": len(doubled)}

    def _check_deliveries(self, stored: Sequence[StoredEvent]) -> None:
        wrong: dict[str, list[str]] = defaultdict(list)
        counts: Counter[str] = Counter()
        for event in {one.id: one for one in stored if one.type in SUBSCRIBERS}.values():
            if event.status is None:
                wrong["events are in the log and have no record"].append(event.id)
            else:
                self._check_event(event, wrong, counts)
        for fault, cases in wrong.items():
            self._find(fault, cases)
        lost = wrong["deliveries did not end as they should"] + wrong["deliveries succeeded that no handler ended"]
        self.figures |= {
            "events stored": len(self._types), "deliveries": counts["deliveries"],
            "deliveries lost": len(lost), "poisoned deliveries given up": counts["dead"],
        }  # fmt: skip

    def _check_event(self, event: StoredEvent, wrong: dict[str, list[str]], counts: Counter[str]) -> None:
        expected = SUBSCRIBERS[event.type]
        found = tuple(sorted(one.subscription for one in event.deliveries))
        if event.status == EventStatus.PENDING and not found:
            wrong["events were not dispatched"].append(event.id)
        elif found != expected:
            wrong["events have the wrong deliveries"].append(f"{event.id} {event.status}: {', '.join(found)}")
        if event.status not in (EventStatus.DELIVERED, EventStatus.FAILED):
            wrong["events did not end"].append(f"{event.id} {event.status}")
        for one in event.deliveries:
            counts["deliveries"] += 1
            key = (event.id, one.subscription)
            reasons = POISONS[self._record.poisons[event.id]] if event.type == POISON else ()
            wanted = DeliveryStatus.DEAD if reasons else DeliveryStatus.SUCCEEDED
            if one.status == DeliveryStatus.DEAD and reasons:
                counts["dead"] += 1
                if one.reason not in (*reasons, "crash_loop"):
                    wrong["poison ended for another reason"].append(f"{key} {one.reason}, not {reasons}")
            elif one.status != wanted:
                wrong["deliveries did not end as they should"].append(f"{key} {one.status} {one.error}")
            elif key not in self._history.handled or not self._history.handled[key].ends:
                wrong["deliveries succeeded that no handler ended"].append(str(key))

    def _check_handled(self) -> None:
        why: Counter[str] = Counter()
        unexplained, committed = [], []
        for key, handled in self._history.handled.items():
            for one in self._explainer.repeats(key, handled):
                why[one.why or "unexplained"] += 1
                if one.why is None:
                    unexplained.append(f"{key} {one.first} {one.second}")
            if len(handled.commits) > 1 and not any(
                self._explainer.was_undone(handled, told) for told in handled.commits
            ):
                committed.append(f"{key} {sorted(handled.commits)}")
        self._find("deliveries were handled twice, and nothing explains it", unexplained)
        self._find("deliveries succeeded twice", committed)
        self.figures |= {
            "handled twice": why.total(),
            **{f"handled twice: {reason}": count for reason, count in sorted(why.items())},
            "successes that were committed": sum(len(one.commits) for one in self._history.handled.values()),
            "deliveries that succeeded twice": len(committed),
        }

    def _check_end(self) -> None:
        rested = self._record.rested
        if rested is not None and rested.left is not None:
            self.faults.append(f"it did not come to rest in {rested.took_s:.0f} s: {rested.left}")
        if rested is not None and any(code != 0 for code in rested.codes.values()):
            self.faults.append(f"processes that were told to end, ended with {rested.codes}")
        for one in self._record.failed:
            self.faults.append(f"a fault could not be carried out: {one.fault}: {one.error}")
