"""Every form of the pages is sent by a browser in some test, so that none is left whose button does nothing."""

from __future__ import annotations

import pytest

from tests.browser import test_actions
from tests.browser.presses import SAID, route_of
from tests.dashboard.routes import form_routes

#: Routes that no test presses, each with the reason.
NOT_PRESSED: dict[str, str] = {}


def test_every_change_of_the_pages_is_pressed_in_a_browser() -> None:
    """Each test of actions names the routes that it sends forms to, and fails where it sends to others."""
    assert [route for route in form_routes() if route not in SAID and route not in NOT_PRESSED] == []


def test_only_changes_that_there_are_and_tests_that_run_are_named() -> None:
    assert {*SAID, *NOT_PRESSED} <= {*form_routes()}
    assert SAID.keys().isdisjoint(NOT_PRESSED)
    assert [name for names in SAID.values() for name in names if not hasattr(test_actions, name)] == []


@pytest.mark.parametrize(
    ("path", "route"),
    [
        ("/dead-letters/all/purge", "/dead-letters/all/{verb}"),
        ("/dead-letters/one:ship/purge", "/dead-letters/{letter_id:path}/purge"),
        ("/cron/a/b/run", "/cron/{name:path}/run"),
        ("/nowhere", "/nowhere"),
    ],
)
def test_a_form_goes_to_the_first_route_that_fits(path: str, route: str) -> None:
    assert route_of(path) == route
