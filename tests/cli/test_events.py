"""`eventsys events`, `queue` and `workers`."""

from __future__ import annotations

import re
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import typer
from pydantic import TypeAdapter
from typer.testing import CliRunner

from eventsys import Event, EventRecord, EventService, Page
from eventsys.cli.commands import app
from eventsys.cli.options import confirm
from eventsys.clock import Clock
from eventsys.model.machinery import QueueState, WorkerProcess
from eventsys.store.event_store import EventStore

Run = Callable[..., str]


def test_events_are_listed_by_what_is_asked_for(events: EventService, run: Run) -> None:
    events.publish("order.paid", {"amount": 1}, id="one", source="shop")
    events.publish("order.sent", {}, id="two")
    events.publish("user.login", {"user_id": "1"}, id="three")

    def listed(*arguments: str) -> list[str]:
        page = Page[EventRecord[Any]].model_validate_json(run("events", "ls", "--json", *arguments))
        return [record.id for record in page.items]

    assert listed() == ["three", "two", "one"]
    assert listed("--type", "order.*", "--oldest-first") == ["one", "two"]
    assert listed("--source", "shop") == ["one"]
    assert len(listed("--status", "pending", "--limit", "2")) == 2
    assert listed("--status", "failed") == []
    assert listed("--since", "1h") == ["three", "two", "one"]
    assert listed("--until", "2020-01-01") == []


