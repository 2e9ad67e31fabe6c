"""Running coroutine handlers in the thread of a test."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
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
        if self._beside is None and _loop_runs_here():
            self.close()
            self._beside = ThreadPoolExecutor(1, thread_name_prefix="eventsys-harness")
        if self._beside is not None:
            return self._beside.submit(self._run_here, coroutine, context).result()
        return self._run_here(coroutine, context)

    def close(self) -> None:
        """End the loop, and cancel what handlers left running on it."""
        beside, self._beside = self._beside, None
        runner, self._runner = self._runner, None
        if runner is None:
            return
        if beside is None:
            runner.close()
        else:
            beside.submit(runner.close).result()
            beside.shutdown()

    def _run_here(self, coroutine: Coroutine[Any, Any, T], context: Context) -> T:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(coroutine, context=context)


def _loop_runs_here() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
