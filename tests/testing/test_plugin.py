"""The fixtures that an application's tests get."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from eventsys.runtime.server_binary import ServerBinary
from tests.quality.tree import ROOT

PLUGIN = "eventsys.testing.plugin"

SHOP = """
from eventsys import Event, EventService

events = EventService(redis_url="redis://127.0.0.1:1/0")

@events.on("order.placed", name="shop.bill")
def bill(event: Event) -> None:
    if event.payload.get("fails"):
        raise ValueError("no card")
"""

TESTS = """
from datetime import UTC, datetime

import pytest
from shop.app import bill, events

@pytest.mark.parametrize("run", [1, 2])
def test_isolated(event_harness, run):
    assert event_harness.events is events
    assert events.get_metrics().total_events == 0
    event_harness.schedule("order.placed", {}, delay="24h")
    event_harness.advance(hours=24)
    assert event_harness.delivered(bill)

@pytest.mark.event_harness(start=datetime(2030, 1, 1, tzinfo=UTC), raise_errors=True)
def test_options(event_harness):
    assert event_harness.now.year == 2030
    event_harness.publish("order.placed", {"fails": True})
    with pytest.raises(ValueError):
        event_harness.run()

def test_that_fails(event_harness):
    event_harness.publish("order.placed", {"fails": True}, id="o1")
    event_harness.run()
    assert event_harness.delivered("shop.bill")

def test_restored():
    assert vars(events).get("wait") is None
"""


@pytest.fixture
def pytest_in(tmp_path: Path, server_binary: ServerBinary):
    """Run pytest on the tests of an application of its own."""
    (tmp_path / "shop").mkdir()
    (tmp_path / "shop" / "__init__.py").write_text("")
    (tmp_path / "shop" / "app.py").write_text(SHOP)
    (tmp_path / "test_shop.py").write_text(TESTS)

    def run(*arguments: str, config: str = "eventsys_modules = shop") -> str:
        (tmp_path / "pytest.ini").write_text(
            f"[pytest]\naddopts = --strict-markers -p {PLUGIN}\npythonpath = .\n{config}\n"
        )
        environment = {**os.environ, "EVENTSYS_TEST_REDIS": str(server_binary.path), "PYTEST_ADDOPTS": ""}
        ended = subprocess.run(
            [sys.executable, "-m", "pytest", "-q", *arguments],
            cwd=tmp_path, env=environment, capture_output=True, text=True, check=False,
        )  # fmt: skip
        return ended.stdout + ended.stderr

    return run


def test_each_test_has_the_service_of_the_application_to_itself(pytest_in) -> None:
    said = pytest_in()
    assert "4 passed" in said, said
    assert "1 failed" in said


def test_a_failed_test_is_told_with_what_happened(pytest_in) -> None:
    said = pytest_in("-k", "test_that_fails")
    assert "- eventsys -" in said
    assert "shop.bill, attempt 1 at event o1: failed, ValueError: no card" in said


def test_without_a_service_the_error_says_how_to_name_one(pytest_in) -> None:
    assert "eventsys_modules = yourpackage" in pytest_in("-k", "isolated", config="")


def test_pytest_finds_the_plugin_by_its_entry_point() -> None:
    entries = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]["entry-points"]["pytest11"]
    assert entries == {PLUGIN: PLUGIN}


def test_a_session_without_harness_loads_nothing_of_eventsys() -> None:
    code = f"import sys, {PLUGIN}; print(*sys.modules)"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout.split()
    ours = {name for name in loaded if name.startswith(("eventsys.", "dramatiq", "redis", "pydantic"))}
    assert ours == {"eventsys.testing", PLUGIN}
