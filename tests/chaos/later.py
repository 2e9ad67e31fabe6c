"""Kill what keeps the time of a bus: is what was scheduled lost, doubled, early, or fired though it was taken back?

Delayed events and messages at random due times, many of them rescheduled or cancelled at the moment they are due, and a
cron task each second, while faults strike: `leader` kills the worker whose poller leads, `workers` all of them at once,
`redis` Redis, `scheduler` one of two `eventsys scheduler`. The first worker's wall clock is wrong by --skew seconds.
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from eventsys import EventService, EventsysError
from eventsys.store.reconciliation import Reconciliation

from .server import Server
from .workers import KINDS, WorkerPool

FAULTS = ("leader", "workers", "redis", "scheduler")

REST_WITHIN_S = 60.0
"""How long everything may take to come to rest after the last fault."""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos later", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--faults", default=",".join(FAULTS), help=f"kinds, by commas: {', '.join(FAULTS)}")
    parser.add_argument("--seconds", type=float, default=60, help="how long faults strike")
    parser.add_argument("--gap", type=float, default=2.5, help="seconds between two faults, on average")
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="decides all that is random here")
    parser.add_argument("--workers", type=int, default=2, help="worker processes")
    parser.add_argument("--worker", choices=sorted(KINDS), default="eventsys", help="whose worker they run")
    parser.add_argument("--rate", type=float, default=60, help="entries scheduled a second")
    parser.add_argument("--skew", type=float, default=300, help="seconds that the first worker's clock is ahead")
    parser.add_argument("--lease", type=float, default=2.0, help="seconds a process counts as alive")
    parser.add_argument("--appendfsync", choices=("everysec", "always"), default="everysec", help="of Redis")
    return parser.parse_args(given)


class Schedulers:
    """Two processes of `eventsys scheduler`; one that is killed is replaced."""

    def __init__(self, application: str) -> None:
        self._command = [sys.executable, "-m", "eventsys", "scheduler", application]
        self._processes = [self._begin() for _ in range(2)]

    def kill(self, number: int) -> None:
        """End one with SIGKILL, and begin another."""
        self._processes[number].kill()
        self._processes[number].wait()
        self._processes[number] = self._begin()

    def stop(self) -> None:
        """End both."""
        for one in self._processes:
            one.terminate()
        for one in self._processes:
            try:
                one.wait(10)
            except subprocess.TimeoutExpired:
                one.kill()

    def _begin(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)


class Watch(threading.Thread):
    """Reconciles all the time, whatever the age of what it finds: on a healthy bus it must find nothing."""

    def __init__(self, events: EventService) -> None:
        super().__init__(name="watch", daemon=True)
        self.repairs: list[str] = []
        self.looks = 0
        self._broker = events.broker
        self._stopped = threading.Event()
        self._found = Reconciliation(self._broker.link, self._broker.keys, retention_ms=86_400_000)

    def stop(self) -> None:
        """Look no more."""
        self._stopped.set()
        self.join()

    def run(self) -> None:
        """Look."""
        while not self._stopped.wait(0.02):
            now_ms = self._broker.clock.now_ms()
            try:
                repairs, _ = self._found.step(now_ms, now_ms + 60_000)
            except EventsysError:
                continue  # Redis was killed
            self.looks += 1
            self.repairs += [f"{one.event_id} {one.done}" for one in repairs]


def strike(kind: str, chance: random.Random, server: Server, pool: WorkerPool, schedulers: Schedulers) -> bool:
    """Let one thing go wrong, and say whether there was a victim."""
    if kind == "redis":
        server.kill()
    elif kind == "workers":
        pool.kill_all()
    elif kind == "scheduler":
        schedulers.kill(chance.randrange(2))
    else:
        from .later_app import events

        lead = server.client.get(f"{events.broker.keys.prefix}:poller") or ""
        numbers = [pool.number_of(int(part)) for part in lead.split("-") if part.isdigit()]
        number = next((one for one in numbers if one is not None), None)
        if number is None:
            return False
        pool.kill(number)
    return True


def run(options: argparse.Namespace) -> int:
    """Carry out one run, print its verdict, and return 1 when a promise was broken, else 0."""
    with tempfile.TemporaryDirectory(prefix="chaos-") as name, ExitStack() as stack:
        ledger = Path(name) / "ledger"
        ledger.touch()
        server = stack.enter_context(_server(Path(name), options.appendfsync))
        os.environ |= {
            "EVENTSYS_REDIS_URL": server.url, "CHAOS_LEDGER": str(ledger), "CHAOS_LEASE_S": str(options.lease),
        }  # fmt: skip
        from .later_app import TICKS, events
        from .later_load import LaterLoad
        from .later_verdict import LaterVerdict, Starts

        print(f"seed {options.seed}: {options.faults}; appendfsync {options.appendfsync}", flush=True)
        pool = WorkerPool(options.workers, options.worker, "tests.chaos.later_app", skews_s=(options.skew,))
        schedulers = Schedulers("tests.chaos.later_app")
        stack.callback(schedulers.stop)
        load, watch = LaterLoad(events, rate=options.rate, seed=options.seed), Watch(events)
        load.start()
        watch.start()
        done = _carry_out(options, server, pool, schedulers)
        load.stop()
        events.cron.pause(TICKS)
        rest = _wait_for_rest(server, events)
        watch.stop()
        codes = pool.stop(20)
        verdict = LaterVerdict(events, server, load, Starts(ledger), len(watch.repairs))
        if rest is not None:
            verdict.faults.append(f"it did not come to rest: {rest}")
        if any(codes):
            verdict.faults.append(f"workers ended with {codes}")
        events.stop()
        figures = {**done, **verdict.figures, "looks for something to reconcile": watch.looks, "errors": load.errors}
        _report(figures, verdict.faults)
    return 1 if verdict.faults else 0


def _carry_out(
    options: argparse.Namespace, server: Server, pool: WorkerPool, schedulers: Schedulers
) -> dict[str, object]:
    chance, kinds = random.Random(options.seed), options.faults.split(",")
    done: Counter[str] = Counter()
    # Every kind strikes, in an order and at times that the seed decides.
    end, planned = time.monotonic() + options.seconds, chance.sample(kinds, len(kinds))
    pool.wait_until_ready(0)
    while time.monotonic() < end:
        time.sleep(min(chance.uniform(0.5, 2 * options.gap - 0.5), max(0.0, end - time.monotonic())))
        kind = planned.pop() if planned else chance.choice(kinds)
        if strike(kind, chance, server, pool, schedulers):
            done[kind] += 1
    return {f"killed: {kind}": done[kind] for kind in kinds}


@contextmanager
def _server(directory: Path, appendfsync: str) -> Iterator[Server]:
    server = Server(directory / "redis", "always" if appendfsync == "always" else "everysec")
    try:
        yield server
    finally:
        server.stop()


def _wait_for_rest(server: Server, events: EventService) -> str | None:
    deadline, keys = time.monotonic() + REST_WITHIN_S, events.broker.keys
    while True:
        client = server.client
        left = {
            "pending events": client.zcard(keys.pending),
            "delayed": client.zcard(keys.delayed_due) + client.zcard(keys.delayed_far_due),
            "held": sum(server.pending(keys).values()),
        }
        if not any(left.values()):
            return None
        if time.monotonic() > deadline:
            return ", ".join(f"{count} {what}" for what, count in left.items() if count)
        time.sleep(0.1)


def _report(figures: dict[str, object], faults: list[str]) -> None:
    for name, figure in figures.items():
        print(f"  {name}: {figure}")
    for fault in faults:
        print(f"  BROKEN: {fault}")
    print("verdict: " + ("broken" if faults else "kept"), flush=True)
