"""The actors of a process, and those that modules declare while they are loaded again."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

from dramatiq import Actor

#: Packages whose frames declare actors on behalf of somebody else.
_OURS = ("eventsys", "dramatiq", "periodiq", "importlib", "functools")

#: How the names of the actors begin that a service declares for itself, in whatever module makes it.
OWN_ACTORS = "eventsys."


class Staging:
    """What was declared by modules that are being loaded again; nothing of it runs yet.

    Args:
        service: The service of the process.
        made_in: The module that made it. Loaded again, it gets this very object, which everything else holds.

    Attributes:
        actors: By name.
        homes: The module that declares each.
        types: The payload models of event types, their versions, and the modules that register them.
    """

    def __init__(self, service: Any = None, made_in: str | None = None) -> None:
        self.actors: dict[str, Actor[..., Any]] = {}
        self.homes: dict[str, str | None] = {}
        self.types: dict[str, tuple[Any, int, str | None]] = {}
        self._service = service
        self._made_in = made_in

    def kept_service(self) -> Any:
        """Return the service that the module being executed makes again; None where it is another one's to make."""
        is_made_again = self._made_in is not None and declaring_module() == self._made_in
        return self._service if is_made_again else None


_staging: ContextVar[Staging | None] = ContextVar("staging", default=None)


def current_staging() -> Staging | None:
    """Return where this context's declarations go instead of taking effect; None usually."""
    return _staging.get()


@contextmanager
def staged(service: Any = None, made_in: str | None = None) -> Iterator[Staging]:
    """Keep apart what this thread declares within: everybody else goes on seeing the actors as they are."""
    staging = Staging(service, made_in)
    token = _staging.set(staging)
    try:
        yield staging
    finally:
        _staging.reset(token)


class ActorTable(dict[str, Actor[..., Any]]):
    """The actors of a broker by name, each with the module that declares it.

    While a thread stages, it sees its own declarations in place of all others: a module that is loaded again declares
    the same names. What reads by `get` or iterates, as the consumers do, always sees what runs.

    Attributes:
        homes: The module whose execution declared an actor; None for one that was declared later, by a function.
    """

    def __init__(self) -> None:
        super().__init__()
        self.homes: dict[str, str | None] = {}

    def __contains__(self, name: object) -> bool:
        staging = _staging.get()
        return super().__contains__(name) if staging is None else name in staging.actors

    def __getitem__(self, name: str) -> Actor[..., Any]:
        staging = _staging.get()
        if staging is not None and name in staging.actors:
            return staging.actors[name]
        return super().__getitem__(name)

    def seen_from_here(self, name: str) -> Actor[..., Any] | None:
        """Return an actor as `self[name]` does, but None where there is none; it is asked for with every message."""
        staging = _staging.get()
        return self.get(name) if staging is None else staging.actors.get(name) or self.get(name)

    def __setitem__(self, name: str, actor: Actor[..., Any]) -> None:
        staging, home = _staging.get(), declaring_module()
        if staging is not None:
            staging.actors[name] = actor
            staging.homes[name] = home
            return
        super().__setitem__(name, actor)
        self.homes[name] = home

    def forget_home(self, name: str) -> None:
        """Forget which module declared an actor that is there no longer."""
        if self.get(name) is None:
            self.homes.pop(name, None)

    def declared_in(self, modules: set[str]) -> set[str]:
        """Return the names of the actors that these modules declare; those of the service itself are not among them."""
        return {name for name in self if self.homes.get(name) in modules and not name.startswith(OWN_ACTORS)}

    def adopt(self, staging: Staging) -> None:
        """Let staged actors take the place of those of the same name, one by one: none is missing at any time."""
        for name, actor in staging.actors.items():
            super().__setitem__(name, actor)
            self.homes[name] = staging.homes[name]


def declaring_module() -> str | None:
    """Return the module that is being executed and declares something now, through whatever helpers; None: none is."""
    frame = inspect.currentframe()
    while frame is not None:
        name = str(frame.f_globals.get("__name__", ""))
        if frame.f_code.co_name == "<module>" and name.partition(".")[0] not in _OURS:
            return name
        frame = frame.f_back
    return None
