"""Half an hour of mixed load: does anything grow? `python -m benchmarks.soak --minutes 30 --report soak.md`.

Two worker processes, a scheduler and a publisher, on a Redis of their own whose history is kept for a minute. What is
kept by number, the events about cron tasks, is as much as it gets after five minutes; so a soak has to be of half an
hour. Every sample tells of memory, descriptors and threads of every process, of Redis, and of the latencies since the
one before; in the middle of each fifth of the time it is looked what Redis holds, by families of keys. The report tells
the rule by which it is judged.

Ends with 1 when it was not flat, and with 2 when the latency could not be judged.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import redis

from benchmarks.processes import children_of, running
from benchmarks.server import Server, find_server, private_redis
from benchmarks.soak_keys import Look, look_into
from benchmarks.soak_report import SoakReport
from benchmarks.soak_samples import PREFIX, Sample, Sampler
from benchmarks.soak_verdict import PARTS

WORKERS = 2

SMOKE_MINUTES = 0.25

#: The exit codes of a soak that was not flat, and of one that could not be judged.
NOT_FLAT, UNJUDGED = 1, 2

#: Seconds in which workers begin to work.
_START_S = 60


def options_of(given: Sequence[str] | None = None) -> argparse.Namespace:
    """Return what the command line asks for."""
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.soak", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--minutes", type=float, default=30.0, help="how long (default %(default)s)")
    parser.add_argument("--rate", type=float, default=60.0, help="events published a second (default %(default)s)")
    parser.add_argument("--every", type=float, default=10.0, help="seconds between samples (default %(default)s)")
    parser.add_argument("--report", type=Path, help="a file for the report, in Markdown")
    parser.add_argument("--logs", type=Path, help="a directory for the logs of all processes")
    parser.add_argument("--smoke", action="store_true", help="15 s: proves that it works, no more")
    options = parser.parse_args(given)
    if options.smoke:
        options.minutes, options.every = SMOKE_MINUTES, 1.0
    return options


def main(options: argparse.Namespace) -> int:
    """Carry out a soak, print its report, and return how it was, unless it was too short to say."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name, private_redis(find_server(), aof=True) as server:
        samples, looks = _soak(options, server, Path(name) / "latencies")
    command = f"python -m benchmarks.soak --minutes {options.minutes:g} --rate {options.rate:g}"
    report = SoakReport(command, samples, looks, server.version, None if options.smoke else options.rate)
    print(report.text(), flush=True)
    if options.report:
        options.report.write_text(report.text())
    if options.smoke:
        return 0
    return NOT_FLAT if report.verdict.faults else UNJUDGED if report.verdict.unjudged else 0


def _soak(options: argparse.Namespace, server: Server, latencies: Path) -> tuple[list[Sample], list[Look]]:
    latencies.touch()
    environment = {"REDIS_URL": server.url, "SOAK_LATENCIES": str(latencies), "PYTHONPATH": str(Path.cwd())}
    samples, looks = list[Sample](), list[Look]()
    with contextlib.ExitStack() as stack:
        client = stack.enter_context(redis.Redis.from_url(server.url))
        pids = _begin(stack, options, environment, client)
        sampler = Sampler({**pids, "Redis": server.pid}, pids["supervisor"], client, latencies)
        began_at = time.monotonic()
        count = max(1, int(options.minutes * 60 / options.every))
        middles = {max(1, round(count * (part + 0.5) / PARTS)) for part in range(PARTS)}
        for number in range(1, count + 1):
            time.sleep(max(0.0, began_at + number * options.every - time.monotonic()))
            samples.append(sampler.sample(time.monotonic() - began_at))
            if number in middles:
                looks.append(look_into(client, PREFIX, samples[-1].at_s))
                _tell(samples[-1])
    return samples, looks


def _tell(sample: Sample) -> None:
    used, kept = f"{sample.redis_kib / 1024:.1f} MiB in Redis", f"{sample.events:,} events kept"
    print(f"minute {sample.at_s / 60:.1f}: {used}, {kept}", file=sys.stderr, flush=True)


def _begin(
    stack: contextlib.ExitStack, options: argparse.Namespace, environment: Mapping[str, str], client: redis.Redis
) -> dict[str, int]:
    """Begin all processes, and return their pids by name, once everything is in motion."""
    eventsys, load = [sys.executable, "-m", "eventsys"], [sys.executable, "-m", "benchmarks.soak_load"]

    def begin(name: str, *command: str) -> int:
        return stack.enter_context(running(_logged(name, command, options.logs), environment)).pid

    pids = {
        "supervisor": begin(
            "supervisor", *eventsys, "worker", "benchmarks.soak_app", "--processes", str(WORKERS), "--threads", "8"
        ),
        "scheduler": begin("scheduler", *eventsys, "scheduler", "benchmarks.soak_app"),
    }
    # A first tick shows that the tasks are declared, and run.
    _wait(
        lambda: len(children_of(pids["supervisor"])) == WORKERS and bool(client.xlen(f"{PREFIX}:log:cron")),
        "the workers handled nothing within a minute",
    )
    pids["publisher"] = begin("publisher", *load, str(options.rate))
    latencies = Path(environment["SOAK_LATENCIES"])
    _wait(lambda: latencies.stat().st_size > 0, "no published event was handled within a minute")
    return pids


def _wait(is_so: Callable[[], bool], otherwise: str) -> None:
    deadline = time.monotonic() + _START_S
    while not is_so():
        if time.monotonic() > deadline:
            raise SystemExit(otherwise)
        time.sleep(0.05)


def _logged(name: str, command: Sequence[str], directory: Path | None) -> Sequence[str]:
    """Return the command with its output in a file; as it is, where no directory is given."""
    if directory is None:
        return command
    directory.mkdir(parents=True, exist_ok=True)
    return ["sh", "-c", f'exec "$0" "$@" > {shlex.quote(str(directory / name))}.log 2>&1', *command]


if __name__ == "__main__":
    sys.exit(main(options_of()))
