"""Processor time and memory of processes under measurement."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from benchmarks.processes import cpu_seconds, memory_share_bytes

_BURN = "import time; [None for _ in iter(lambda: time.process_time() < 0.4, False)]"
_FORKING = f"""
import subprocess, sys
subprocess.run([sys.executable, "-c", {_BURN!r}], check=True)
print("ready", flush=True)
input()
"""
_HOLDING = """
held = bytearray(b"x") * (64 << 20)
print("ready", flush=True)
input()
"""


@contextmanager
def _process(program: str) -> Iterator[int]:
    """Run a program that says when it is ready and ends when its input does."""
    with subprocess.Popen([sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        yield process.pid
        process.kill()


def test_processor_time_of_a_child_that_has_ended_counts() -> None:
    """RQ's default worker forks a process for each job; nearly all of its work is in processes that are gone."""
    with _process(_FORKING) as pid:
        assert cpu_seconds(pid) >= 0.35


def test_memory_is_what_the_process_holds() -> None:
    with _process(_HOLDING) as pid:
        assert 64 << 20 <= memory_share_bytes(pid) < 128 << 20
