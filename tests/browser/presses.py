"""What the tests of actions press: each says which change routes of the pages, and is held to that while it runs."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterator
from functools import lru_cache
from typing import Any, TypeVar

from starlette.routing import compile_path

from tests.dashboard.routes import form_routes

Test = TypeVar("Test", bound=Callable[..., Any])

#: The routes, as tests say that they press them, each with the names of those tests.
SAID: dict[str, list[str]] = {}


def presses(*routes: str) -> Callable[[Test], Test]:
    """Say of a test which routes it sends a form to; it fails where it sends to others, or not to all of them."""

    def say(test: Test) -> Test:
        for route in routes:
            SAID.setdefault(route, []).append(test.__name__)
        test.presses = frozenset(routes)  # type: ignore[attr-defined]
        return test

    return say


class Watched:
    """An application, and the routes to which forms were sent.

    Args:
        app: The dashboard.
    """

    def __init__(self, app: Callable[..., Awaitable[None]]) -> None:
        self._app = app
        self.pressed: set[str] = set()

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] == "http" and scope["method"] not in {"GET", "HEAD"}:
            self.pressed.add(route_of(scope["path"]))
        await self._app(scope, receive, send)


def route_of(path: str) -> str:
    """Return the route that a form sent to a path goes to: the first that fits."""
    return next(_fitting(path), path)


def _fitting(path: str) -> Iterator[str]:
    return (route for route, pattern in _patterns() if pattern.match(path))


@lru_cache(maxsize=1)
def _patterns() -> list[tuple[str, Any]]:
    return [(route, compile_path(route)[0]) for route in form_routes()]
