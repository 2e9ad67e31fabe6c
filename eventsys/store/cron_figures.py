"""How often the runs of cron tasks came to what, as the scripts counted."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import read_or_pass_over, reply_of, text_of, whole_number

#: What a run, or a tick without one, can have come to.
OUTCOMES = ("completed", "failed", "skipped", "missed")

#: Most tasks whose figures are read, by name.
MOST_READ = 1_000


class CronFigures(NamedTuple):
    """The figures of one cron task, since it was made.

    Attributes:
        name: The task.
        runs: How often its runs, and its ticks without one, came to each outcome.
        completed_ms: When a run was last completed; None: never.
    """

    name: str
    runs: Mapping[str, int]
    completed_ms: int | None


def read_cron_figures(link: Link, keys: Keys) -> list[CronFigures]:
    """Return the figures of the first thousand cron tasks, in the order of their names."""
    names: list[bytes] = link.call("ZRANGE", keys.cron_tasks, 0, MOST_READ - 1)
    fields = (*(f"ended:{outcome}" for outcome in OUTCOMES), "completed_ms")
    commands = [("HMGET", keys.cron_task(text_of(name)), *fields) for name in names]
    found = [
        read_or_pass_over(keys.cron_task(text_of(name)), _figures, text_of(name), reply)
        for name, reply in zip(names, link.in_parts(commands), strict=True)
    ]
    return [one for one in found if one is not None]


def _figures(name: str, reply: Any) -> CronFigures:
    *counts, completed_ms = reply_of(reply)
    runs = {outcome: whole_number(count) or 0 for outcome, count in zip(OUTCOMES, counts, strict=True)}
    return CronFigures(name, runs, whole_number(completed_ms))
