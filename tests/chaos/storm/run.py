"""The storm: real processes, a Redis of its own, everything that can go wrong, and the verdict.

Four series of faults go on at once, each drawn from the seed: processes are killed, stopped and told to end; Redis is
killed, cut back, held up, filled, made to forget its scripts, and its connections broken; the handlers are saved again,
working or broken; and events are published that harm whoever handles them. Publishers and handlers note in a ledger
what they were told and did, and at the end everything is compared with what Redis holds.
"""

from __future__ import annotations

import argparse
import os
import platform
import random
import sys
import time
from contextlib import ExitStack
from pathlib import Path

import redis

from eventsys import EventService
from eventsys.runtime.server_process import AppendFsync
from tests.chaos.keeping import kept_or_temporary, new_directory, new_file
from tests.chaos.ledger import Ledger
from tests.chaos.looks import leftovers

from .cast import Cast
from .editor import Editor
from .facts import Begun, Rested
from .journal import Journal
from .judging import JOURNAL, LEDGER, STORED, judge
from .names import BUS
from .nemesis import Nemesis
from .plan import Fault, draw
from .proxy import Proxy
from .redis_server import StormRedis
from .stored import keep_stored

REST_WITHIN_S = 2400.0
"""How long everything may take to come to rest after the last fault: each event that kills whoever handles it kills
five processes in turn, and those it was held beside wait for that. After an hour these are a hundred events, and behind
what a busy machine has left over they had half of their deaths before them after 20 minutes."""

PROGRESS_WITHIN_S = 240.0
"""How long it may take until something gets on: an event ends, or one of those that kill whoever handles them has
killed once more. All of them kill for the second time before the first does for the third, so for long none ends."""

DEATHS = 5
"""Processes that a message kills before it is a dead letter."""

BEGIN_WITHIN_S = 60.0
"""How long it may take until the first event is handled."""

PUBLISHERS = 2

SKEWS_S = "0,300,-300,61"
"""By how many seconds the clocks of processes are wrong."""


