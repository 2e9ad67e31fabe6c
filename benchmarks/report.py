"""Results as a table for people and as JSON for machines."""

from __future__ import annotations

import dataclasses
import json
import os
import platform
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from benchmarks.harness import Options, Result

# A log file has no width; rich would assume 80 columns and cut the figures.
WIDTH = 110


def report(title: str, results: Sequence[Result], options: Options) -> None:
    """Print the medians of each contestant, and write every run to the file the options name.

    All figures are of one delivery. `ratio` is against the contestant named last: put the peer there.
    """
    setting = (
        f"{options.messages:,} messages times pace, {options.rounds} rounds, AOF {'everysec' if options.aof else 'off'}"
    )
    table = Table(title=f"{title}\n{setting}, Redis {results[0].redis_version}, {os.cpu_count()} cores")
    table.add_column("contestant", no_wrap=True)
    for heading in ("per second", "ratio", "low", "high", "worker µs", "Redis µs", "MiB"):
        table.add_column(heading, justify="right", no_wrap=True)
    for result in results:
        table.add_row(result.name, *_figures(result, results[-1]))
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(table)
    if options.json:
        options.json.write_text(json.dumps(_as_json(title, results, options), indent=2) + "\n")


def _figures(result: Result, last: Result) -> list[str]:
    rates = [run.deliveries_per_s for run in result.runs]
    median = result.median
    return [
        f"{median.deliveries_per_s:,.0f}",
        f"{median.deliveries_per_s / last.median.deliveries_per_s:.2f}",
        f"{min(rates):,.0f}",
        f"{max(rates):,.0f}",
        f"{median.worker_cpu_us:.1f}",
        f"{median.redis_cpu_us:.1f}",
        f"{median.worker_mib:.0f}",
    ]


def _as_json(title: str, results: Sequence[Result], options: Options) -> dict[str, object]:
    return {
        "title": title,
        "messages": options.messages,
        "aof": options.aof,
        "redis": results[0].redis_version,
        "python": platform.python_version(),
        "cores": os.cpu_count(),
        "contestants": [
            {
                "name": result.name,
                "median": dataclasses.asdict(result.median),
                "runs": [dataclasses.asdict(run) for run in result.runs],
            }
            for result in results
        ],
    }
