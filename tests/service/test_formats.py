"""What a newer version stored is refused everywhere with what to do, and never misread."""

from __future__ import annotations

import json
import pickle
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import dramatiq
import pytest
from dramatiq.encoder import PickleEncoder
from dramatiq.message import get_encoder

from eventsys import EventService, SettingsError
from eventsys.errors import EventsysError
from eventsys.runtime.doctor import examine
from tests.support.entries import add_entry
from tests.support.services import Services
from tests.support.waiting import eventually

Work = Callable[..., Any]


def test_a_newer_bus_is_refused(events: EventService) -> None:
    events.broker.link.call("SET", events.broker.keys.format, "2")
    with pytest.raises(SettingsError, match=r"format 2.*upgrade eventsys"):
        events.publish("a.b", {})


READERS: dict[str, Callable[[EventService], object]] = {
    "history": lambda events: events.get_event_records(),
    "event": lambda events: events.get_event("e"),
    "delayed": lambda events: events.get_delayed_events(),
    "cancel": lambda events: events.cancel("e"),
    "metrics": lambda events: events.get_metrics(),
    "dead": lambda events: events.dead_letters.list(),
    "purge": lambda events: events.dead_letters.purge_all(),
    "cron": lambda events: events.cron.create("t", "* * * * *", "a.b"),
    "subscriptions": lambda events: events.subscriptions.list(),
    "replays": lambda events: events.replays.list(),
    "processes": lambda events: events.machinery.processes(),
    "sweep": lambda events: events.sweeps.run(events.sweeps.names()[0]),
    "message": lambda events: dramatiq.actor(actor_name="plain", broker=events.broker)(lambda: None).send(),
}


@pytest.mark.parametrize("reader", READERS)
def test_a_newer_bus_is_neither_read_nor_changed(events: EventService, services: Services, reader: str) -> None:
    events.broker.link.call("SET", events.broker.keys.format, "2")
    late = services.make(name=events.settings.name)
    with pytest.raises(SettingsError, match=r"format 2.*upgrade eventsys"):
        READERS[reader](late)


def test_a_bus_that_is_upgraded_is_refused_by_the_next_connection(events: EventService) -> None:
    events.broker.link.call("SET", events.broker.keys.format, "2")
    events.broker.link.close()
    with pytest.raises(SettingsError, match=r"format 2.*upgrade eventsys"):
        events.get_event_records()


@pytest.mark.parametrize("stored", ["x", "", "-1", b"\xff", "1.5"])
def test_a_bus_whose_format_is_no_number_is_refused(events: EventService, services: Services, stored: Any) -> None:
    events.broker.link.call("SET", events.broker.keys.format, stored)
    with pytest.raises(SettingsError, match="no number"):
        services.make(name=events.settings.name).get_metrics()


def test_the_doctor_says_that_a_bus_is_newer(events: EventService, services: Services) -> None:
    events.broker.link.call("SET", events.broker.keys.format, "2")
    [only] = examine(services.make(name=events.settings.name)).findings
    assert "format 2" in only.said
    assert "install the version" in (only.remedy or "")


def test_a_newer_subscription_is_refused(events: EventService, services: Services) -> None:
    events.on("a.b", name="h")(lambda event: None)
    events.bus.prepare()
    link, key = events.broker.link, events.broker.keys.subscriptions
    row = json.loads(link.call("HGET", key, "h"))
    link.call("HSET", key, "h", json.dumps({**row, "format": 2, "pattern": {"of": "another shape"}}))
    with pytest.raises(SettingsError, match=r"a subscription is stored in format 2.*upgrade eventsys"):
        services.make(name=events.settings.name).subscriptions.list()


def test_a_newer_cron_task_is_refused(events: EventService) -> None:
    events.cron.create("t", "* * * * *", "a.b")
    link, key = events.broker.link, events.broker.keys.cron_task("t")
    definition = json.loads(link.call("HGET", key, "definition"))
    link.call("HSET", key, "definition", json.dumps({**definition, "format": 2, "schedule": 7}))
    for read in (lambda: events.cron.get("t"), events.cron.list, lambda: events.cron.run_now("t")):
        with pytest.raises(SettingsError, match=r"a cron task is stored in format 2.*upgrade eventsys"):
            read()


def test_what_a_list_shows_of_a_newer_cron_task_is_refused(events: EventService) -> None:
    events.cron.create("t", "* * * * *", "a.b")
    link, key = events.broker.link, events.broker.keys.cron_task("t")
    line = json.loads(link.call("HGET", key, "line"))
    link.call("HSET", key, "line", json.dumps({**line, "format": 2, "schedule": 7}))
    with pytest.raises(SettingsError, match=r"a cron task is stored in format 2.*upgrade eventsys"):
        events.cron.lines()


def test_a_newer_event_is_a_dead_letter_that_says_so(events: EventService, quick_work: Work) -> None:
    events.on("a.b", name="h")(lambda event: None)
    quick_work()
    draft = events.bus.drafter.draft("a.b", {})
    newer = json.dumps({**json.loads(draft.envelope), "format": 2})
    add_entry(events.broker, events.broker.keys.lane("tests", 5), "s", "h", "e", newer)
    [letter] = eventually(lambda: events.dead_letters.list().items)
    assert "format 2" in letter.error
    assert "upgrade eventsys" in letter.error


@pytest.fixture
def pickling() -> Iterator[None]:
    """Dramatiq's pickling encoder, as an application could have set it."""
    before = get_encoder()
    dramatiq.set_encoder(PickleEncoder())
    yield
    dramatiq.set_encoder(before)


class Canary:
    """Leaves a file where it is unpickled."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __reduce__(self) -> Any:
        return (Path.touch, (self.path,))


@pytest.mark.usefixtures("pickling")
def test_nothing_is_unpickled_whatever_the_encoder(events: EventService, quick_work: Work, tmp_path: Path) -> None:
    path = tmp_path / "was-here"
    actor = dramatiq.actor(actor_name="plain", queue_name="tests", broker=events.broker)(lambda: None)
    with pytest.raises(EventsysError, match="PickleEncoder is refused"):
        actor.send()
    quick_work()
    add_entry(events.broker, events.broker.keys.lane("tests", 5), "m", pickle.dumps(Canary(path)))
    [letter] = eventually(lambda: events.dead_letters.list().items)
    assert letter.reason == "undecodable"
    assert not path.exists()
