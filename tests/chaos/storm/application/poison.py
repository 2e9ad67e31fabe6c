"""The handler that does what no handler should."""

from __future__ import annotations

import ctypes
import os
import resource
import time

from eventsys import Event
from tests.chaos.storm.names import POISON

from .service import events, ledger

_ROOM_BYTES = 64 * 1024 * 1024
"""How much more memory a process may have while a handler exhausts it."""


@events.on(POISON, name="swallow_poison", max_retries=1, retry_delay="200ms", timeout="2s")
def swallow_poison(event: Event) -> None:
    """Do what the event says."""
    ledger.note("start", event.id, "swallow_poison", 0)
    _DEEDS[event.payload["deed"]]()
    ledger.note("end", event.id, "swallow_poison", 0)


def _exhaust_memory() -> None:
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    pages = int(open("/proc/self/statm").read().split()[0])  # noqa: SIM115, PTH123 - nothing may be left to close
    resource.setrlimit(resource.RLIMIT_AS, (pages * resource.getpagesize() + _ROOM_BYTES, hard))
    held, size = [], _ROOM_BYTES
    try:
        while True:
            try:
                held.append(bytes(size))
            except MemoryError:
                if size <= 4096:
                    raise
                size //= 4
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def _loop() -> None:
    while True:
        pass


def _swallow() -> None:
    while True:
        try:
            while True:
                time.sleep(0.01)
        except BaseException:
            continue


def _fork() -> None:
    if os.fork() == 0:
        os._exit(0)


def _raise() -> None:
    raise ValueError("poison")


_DEEDS = {
    "segfault": lambda: ctypes.string_at(0),
    "exit": lambda: os._exit(9),
    "abort": os.abort,
    "memory": _exhaust_memory,
    "loop": _loop,
    "swallow": _swallow,
    "fork": _fork,
    "fork_on": os.fork,
    "raise": _raise,
}
