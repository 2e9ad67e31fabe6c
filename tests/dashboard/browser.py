"""A browser without a screen: it reads pages, and sends their forms as they stand there."""

from __future__ import annotations

import re
from html.parser import HTMLParser
from typing import Any

from starlette.testclient import TestClient

from tests.dashboard.conftest import HOME

HTML = {"accept": "text/html"}


class Elements(HTMLParser):
    """What a browser would make of a page: its tags with their attributes, and its text."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[tuple[str, dict[str, str | None]]] = []
        self.words = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append((tag, dict(attrs)))

    def handle_data(self, data: str) -> None:
        self.words += data

    def of(self, tag: str) -> list[dict[str, str | None]]:
        return [attributes for name, attributes in self.tags if name == tag]


class Browser:
    """Loads pages, and sends their forms as they stand there.

    Args:
        client: What it speaks through.
    """

    def __init__(self, client: TestClient) -> None:
        self.client = client

    def open(self, path: str, status: int = 200) -> Elements:
        answer = self.client.get(path, headers=HTML)
        assert answer.status_code == status, answer.text
        assert answer.headers["content-type"].startswith("text/html")
        return Elements(answer.text)

    def send(self, page: str, action: str, **fields: str) -> Any:
        """Send the form of a page whose action ends so, with what it has, and some fields filled in."""
        text = self.client.get(page, headers=HTML).text
        forms = re.findall(r'<form method="post" action="([^"]*)"[^>]*>(.*?)</form>', text, re.DOTALL)
        [body] = [body for where, body in forms if where.endswith(action)][:1]
        where = next(where for where, _ in forms if where.endswith(action))
        given = {one["name"]: one.get("value") or "" for one in Elements(body).of("input") if one.get("name")}
        headers = {"origin": HOME, "sec-fetch-site": "same-origin", **HTML}
        return self.client.post(where, data={**given, **fields}, headers=headers)


def token_of(browser: Browser) -> str:
    """Return the token of the forms, from a page that has one."""
    text = browser.client.get("/workers", headers=HTML).text
    return re.search(r'name="form_token" value="([0-9a-f]{64})"', text)[1]  # type: ignore[index]
