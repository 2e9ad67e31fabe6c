"""Where the system has no thread to give: what needed one goes without, and the next one has it."""

from __future__ import annotations

import threading
from collections.abc import Callable
from contextlib import AbstractContextManager, contextmanager
from typing import Any

import pytest

from eventsys.broker.hard_limits import HardLimits
from eventsys.broker.interrupts import Interrupts
from eventsys.bus.reporter import Reporter

Spent = Callable[[], AbstractContextManager[None]]


@pytest.fixture
def spent(monkeypatch: pytest.MonkeyPatch) -> Spent:
    """Let no thread be started inside of a `with`."""

    @contextmanager
    def no_threads() -> Any:
        def refuse(_self: threading.Thread) -> None:
            raise RuntimeError("can't start new thread")

        with monkeypatch.context() as refusing:
            refusing.setattr(threading.Thread, "start", refuse)
            yield

    return no_threads


def test_what_the_system_says_of_itself_is_dropped_once(spent: Spent) -> None:
    sent: list[str] = []
    reporter: Reporter[str, str] = Reporter(str, sent.extend)
    with spent():
        reporter.put("first")
    assert reporter.dropped == 1
    reporter.put("second")
    assert reporter.flush(30)
    assert sent == ["second"]
    reporter.close()


def test_a_handler_on_the_loop_is_watched_again(spent: Spent) -> None:
    found = threading.Event()
    limits = HardLimits(lambda *_: found.set())
    with spent(), pytest.raises(RuntimeError):
        limits.enter("first", 0.0)  # type: ignore[arg-type]
    limits.enter("second", -60_000.0)  # type: ignore[arg-type]
    assert found.wait(30)


def test_a_handler_in_a_thread_is_watched_again(spent: Spent) -> None:
    interrupts = Interrupts(lambda *_: None)
    with spent(), pytest.raises(RuntimeError):
        interrupts.enter("first", 60_000.0)  # type: ignore[arg-type]
    interrupts.leave()
    interrupts.enter("second", 60_000.0)  # type: ignore[arg-type]
    names = [thread.name for thread in threading.enumerate()]
    interrupts.leave()
    interrupts.close()
    assert "eventsys-interrupts" in names
