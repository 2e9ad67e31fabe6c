"""The agent that swaps handlers when their modules are saved."""

from __future__ import annotations

import logging
import sys
import sysconfig
import threading
import time
import traceback
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

from eventsys.broker.staging import staged
from eventsys.bus.replacing import Replaced, replace_handlers
from eventsys.service import EventService

from .contents import Contents
from .loading import loaded_again
from .modules import application_modules, makes_service, new_modules, reload_order
from .watching import Watcher

#: Seconds without another write after which a change is taken for whole, and the longest it is waited for.
QUIET_S, LONGEST_QUIET_S = 0.05, 0.3

#: Seconds between two looks at all files: what a lost event costs.
LOOK_S = 2.0

#: Where the frames of an import lie that tell a person nothing: this library, and Python's own.
_MACHINERY = (str(Path(__file__).parents[2]), sysconfig.get_path("stdlib"), "<frozen importlib")

logger = logging.getLogger(__name__)


class Reload(NamedTuple):
    """What came of a change.

    Attributes:
        modules: What was, or would have been, loaded again, in order.
        replaced: What became of the handlers; None when the old code goes on.
        problem: Why it goes on; empty otherwise.
        seconds: From the first sign of the change to the end.
    """

    modules: list[str]
    replaced: Replaced | None
    problem: str
    seconds: float


class Reloader:
    """Loads handler modules again when they are saved, and lets their handlers take the place of the old ones.

    The process goes on: a handler that runs ends on the old code, what is queued runs on the new. Modules that import a
    changed one are loaded again too. If one of them cannot be loaded, none is, and the old code goes on until the next
    change. The module that makes the service is never loaded again: everything else holds that very object.

    Args:
        events: The service of this process.
        packages: The modules the worker was started with.
        directory: Where it was started; modules imported from below it belong to the application.
        tell: Called after every reload, in the thread of this agent.
        polls: Look at files again and again instead of being told of changes.
    """

    def __init__(
        self,
        events: EventService,
        packages: Sequence[str],
        *,
        directory: Path | None = None,
        tell: Callable[[Reload], None] = lambda _: None,
        polls: bool = False,
    ) -> None:
        self._events = events
        self._packages = list(packages)
        self._directory = directory or Path.cwd()
        self._tell = tell
        self._contents = Contents()
        self._refused: dict[Path, bytes] = {}
        self._hint = threading.Event()
        self._watcher = Watcher(self._hint, polls=polls)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._modules: dict[str, Path] = {}
        self._makers: set[str] = set()
        self._take_stock()

    def start(self) -> None:
        """Watch from now on; what was saved since this was made counts too."""
        sys.dont_write_bytecode = True
        self._watch()
        self._thread = threading.Thread(target=self._run, name="eventsys-reloader", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Watch no longer, and return when a reload that is under way has ended."""
        self._stopping.set()
        self._hint.set()
        if self._thread is not None:
            self._thread.join(10.0)
        self._watcher.stop()

    def look(self) -> Reload | None:
        """Reload what has changed since the last time, and say what came of it; None when nothing has."""
        began = time.monotonic()
        known = application_modules(self._packages, self._directory)
        new = new_modules(self._packages, known)
        gone = [name for name, path in known.items() if not path.exists()]
        changed = [name for name, path in known.items() if name not in gone and self._contents.has_changed(path)]
        if not self._is_news({**known, **new}, [*changed, *gone, *new]):
            return None
        present = {name: path for name, path in {**known, **new}.items() if name not in gone}
        order = reload_order([*changed, *gone, *new], present)
        reload = self._reload(order, gone, began)
        if reload.replaced is not None:
            self._refused = {}
            self._contents.take(known.values())
            self._take_stock()
        self._tell_of(reload)
        return reload

    def _take_stock(self) -> None:
        """Remember what is loaded, as it is now."""
        self._modules = application_modules(self._packages, self._directory)
        self._contents.take(self._modules.values())
        self._makers = {name for name, path in self._modules.items() if makes_service(name, path, self._events)}

    def _run(self) -> None:
        while not self._stopping.is_set():
            if self._hint.wait(LOOK_S):
                self._settle()
            if self._stopping.is_set():
                return
            try:
                self.look()
                self._watch()
            except Exception:
                logger.exception("changes could not be looked for", extra={"action": "reload_broken"})

    def _settle(self) -> None:
        """Wait until an editor is done with writing."""
        deadline = time.monotonic() + LONGEST_QUIET_S
        while not self._stopping.is_set() and time.monotonic() < deadline:
            self._hint.clear()
            if not self._hint.wait(QUIET_S):
                return
        self._hint.clear()

    def _watch(self) -> None:
        directories = {path.parent for path in self._modules.values()}
        for package in self._packages:
            init = self._modules.get(package)
            if init is not None and init.name == "__init__.py":
                directories |= {one for one in init.parent.rglob("*") if one.is_dir() and one.name != "__pycache__"}
        self._watcher.watch(directories)

    def _is_news(self, files: dict[str, Path], names: Sequence[str]) -> bool:
        """Say whether these changes were not refused already, just as they are."""
        found = {files[name]: _content(files[name]) for name in names}
        if not found:
            self._refused = {}
        if found == self._refused:
            return False
        self._refused = found
        return True

    def _reload(self, order: list[str], gone: list[str], began: float) -> Reload:
        if held := [name for name in (*order, *gone) if name in self._makers]:
            problem = f"{', '.join(held)} makes the service, which everything else holds: restart to take this over"
            return Reload(order, None, problem, time.monotonic() - began)
        forget_types = self._events.catalog.remember()
        try:
            with ExitStack() as undo:
                with staged() as staging:
                    undo.enter_context(loaded_again(order, gone))
                replaced = replace_handlers(self._events.bus, staging, {*order, *gone})
        except Exception as error:
            forget_types()
            return Reload(order, None, _told(error), time.monotonic() - began)
        return Reload(order, replaced, "", time.monotonic() - began)

    def _tell_of(self, reload: Reload) -> None:
        if reload.replaced is None:
            logger.error(
                "the old code goes on: %s", reload.problem,
                extra={"action": "reload_refused", "modules": reload.modules},
            )  # fmt: skip
        else:
            logger.info(
                "loaded %s again in %.0f ms: %s", ", ".join(reload.modules) or "nothing", reload.seconds * 1000,
                _summary(reload.replaced), extra={"action": "reloaded", "modules": reload.modules},
            )  # fmt: skip
        self._tell(reload)


def _content(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def _told(error: Exception) -> str:
    """Return an error with the lines of the application that lead to it, without those of the import machinery."""
    trace = traceback.TracebackException.from_exception(error)
    trace.stack = traceback.StackSummary.from_list(
        [frame for frame in trace.stack if not frame.filename.startswith(_MACHINERY)]
    )
    return "".join(trace.format()).strip()


def _summary(replaced: Replaced) -> str:
    signs = {"+": replaced.added, "~": replaced.changed, "-": replaced.removed}
    said = [f"{sign}{name}" for sign, names in signs.items() for name in names]
    return " ".join(said) or f"{len(replaced.kept)} handlers on new code"
