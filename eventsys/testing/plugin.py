"""The fixtures that eventsys gives to pytest."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from eventsys.service import EventService
    from eventsys.testing.harness import EventHarness
    from eventsys.testing.session_redis import SessionRedis

# pytest loads this module in every session where eventsys is installed: what it needs is imported where it is used.

_MARK = "event_harness"
_open_harness: pytest.StashKey[Any] = pytest.StashKey()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Let the application be named in the configuration of pytest."""
    parser.addini(
        "eventsys_modules",
        "the modules of the application, as for `eventsys worker`; its service is what `event_harness` takes",
        type="args",
    )


def pytest_configure(config: pytest.Config) -> None:
    """Let `--strict-markers` know the mark."""
    config.addinivalue_line(
        "markers", f"{_MARK}(**options): options of EventHarness for this test: start=, raise_errors=, ..."
    )


@pytest.fixture(scope="session")
def eventsys_redis() -> Iterator[SessionRedis]:
    """One embedded Redis for the session, on the server EVENTSYS_TEST_REDIS names, or one found here."""
    from eventsys.testing.session_redis import SessionRedis

    with SessionRedis() as redis:
        yield redis


@pytest.fixture
def event_service(request: pytest.FixtureRequest) -> EventService:
    """The application's service: that of `eventsys_modules`. Override this fixture to take another one."""
    from eventsys.errors import SettingsError
    from eventsys.runtime.discovery import discover, find_service

    modules = request.config.getini("eventsys_modules")
    if not modules:
        raise pytest.UsageError(
            "event_harness does not know your service: set `eventsys_modules = yourpackage` in the configuration of"
            " pytest, or write a fixture `event_service` that returns it"
        )
    for module in modules:
        discover(module)
    try:
        service: EventService = find_service(modules)
    except SettingsError as error:
        raise pytest.UsageError(str(error)) from error
    return service


@pytest.fixture
def event_harness(
    request: pytest.FixtureRequest, event_service: EventService, eventsys_redis: SessionRedis
) -> Iterator[EventHarness]:
    """The application's service on an empty Redis, under a clock that the test turns; given back after the test."""
    from eventsys.testing.harness import EventHarness

    mark = request.node.get_closest_marker(_MARK)
    options = dict(mark.kwargs) if mark is not None else {}
    with EventHarness(event_service, redis=eventsys_redis, **options) as harness:
        request.node.stash[_open_harness] = harness
        yield harness
        del request.node.stash[_open_harness]


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Any:
    """Add to the report of a failed test what happened under its harness."""
    report: pytest.TestReport = yield
    harness = item.stash.get(_open_harness, None)
    if report.when == "call" and report.failed and harness is not None:
        report.sections.append(("eventsys", _story_of(harness)))
    return report


def _story_of(harness: EventHarness) -> str:
    from eventsys.errors import EventsysError

    try:
        return harness.story()
    except EventsysError as error:
        return f"what happened cannot be told: {error}"
