"""What a second worker process brings: plain messages of handlers that do nothing, that wait, and that compute.

Beside the rates stands how many processors Redis and the workers kept busy: with all of them busy there is no more.
"""

from __future__ import annotations

import os
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks import scaling_app
from benchmarks.drain import EventsysDrain
from benchmarks.harness import Result, Run, drain, parse_options, race
from benchmarks.report import WIDTH

#: How many times more messages than those whose handlers compute the others get, which are that much faster.
_PACE = {"nothing": 12, "2 ms of waiting": 1, "0.1 ms of computing": 2}


class Processes(EventsysDrain):
    """So many worker processes, whose handlers do the same.

    Args:
        work: What the handlers do, as `benchmarks.scaling_app` has it.
        processes: How many.
    """

    def __init__(self, work: str, processes: int) -> None:
        super().__init__(f"{work}, {processes}", scaling_app.worker(processes))
        self.pace = _PACE[work] * processes
        self._work = work

    def prepare(self, url: str) -> None:
        """Declare the application anew."""
        self._application = scaling_app.declare(url, self._work)
        self._sent = 0


def main() -> None:
    """Measure one process and two, for each kind of handlers."""
    options = parse_options(__doc__ or "", messages=8_000, rounds=5)
    contestants = [Processes(work, processes) for work in scaling_app.WORK for processes in (1, 2)]
    results = race(contestants, drain, options)
    table = Table(title=f"one worker process and two\n{options.rounds} rounds, {os.cpu_count()} processors")
    table.add_column("handlers do", no_wrap=True)
    for heading in ("one, per second", "processors", "two, per second", "processors", "times one"):
        table.add_column(heading, justify="right", no_wrap=True)
    for work, one, two in zip(scaling_app.WORK, results[::2], results[1::2], strict=True):
        times = two.median.deliveries_per_s / one.median.deliveries_per_s
        table.add_row(work, *_figures([one, two]), f"{times:.2f}")
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)


def _figures(results: Sequence[Result]) -> list[str]:
    medians = [result.median for result in results]
    return [figure for run in medians for figure in (f"{run.deliveries_per_s:,.0f}", f"{_processors(run):.2f}")]


def _processors(run: Run) -> float:
    return run.deliveries_per_s * (run.worker_cpu_us + run.redis_cpu_us) / 1e6


if __name__ == "__main__":
    main()
