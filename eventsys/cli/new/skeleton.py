"""Writing the files of a new application."""

from __future__ import annotations

import keyword
import re
import sys
from pathlib import Path
from string import Template

from eventsys.errors import EventsysError
from eventsys.version import __version__

_TEMPLATE = Path(__file__).parent / "template"

#: What the files and directories of the template are called in an application.
_NAMES = {"gitignore": ".gitignore"}

#: The most characters of a package: `EventService(app=...)` is given its name, and takes no longer one.
_LONGEST_PACKAGE = 100


class NewApplicationError(EventsysError, ValueError):
    """An application cannot be written there, or under this name."""


def write_application(directory: Path, package: str) -> list[Path]:
    """Write a working application into a directory, and return its files, relative to that.

    Args:
        directory: Made if missing; it must be empty, but for `.git` and `.venv`.
        package: The name of the package of handlers.

    Raises:
        NewApplicationError: If the directory is not empty, is none, or cannot be written; or if the package cannot have
            this name.
    """
    _check_package(package)
    _check_empty(directory)
    try:
        return _write(directory, package)
    except OSError as error:
        raise NewApplicationError(f"{directory} cannot be written: {error.strerror}; name another directory") from error


def _write(directory: Path, package: str) -> list[Path]:
    words = {"package": package, "project": _project_name(directory), "version": __version__}
    written = []
    for source in sorted(_TEMPLATE.rglob("*.txt")):
        target = _target_of(source.relative_to(_TEMPLATE), package)
        path = directory / target
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(Template(source.read_text(encoding="utf-8")).substitute(words), encoding="utf-8")
        written.append(target)
    return sorted(written)


def _target_of(source: Path, package: str) -> Path:
    *folders, name = source.parts
    name = name.removesuffix(".txt")
    return Path(*[package if folder == "package" else folder for folder in folders], _NAMES.get(name, name))


def _check_package(package: str) -> None:
    if not package.isidentifier() or keyword.iskeyword(package):
        raise NewApplicationError(f"{package!r} is no name of a Python package; give one such as --package shop")
    if not package.isascii() or len(package) > _LONGEST_PACKAGE:
        raise NewApplicationError(
            f"{package!r} would name the application too, and that is at most {_LONGEST_PACKAGE} ASCII letters, digits"
            " and _; give one such as --package shop"
        )
    if package in sys.stdlib_module_names or package in {"eventsys", "dramatiq", "tests"}:
        raise NewApplicationError(
            f"a package {package!r} would hide the one that has this name; give another --package"
        )


def _check_empty(directory: Path) -> None:
    if not directory.exists():
        return
    if not directory.is_dir():
        raise NewApplicationError(f"{directory} is a file; name a directory that is empty or not there yet")
    # A fresh clone and a virtual environment are welcome: the files of an application are what must not be mixed.
    found = sorted(path.name for path in directory.iterdir() if path.name not in {".git", ".venv"})
    if found:
        raise NewApplicationError(
            f"{directory} is not empty ({', '.join(found[:3])}{' ...' if len(found) > 3 else ''}); name a directory"
            " that is empty or not there yet"
        )


def _project_name(directory: Path) -> str:
    plain = re.sub(r"[^a-z0-9]+", "-", directory.resolve().name.lower()).strip("-")
    return plain or "application"
