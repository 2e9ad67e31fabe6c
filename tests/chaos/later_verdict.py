"""Whether what was scheduled fired once, at its time, and nothing that was taken back."""

from __future__ import annotations

from collections import defaultdict
from pathlib import Path

from eventsys import DeliveryStatus, EventService

from .later_load import LaterLoad, Promise
from .server import Server

#: How much the host's real time and Redis's may differ, read in two processes.
_CLOCKS_MS = 2.0


class Starts:
    """What the ledger says: of each thing, by which entries it was started, and when first."""

    def __init__(self, path: Path) -> None:
        self.entries: dict[tuple[str, str], set[str]] = defaultdict(set)
        self.first_ms: dict[tuple[str, str], float] = {}
        for line in path.read_text().splitlines():
            kind, _, _, name, entry, real_ms = line.split(" ")
            self.entries[kind, name].add(entry)
            self.first_ms[kind, name] = min(float(real_ms), self.first_ms.get((kind, name), float("inf")))

    def of(self, kind: str) -> dict[str, set[str]]:
        """Return the entries of everything of a kind."""
        return {name: entries for (one, name), entries in self.entries.items() if one == kind}


class LaterVerdict:
    """What the ledger and Redis say about a run that has come to rest.

    Attributes:
        faults: Every broken promise, as a sentence; none is the promise.
        figures: What was counted.
    """

    def __init__(self, events: EventService, server: Server, load: LaterLoad, starts: Starts, repairs: int) -> None:
        self.faults: list[str] = []
        self.figures: dict[str, object] = {}
        self._events = events
        self._server = server
        self._load = load
        self._starts = starts
        self._check_promises()
        self._check_ticks()
        self._check_leftovers()
        self.figures["reconciled while it was healthy"] = repairs
        if repairs:
            self.faults.append(f"the sweep that reconciles touched {repairs} healthy events")

    def _find(self, fault: str, among: list[str]) -> None:
        if among:
            self.faults.append(f"{fault} ({len(among)}): {', '.join(among[:5])}")

    def _check_promises(self) -> None:
        promises, starts = self._load.promises, self._starts
        started = {name: (one.kind, name) in starts.entries for name, one in promises.items()}
        kept = {name: one for name, one in promises.items() if one.is_kept}
        due = [name for name, one in kept.items() if one.is_cancelled is False]
        undelivered = self._not_delivered([name for name in due if kept[name].kind == "event"])
        lost = sorted({*(name for name in due if not started[name]), *undelivered})
        doubled = [name for kind in ("event", "message") for name, one in starts.of(kind).items() if len(one) > 1]
        late_ms = {name: self._late_ms(name, one) for name, one in promises.items() if started[name]}
        early = [f"{name} by {-late:.1f} ms" for name, late in late_ms.items() if late < -_CLOCKS_MS]
        both = [name for name, one in promises.items() if one.is_cancelled and started[name]]
        self._find("scheduled, and never fired", lost)
        self._find("fired twice", doubled)
        self._find("fired early", early)
        self._find("cancelled, and fired all the same", both)
        unscheduled = sorted(set(starts.of("event")) - promises.keys())
        self._find("fired, and was never scheduled", unscheduled)
        self.figures |= {
            "scheduled": len(kept), "of these cancelled": sum(one.is_cancelled is True for one in kept.values()),
            "fired": sum(started.values()), "lost": len(lost), "doubled": len(doubled), "early": len(early),
            "cancelled and fired": len(both), "late, p50 p99 max": _spread(sorted(late_ms.values())),
        }  # fmt: skip

    def _late_ms(self, name: str, promise: Promise) -> float:
        """Return how late it started after the first moment that it may have been due."""
        return self._starts.first_ms[promise.kind, name] - min(promise.dues_ms)

    def _not_delivered(self, names: list[str]) -> list[str]:
        records = [
            record
            for start in range(0, len(names), 500)
            for record in self._events.store.get_events(names[start : start + 500])
        ]
        return [one.id for one in records if [d.status for d in one.deliveries] != [DeliveryStatus.SUCCEEDED]]

    def _check_ticks(self) -> None:
        ticks = {int(name): entries for name, entries in self._starts.of("tick").items()}
        due = set(range(min(ticks), max(ticks) + 1, 1000)) if ticks else set()
        lost, doubled = sorted(due - ticks.keys()), [one for one, entries in ticks.items() if len(entries) > 1]
        early = [str(one) for one in ticks if self._starts.first_ms["tick", str(one)] < one - _CLOCKS_MS]
        self._find("ticks of the cron task were lost", [str(one) for one in lost])
        self._find("ticks of the cron task came twice", [str(one) for one in doubled])
        self._find("ticks of the cron task came early", early)
        if not ticks:
            self.faults.append("the cron task never ticked")
        minutes = self._starts.of("minute")
        self._find("a minute came twice", [name for name, entries in minutes.items() if len(entries) > 1])
        late = sorted(self._starts.first_ms["tick", str(one)] - one for one in ticks)
        self.figures |= {
            "cron ticks, due run doubled": f"{len(due)} {len(ticks)} {len(doubled)}",
            "cron ticks late, p50 p99 max": _spread(late), "periodic minutes": len(minutes),
        }  # fmt: skip

    def _check_leftovers(self) -> None:
        keys, client = self._events.broker.keys, self._server.client
        for name in (":crashes", ":delayed:due", ":delayed:bodies", ":delayed:far:due", ":delayed:queues", ":dead"):
            if client.exists(keys.prefix + name):
                self.faults.append(f"{name} is left")
        if left := list(client.scan_iter(f"{keys.prefix}:delayed:ids:*", count=10_000)):
            self.faults.append(f"{len(left)} buckets of ids are left, such as {left[0]}")


def _spread(values: list[float]) -> str:
    if not values:
        return "-"
    p99 = values[min(len(values) - 1, int(len(values) * 0.99))]
    return f"{values[len(values) // 2]:.1f} ms, {p99:.0f} ms, {values[-1]:.0f} ms"
