"""One event to three subscribers that take up to 100 in a call, while publishing: eventsys and FastStream's batches.

Both count in the memory of their handlers, see `benchmarks/peers/counting.py`. FastStream is installed into an
environment of its own; a smoke run leaves it out.
"""

from __future__ import annotations

import sys

from benchmarks.compare import environments
from benchmarks.compare.contestant import Contestant
from benchmarks.compare.peers import PEERS
from benchmarks.harness import Options, Result, Run, flow, parse_options
from benchmarks.report import report
from benchmarks.server import private_redis
from benchmarks.workload import BATCH, SUBSCRIBERS

#: Who runs, at which setting, and how many times more messages than the slowest it gets. The peer that counts is last.
_WHO = (("eventsys", "batch", 4), ("faststream", "list batch", 2), ("faststream", "stream batch", 3))


def main() -> None:
    """Measure both, in turn."""
    options = parse_options(__doc__ or "", messages=20_000)
    contestants = _contestants(smoke="--smoke" in sys.argv)
    runs: list[list[Run]] = [[] for _ in contestants]
    version = ""
    for _ in range(options.rounds):
        for contestant, own in zip(contestants, runs, strict=True):
            run, version = _run(contestant, options)
            own.append(run)
    results = [Result(one.name, tuple(own), version) for one, own in zip(contestants, runs, strict=True)]
    report(f"One event to {SUBSCRIBERS} subscribers, up to {BATCH} in a call", results, options)


def _contestants(*, smoke: bool) -> list[Contestant]:
    made = []
    for name, setting, pace in _WHO[:1] if smoke else _WHO:
        peer = next(one for one in PEERS if one.name == name)
        environments.prepare(peer, again=False)
        contestant = Contestant(peer, next(one for one in peer.settings if one.name == setting))
        contestant.deliveries_per_message, contestant.pace = SUBSCRIBERS, pace
        made.append(contestant)
    return made


def _run(contestant: Contestant, options: Options) -> tuple[Run, str]:
    with private_redis(options.redis, aof=options.aof) as server, contestant.on(server):
        return flow(contestant, server, options.messages * contestant.pace), server.version


if __name__ == "__main__":
    main()
