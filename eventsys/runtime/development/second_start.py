"""Beginning a worker process anew when the application that it could not load is saved."""

from __future__ import annotations

import hashlib
import os
import sys
import threading
import traceback
from collections.abc import Collection, Iterator, Sequence
from importlib.machinery import ModuleSpec, PathFinder
from pathlib import Path

from eventsys.runtime.reload.contents import Contents, Look
from eventsys.runtime.reload.modules import application_modules

#: The variable that tells the process that is begun anew which contents were the cause.
_CAUSE = "EVENTSYS_STARTED_AGAIN_FOR"

#: Seconds between two looks at the files. They are looked at rather than watched: there is nothing else to do, and a
#: change nobody tells of, as one made before anybody watched, is seen like any other.
_LOOK_S = 0.5


def start_again_when_saved(
    modules: Sequence[str], error: BaseException, stop: threading.Event, *, loaded_at: float
) -> None:
    """Wait until a file of an application that cannot be loaded has changed, then begin this process anew.

    It keeps its id and its pipes: whoever started it sees a start that takes its time. Returns only if told to `stop`.

    Args:
        modules: The modules the worker was started with.
        error: Why it could not be loaded.
        stop: Ends the waiting.
        loaded_at: When loading began, in seconds since 1970: what was written later may not have been loaded.
    """
    contents = Contents()
    files = _files_of(modules, error)
    contents.keep_new(files, loaded_at=loaded_at)
    while not stop.wait(_LOOK_S):
        files |= _files_of(modules, error)  # a new one may be what was missing
        look = contents.look(files)
        if not (changed := contents.changed(look)):
            continue
        cause = _digest_of(look, changed)
        if os.environ.get(_CAUSE) != cause:
            os.environ[_CAUSE] = cause
            os.execv(sys.executable, [sys.executable, *sys.orig_argv[1:]])  # noqa: S606 - this very command
        # It began anew for just that: the application writes it whenever it is loaded.
        contents.keep({path: look[path] for path in changed})


def _digest_of(look: Look, paths: Collection[Path]) -> str:
    digest = hashlib.sha256()
    for path in sorted(paths):
        content = look[path]
        digest.update(f"{path}\n".encode(errors="surrogateescape") + (b"" if content is None else content.digest))
    return digest.hexdigest()


def _files_of(modules: Sequence[str], error: BaseException) -> set[Path]:
    """Return the Python files that may have to do with it.

    They are those of the packages that were named, and those that lie in the working directory, beside a module that
    was loaded or that the error names, or where a module was looked for and not found.
    """
    found: set[Path] = set()
    beside = {Path.cwd(), *(path.parent for path in application_modules(modules, Path.cwd()).values())}
    for module in modules:
        beside |= _place_of(module)
        for package in _packages_of(module):
            found.update(_python_files(package, deep=True))
    for one in _chain(error):
        beside |= {Path(file).parent for file in _named_files(one) if Path(file).is_file()}
        if isinstance(one, ImportError) and one.name:
            parent = sys.modules.get(one.name.rpartition(".")[0])
            beside |= {*_packages_of(one.name), *map(Path, getattr(parent, "__path__", ()))}
    for directory in beside:
        found.update(_python_files(directory))
    return found


def _packages_of(module: str) -> set[Path]:
    """Return the directories of the package that holds a module, or that it is."""
    spec = _spec_of(module)
    return set() if spec is None else {Path(one) for one in spec.submodule_search_locations or ()}


def _place_of(module: str) -> set[Path]:
    """Return where a module lies, or the package that holds it: what it imports may lie beside it."""
    spec = _spec_of(module)
    if spec is None or spec.origin is None:
        return {one.parent for one in _packages_of(module)}
    lies = Path(spec.origin).parent
    return {lies.parent if spec.submodule_search_locations else lies}


def _spec_of(module: str) -> ModuleSpec | None:
    # Without importing anything.
    return PathFinder.find_spec(module.partition(".")[0], [str(Path.cwd()), *sys.path])


def _chain(error: BaseException | None) -> Iterator[BaseException]:
    """Yield an error and what it came from."""
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        yield error
        error = error.__cause__ or error.__context__


def _named_files(error: BaseException) -> Iterator[str]:
    for frame, _ in traceback.walk_tb(error.__traceback__):
        yield frame.f_code.co_filename
    if isinstance(error, SyntaxError) and error.filename:
        yield error.filename


def _python_files(directory: Path, *, deep: bool = False) -> Iterator[Path]:
    # os.walk passes over what is gone meanwhile, as when a branch is checked out.
    for place, _, names in os.walk(directory):
        files = (Path(place, name) for name in names if name.endswith(".py"))
        # Emacs marks a file that is edited by a link of such a name that leads nowhere: one that is gone, to a look.
        yield from (file for file in files if file.is_file() and os.access(file, os.R_OK))
        if not deep:
            return
