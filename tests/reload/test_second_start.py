"""A process that could not load its application begins anew when that is mended, and not before."""

from __future__ import annotations

import importlib
import os
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eventsys.runtime.development.second_start import start_again_when_saved


class Looks(threading.Event):
    """Lets something happen before each look, and ends the waiting after the last."""

    def __init__(self, *happens: Callable[[], object]) -> None:
        super().__init__()
        self._happens = list(happens)

    def wait(self, timeout: float | None = None) -> bool:
        if not self._happens:
            return True
        self._happens.pop(0)()
        return False


class BegunAnew(BaseException):
    """Raised in place of what begins the process anew."""


class Start:
    """An application in a directory, and an attempt to load it, which fails."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory

    def write(self, name: str, text: str = "", *, written_ago: float = 60.0) -> Path:
        path = self.directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        at = time.time() - written_ago
        os.utime(path, (at, at))
        return path

    def begins_anew(self, module: str, *happens: Callable[[], object]) -> bool:
        """Load a module, and say whether this begins anew when, after that, these things happen one by one."""
        loaded_at = time.time()
        with pytest.raises((SyntaxError, ImportError, RuntimeError)) as failed:
            importlib.import_module(module)
        try:
            start_again_when_saved([module], failed.value, Looks(*happens), loaded_at=loaded_at)
        except BegunAnew:
            return True
        return False


@pytest.fixture
def start(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Start]:
    def begin_anew(*_: object) -> None:
        raise BegunAnew

    before = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(os, "execv", begin_anew)
    yield Start(tmp_path)
    for name in set(sys.modules) - before:
        if name.partition(".")[0] in {"wares", "shared"}:
            del sys.modules[name]


@pytest.mark.parametrize("broken", ["def price(:\n", "raise RuntimeError\n", "import no_such_module\n"])
@pytest.mark.parametrize("name", ["wares/orders.py", "shared/deep/models.py"])
def test_a_save_of_the_file_that_fails_begins_anew(start: Start, name: str, broken: str) -> None:
    """Wherever it lies: in the package that was named, or in another that this imports."""
    start.write("wares/__init__.py", "import wares.orders")
    start.write("wares/orders.py", "import shared.deep.models")
    start.write("shared/deep/models.py")
    start.write(name, broken)
    assert start.begins_anew("wares", lambda: start.write(name, "price = 7\n"))


def test_a_save_of_a_module_that_was_loaded_begins_anew(start: Start) -> None:
    """Where something cannot be taken from it, the error names it and does not pass through it."""
    start.write("wares/__init__.py", "from shared.models import price")
    models = start.write("shared/models.py")
    assert start.begins_anew("wares", lambda: models.write_text("price = 7\n"))


@pytest.mark.parametrize("mended", ["src/wares.py", "src/shared.py"])
def test_a_module_outside_the_working_directory_is_looked_at(
    start: Start, monkeypatch: pytest.MonkeyPatch, mended: str
) -> None:
    """`PYTHONPATH=src eventsys dev wares`."""
    monkeypatch.syspath_prepend(start.directory / "src")
    start.write("src/wares.py", "import shared\n")
    assert start.begins_anew("wares", lambda: start.write(mended, "price = 7\n"))


@pytest.mark.parametrize("missing", ["shared.py", "shared/__init__.py", "shared/models.py"])
def test_a_module_that_was_missing_begins_anew_when_it_is_there(start: Start, missing: str) -> None:
    start.write("wares/__init__.py", "import shared.models")
    assert start.begins_anew("wares", lambda: start.write(missing))


def test_a_file_that_is_removed_begins_anew(start: Start) -> None:
    start.write("wares/__init__.py", "import wares.broken")
    broken = start.write("wares/broken.py", "import no_such_module")
    assert start.begins_anew("wares", broken.unlink)


def test_what_is_saved_between_reading_and_looking_is_not_lost(start: Start) -> None:
    saved_meanwhile = "from pathlib import Path\nPath(__file__).write_text('price = 7')\n"
    start.write("wares/__init__.py", saved_meanwhile + "import no_such_module\n")
    assert start.begins_anew("wares", lambda: None)


def test_what_is_no_change_begins_nothing(start: Start) -> None:
    """The log of the process itself, in the working directory, least of all: each line would cause the next."""
    init = start.write("wares/__init__.py", "import no_such_module\n")
    start.write("wares/from_tomorrow.py", written_ago=-86_400.0)
    (start.directory / "wares" / ".#edited.py").symlink_to("nowhere")
    log, bytecode = start.directory / "dev.log", start.directory / "wares/__pycache__/x.pyc"
    assert not start.begins_anew(
        "wares",
        lambda: log.write_text("it failed\n"),
        lambda: bytecode.parent.mkdir(exist_ok=True),
        lambda: bytecode.write_bytes(b""),
        init.touch,
        lambda: init.write_text("import no_such_module\n"),
    )


def test_what_the_application_writes_whenever_it_is_loaded_begins_it_anew_once(
    start: Start, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("EVENTSYS_STARTED_AGAIN_FOR", "")
    start.write("wares/made.py", "X = 0")
    writes = "from pathlib import Path\nPath(__file__).with_name('made.py').write_text('X = 1')\nraise RuntimeError\n"
    start.write("wares/__init__.py", writes)

    def nothing() -> None: ...

    assert start.begins_anew("wares", nothing)
    assert not start.begins_anew("wares", nothing, nothing)
    assert start.begins_anew("wares", lambda: start.write("wares/__init__.py", "X = 2", written_ago=0))
