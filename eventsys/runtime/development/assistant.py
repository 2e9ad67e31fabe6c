"""What runs beside a worker while its application is developed."""

from __future__ import annotations

import os
import sys
import threading
from collections.abc import Sequence
from importlib.machinery import PathFinder
from pathlib import Path
from typing import Any

from eventsys.middleware.witness import Witness
from eventsys.runtime.development.options import Development
from eventsys.runtime.development.terminal_log import tell_attempt
from eventsys.runtime.development.ticking import Ticking
from eventsys.runtime.reload.reloader import Reload, Reloader
from eventsys.runtime.reload.watching import Watcher


class Assistant:
    """Reloads what is saved, sends ticks, and tells of attempts, as far as it is asked to.

    Args:
        service: The service of the process.
        modules: The modules the worker was started with.
        development: What is asked for.
        loaded_at: When the application began to be loaded, in seconds since 1970.
    """

    def __init__(self, service: Any, modules: Sequence[str], development: Development, loaded_at: float) -> None:
        self._ticking = Ticking(service.broker) if development.ticks else None
        self._reloader: Reloader | None = None
        if development.log:
            service.broker.add_middleware(Witness(tell_attempt))
        if development.reloads:
            self._reloader = Reloader(
                service, modules, tell=self._reloaded, polls=development.polls, loaded_at=loaded_at
            )

    def start(self) -> None:
        """Begin."""
        if self._ticking is not None:
            self._ticking.start()
        if self._reloader is not None:
            self._reloader.start()

    def stop(self) -> None:
        """End; a reload that is under way ends first."""
        if self._reloader is not None:
            self._reloader.stop()
        if self._ticking is not None:
            self._ticking.stop()

    def _reloaded(self, reload: Reload) -> None:
        if self._ticking is not None and reload.replaced is not None:
            self._ticking.renew()


def start_again_when_saved(modules: Sequence[str], stop: threading.Event, *, polls: bool) -> None:
    """Wait until a file of an application that cannot be loaded is saved, then begin this process anew.

    It keeps its id and its pipes: whoever started it sees a start that takes its time. Returns only if told to `stop`.
    """
    saved = threading.Event()
    watcher = Watcher(saved, polls=polls)
    watcher.watch(_directories_of(modules))
    while not stop.is_set():
        if saved.wait(0.2):
            watcher.stop()
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very command
    watcher.stop()


def _directories_of(modules: Sequence[str]) -> set[Path]:
    """Return where the modules lie, found without importing them; the working directory is among them."""
    found = {Path.cwd()}
    for module in modules:
        spec = PathFinder.find_spec(module.partition(".")[0], [str(Path.cwd()), *sys.path])
        for place in (spec.submodule_search_locations or ()) if spec is not None else ():
            found |= {Path(place), *(one for one in Path(place).rglob("*") if one.is_dir())}
    return found
