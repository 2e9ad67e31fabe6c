"""What the C library keeps of large messages that are over."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Callable

import pytest

from eventsys.broker import allocator, presence
from eventsys.broker.broker import EventBroker
from eventsys.broker.lease import Lease

pytestmark = pytest.mark.skipif(allocator._library() is None, reason="this C library cannot be asked")

#: Every second block is let go, so that none can be given back from an end, as large messages of many threads leave it.
_HOLES = """
import gc
from pathlib import Path
from eventsys.broker.allocator import free_bytes, give_back

def resident_mib():
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096 / 2**20

blocks = [b"x" * 100_000 for _ in range(1_000)]
del blocks[::2]
free, before = free_bytes() / 2**20, resident_mib()
given = give_back(above=32 * 2**20)
print(free > 40, given, before - resident_mib() > 40, give_back(above=2**40))
"""

_POOLS = """
import ctypes, threading
from eventsys.broker.allocator import settle_allocator
settle_allocator()
barrier = threading.Barrier(9)
threads = [threading.Thread(target=lambda: (b"x" * 50_000, barrier.wait())) for _ in range(8)]
for one in threads:
    one.start()
barrier.wait()
ctypes.CDLL(None).malloc_info(0, ctypes.c_void_p.in_dll(ctypes.CDLL(None), "stdout"))
ctypes.CDLL(None).fflush(None)
"""


def _run(program: str, **environ: str) -> str:
    command = [sys.executable, "-c", program]
    clean = {name: value for name, value in os.environ.items() if not name.startswith("MALLOC_")}
    return subprocess.run(command, env={**clean, **environ}, check=True, text=True, capture_output=True).stdout


def test_what_is_free_goes_back_to_the_system_and_little_is_left_alone() -> None:
    assert _run(_HOLES).split() == ["True", "True", "True", "False"]


@pytest.mark.parametrize(("environ", "most"), [({}, allocator.POOLS), ({"MALLOC_ARENA_MAX": "5"}, 5)])
def test_threads_share_few_pools_unless_somebody_said_otherwise(environ: dict[str, str], most: int) -> None:
    assert _run(_POOLS, **environ).count("<heap nr=") == most


def test_a_machine_with_another_c_library_goes_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(allocator, "_library", lambda: None)
    allocator.settle_allocator()
    assert (allocator.free_bytes(), allocator.give_back(above=0)) == (0, False)


def test_a_process_that_is_alive_gives_back_again_and_again(
    make_broker: Callable[..., EventBroker], monkeypatch: pytest.MonkeyPatch
) -> None:
    given: list[threading.Event] = [threading.Event() for _ in range(3)]
    monkeypatch.setattr(presence, "give_back", lambda: next((one for one in given if not one.is_set()), given[0]).set())
    broker = make_broker(lease=Lease.of(0.6))
    broker.presence.appear()
    assert all(one.wait(60) for one in given)