@pytest.fixture
def slow_bus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bus whose clock is ten minutes behind that of this machine."""
    now_ms, real_ms = Clock.now_ms, Clock.real_ms
    monkeypatch.setattr(Clock, "now_ms", lambda clock: now_ms(clock) - 600_000)
    monkeypatch.setattr(Clock, "real_ms", lambda clock: real_ms(clock) - 600_000)


@pytest.mark.usefixtures("slow_bus")
def test_what_is_asked_for_by_its_age_is_found_though_this_machine_is_ahead(events: EventService, run: Run) -> None:
    event = events.publish("order.paid", {})
    assert event.id in run("events", "ls", "--since", "5m")
    assert event.id not in run("events", "ls", "--until", "5m")


@pytest.mark.usefixtures("slow_bus")
def test_how_long_a_worker_is_up_is_told_by_the_clock_of_the_bus(
    events: EventService, work: Callable[[], Any], run: Run
) -> None:
    work()
    events.broker.presence.appear()  # its threads may not have come so far yet
    header, row = run("workers", "ls").splitlines()
    up = row.split("\t")[header.split("\t").index("UP")]
    assert re.fullmatch(r"[\d.]+ m?s", up), up


@pytest.mark.parametrize("command", [("events", "ls"), ("dead", "ls"), ("delayed", "ls", "--retries")])
def test_nothing_found_for_a_misspelt_subscription_is_told_so(
    events: EventService, work: Callable[[], Any], command: tuple[str, ...]
) -> None:
    events.on("order.paid", name="shipping.ship")(lambda event: None)
    work()

    def said(name: str) -> str:
        told = CliRunner().invoke(app, [*command, "--json", "--sub", name])
        assert told.exit_code == 0
        return told.stderr

    assert said("shipping.ship") == ""
    assert said("shiping.ship") == "note: there is no subscription 'shiping.ship'; did you mean 'shipping.ship'?\n"
    assert said("zz") == "note: there is no subscription 'zz'; eventsys subs ls lists them\n"


def test_a_pipe_gets_a_line_an_event_with_tabs_between(events: EventService, run: Run) -> None:
    events.publish("order.paid", {}, id="one", source="shop")
    head, line = run("events", "ls").splitlines()
    assert head.split("\t") == ["TIME (UTC)", "TYPE", "ID", "STATUS", "HANDLED", "SOURCE", "ERROR"]
    assert line.split("\t")[1:] == ["order.paid", "one", "pending", "0/0", "shop", ""]


def test_nothing_in_an_event_reaches_the_terminal_as_a_control_character(events: EventService, run: Run) -> None:
    events.publish("order.paid", {"note": "\x1b]0;owned\x07"}, id="one", source="\x1b[31mred\nforged line")
    for said in (run("events", "ls"), run("events", "show", "one")):
        assert "\x1b" not in said
        assert "\\x1b[31mred\\nforged line" in said


def test_an_event_is_shown_with_every_attempt_of_every_delivery(
    events: EventService, work: Callable[[], Any], run: Run
) -> None:
    @events.on("order.paid", name="ship", max_retries=0)
    def ship(event: Event) -> None:
        raise RuntimeError("no parcels left")

    event = events.publish("order.paid", {"amount": 5})
    work()
    events.wait(event.id, "60s")
    said = run("events", "show", event.id)
    assert "ship: dead, attempts 1" in said
    assert "RuntimeError: no parcels left" in said
    assert '"amount": 5' in said
    record = EventRecord[Any].model_validate_json(run("events", "show", event.id, "--json"))
    assert record.deliveries[0].error == "RuntimeError: no parcels left"


def test_an_unknown_event_is_told_in_a_sentence(events: EventService) -> None:
    result = CliRunner().invoke(app, ["events", "show", "nobody"])
    assert (result.exit_code, result.stdout) == (1, "")
    assert result.stderr.startswith("error: no event 'nobody' is recorded")


def test_following_gives_what_is_stored_from_then_on(events: EventService) -> None:
    events.publish("order.paid", {}, id="before")
    following = events.store.follow(["order.*"])
    seen: list[str] = []
    begun, enough = threading.Event(), threading.Event()

    def follow() -> None:
        begun.set()
        for event in following:
            seen.append(event.id)
            if len(seen) == 2:
                enough.set()
                return

    threading.Thread(target=follow, daemon=True).start()
    begun.wait(60)
    published = 0
    # The first may come before the question is asked; from then on none is missed.
    while not enough.wait(0.05):
        events.publish("user.login", {"user_id": "1"})
        events.publish("order.paid", {}, id=f"after-{published}")
        published += 1
        assert published < 1_000
    assert "before" not in seen
    first, second = (int(one.removeprefix("after-")) for one in seen)
    assert second == first + 1


def test_following_stays_through_an_outage_and_says_so(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    event = events.publish("order.paid", {}, id="afterwards")

    def follow(*_: Any, on_outage: Callable[[str], None], **__: Any) -> Iterator[Any]:
        on_outage("Redis does not answer: gone")
        on_outage("")
        yield event

    monkeypatch.setattr(EventStore, "follow", follow)
    result = CliRunner().invoke(app, ["events", "tail"])
    assert (result.exit_code, result.stdout.split()[3]) == (0, "afterwards")
    away, back = result.stderr.splitlines()
    assert away.startswith("note: Redis does not answer: gone; it is asked again until it answers, and what is")
    assert back == "note: Redis answers again"


def test_a_queue_is_listed_with_what_waits_and_who_reads_it(
    events: EventService, work: Callable[[], Any], run: Run
) -> None:
    handling, go_on = threading.Event(), threading.Event()

    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        handling.set()
        go_on.wait(60)

    states = {state.name: state for state in TypeAdapter(list[QueueState]).validate_json(run("queue", "ls", "--json"))}
    assert list(states) == ["eventsys.log"]
    events.publish("order.paid", {})
    log, own = TypeAdapter(list[QueueState]).validate_json(run("queue", "ls", "--json"))
    assert (own.name, own.waiting, own.readers) == ("tests", 0, [])
    assert (log.waiting, log.running, log.readers, log.is_exact) == (1, 0, [], True)
    assert log.oldest_waiting is not None

    worker = work()
    assert handling.wait(60)
    states = {state.name: state for state in TypeAdapter(list[QueueState]).validate_json(run("queue", "ls", "--json"))}
    assert (states["eventsys.log"].waiting, states["tests"].running) == (0, 1)
    [process] = TypeAdapter(list[WorkerProcess]).validate_json(run("workers", "ls", "--json"))
    assert states["tests"].readers == [process.name]
    assert "tests" in process.queues
    assert process.running >= 1
    assert run("workers", "ls").splitlines()[1].startswith(process.name)
    go_on.set()
    worker.stop()


def test_a_paused_queue_is_read_by_nobody_until_it_is_resumed(
    events: EventService, work: Callable[[], Any], run: Run
) -> None:
    handled = threading.Event()

    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        handled.set()

    events.broker.work.presence.enter("tests")
    assert "is paused" in run("queue", "pause", "tests")
    events.broker.work.presence.scan()
    work()
    event = events.publish("order.paid", {})
    while not (states := [one for one in events.machinery.queues() if one.name == "tests"])[0].waiting:
        assert not handled.is_set()
    assert states[0].is_paused
    assert run("queue", "purge", "tests", "--dry-run") == "1 message of tests would be dropped\n"
    run("queue", "resume", "tests")
    assert events.wait(event.id, "60s").status == "delivered"


def test_a_purged_queue_ends_its_deliveries_as_cancelled(
    events: EventService, work: Callable[[], Any], run: Run
) -> None:
    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        pass

    events.broker.work.presence.enter("tests")
    run("queue", "pause", "tests")
    events.broker.work.presence.scan()
    work()
    event = events.publish("order.paid", {})
    while not next(one for one in events.machinery.queues() if one.name == "tests").waiting:
        pass
    assert run("queue", "purge", "tests", "--yes") == "1 message of tests was dropped\n"
    assert events.get_event(event.id).status == "cancelled"
    refused = CliRunner().invoke(app, ["queue", "purge", "eventsys.log", "--yes"])
    assert (refused.exit_code, "cannot be purged" in refused.stderr) == (2, True)
    assert "no queue 'nothing' is known" in CliRunner().invoke(app, ["queue", "pause", "nothing"]).stderr


def test_a_command_that_destroys_asks_and_where_nobody_is_there_refuses() -> None:
    with pytest.raises(typer.Exit) as ended:
        confirm("Purge 3 dead letters?", yes=False)
    assert ended.value.exit_code == 2
    confirm("Purge 3 dead letters?", yes=True)
