"""How far `eventsys worker` is from the least that could be called one: the same messages and commits, in turn."""

from __future__ import annotations

import sys

from benchmarks import own_app
from benchmarks.drain import EventsysDrain
from benchmarks.fanout import EventsysFanout
from benchmarks.harness import drain, flow, parse_options, race
from benchmarks.report import report

_BARE = [sys.executable, "-c", "from benchmarks.floor_app import run; run()"]


def main() -> None:
    """Empty a full queue, then give each event to three subscribers."""
    options = parse_options(__doc__ or "", messages=5_000)
    drains = [EventsysDrain("eventsys worker", own_app.own_worker()), EventsysDrain("a bare loop", _BARE)]
    report("One process empties a full queue", race(drains, drain, options), options)
    flows = [EventsysFanout("eventsys worker", own_app.own_worker()), EventsysFanout("a bare loop", _BARE)]
    report("One event to three subscribers", race(flows, flow, options), options)


if __name__ == "__main__":
    main()
