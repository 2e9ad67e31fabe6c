"""Finding the example application."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType

import eventsys
from eventsys.errors import SettingsError

_LIBRARY = Path(eventsys.__file__).resolve().parent


def find_application() -> Path:
    """Return the directory that holds the package `actors`: the repository's, or the copy inside an installed wheel.

    An `actors` of the working directory is somebody's own, and is not touched.

    Raises:
        SettingsError: If there is neither.
    """
    for directory in (_LIBRARY / "cli" / "demo" / "application", _LIBRARY.parent):
        if (directory / "actors" / "app.py").is_file():
            return directory
    raise SettingsError(
        "the example application is not installed with this copy of eventsys; install the wheel,"
        " or run the demo in a clone of the repository"
    )


def environment(application: Path, redis_url: str) -> dict[str, str]:
    """Return the environment of the demo's processes: the user's, without what would lead to another bus or Redis."""
    kept = {name: value for name, value in os.environ.items() if not _leads_elsewhere(name)}
    path = [str(application), str(_LIBRARY.parent)]
    path += [str(Path(place).resolve()) for place in kept.get("PYTHONPATH", "").split(os.pathsep) if place]
    return {**kept, "EVENTSYS_REDIS_URL": redis_url, "PYTHONPATH": os.pathsep.join(path), "PYTHONUNBUFFERED": "1"}


@contextmanager
def imported(application: Path, environ: dict[str, str]) -> Iterator[ModuleType]:
    """Import the application into this process, which publishes its events with its own functions."""
    before = dict(os.environ)
    os.environ.clear()
    os.environ.update(environ)
    sys.path.insert(0, str(application))
    try:
        yield importlib.import_module("actors")
    finally:
        sys.path.remove(str(application))
        os.environ.clear()
        os.environ.update(before)


def _leads_elsewhere(name: str) -> bool:
    return name.upper().startswith("EVENTSYS_") or name.upper() == "REDIS_URL"
