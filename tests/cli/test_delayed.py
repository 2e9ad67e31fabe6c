"""`eventsys delayed`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from eventsys import DelayedEvent, Event, EventService, Page
from eventsys.cli import delayed
from eventsys.cli.commands import app
from eventsys.model.batch_result import BatchResult
from eventsys.model.event import WaitingRetry
from eventsys.store import delayed_listing

Run = Callable[..., str]


def test_an_event_is_scheduled_listed_moved_let_go_and_cancelled(events: EventService, run: Run) -> None:
    given = ("--delay", "1h", "--source", "shop", "--priority", "high", "--key", "order:1", "--json")
    event = DelayedEvent[Any].model_validate_json(run("delayed", "schedule", "order.due", '{"id": 1}', *given))
    assert (event.key, event.source, event.payload) == ("order:1", "shop", {"id": 1})
    listed = Page[DelayedEvent[Any]].model_validate_json(run("delayed", "ls", "--type", "order.*", "--json"))
    assert [one.id for one in listed.items] == [event.id]
    assert event.id in run("delayed", "ls")
    assert "order.due" in run("delayed", "show", event.id)
    moved = DelayedEvent[Any].model_validate_json(run("delayed", "reschedule", event.id, "--delay", "2h", "--json"))
    assert moved.delay_until > event.delay_until
    assert DelayedEvent[Any].model_validate_json(run("delayed", "run", event.id, "--json")).id == event.id
    other = DelayedEvent[Any].model_validate_json(run("delayed", "schedule", "order.due", "{}", *given))
    assert "cancelled" in run("delayed", "cancel", "--key", "order:1")
    assert events.get_delayed_event(other.id).status == "cancelled"


def test_a_time_is_shown_with_its_zone(run: Run) -> None:
    shown = run("delayed", "schedule", "order.due", "{}", "--at", "2031-01-01T02:00+02:00")
    assert "due        2031-01-01 00:00:00 UTC\n" in shown


def test_all_of_a_type_are_counted_and_cancelled(events: EventService, run: Run) -> None:
    for _ in range(3):
        events.schedule("order.due", {}, delay="1h")
    counted = BatchResult.model_validate_json(run("delayed", "cancel", "--type", "order.*", "--dry-run", "--json"))
    assert (counted.matched, counted.changed) == (3, 0)
    assert run("delayed", "cancel", "--type", "order.*", "--yes") == "3 delayed events were cancelled\n"
    assert events.delayed.get_pending_count() == 0


def test_a_dry_run_and_the_question_count_all_that_would_be_cancelled(
    events: EventService, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    """However little a listing looks at, and though an event may fit two of the types."""
    monkeypatch.setattr(delayed_listing, "LONGEST_SCAN_S", 0)
    monkeypatch.setattr(delayed_listing, "_SCANNED_AT_ONCE", 2)
    first = events.publish("order.placed", {})
    for number in range(5):
        events.schedule("mail.due", {}, delay=f"{number + 1}m")
    for number in range(5):
        events.schedule("order.due", {}, delay=f"{number + 1}h", correlation_id=first.id)
    chain, types = ("--correlation-id", first.id), ("--type", "order.*", "--type", "order.due")
    for chosen in (chain, types, (*chain, *types)):
        counted = BatchResult.model_validate_json(run("delayed", "cancel", *chosen, "--dry-run", "--json"))
        assert (counted.matched, counted.changed) == (5, 0)
        refused = CliRunner().invoke(app, ["delayed", "cancel", *chosen])
        assert "Cancel 5 delayed events?" in refused.stderr
    assert run("delayed", "cancel", *types, "--yes") == "5 delayed events were cancelled\n"
    assert events.delayed.get_pending_count() == 5


def test_a_list_says_where_it_goes_on_and_that_it_has_not_counted_all(
    events: EventService, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(delayed_listing, "LONGEST_SCAN_S", 0)
    monkeypatch.setattr(delayed_listing, "_SCANNED_AT_ONCE", 2)
    captions: list[str] = []
    monkeypatch.setattr(delayed, "print_table", lambda _, rows, caption: captions.append(caption))
    made = [events.schedule("order.due", {}, delay=f"{number + 1}m").id for number in range(5)]
    run("delayed", "ls", "--type", "order.*", "--limit", "1")
    cursor = captions[0].rpartition(" ")[2]
    assert captions == [f"1 of at least 2; the next: --cursor {cursor}"]
    page = run("delayed", "ls", "--type", "order.*", "--limit", "1", "--cursor", cursor, "--json")
    assert [one.id for one in Page[DelayedEvent[Any]].model_validate_json(page).items] == [made[1]]


def test_waiting_retries_are_listed(events: EventService, work: Callable[[], Any], run: Run) -> None:
    @events.on("order.paid", name="ship", retry_delay="1h")
    def ship(event: Event) -> None:
        raise RuntimeError

    work()
    event = events.publish("order.paid", {})
    while not events.delayed.get_waiting_retries().total:
        pass
    page = Page[WaitingRetry[Any]].model_validate_json(run("delayed", "ls", "--retries", "--json"))
    assert [(one.event.id, one.subscription, one.attempts) for one in page.items] == [(event.id, "ship", 1)]
    assert "ship" in run("delayed", "ls", "--retries", "--sub", "ship")
    before = f"{int(page.items[0].due_at.timestamp() * 1000) - 1}-00"
    page = Page[WaitingRetry[Any]].model_validate_json(run("delayed", "ls", "--retries", "--cursor", before, "--json"))
    assert [(one.event.id, page.total_is_exact) for one in page.items] == [(event.id, False)]


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["cancel"], 2, "say which"),
        (["cancel", "x", "--key", "y"], 2, "say which"),
        (["cancel", "nothing"], 1, "nothing"),
        (["schedule", "order.due", "{}"], 2, "say when it is due"),
        (["schedule", "order.due", "{}", "--at", "yesterday"], 2, "'yesterday' is no time"),
        (["schedule", "order.due", "{}", "--at", "2020-01-01"], 2, "is past"),
        (["schedule", "order.due", "{}", "--at", "0001-01-01T00:00+01:00"], 2, "'0001-01-01T00:00+01:00' is no time"),
        (["run", "nothing"], 1, "nothing"),
        (["ls", "--retries", "--page", "2", "--cursor", "1-00"], 2, "give one of them"),
        (["ls", "--page", "2", "--cursor", "1-00"], 2, "give one of them"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(events: EventService, arguments: list[str], code: int, said: str) -> None:
    result = CliRunner().invoke(app, ["delayed", *arguments])
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1
