"""What recording costs: fan-out to three subscribers, with records and indexes, and on the same build without."""

from __future__ import annotations

from benchmarks import own_app, unrecorded_app
from benchmarks.fanout import EventsysFanout
from benchmarks.harness import flow, parse_options, race
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
    """Measure both, and say what the difference is."""
    options = parse_options(__doc__ or "", messages=4_000)
    results = race(
        [
            EventsysFanout("with records and indexes", own_app.own_worker()),
            UnrecordedFanout("without", unrecorded_app.worker()),
        ],
        flow,
        options,
    )
    report("What recording costs", results, options)
    recorded, bare = (result.median for result in results)
    cost = 1 - recorded.deliveries_per_s / bare.deliveries_per_s
    print(f"recording costs {cost:.1%} of the throughput (bar {MOST_COST:.0%})")


if __name__ == "__main__":
    main()
