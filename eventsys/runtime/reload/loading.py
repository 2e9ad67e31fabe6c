"""Loading modules again: all of them, or none."""

from __future__ import annotations

import importlib
import linecache
import sys
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from importlib.util import cache_from_source
from pathlib import Path
from types import ModuleType

from .modules import file_of


@contextmanager
def loaded_again(order: Sequence[str], gone: Sequence[str]) -> Iterator[None]:
    """Load modules again, in this order, and forget those that are gone; if anything raises, put all back as it was.

    Each is a new module object. What runs from the old ones goes on seeing the names as they were.

    Args:
        order: What to load, imported ones first.
        gone: Modules whose files are gone.
    """
    before = {name: sys.modules.get(name) for name in (*order, *gone)}
    for name in order:
        _forget_bytecode(file_of(name))
    linecache.checkcache()
    importlib.invalidate_caches()
    with _imports_held(before):
        try:
            for name in before:
                sys.modules.pop(name, None)
            for name in order:
                importlib.import_module(name)
                _bind_children(name)
            yield
        except BaseException:
            for name, module in before.items():
                _put_back(name, module)
            raise
        for name in gone:
            _rebind(name, before[name], None)


@contextmanager
def _imports_held(names: Iterable[str]) -> Iterator[None]:
    """Let other threads that import these modules wait: a handler may do so while it runs.

    They get the new modules, or the old ones if the new could not be loaded, and load nothing themselves.
    """
    with ExitStack() as locks:
        for name in sorted(names):
            locks.enter_context(importlib._bootstrap._ModuleLockManager(name))  # type: ignore[attr-defined]  # noqa: SLF001 - Python has no public name for it
        yield


def _forget_bytecode(path: Path | None) -> None:
    """Drop the compiled form: it is known by second and size, and a quick edit may keep both."""
    if path is not None:
        with suppress(OSError, NotImplementedError):  # where it cannot be dropped, none was written either
            Path(cache_from_source(str(path))).unlink(missing_ok=True)


def _put_back(name: str, module: ModuleType | None) -> None:
    loaded = sys.modules.pop(name, None)
    if module is not None:
        sys.modules[name] = module
    _rebind(name, loaded, module)


def _bind_children(name: str) -> None:
    """Give a package that was loaded again its modules, which an import that finds them loaded does not bind.

    What it has under such a name already it took itself, as with `from .events import events`: that holds, as it does
    when the package is loaded for the first time.
    """
    package = sys.modules[name]
    for child, module in list(sys.modules.items()):
        parent, _, tail = child.rpartition(".")
        if parent == name and module is not None and tail not in vars(package):
            setattr(package, tail, module)


def _rebind(name: str, old: ModuleType | None, new: ModuleType | None) -> None:
    """Put another module, or nothing, in place of one that a package has; anything else under its name is its own."""
    parent, _, tail = name.rpartition(".")
    package = sys.modules.get(parent)
    if old is None or package is None or vars(package).get(tail) is not old:
        return
    if new is None:
        delattr(package, tail)
    else:
        setattr(package, tail, new)
