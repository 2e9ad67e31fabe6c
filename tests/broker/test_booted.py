"""What the middleware hears of several workers in one process: they come and go beside each other."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
from dramatiq import Middleware
from dramatiq.middleware import MiddlewareError

from eventsys.broker.broker import EventBroker
from eventsys.middleware import Lifecycle
from tests.support.waiting import eventually


class Recorder(Middleware):
    """Writes down the hooks that it hears, each with the worker."""

    def __init__(self) -> None:
        self.heard: list[str] = []

    def before_worker_boot(self, _: Any, worker: Any) -> None:
        """Write it down."""
        self.heard.append(f"boots {worker}")

    def after_worker_boot(self, _: Any, worker: Any) -> None:
        """Write it down."""
        self.heard.append(f"works {worker}")

    def before_worker_shutdown(self, _: Any, worker: Any) -> None:
        """Write it down."""
        self.heard.append(f"stops {worker}")

    def after_worker_shutdown(self, _: Any, worker: Any) -> None:
        """Write it down."""
        self.heard.append(f"ended {worker}")


class Bench:
    """A broker, and workers that are but names."""

    def __init__(self) -> None:
        self.recorder = Recorder()
        self.broker = EventBroker(middleware=[self.recorder])

    def boot(self, worker: Any) -> None:
        """Let one boot."""
        self.broker.emit_before("worker_boot", worker)
        self.broker.emit_after("worker_boot", worker)

    def stop(self, worker: Any) -> None:
        """Let one begin to stop."""
        self.broker.emit_before("worker_shutdown", worker)

    def end(self, worker: Any) -> None:
        """Let it be over."""
        self.broker.emit_after("worker_shutdown", worker)


@pytest.fixture
def bench() -> Bench:
    """A broker."""
    return Bench()


def test_one_after_the_other_are_heard_of_one_by_one(bench: Bench) -> None:
    for worker in ("a", "b"):
        bench.boot(worker)
        assert bench.broker.has_workers
        bench.stop(worker)
        bench.end(worker)
        assert not bench.broker.has_workers
    assert bench.recorder.heard == [f"{what} {one}" for one in "ab" for what in ("boots", "works", "stops", "ended")]


def test_two_that_stop_at_once_are_heard_of_once(bench: Bench) -> None:
    """Else what a poller or an application runs for the workers would go on without any."""
    bench.boot("a")
    bench.boot("b")
    bench.stop("a")
    bench.stop("b")
    assert bench.recorder.heard == ["boots a", "works a", "stops b"]
    bench.end("b")
    assert bench.broker.has_workers
    bench.end("a")
    assert not bench.broker.has_workers
    assert bench.recorder.heard == ["boots a", "works a", "stops b", "ended b"]


def test_one_that_boots_while_the_last_one_stops_is_heard_of(bench: Bench) -> None:
    """What ended with the stop is needed again, and what handlers of the former use is taken away from none."""
    bench.boot("a")
    bench.stop("a")
    bench.boot("b")
    bench.end("a")
    assert bench.broker.has_workers
    assert bench.recorder.heard == ["boots a", "works a", "stops a", "boots b", "works b"]
    bench.stop("b")
    bench.end("b")
    assert bench.recorder.heard[5:] == ["stops b", "ended a", "ended b"]


def test_one_that_ended_already_is_heard_of_no_more(bench: Bench) -> None:
    bench.boot("a")
    bench.stop("a")
    bench.end("a")
    bench.boot("b")
    bench.stop("a")
    bench.end("a")
    assert bench.broker.has_workers
    assert bench.recorder.heard[4:] == ["boots b", "works b"]


def test_one_that_is_kept_from_booting_does_not_count(bench: Bench) -> None:
    class Refusing(Middleware):
        def before_worker_boot(self, *_: Any) -> None:
            bench.broker.middleware.remove(self)
            raise MiddlewareError

    bench.broker.add_middleware(Refusing())
    with pytest.raises(MiddlewareError):
        bench.boot("a")
    assert not bench.broker.has_workers
    bench.broker._hooks.forget()
    bench.boot("b")
    assert bench.recorder.heard == ["boots a", "boots b", "works b"]


def test_one_that_boots_waits_for_the_hooks_of_one_that_stops(bench: Bench) -> None:
    """What they are about to end would else be found running."""
    stopping, goes_on = threading.Event(), threading.Event()

    class Slow(Middleware):
        def before_worker_shutdown(self, *_: Any) -> None:
            stopping.set()
            goes_on.wait(60)
            bench.recorder.heard.append("stopped")

    bench.boot("a")
    bench.broker.add_middleware(Slow())
    threads = [threading.Thread(target=bench.stop, args=("a",)), threading.Thread(target=bench.boot, args=("b",))]
    threads[0].start()
    assert stopping.wait(60)
    threads[1].start()
    eventually(lambda: "b" in bench.broker._booted._working)
    goes_on.set()
    for thread in threads:
        thread.join()
    assert bench.recorder.heard == ["boots a", "works a", "stops a", "stopped", "boots b", "works b"]


def test_many_that_come_and_go_at_once_leave_nothing(bench: Bench) -> None:
    def come_and_go(worker: str) -> None:
        for _ in range(200):
            for step in (bench.boot, bench.stop, bench.end):
                step(worker)

    threads = [threading.Thread(target=come_and_go, args=(name,)) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    heard = [one.split()[0] for one in bench.recorder.heard]
    assert not bench.broker.has_workers
    assert {what: heard.count(what) for what in heard} == dict.fromkeys(set(heard), heard.count("boots"))
    works = [one for one in heard if one in {"works", "stops"}]
    assert works == ["works", "stops"] * (len(works) // 2)


def test_a_process_tells_of_its_startup_once(bench: Bench) -> None:
    said: list[str] = []
    say: Callable[..., None] = lambda name, _: said.append(name)  # noqa: E731
    bench.broker.add_middleware(Lifecycle(say, lambda _: None, bench.broker.clock, lambda _: []))
    bench.boot("a")
    bench.stop("a")
    bench.boot("b")
    bench.end("a")
    assert said == ["system.startup"]
    bench.stop("b")
    bench.end("b")
    assert said == ["system.startup", "system.shutdown"]
