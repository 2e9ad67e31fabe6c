"""Half an hour of mixed load: does anything grow? `python -m benchmarks.soak --minutes 30 --report soak.md`.

Two worker processes, a scheduler and a publisher, on a Redis of their own whose history is kept for a minute. Every
sample tells of memory, descriptors and threads of every process, of Redis, and of the latencies since the one before.
The command ends with 1 when memory grew by 2 % after the warm-up, the 99th percentile by 20 %, or descriptors or
threads at all.
"""

from __future__ import annotations

import argparse
import contextlib
import shlex
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path

import redis

from benchmarks.processes import children_of, running
from benchmarks.server import Server, find_server, private_redis
from benchmarks.soak_report import SoakReport
from benchmarks.soak_samples import Sample, Sampler

WORKERS = 2

SMOKE_MINUTES = 0.25


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
    """Carry out a soak, print its report, and return 1 when something grew, unless it was too short to say."""
    with tempfile.TemporaryDirectory(prefix="soak-") as name, private_redis(find_server(), aof=True) as server:
        samples = _samples(options, server, Path(name) / "latencies")
    command = f"python -m benchmarks.soak --minutes {options.minutes:g} --rate {options.rate:g}"
    report = SoakReport(command, samples, server.version)
    print(report.text(), flush=True)
    if options.report:
        options.report.write_text(report.text())
    return 1 if report.faults and not options.smoke else 0


def _samples(options: argparse.Namespace, server: Server, latencies: Path) -> list[Sample]:
    latencies.touch()
    environment = {"REDIS_URL": server.url, "SOAK_LATENCIES": str(latencies), "PYTHONPATH": str(Path.cwd())}
    with contextlib.ExitStack() as stack:
        pids = _begin(stack, options, environment)
        client = stack.enter_context(redis.Redis.from_url(server.url))
        sampler = Sampler({**pids, "Redis": server.pid}, pids["supervisor"], client, latencies)
        began_at = time.monotonic()
        samples: list[Sample] = []
        for number in range(1, int(options.minutes * 60 / options.every) + 1):
            time.sleep(max(0.0, began_at + number * options.every - time.monotonic()))
            samples.append(sampler.sample(time.monotonic() - began_at))
        return samples


def _begin(stack: contextlib.ExitStack, options: argparse.Namespace, environment: Mapping[str, str]) -> dict[str, int]:
    """Begin all processes, and return their pids by name, once the workers work."""
    eventsys = [sys.executable, "-m", "eventsys"]
    commands = {
        "supervisor": [*eventsys, "worker", "benchmarks.soak_app", "--processes", str(WORKERS), "--threads", "8"],
        "scheduler": [*eventsys, "scheduler", "benchmarks.soak_app"],
        "publisher": [sys.executable, "-m", "benchmarks.soak_load", str(options.rate)],
    }
    pids = {
        name: stack.enter_context(running(_logged(name, command, options.logs), environment)).pid
        for name, command in commands.items()
    }
    latencies = Path(environment["SOAK_LATENCIES"])
    deadline = time.monotonic() + 60
    while len(children_of(pids["supervisor"])) < WORKERS or not latencies.stat().st_size:
        if time.monotonic() > deadline:
            raise SystemExit("the workers handled nothing within a minute")
        time.sleep(0.05)
    return pids


def _logged(name: str, command: Sequence[str], directory: Path | None) -> Sequence[str]:
    """Return the command with its output in a file; as it is, where no directory is given."""
    if directory is None:
        return command
    directory.mkdir(parents=True, exist_ok=True)
    return ["sh", "-c", f'exec "$0" "$@" > {shlex.quote(str(directory / name))}.log 2>&1', *command]


if __name__ == "__main__":
    sys.exit(main(options_of()))
