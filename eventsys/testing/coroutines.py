"""Running coroutine handlers in the thread of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from contextvars import Context
from typing import Any, TypeVar

T = TypeVar("T")


class Coroutines:
    """One event loop for all coroutine handlers of a harness, so that what belongs to a loop can be kept between them.

    It runs in the thread that asks. Where a loop runs there already, in a test that is a coroutine itself, it runs in a
    thread beside, and the test waits.
    """

    def __init__(self) -> None:
        self._runner: asyncio.Runner | None = None
        self._beside: ThreadPoolExecutor | None = None

    def run(self, coroutine: Coroutine[Any, Any, T], context: Context) -> T:
        """Run a coroutine in a context, and return its result."""
        return self._where_no_loop_runs(lambda: self._runner_made().run(coroutine, context=context))

    def close(self) -> None:
        """End the loop, and cancel what handlers left running on it."""
        runner, self._runner = self._runner, None
        if runner is not None:
            self._where_no_loop_runs(runner.close)
        beside, self._beside = self._beside, None
        if beside is not None:
            beside.shutdown()

    def _where_no_loop_runs(self, work: Callable[[], T]) -> T:
        """Do it here, or in the thread beside from the first time on that a loop runs here: a thread can run but one.

        The harness's own loop stands still between two handlers, so it may go on in another thread.
        """
        if self._beside is None and _loop_runs_here():
            self._beside = ThreadPoolExecutor(1, thread_name_prefix="eventsys-harness")
        return work() if self._beside is None else self._beside.submit(work).result()

    def _runner_made(self) -> asyncio.Runner:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner


def _loop_runs_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
