"""Finding the handlers of an application, and its service."""

from __future__ import annotations

import importlib
import pkgutil
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from eventsys.broker.broker import EventBroker
from eventsys.errors import SettingsError


def discover(package: str) -> list[str]:
    """Import a module, and if it is a package every module below it, and return their names in order.

    `eventsys.discover(__name__)` in the `__init__` of a package makes its handlers known to whoever imports it.

    Raises:
        ImportError: If a module cannot be imported; nothing is left out in silence.
    """
    module = importlib.import_module(package)
    names = [package]
    for found in pkgutil.iter_modules(getattr(module, "__path__", ()), prefix=f"{package}."):
        # A `__main__` runs its program when it is imported.
        if not found.name.endswith(".__main__"):
            names += discover(found.name) if found.ispkg else [importlib.import_module(found.name).__name__]
    return names


def find_service(modules: Sequence[str]) -> Any:
    """Return the one EventService that the imported `modules`, or modules below them, have in a variable.

    Raises:
        SettingsError: If there is none, or more than one.
    """
    found = {id(service): (service, where) for service, where in _services(_below(modules))}
    if len(found) == 1:
        [(service, _)] = found.values()
        return service
    given = ", ".join(modules)
    if not found:
        raise SettingsError(
            f"no EventService is in {given}; write `events = EventService()` in one of its modules and"
            " import it in those with handlers"
        )
    places = " and ".join(sorted(where for _, where in found.values()))
    raise SettingsError(
        f"{len(found)} EventService objects are in {given}: {places}; a worker process works for one, so start one"
        " worker for each, with its own modules"
    )


def _below(modules: Sequence[str]) -> list[str]:
    prefixes = tuple(f"{name}." for name in modules)
    return [name for name in sorted(sys.modules) if name in modules or name.startswith(prefixes)]


def _services(names: Iterable[str]) -> Iterable[tuple[Any, str]]:
    for name in names:
        for variable, value in list(vars(sys.modules[name]).items()):
            is_service = type(value).__name__ == "EventService"
            if is_service and isinstance(getattr(value, "broker", None), EventBroker):
                yield value, f"{name}.{variable}"
