"""The API does what its OpenAPI description says, whatever it is sent."""

from __future__ import annotations

from functools import cache
from typing import Any

import pytest
import schemathesis
from fastapi import FastAPI
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.checks import not_a_server_error
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    negative_data_rejection,
    response_headers_conformance,
    response_schema_conformance,
    status_code_conformance,
    unsupported_method,
)

from eventsys import EventService
from eventsys.dashboard import Access, dashboard, gate
from eventsys.dashboard.app import application
from tests.dashboard.conftest import TOKEN
from tests.dashboard.routes import ENDLESS

#: What is asked of every answer.
CHECKS = [
    not_a_server_error, status_code_conformance, content_type_conformance, response_headers_conformance,
    response_schema_conformance, negative_data_rejection, unsupported_method,
]  # fmt: skip


HEADERS = {"authorization": f"Bearer {TOKEN}", "host": "testserver"}


@pytest.fixture
def api(events: EventService, monkeypatch: pytest.MonkeyPatch) -> Any:
    """The description, as the application tells it."""
    monkeypatch.setattr(gate, "USUAL_RATE", 1e9)
    monkeypatch.setattr(gate, "USUAL_BURST", 10**9)
    monkeypatch.setattr(FastAPI, "openapi", lambda self: _described())  # writing it takes longer than most tests here
    app = dashboard(events, token=TOKEN, hosts=["testserver"])
    return schemathesis.openapi.from_asgi("/api/v1/openapi.json", app, headers=HEADERS)


@cache
def _described() -> dict[str, Any]:
    """Return what an application tells of itself; it is the same for every service."""
    return application(EventService(redis_url="redis://127.0.0.1:1/0", name="routes"), Access()).openapi()


def _operations() -> list[tuple[str, str]]:
    """Return method and path of everything described."""
    found = [(method.upper(), path) for path, methods in _described()["paths"].items() for method in methods]
    return [one for one in found if one not in ENDLESS]


@pytest.mark.parametrize(("method", "path"), _operations())
def test_the_api_does_what_it_says(api: Any, method: str, path: str) -> None:
    @settings(
        max_examples=6, deadline=None, derandomize=True, database=None, phases=[Phase.explicit, Phase.generate],
        suppress_health_check=list(HealthCheck),
    )  # fmt: skip
    @given(case=api[path][method].as_strategy())
    def ask(case: Any) -> None:
        case.call_and_validate(checks=CHECKS, headers=HEADERS)

    ask()
