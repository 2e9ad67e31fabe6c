"""The agent that swaps handlers when their modules are saved."""

from __future__ import annotations

import logging
import sys
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import dramatiq

from eventsys.broker.staging import staged
from eventsys.bus.replacing import Replaced, replace_handlers
from eventsys.errors import EventsysError, RedisUnavailableError, SettingsError
from eventsys.runtime.discovery import find_service
from eventsys.runtime.readable_trace import readable_trace
from eventsys.service import EventService

from .contents import Content, Contents
from .loading import loaded_again
from .modules import application_modules, new_modules, reload_order
from .watching import Watcher

#: Seconds without another write after which a change is taken for whole, and the longest it is waited for.
QUIET_S, LONGEST_QUIET_S = 0.05, 0.3

#: Seconds that a file which became empty or is gone has to be written anew before that is believed.
HALF_WRITTEN_S = 0.3

#: Seconds between two looks at all files: what a lost event costs.
LOOK_S = 2.0

logger = logging.getLogger(__name__)


class Reload(NamedTuple):
    """What came of a change.

    Attributes:
        modules: What was, or would have been, loaded again, in order.
        gone: Modules that were, or would have been, forgotten, since their files are gone.
        replaced: What became of the handlers; None when the old code goes on.
        problem: Why it goes on; empty otherwise.
        seconds: From the first sign of the change to the end.
    """

    modules: list[str]
    gone: list[str]
    replaced: Replaced | None
    problem: str
    seconds: float


