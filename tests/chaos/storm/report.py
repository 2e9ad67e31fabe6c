"""What a run has to say for itself, in a terminal and in a file."""

from __future__ import annotations

import argparse
import platform
import time

from .explaining import Explainer, Resumption, Takeover
from .history import History
from .nemesis import Nemesis
from .verdict import Verdict


class Report:
    """The report of a run.

    Attributes:
        faults: Every broken promise, as a sentence.

    Args:
        options: What the command line asked for.
        appendfsync: When Redis forced its file to disk.
    """

    def __init__(self, options: argparse.Namespace, appendfsync: str) -> None:
        self.faults: list[str] = []
        self._options = options
        self._began_at = time.monotonic()
        self._command = (
            f"{options.command} --seed {options.seed} --workers {options.workers} --rate {options.rate:g}"
            f" --appendfsync {appendfsync}"
        )
        print(self._command, flush=True)

    def conclude(
        self,
        nemesis: Nemesis,
        history: History,
        explainer: Explainer,
        verdict: Verdict,
        rested_s: float,
    ) -> None:
        """Print it, and write it where that was asked for."""
        takeovers = explainer.takeovers(history.handled)
        resumptions = explainer.resumptions(history.handled)
        version = nemesis.editor.version
        self.faults = [*verdict.faults, *(f"a fault could not be carried out: {one}" for one in nemesis.errors)]
        self.faults += self._beyond_limits(explainer, takeovers, resumptions)
        figures = {
            **verdict.figures,
            "publishing errors": sum(history.answers.values()),
            **{f"publishing errors, {said}": count for said, count in sorted(history.answers.items())},
            "slowest answer to a publisher": f"{history.slowest_call_s:.1f} s",
            "deliveries taken over from killed processes": len(takeovers),
            "worker processes that ended and were replaced": sum(map(len, explainer.logs.died.values())),
            "leases lost by processes that lived": len(explainer.logs.lost_leases),
            "versions of the handlers that ran, and that were saved": f"{len(history.versions)}, {version + 1}",
            "ticks of the periodic actor": history.minutes,
            "at rest after the last fault": f"{rested_s:.1f} s",
            "duration": f"{time.monotonic() - self._began_at:.0f} s",
        }
        if takeovers:
            net_s, took_s, strike, _ = takeovers[-1]
            figures["takeover, median"] = f"{takeovers[len(takeovers) // 2][0]:.2f} s"
            figures["takeover, slowest"] = (
                f"{net_s:.1f} s, and {took_s - net_s:.1f} s in which Redis was away; after a {strike.kind} of the"
                f" {strike.victim}"
            )
        figures |= _resuming(resumptions)
        text = self._text(nemesis, verdict, {name: str(figure) for name, figure in figures.items()}, explainer)
        print(text, flush=True)
        if self._options.report:
            self._options.report.write_text(text)

    def _beyond_limits(
        self, explainer: Explainer, takeovers: list[Takeover], resumptions: list[Resumption]
    ) -> list[str]:
        """Return what took longer than the command line allows, and who lost what must not be lost."""
        options, faults = self._options, list[str]()
        if takeovers and takeovers[-1][0] > (options.longest_takeover or float("inf")):
            net_s, _, strike, delivery = takeovers[-1]
            faults.append(f"a takeover took {net_s:.1f} s: {delivery}, after a {strike.kind} of the {strike.victim}")
        if explainer.logs.lost_leases and not options.may_lose_leases:
            faults.append(f"processes that lived lost what they held: {sorted(explainer.logs.lost_leases)}")
        unharmed = [one for one in resumptions if not one.struck]
        if unharmed and unharmed[-1].idle_s > (options.longest_resuming or float("inf")):
            last = unharmed[-1]
            faults.append(f"work went on {last.idle_s:.1f} s after Redis was back from {last.outage.kind}")
        return faults

    def _text(self, nemesis: Nemesis, verdict: Verdict, figures: dict[str, str], explainer: Explainer) -> str:
        kept = "Kept: nothing lost, nothing doubled, everything that was handled twice is explained."
        lines = ["# A storm", "", f"    {self._command}", ""]
        lines += [f"Python {platform.python_version()}, {platform.system()} {platform.machine()}.", ""]
        lines += [f"**{'Broken.' if self.faults else kept}**", "", *(f"- BROKEN: {fault}" for fault in self.faults), ""]
        lines += ["## Figures", "", "| what | |", "|---|---|"]
        lines += [*(f"| {name} | {figure} |" for name, figure in figures.items()), ""]
        lines += ["## Faults", "", "| fault | times |", "|---|---|"]
        lines += [f"| {name} | {count} |" for name, count in sorted(nemesis.done.items())]
        lines += [f"| no such process at that moment | {nemesis.missed} |", ""]
        if verdict.named:
            lines += ["## Lost by Redis itself", "", "Accepted, and not on disk yet when the power was cut:", ""]
            lines += [f"- `{event_id}`" for event_id in verdict.named] + [""]
        if explainer.logs.errors:
            lines += ["## Errors in the logs that no fault above accounts for", ""]
            lines += [f"- {count} times `{error}`" for error, count in explainer.logs.errors.most_common(20)] + [""]
        return "\n".join(lines)


def _resuming(resumptions: list[Resumption]) -> dict[str, str]:
    """Return how long work took to go on at most, in all cases and where only Redis was harmed."""
    figures = {}
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
