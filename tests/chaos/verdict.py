"""Whether the promises were kept."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import msgspec

from eventsys import DeliveryStatus, EventService, EventStatus
from eventsys.model.priority import LANES

from .ledger import Delivery, History
from .load import Load
from .names import FOLLOWED, LATER, MADE, SUBSCRIBERS
from .nemesis import Strike
from .server import Server


class Verdict:
    """What the log, the records, the counters and the ledger say about a run that has come to rest.

    Attributes:
        faults: Every broken promise, as a sentence; none is the promise.
        figures: What was counted.
    """

    def __init__(self, events: EventService, server: Server, load: Load, history: History) -> None:
        self.faults: list[str] = []
        self.figures: dict[str, int] = {}
        self._events = events
        self._server = server
        self._load = load
        self._history = history
        logged = self._read_log()
        self._check_events(logged)
        self._check_caused(logged)
        self._check_deliveries([envelope["id"] for envelope in logged])
        self._check_totals(len(logged))
        self._check_leftovers()

    def _find(self, fault: str, *, among: list[Any] | None = None) -> None:
        shown = "" if among is None else f" ({len(among)}): {', '.join(map(str, among[:5]))}"
        self.faults.append(fault + shown)

    def _read_log(self) -> list[dict[str, Any]]:
        """Return the envelopes of the application's events; what the system says of itself is not judged."""
        keys, client = self._events.broker.keys, self._server.client
        logged = [msgspec.json.decode(one["e"]) for lane in LANES for _, one in client.xrange(keys.log(lane))]
        return [envelope for envelope in logged if envelope["type"] in SUBSCRIBERS]

    def _check_events(self, logged: list[dict[str, Any]]) -> None:
        made = Counter(envelope["id"] for envelope in logged if envelope["type"] == MADE)
        accepted, unknown = set(self._load.accepted), set(self._load.unknown)
        if lost := sorted(accepted - made.keys()):
            self._find("accepted events are not stored", among=lost)
        if doubled := [one for one, count in Counter(envelope["id"] for envelope in logged).items() if count > 1]:
            self._find("events are stored twice", among=doubled)
        if unexpected := sorted(made.keys() - accepted - unknown):
            self._find("events are stored that nobody published", among=unexpected)
        self.figures |= {
            "events published": len(accepted),
            "events of unknown fate": len(unknown),
            "of these stored": len(unknown & made.keys()),
        }

    def _check_caused(self, logged: list[dict[str, Any]]) -> None:
        made = {envelope["id"] for envelope in logged if envelope["type"] == MADE}
        for kind, name in ((FOLLOWED, "follow-ups"), (LATER, "delayed events")):
            caused = Counter(envelope["causation_id"] for envelope in logged if envelope["type"] == kind)
            if missing := sorted(made - caused.keys()):
                self._find(f"{name} are missing", among=missing)
            if doubled := [one for one, count in caused.items() if count > 1]:
                self._find(f"{name} are doubled", among=doubled)
            if unexpected := sorted(caused.keys() - made):
                self._find(f"{name} have no cause", among=unexpected)
            self.figures |= {name: caused.total(), f"doubled {name}": len(doubled)}

    def _check_deliveries(self, event_ids: list[str]) -> None:
        wrong: dict[str, list[str]] = defaultdict(list)
        deliveries = 0
        for start in range(0, len(event_ids), 500):
            for record in self._events.store.get_events(event_ids[start : start + 500]):
                deliveries += len(record.deliveries)
                if sorted(one.subscription for one in record.deliveries) != sorted(SUBSCRIBERS[record.type]):
                    wrong["events have the wrong deliveries"].append(record.id)
                if record.status is not EventStatus.DELIVERED:
                    wrong["events are not delivered"].append(f"{record.id} {record.status}")
                for one in record.deliveries:
                    key = (record.id, one.subscription)
                    if one.status is not DeliveryStatus.SUCCEEDED or one.attempts < 1:
                        wrong["deliveries did not succeed"].append(f"{key} {one.status} {one.error}")
                    if not self._history.ends.get(key):
                        wrong["deliveries succeeded that no handler ended"].append(str(key))
        for fault, cases in wrong.items():
            self._find(fault, among=cases)
        self.figures |= {
            "deliveries": deliveries,
            "lost": len(wrong["deliveries did not succeed"]) + len(wrong["deliveries succeeded that no handler ended"]),
            "handled twice": sum(count > 1 for count in self._history.ends.values()),
        }

    def _check_totals(self, stored: int) -> None:
        totals, deliveries = self._events.get_metrics(), self.figures["deliveries"]
        counts = {
            "total_events": totals.total_events, "delivered_events": totals.delivered_events,
            "deliveries": totals.deliveries, "succeeded": totals.succeeded, "dead": totals.dead,
            "expired": totals.expired, "cancelled": totals.cancelled, "pending_events": totals.pending_events,
        }  # fmt: skip
        expected = dict.fromkeys(counts, 0) | {
            "total_events": stored, "delivered_events": stored, "deliveries": deliveries, "succeeded": deliveries,
        }  # fmt: skip
        if counts != expected:
            self._find(f"the totals are {counts} instead of {expected}")

    def _check_leftovers(self) -> None:
        keys, client = self._events.broker.keys, self._server.client
        if pending := self._server.pending(keys):
            self._find(f"entries are pending: {pending}")
        for stream in self._server.streams(keys):
            if not stream.startswith(keys.log(0)[:-1]) and (length := client.xlen(stream)):
                self._find(f"{length} entries are left in {stream}")
        gone = (":crashes", ":delayed:due", ":delayed:bodies", ":delayed:queues", ":dead", ":processes")
        for name in gone:
            if client.exists(keys.prefix + name):
                self._find(f"{name} is left, of type {client.type(keys.prefix + name)}")
        for pattern in ("delayed:ids:*", "dead:*", "waiting:*", "process:*"):
            if left := list(client.scan_iter(f"{keys.prefix}:{pattern}", count=10_000)):
                self._find("keys are left", among=left)


def takeover_times(strikes: list[Strike], history: History) -> list[float]:
    """Return how many seconds passed between a strike and the next start of each delivery the struck worker held.

    Where the worker that took a delivery over was struck too before it started it, only the last strike counts.
    """
    struck: dict[Delivery, list[float]] = defaultdict(list)
    for strike in strikes:
        for delivery in strike.held:
            struck[delivery].append(strike.at)
    times = []
    for delivery, moments in struck.items():
        starts = sorted(at for at, _ in history.starts.get(delivery, ()))
        for at, following in zip(moments, [*moments[1:], float("inf")], strict=True):
            times += [start - at for start in starts if at < start < following][:1]
    return sorted(times)
