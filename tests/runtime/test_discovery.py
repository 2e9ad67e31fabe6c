"""Finding handlers, and the service they belong to."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from eventsys.errors import SettingsError
from eventsys.runtime.discovery import discover, find_service

MakePackage = Callable[..., None]


@pytest.fixture
def make_package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MakePackage]:
    """Write modules to import: `make_package({"shop/__init__.py": "..."})`."""
    monkeypatch.syspath_prepend(tmp_path)
    before = set(sys.modules)

    def make(files: dict[str, str]) -> None:
        for name, text in files.items():
            path = tmp_path / name
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(text)

    yield make
    for name in set(sys.modules) - before:
        del sys.modules[name]


def test_every_module_of_a_package_is_imported(make_package: MakePackage) -> None:
    make_package({f"store1/{name}": "" for name in ("__init__.py", "a.py", "deep/__init__.py", "deep/b.py")})
    assert discover("store1") == ["store1", "store1.a", "store1.deep", "store1.deep.b"]


def test_the_program_of_a_package_is_not_run(make_package: MakePackage) -> None:
    make_package({"store2/__init__.py": "", "store2/__main__.py": "raise SystemExit"})
    assert discover("store2") == ["store2"]


def test_a_module_that_cannot_be_imported_is_an_error(make_package: MakePackage) -> None:
    make_package({"store3/__init__.py": "", "store3/broken.py": "import no_such_module"})
    with pytest.raises(ImportError, match="no_such_module"):
        discover("store3")


def test_the_one_service_is_found_wherever_it_is_used(make_package: MakePackage) -> None:
    bus = "from eventsys import EventService\nevents = EventService()"
    make_package({"store4/__init__.py": "", "store4/bus.py": bus, "store4/a.py": "from store4.bus import events"})
    discover("store4")
    assert find_service(["store4"]) is sys.modules["store4.bus"].events


def test_no_service_is_an_error_that_tells_what_to_write(make_package: MakePackage) -> None:
    make_package({"store5/__init__.py": ""})
    discover("store5")
    with pytest.raises(SettingsError, match=r"no EventService is in store5; write `events = EventService\(\)`"):
        find_service(["store5"])


def test_two_services_are_an_error_that_names_both(make_package: MakePackage) -> None:
    make_package(
        {"store6/__init__.py": "from eventsys import EventService\none = EventService()\ntwo = EventService()"}
    )
    discover("store6")
    with pytest.raises(SettingsError, match=r"store6\.one and store6\.two"):
        find_service(["store6"])
