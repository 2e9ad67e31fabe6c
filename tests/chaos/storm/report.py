"""What a run has to say for itself, in a terminal and in a file."""

from __future__ import annotations

from collections import Counter

from .explaining import Explainer
from .history import History
from .journal import Record
from .logs import Logs
from .timing import Resumption, Timing
from .verdict import Verdict


class Report:
    """The report of a run.

    Attributes:
        faults: Every broken promise, as a sentence.
        text: All of it, in Markdown.

    Args:
        record: What the run noted of itself.
        history: What its ledger says.
        logs: What its logs say.
        explainer: What explained what was handled twice.
        verdict: Whether the promises were kept.
        judged_again: When that was, where it was judged once more, later, from what it kept.
    """

    def __init__(
        self,
        record: Record,
        history: History,
        logs: Logs,
        explainer: Explainer,
        verdict: Verdict,
        judged_again: str | None,
    ) -> None:
        self._record = record
        self._timing = Timing(record, logs, history.handled)
        self._takeovers, self._resumptions = self._timing.takeovers(), self._timing.resumptions()
        self._judged_again = judged_again
        self.faults = [*verdict.faults, *self._beyond_limits(logs)]
        unaccounted = [one for one in logs.errors if not explainer.lacks_memory(one)]
        figures = verdict.figures | self._figures(history, logs)
        figures["errors for want of memory, beside poison that took it"] = len(logs.errors) - len(unaccounted)
        errors = Counter(f"{one.log}: {one.text}" for one in unaccounted)
        self.text = "\n".join([*self._head(), *_table("Figures", "what", figures), *self._tail(verdict, errors)])

    def _figures(self, history: History, logs: Logs) -> dict[str, object]:
        record = self._record
        figures: dict[str, object] = {
            "publishing errors": sum(history.answers.values()),
            **{f"publishing errors, {said}": count for said, count in sorted(history.answers.items())},
            "slowest answer to a publisher": f"{history.slowest_call_s:.1f} s",
            "worker processes that ended": len(record.lives),
            "of these replaced by a supervisor that lived": sum(map(len, logs.died.values())),
            "leases lost by processes that lived": len(logs.lost_leases),
            "ticks of the periodic actor": history.minutes,
        }
        if record.rested is not None:
            figures |= {
                "versions of the handlers that ran, and that were saved": (
                    f"{len(history.versions)}, {record.rested.saved}"
                ),
                "at rest after the last fault": f"{record.rested.took_s:.1f} s",
                "duration": f"{record.rested.monotonic_s - record.begun.monotonic_s:.0f} s",
            }
        return figures | self._slowest_takeover() | _resuming(self._resumptions)

    def _slowest_takeover(self) -> dict[str, object]:
        found = self._takeovers
        if not found:
            return {"deliveries taken over from killed processes": 0}
        net_s, took_s, strike, _ = found[-1]
        return {
            "deliveries taken over from killed processes": len(found),
            "takeover, median": f"{found[len(found) // 2][0]:.2f} s",
            "takeover, slowest": (
                f"{net_s:.1f} s, and {took_s - net_s:.1f} s in which Redis was away; after a {strike.kind} of the"
                f" {strike.victim}"
            ),
        }

    def _beyond_limits(self, logs: Logs) -> list[str]:
        """Return what took longer than the command line allows, and who lost what must not be lost."""
        begun, faults = self._record.begun, list[str]()
        if self._takeovers and self._takeovers[-1][0] > (begun.longest_takeover or float("inf")):
            net_s, _, strike, delivery = self._takeovers[-1]
            faults.append(f"a takeover took {net_s:.1f} s: {delivery}, after a {strike.kind} of the {strike.victim}")
        if logs.lost_leases and not begun.may_lose_leases:
            faults.append(f"processes that lived lost what they held: {sorted(logs.lost_leases)}")
        unharmed = [one for one in self._resumptions if not one.struck]
        if unharmed and unharmed[-1].idle_s > (begun.longest_resuming or float("inf")):
            last = unharmed[-1]
            faults.append(f"work went on {last.idle_s:.1f} s after Redis was back from {last.outage.kind}")
        return faults

    def _head(self) -> list[str]:
        begun = self._record.begun
        kept = "Kept: nothing lost, nothing doubled, everything that was handled twice is explained."
        lines = ["# A storm", "", f"    {begun.command}", "", f"Python {begun.python}, {begun.system}.", ""]
        if self._judged_again is not None:
            lines += [f"Judged again on {self._judged_again}, from what the run kept.", ""]
        lines += [f"**{'Broken.' if self.faults else kept}**", ""]
        return [*lines, *(f"- BROKEN: {fault}" for fault in self.faults), *([""] if self.faults else [])]

    def _tail(self, verdict: Verdict, errors: Counter[str]) -> list[str]:
        done = dict(sorted(self._record.done.items()))
        lines = _table("Faults", "fault", done | {"no such process at that moment": self._record.missed}, "times")
        if verdict.named:
            lines += ["## Lost by Redis itself", "", "Accepted, and not on disk yet when the power was cut:", ""]
            lines += [f"- `{event_id}`" for event_id in verdict.named] + [""]
        if errors:
            lines += ["## Errors in the logs that no fault above accounts for", ""]
            lines += [f"- {count} times `{error}`" for error, count in errors.most_common(20)] + [""]
        return lines


def _table(title: str, left: str, rows: dict[str, object] | dict[str, int], right: str = "") -> list[str]:
    head = [f"## {title}", "", f"| {left} | {right} |".replace("|  |", "| |"), "|---|---|"]
    return [*head, *(f"| {name} | {value} |" for name, value in rows.items()), ""]


def _resuming(resumptions: list[Resumption]) -> dict[str, object]:
    """Return how long work took to go on at most, in all cases and where only Redis was harmed."""
    figures: dict[str, object] = {}
    if resumptions:
        last = resumptions[-1]
        figures["work went on after Redis was back, slowest"] = (
            f"{last.idle_s:.1f} s, after {last.outage.kind}; struck meanwhile: {', '.join(last.struck) or 'nobody'}"
        )
    if unharmed := [one for one in resumptions if not one.struck]:
        figures["work went on after Redis was back, slowest while no process was struck"] = (
            f"{unharmed[-1].idle_s:.1f} s, after {unharmed[-1].outage.kind}, of {len(unharmed)} times"
        )
    return figures
