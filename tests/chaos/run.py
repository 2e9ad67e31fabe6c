"""One run: a Redis, workers, a publisher, what goes wrong, and the verdict."""

from __future__ import annotations

import argparse
import os
import random
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventsys.store.keys import Keys

from .keeping import kept_or_temporary, new_directory
from .ledger import read_history
from .load import Load
from .names import MADE
from .nemesis import FAULTS, Nemesis, draw
from .server import Server
from .verdict import Verdict, takeover_times
from .workers import KINDS, WorkerPool

MEAN_GAP_S = {"kill": 0.15, "stop": 5.0, "redis": 5.0, "connections": 1.0, "scripts": 1.0}
"""How often each kind of fault strikes when nothing else is said."""

REST_WITHIN_S = 90.0
"""How long everything may take to come to rest after the last fault, besides one lease."""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        epilog="`python -m tests.chaos later --help`: the same for what is due later.",
    )
    parser.add_argument("--faults", default="kill", help=f"kinds, separated by commas: {', '.join(FAULTS)}")
    parser.add_argument("--kills", type=int, default=200, help="how often a worker is killed")
    parser.add_argument(
        "--minutes", type=float, help="how long faults strike; default: a kill each 0.15 s, at least 20 s"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="decides all that is random here")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--worker", choices=sorted(KINDS), default="dramatiq", help="whose worker they run")
    parser.add_argument("--rate", type=float, default=300, help="events published a second")
    parser.add_argument(
        "--lease", type=float, default=2.0, help="seconds a process counts as alive; 12 is the default of eventsys"
    )
    parser.add_argument("--longest-takeover", type=float, help="seconds after which a takeover is a fault")
    parser.add_argument(
        "--keep",
        type=new_directory,
        help="a new directory for the ledger and Redis's data",
    )
    return parser.parse_args(given)


def run(options: argparse.Namespace) -> int:
    """Carry out one run, print its verdict, and return 1 when a promise was broken, else 0."""
    with kept_or_temporary(options.keep, "chaos-") as directory, _server(directory, options) as server:
        ledger = directory / "ledger"
        ledger.touch()
        os.environ |= {
            "EVENTSYS_REDIS_URL": server.url,
            "CHAOS_LEDGER": str(ledger),
            "CHAOS_LEASE_S": str(options.lease),
        }
        from .app import events

        print(f"seed {options.seed}: {options.faults}; {options.workers} {options.worker} workers", flush=True)
        began_at = time.monotonic()
        pool = WorkerPool(options.workers, options.worker)
        load = Load(events, MADE, rate=options.rate, seed=options.seed)
        load.start()
        nemesis = Nemesis(server, events.broker.keys, pool, pause_s=1.6 * options.lease)
        seconds, counts = _plan(options)
        nemesis.carry_out(draw(options.seed, counts, seconds=seconds, workers=options.workers))
        load.stop()
        rest = _wait_for_rest(server, events.broker.keys, options)
        codes = pool.stop(20)
        history = read_history(ledger)
        verdict = Verdict(events, server, load, history)
        if rest is not None:
            verdict.faults.append(f"it did not come to rest: {rest}")
        if any(codes):
            verdict.faults.append(f"workers ended with {codes}")
        times = takeover_times(nemesis.strikes, history)
        if options.longest_takeover and times and times[-1] > options.longest_takeover:
            verdict.faults.append(f"a takeover took {times[-1]:.1f} s")
        events.stop()
        _report(nemesis, load, verdict, times, time.monotonic() - began_at, options.rate)
    return 1 if verdict.faults else 0


@contextmanager
def _server(directory: Path, options: argparse.Namespace) -> Iterator[Server]:
    server = Server(directory / "redis", "always" if "redis" in options.faults else "everysec")
    try:
        yield server
    finally:
        server.stop()


def _plan(options: argparse.Namespace) -> tuple[float, dict[str, int]]:
    """Return how long faults strike, in seconds, and how often each kind does."""
    kinds = options.faults.split(",")
    kills = options.kills if "kill" in kinds else 0
    seconds = options.minutes * 60 if options.minutes else max(20.0, kills * MEAN_GAP_S["kill"])
    return seconds, {kind: kills if kind == "kill" else max(1, round(seconds / MEAN_GAP_S[kind])) for kind in kinds}


def _wait_for_rest(server: Server, keys: Keys, options: argparse.Namespace) -> str | None:
    """Wait until everything has been handled, and return what had not been when that took too long."""
    deadline = time.monotonic() + REST_WITHIN_S + options.lease
    while True:
        client = server.client
        left = {
            "pending events": client.zcard(keys.pending),
            "delayed": client.zcard(keys.delayed_due),
            "held": sum(server.pending(keys).values()),
            "processes": client.zcard(keys.processes) - options.workers,
        }
        if not any(left.values()):
            return None
        if time.monotonic() > deadline:
            return ", ".join(f"{count} {what}" for what, count in left.items() if count)
        time.sleep(0.1)


def _report(nemesis: Nemesis, load: Load, verdict: Verdict, times: list[float], seconds: float, rate: float) -> None:
    struck = sum(bool(strike.held) for strike in nemesis.strikes)
    figures: dict[str, object] = dict(nemesis.done)
    figures |= {"struck work in hand": struck, "deliveries taken over": len(times), **verdict.figures}
    figures |= {"publishing errors": load.errors, "events a second": f"{load.reached_rate:.0f} of {rate:.0f}"}
    if times:
        figures["takeover, median and slowest"] = f"{times[len(times) // 2]:.2f} s, {times[-1]:.2f} s"
    figures["duration"] = f"{seconds:.0f} s"
    for name, figure in figures.items():
        print(f"  {name}: {figure}")
    for fault in verdict.faults:
        print(f"  BROKEN: {fault}")
    print("verdict: " + ("broken" if verdict.faults else "kept"), flush=True)