class Reloader:
    """Loads handler modules again when they are saved, and lets their handlers take the place of the old ones.

    The process goes on: a handler that runs ends on the old code, what is queued runs on the new. Modules that import a
    changed one are loaded again too. If one of them cannot be loaded, none is, and the old code goes on until the next
    change, or until Redis is back where only that was missing. The module that makes the service gets that very object
    again, since everything else holds it.

    Args:
        events: The service of this process.
        packages: The modules the worker was started with.
        directory: Where it was started; modules imported from below it belong to the application.
        tell: Called after every reload, in the thread of this agent.
        polls: Look at files again and again instead of being told of changes.
        loaded_at: When the application began to be loaded, in seconds since 1970: what was written later is a change.
    """

    def __init__(
        self,
        events: EventService,
        packages: Sequence[str],
        *,
        directory: Path | None = None,
        tell: Callable[[Reload], None] = lambda _: None,
        polls: bool = False,
        loaded_at: float | None = None,
    ) -> None:
        self._events = events
        self._packages = list(packages)
        self._directory = directory or Path.cwd()
        self._tell = tell
        self._contents = Contents()
        self._refused: dict[Path, bytes | None] = {}
        self._hint = threading.Event()
        self._watcher = Watcher(self._hint, polls=polls)
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._modules: dict[str, Path] = {}
        self._take_stock(float("inf") if loaded_at is None else loaded_at)

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
        began, began_at = time.monotonic(), time.time()
        known = application_modules(self._packages, self._directory)
        files = {**known, **new_modules(self._packages, known)}
        # Looked at before anything is loaded: what is saved while that goes on is the next change.
        look = self._contents.look(files.values())
        changed = self._contents.changed(look)
        was_refused = bool(self._refused)
        if not self._is_news({path: look[path] for path in changed}):
            if was_refused and not changed:
                self._tell_undone()
            return None
        gone = [name for name in known if look[files[name]] is None]
        present = {name: path for name, path in files.items() if look[path] is not None}
        order = reload_order([name for name, path in files.items() if path in changed], present)
        reload = self._reload(order, gone, began)
        if reload.replaced is not None:
            self._refused = {}
            self._contents.keep(look)
            self._take_stock(began_at)
        self._tell_of(reload)
        return reload

    def _take_stock(self, loaded_at: float) -> None:
        """Remember what is loaded."""
        self._modules = application_modules(self._packages, self._directory)
        self._contents.keep_new(self._modules.values(), loaded_at=loaded_at)

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
        """Wait until an editor is done with writing: some empty a file or remove it before they write it anew."""
        self._wait_for_quiet()
        deadline = time.monotonic() + HALF_WRITTEN_S
        # A hint may be a late one of the first half.
        while self._is_half_written() and self._hint.wait(deadline - time.monotonic()):
            self._wait_for_quiet()

    def _is_half_written(self) -> bool:
        look = self._contents.look(self._modules.values())
        contents = [look[path] for path in self._contents.changed(look)]
        return not self._stopping.is_set() and any(one is None or one.is_empty for one in contents)

    def _wait_for_quiet(self) -> None:
        deadline = time.monotonic() + LONGEST_QUIET_S
        self._hint.clear()
        while not self._stopping.is_set() and time.monotonic() < deadline:
            if not self._hint.wait(QUIET_S):
                return
            self._hint.clear()

    def _watch(self) -> None:
        directories = {path.parent for path in self._modules.values()}
        for package in self._packages:
            init = self._modules.get(package)
            if init is not None and init.name == "__init__.py":
                directories |= {one for one in init.parent.rglob("*") if one.is_dir() and one.name != "__pycache__"}
        if self._watcher.watch(directories):
            self._hint.set()  # something may have been saved while nobody watched

    def _is_news(self, changes: dict[Path, Content | None]) -> bool:
        """Say whether there are changes, and not those that were refused already, just as they are."""
        found = {path: None if content is None else content.digest for path, content in changes.items()}
        is_news = bool(found) and found != self._refused
        self._refused = found
        return is_news

    def _reload(self, order: list[str], gone: list[str], began: float) -> Reload:
        events = self._events
        try:
            with ExitStack() as undo:
                with staged(events, getattr(events, "made_in", None)) as staging:
                    undo.enter_context(loaded_again(order, gone))
                    if find_service(self._packages) is not events:
                        raise SettingsError("the application makes another service now: restart to take it over")
                replaced = replace_handlers(events.bus, events.catalog, staging, {*order, *gone})
        except (Exception, SystemExit) as error:
            if isinstance(error, RedisUnavailableError):
                self._refused = {}  # no fault of what was saved: it is tried again at the next look
            return Reload(order, gone, None, readable_trace(error), time.monotonic() - began)
        finally:
            dramatiq.set_broker(events.broker)
        return Reload(order, gone, replaced, "", time.monotonic() - began)

    def _tell_of(self, reload: Reload) -> None:
        modules, gone = ", ".join(reload.modules), ", ".join(reload.gone)
        if reload.replaced is None:
            logger.error(
                "%s cannot be loaded, and the old code goes on: %s", modules or f"what is left without {gone}",
                reload.problem, extra={"action": "reload_refused", "modules": reload.modules, "gone": reload.gone},
            )  # fmt: skip
        else:
            done = " and ".join([f"loaded {modules} again"] * bool(modules) + [f"forgot {gone}"] * bool(gone))
            logger.info(
                "%s in %.0f ms: %s", done, reload.seconds * 1000, _summary(reload.replaced),
                extra={"action": "reloaded", "modules": reload.modules, "gone": reload.gone},
            )  # fmt: skip
        self._record(reload.problem)
        self._tell(reload)

    def _tell_undone(self) -> None:
        """Say that what was refused is saved no longer: who waits for a reload would wait in vain."""
        logger.info("undone: the code that runs is what is saved again", extra={"action": "reload_undone"})
        self._record("")

    def _record(self, problem: str) -> None:
        try:
            self._events.broker.presence.note_reload(problem)
        except EventsysError as error:
            logger.warning("the reload is not on record: %s", error, extra={"action": "reload_unrecorded"})


def _summary(replaced: Replaced) -> str:
    kinds = {
        "added": replaced.added,
        "changed": replaced.changed,
        "removed, and unhosted here": replaced.removed,
    }
    said = [f"{kind}: {', '.join(names)}" for kind, names in kinds.items() if names]
    if said or not replaced.kept:
        return "; ".join(said) or "no handlers are there"
    return f"the same {'handler' if len(replaced.kept) == 1 else f'{len(replaced.kept)} handlers'}, on new code"
