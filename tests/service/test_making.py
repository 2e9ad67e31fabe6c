"""Making a service: nothing happens before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eventsys import EventService, Settings, SettingsError
from eventsys.settings import load_settings

CODE = """
import sys, threading
opened = []
sys.addaudithook(lambda name, _: opened.append(name) if name.startswith(("socket.", "subprocess.")) else None)
from eventsys import Event, EventService
del opened[:]
events = EventService(redis_url="redis://127.0.0.1:1/0")
@events.on("a.b")
def handler(event: Event) -> None: ...
assert threading.active_count() == 1, threading.enumerate()
assert not opened, opened
"""


def test_a_new_service_opens_no_connection_and_starts_no_thread() -> None:
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=110, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("wrong", "says"), [("redis_ulr", "did you mean 'redis_url'?"), ("colour", "eventsys settings shows all")]
)
def test_a_setting_that_there_is_not_is_refused(wrong: str, says: str) -> None:
    with pytest.raises(SettingsError, match=f"there is no setting '{wrong}'; {says[:-1]}"):
        EventService(**{wrong: "redis://127.0.0.1:1/0"})


def test_a_setting_of_a_group_that_there_is_not_is_refused_alike() -> None:
    with pytest.raises(SettingsError, match=r"no setting 'bus\.batchsize'; did you mean 'bus\.batch_size'"):
        EventService(bus={"batchsize": 5})


@pytest.mark.parametrize("whole", ["redis://127.0.0.1:1/0", {"name": "shop"}])
def test_what_are_no_settings_is_refused(whole: object) -> None:
    with pytest.raises(SettingsError, match="given as Settings"):
        EventService(whole)  # type: ignore[arg-type]


def test_a_setting_beside_whole_settings_is_refused() -> None:
    """It would not count."""
    with pytest.raises(SettingsError, match="retention would not count beside whole settings"):
        EventService(Settings(), retention="1h")


@pytest.mark.parametrize(
    ("variable", "near"),
    [("EVENTSYS_RETENTON", "EVENTSYS_RETENTION"), ("EVENTSYS_BUS_BATCH_SIZE", "EVENTSYS_BUS__BATCH_SIZE")],
)
def test_a_misspelt_variable_is_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str, near: str
) -> None:
    monkeypatch.setenv(variable, "5")
    EventService()
    assert [f"{variable} is no setting and does nothing; did you mean {near}?"] == caplog.messages


def test_a_variable_that_says_none_switches_a_rule_of_alerts_off(monkeypatch: pytest.MonkeyPatch) -> None:
    for rule in ("FAILURE_RATIO", "BACKLOG_AGE", "LATENESS", "DEAD_LETTERS", "NO_WORKER"):
        monkeypatch.setenv(f"EVENTSYS_ALERTS__{rule}", "none")
    alerts = load_settings().alerts
    limits = (alerts.failure_ratio, alerts.backlog_age, alerts.lateness, alerts.dead_letters, alerts.no_worker)
    assert limits == (None,) * 5


@pytest.mark.parametrize(
    "variable",
    [
        *("EVENTSYS_PORT", "EVENTSYS_SERVICE_HOST", "EVENTSYS_PORT_8765_TCP"),  # what Kubernetes sets for a service
        *("EVENTSYS_WEB_TOKEN", "EVENTSYS_WEB_TOKEN_FILE", "EVENTSYS_WEB_HOSTS", "EVENTSYS_WEB_VIEWER_TOKEN_FILE"),
        *("EVENTSYS_TEST_REDIS", "EVENTSYS_LIVENESS_FILE", "EVENTSYS_REDIS_URL", "EVENTSYS_ALERTS__DEAD_LETTERS"),
    ],
)
def test_a_variable_that_is_no_misspelt_setting_is_not_warned_of(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture, variable: str
) -> None:
    monkeypatch.setenv(variable, "5")
    EventService()
    assert not caplog.messages
