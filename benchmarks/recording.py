"""What recording costs: fan-out to three subscribers, with records and indexes, and on the same build without.

The machine may be shared, and its speed changes from one minute to the next. So rounds are short, both run in each of
them and take turns to be first, and what counts is the median of what each round says by itself. Processor time
stands beside the rate: where the worker is what limits it, Redis has time to spare, and what recording costs there does
not show in the rate. The last line tells what it would cost if it did.
"""

from __future__ import annotations

import statistics
from dataclasses import replace

from benchmarks import own_app, unrecorded_app
from benchmarks.fanout import EventsysFanout
from benchmarks.harness import Options, Result, Run, flow, parse_options, race
from benchmarks.records_off import switched_off
from benchmarks.report import report

#: The bar: the share of the throughput that recording may cost.
MOST_COST = 0.15


class UnrecordedFanout(EventsysFanout):
    """Publishes and dispatches as ever, and keeps no record of it."""

    def enqueue(self, count: int) -> None:
        """Publish, by the same scripts as the worker's."""
        with switched_off():
            super().enqueue(count)


def main() -> None:
    """Measure both by turns, and say what the difference is."""
    options = parse_options(__doc__ or "", messages=2_000, rounds=11)
    results = _by_turns(options)
    report("What recording costs", results, options)
    recorded, bare = (result.runs for result in results)
    costs = sorted(
        _cost(one.deliveries_per_s, other.deliveries_per_s) for one, other in zip(recorded, bare, strict=True)
    )
    middle = statistics.quantiles(costs, n=4, method="inclusive") if len(costs) > 1 else costs * 3
    print(
        f"recording costs {statistics.median(costs):.1%} of the throughput, median of {len(costs)} rounds, half of them"
        f" between {middle[0]:.1%} and {middle[2]:.1%} (bar {MOST_COST:.0%})"
    )
    used = [_processor_us(result.median) for result in results]
    print(
        f"{used[0]:.1f} µs of processor time a delivery, worker and Redis, against {used[1]:.1f}: if both had to share"
        f" one core, it would cost {_cost(1 / used[0], 1 / used[1]):.1%}"
    )


def _by_turns(options: Options) -> list[Result]:
    """Race both in every round, each of them first in every other one."""
    contestants = [
        EventsysFanout("with records and indexes", own_app.own_worker()),
        UnrecordedFanout("without", unrecorded_app.worker()),
    ]
    runs: tuple[list[Run], list[Run]] = ([], [])
    version = ""
    for number in range(options.rounds):
        order = contestants if number % 2 == 0 else contestants[::-1]
        for result in race(order, flow, replace(options, rounds=1)):
            runs[result.name != contestants[0].name].extend(result.runs)
            version = result.redis_version
    return [Result(one.name, tuple(own), version) for one, own in zip(contestants, runs, strict=True)]


def _cost(recorded: float, bare: float) -> float:
    """Return the share of a rate that is lost."""
    return 1 - recorded / bare


def _processor_us(run: Run) -> float:
    return run.worker_cpu_us + run.redis_cpu_us


if __name__ == "__main__":
    main()
