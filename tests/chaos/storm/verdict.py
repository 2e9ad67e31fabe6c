"""Whether the promises were kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import msgspec

from eventsys import DeliveryStatus, EventStatus
from eventsys.model.event import EventRecord
from eventsys.model.priority import LANES

from .explaining import Explainer
from .history import History
from .names import CAUSED, DUE, MADE, POISON, POISONS, SUBSCRIBERS
from .nemesis import Nemesis

_PAGE = 1000


class Verdict:
    """What the log, the records, the ledger and the logs say about a run that has come to rest.

    Attributes:
        faults: Every broken promise, as a sentence; none is the promise.
        figures: What was counted.
        named: Events that Redis lost when its power was cut, each by its id.
    """

    def __init__(self, nemesis: Nemesis, history: History, explainer: Explainer) -> None:
        self.faults: list[str] = []
        self.figures: dict[str, object] = {}
        self.named: list[str] = []
        self._events = nemesis.events
        self._client = nemesis.server.client
        self._nemesis = nemesis
        self._history = history
        self._explainer = explainer
        self._types: dict[str, str] = {}
        self._caused: dict[str, Counter[str]] = {kind: Counter() for kind in CAUSED}
        self._read_log()
        self._check_published()
        self._check_caused()
        self._check_deliveries()
        self._check_handled()

    def _find(self, fault: str, among: list[str]) -> None:
        if among:
            self.faults.append(f"{fault} ({len(among)}): {', '.join(map(str, among[:5]))}")

    def _read_log(self) -> None:
        doubled = []
        for envelope in self._logged():
            if envelope["type"] not in SUBSCRIBERS:
                continue
            if envelope["id"] in self._types:
                doubled.append(envelope["id"])
            self._types[envelope["id"]] = envelope["type"]
            if envelope["type"] in self._caused:
                self._caused[envelope["type"]][envelope["causation_id"]] += 1
        self._find("events are stored twice", doubled)

    def _logged(self) -> Iterator[dict[str, Any]]:
        for lane in LANES:
            stream, after = self._events.broker.keys.log(lane), "-"
            while entries := self._client.xrange(stream, after, count=_PAGE):
                after = f"({entries[-1][0]}"
                for _, fields in entries:
                    yield msgspec.json.decode(fields["e"])

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

    def _check_deliveries(self) -> None:
        wrong: dict[str, list[str]] = defaultdict(list)
        counts: Counter[str] = Counter()
        event_ids = list(self._types)
        for start in range(0, len(event_ids), 500):
            asked = event_ids[start : start + 500]
            found = {record.id: record for record in self._events.store.get_events(asked)}
            wrong["events are in the log and have no record"] += [one for one in asked if one not in found]
            for record in found.values():
                self._check_record(record, wrong, counts)
        for fault, cases in wrong.items():
            self._find(fault, cases)
        lost = wrong["deliveries did not end as they should"] + wrong["deliveries succeeded that no handler ended"]
        self.figures |= {
            "events stored": len(self._types), "deliveries": counts["deliveries"],
            "deliveries lost": len(lost), "poisoned deliveries given up": counts["dead"],
        }  # fmt: skip

    def _check_record(self, record: EventRecord[Any], wrong: dict[str, list[str]], counts: Counter[str]) -> None:
        expected = SUBSCRIBERS[record.type]
        found = tuple(sorted(one.subscription for one in record.deliveries))
        if record.status is EventStatus.PENDING and not found:
            wrong["events were not dispatched"].append(record.id)
        elif found != expected:
            wrong["events have the wrong deliveries"].append(f"{record.id} {record.status}: {', '.join(found)}")
        if record.status not in (EventStatus.DELIVERED, EventStatus.FAILED):
            wrong["events did not end"].append(f"{record.id} {record.status}")
        for one in record.deliveries:
            counts["deliveries"] += 1
            key = (record.id, one.subscription)
            reasons = POISONS[self._nemesis.poisons[record.id]] if record.type == POISON else ()
            wanted = DeliveryStatus.DEAD if reasons else DeliveryStatus.SUCCEEDED
            if one.status is DeliveryStatus.DEAD and reasons:
                counts["dead"] += 1
                reason = self._events.dead_letters.show(f"{record.id}:{one.subscription}").reason
                if reason not in (*reasons, "crash_loop"):
                    wrong["poison ended for another reason"].append(f"{key} {reason}, not {reasons}")
            elif one.status is not wanted:
                wrong["deliveries did not end as they should"].append(f"{key} {one.status} {one.error}")
            elif not self._history.handled[key].ends:
                wrong["deliveries succeeded that no handler ended"].append(str(key))

    def _check_handled(self) -> None:
        why: Counter[str] = Counter()
        unexplained = []
        for key, handled in self._history.handled.items():
            ends = sorted(handled.ends)
            for first, second in pairwise(ends):
                reason = self._explainer.why_again(key, first, self._nemesis.poisons)
                why[reason or "unexplained"] += 1
                if reason is None:
                    unexplained.append(f"{key} {first} {second}")
        self._find("deliveries were handled twice, and nothing explains it", unexplained)
        self.figures |= {
            "handled twice": why.total(),
            **{f"handled twice: {reason}": count for reason, count in sorted(why.items())},
        }