def arguments(given: list[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m tests.chaos",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        epilog="Others, each with a --help of its own: `python -m tests.chaos kills`, `later`, `redis`, `away`.",
    )
    parser.add_argument("--minutes", type=float, default=2.0, help="how long faults strike")
    parser.add_argument(
        "--judge", type=Path, help="carry out nothing; judge a run again that was kept in this directory"
    )
    add_common(parser)
    options = parser.parse_args(given)
    options.command = f"python -m tests.chaos --minutes {options.minutes:g}"
    return options


def add_common(parser: argparse.ArgumentParser) -> None:
    """Add what every kind of storm takes."""
    parser.set_defaults(may_lose_leases=True)
    parser.add_argument("--seed", type=int, default=random.randrange(10**6), help="decides what goes wrong, and when")
    parser.add_argument("--workers", type=int, default=2, help="worker processes: 2, or 10")
    parser.add_argument("--rate", type=float, default=60, help="events published a second")
    parser.add_argument("--appendfsync", choices=("everysec", "always"), help="of Redis; default: the seed decides")
    parser.add_argument("--longest-takeover", type=float, help="seconds after which a takeover is a fault")
    parser.add_argument("--longest-resuming", type=float, help="the same for work that goes on when Redis is back")
    parser.add_argument("--keep", type=new_directory, help="a new directory for logs, ledger and data")
    parser.add_argument("--report", type=new_file, help="a file for the report, in Markdown")


def run(options: argparse.Namespace) -> int:
    """Carry out one run, print its report, and return 1 when a promise was broken, else 0."""
    if options.judge:
        return judge(options.judge, report=options.report, is_again=True)
    seconds = options.minutes * 60
    return carry_out(options, draw(options.seed, seconds), seconds)


def carry_out(options: argparse.Namespace, series: dict[str, list[Fault]], seconds: float) -> int:
    """Carry out a run with these faults, print its report, and return 1 when a promise was broken, else 0."""
    appendfsync = options.appendfsync or random.Random(options.seed).choice(("everysec", "always"))
    with kept_or_temporary(options.keep, "storm-") as directory:
        with ExitStack() as stack:
            ledger, journal = directory / LEDGER, Journal(directory / JOURNAL)
            ledger.touch()
            journal.note(_begun(options, appendfsync))
            server, nemesis = _set_the_stage(stack, directory, journal, options, appendfsync)
            _wait_until_begun(ledger)
            nemesis.carry_out(series, seconds)
            codes = nemesis.cast.end("publisher", 30.0)
            rested_s, left = _wait_for_rest(server, nemesis.events)
            codes |= nemesis.cast.end("", 40.0)
            keep_stored(nemesis.events, server.client, directory / STORED)
            moment = (time.monotonic(), time.time())
            journal.note(Rested(rested_s, left, codes, nemesis.editor.version + 1, *moment))
        return judge(directory, report=options.report)


def _begun(options: argparse.Namespace, appendfsync: str) -> Begun:
    command = (
        f"{options.command} --seed {options.seed} --workers {options.workers} --rate {options.rate:g}"
        f" --appendfsync {appendfsync}"
    )
    print(command, flush=True)
    return Begun(
        command, platform.python_version(), f"{platform.system()} {platform.machine()}", time.monotonic(), time.time(),
        [float(skew_s) for skew_s in SKEWS_S.split(",")],
        options.longest_takeover, options.longest_resuming, options.may_lose_leases,
    )  # fmt: skip


def _set_the_stage(
    stack: ExitStack, directory: Path, journal: Journal, options: argparse.Namespace, appendfsync: AppendFsync
) -> tuple[StormRedis, Nemesis]:
    """Start Redis, the proxy before it, and all processes; whatever is begun ends with `stack`."""
    server = StormRedis(directory / "redis", appendfsync)
    stack.callback(server.stop)
    proxy = Proxy(server.socket)
    stack.callback(proxy.stop)
    editor = Editor(directory)
    ledger = directory / LEDGER
    environ = {**os.environ, "CHAOS_LEDGER": str(ledger), "CHAOS_SKEWS_S": SKEWS_S, "EVENTSYS_REDIS_URL": proxy.url}
    cast = Cast(
        directory, environ,
        workers=options.workers, publishers=PUBLISHERS, rate=options.rate / PUBLISHERS, seed=options.seed,
        journal=journal,
    )  # fmt: skip
    stack.callback(cast.stop)
    events = EventService(name=BUS, redis_url=server.url, announce=False)
    stack.callback(events.stop)
    return server, Nemesis(server, proxy, cast, editor, events, Ledger(ledger), journal)


def _wait_until_begun(ledger: Path) -> None:
    """Return when something was handled: before, a fault has nothing to harm."""
    deadline = time.monotonic() + BEGIN_WITHIN_S
    while "\nend " not in ledger.read_text():
        if time.monotonic() > deadline:
            raise SystemExit(f"nothing was handled within {BEGIN_WITHIN_S:.0f} s")
        time.sleep(0.1)


def _wait_for_rest(server: StormRedis, events: EventService) -> tuple[float, str | None]:
    """Wait until nothing is left of anything; return how long that took, and what was left when it took too long."""
    began_at = progress_at = time.monotonic()
    least = sys.maxsize
    while True:
        now = time.monotonic()
        is_too_late = now - began_at > REST_WITHIN_S or now - progress_at > PROGRESS_WITHIN_S
        try:
            ahead = _ahead(server.client, events)
            # A look for leftovers goes through all keys: done all the time, it would be most of what Redis has to do.
            left = leftovers(server.client, events.broker.keys) if ahead <= 0 or is_too_late else ["events"]
        except redis.ConnectionError:
            ahead, left = least, ["no Redis"]
        if not left or is_too_late:
            return now - began_at, ", ".join(left) or None
        if ahead < least:
            least, progress_at = ahead, now
        time.sleep(0.1)


def _ahead(client: redis.Redis, events: EventService) -> int:
    """Return a number that falls with each event that ends, and with each death that a message has caused."""
    keys = events.broker.keys
    deaths = sum(map(int, client.hvals(f"{keys.prefix}:crashes")))
    return DEATHS * int(client.zcard(keys.pending)) - deaths
