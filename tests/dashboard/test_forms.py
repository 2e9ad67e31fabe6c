"""Forms: only those of our own pages are taken, from the browser they were made for."""

from __future__ import annotations

import pytest
from starlette.testclient import TestClient

from tests.dashboard.browser import HTML, Browser, Elements, token_of
from tests.dashboard.conftest import HOME, client_of
from tests.dashboard.routes import CHANGES

FORMS = [path for method, path in CHANGES if method == "POST" and not path.startswith("/api/")]


def test_every_form_is_known() -> None:
    assert len(FORMS) >= 13


@pytest.mark.parametrize("path", FORMS)
def test_no_form_is_taken_without_the_token_of_our_pages(browser: Browser, path: str) -> None:
    mine = token_of(browser)
    stranger = Browser(client_of(browser.client.app))
    theirs = token_of(stranger)
    assert mine != theirs
    for given in (
        {"form_token": ""},
        {"form_token": theirs},
        {"form_token": mine[:-1]},
        {"form_token": "é"},
        {"x": mine},
    ):
        answer = browser.client.post(path, data=given, headers={"origin": HOME, **HTML})
        assert answer.status_code == 403, given
        assert "form" in Elements(answer.text).words
    browser.client.cookies.clear()
    assert browser.client.post(path, data={"form_token": mine}, headers={"origin": HOME}).status_code == 403


@pytest.mark.parametrize("path", FORMS)
def test_a_form_of_another_site_is_refused_even_with_the_token(browser: Browser, path: str) -> None:
    data = {"form_token": token_of(browser)}
    for headers in ({"origin": "https://evil.example"}, {"origin": "null"}, {"sec-fetch-site": "cross-site"}):
        assert browser.client.post(path, data=data, headers=headers).status_code == 403


def test_the_cookie_of_forms_is_for_this_server_only(client: TestClient) -> None:
    said = client.get("/delayed", headers=HTML).headers["set-cookie"].lower()
    assert "httponly" in said
    assert "samesite=strict" in said
