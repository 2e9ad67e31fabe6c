"""Making a service: nothing happens before it is used."""

from __future__ import annotations

import subprocess
import sys

import pytest

from eventsys import EventService, SettingsError

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
    ended = subprocess.run([sys.executable, "-c", CODE], capture_output=True, text=True, timeout=30, check=False)
    assert ended.returncode == 0, ended.stderr


@pytest.mark.parametrize(
    ("wrong", "says"), [("redis_ulr", "did you mean 'redis_url'?"), ("colour", "eventsys settings shows all")]
)
def test_a_setting_that_there_is_not_is_refused(wrong: str, says: str) -> None:
    with pytest.raises(SettingsError, match=f"there is no setting '{wrong}'; {says[:-1]}"):
        EventService(**{wrong: "redis://127.0.0.1:1/0"})
