"""`eventsys dead`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from eventsys import Event, EventService, Page
from eventsys.cli.commands import app
from eventsys.model.batch_result import BatchResult
from eventsys.model.dead_letter import DeadLetter, RedriveResult

Run = Callable[..., str]


@pytest.fixture
def letters(events: EventService, work: Callable[[], Any]) -> list[str]:
    """The ids of two dead letters of `ship`, whose handler is mended now."""
    mended: list[str] = []

    @events.on("order.paid", name="ship", max_retries=0)
    def ship(event: Event) -> None:
        if len(mended) < 2:
            mended.append(event.id)
            raise RuntimeError("no parcels left")

    work()
    for event_id in ("one", "two"):
        events.wait(events.publish("order.paid", {"id": event_id}, id=event_id).id, "60s")
    return ["one:ship", "two:ship"]


def test_letters_are_listed_and_shown_with_the_reason(events: EventService, letters: list[str], run: Run) -> None:
    page = Page[DeadLetter].model_validate_json(run("dead", "ls", "--sub", "ship", "--json"))
    assert sorted(one.id for one in page.items) == letters
    assert "no parcels left" in run("dead", "ls")
    assert Page[DeadLetter].model_validate_json(run("dead", "ls", "--reason", "timeout", "--json")).items == []
    said = run("dead", "show", "one:ship")
    assert "RuntimeError: no parcels left" in said
    assert '"id": "one"' in said
    assert DeadLetter.model_validate_json(run("dead", "show", "one:ship", "--json")).attempts == 1


def test_a_count_that_is_only_a_lower_bound_is_told_as_one(
    events: EventService, letters: list[str], run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    said: list[str] = []
    monkeypatch.setattr("eventsys.cli.dead.print_table", lambda *table, caption: said.append(caption))
    run("dead", "ls", "-n", "1", "--reason", "failed")
    monkeypatch.setattr("eventsys.store.letter_index.MOST_COUNTED", 1)
    monkeypatch.setattr("eventsys.store.letter_index._CHUNK", 1)
    run("dead", "ls", "-n", "1", "--reason", "failed")
    assert [one.partition(";")[0] for one in said] == ["1 of 2 dead letters", "1 of at least 1 dead letters"]


def test_letters_are_sent_again_by_id_or_filter(events: EventService, letters: list[str], run: Run) -> None:
    counted = RedriveResult.model_validate_json(run("dead", "redrive", "--sub", "ship", "--dry-run", "--json"))
    assert (counted.matched, counted.redriven) == (2, 0)
    assert run("dead", "redrive", "one:ship") == "1 dead letter was sent again\n"
    assert events.wait("one", "60s").status == "delivered"
    assert "1 dead letter was sent again" in run("dead", "redrive", "--sub", "ship", "--yes")
    assert events.wait("two", "60s").status == "delivered"
    gone = CliRunner().invoke(app, ["dead", "redrive", "one:ship"])
    assert (gone.exit_code, "1 was not: gone" in gone.stdout) == (1, True)


def test_a_dry_run_of_single_letters_changes_nothing_and_tells_of_those_that_are_gone(
    events: EventService, letters: list[str], run: Run
) -> None:
    said = run("dead", "redrive", "one:ship", "gone:ship", "--dry-run")
    assert said == "1 dead letter would be sent again\n1 would not be: gone\n"
    assert run("dead", "purge", *letters, "--dry-run") == "2 dead letters would be dropped\n"
    assert events.dead_letters.count() == 2
    gone = CliRunner().invoke(app, ["dead", "purge", "gone:ship", "--yes"])
    assert (gone.exit_code, "1 of these are not there" in gone.stderr) == (1, True)


def test_letters_of_several_types_are_chosen_together(events: EventService, letters: list[str], run: Run) -> None:
    assert "2 dead letters would be" in run("dead", "purge", "--type", "user.#", "--type", "order.*", "--dry-run")
    assert "0 dead letters would be" in run("dead", "purge", "--type", "user.#", "--dry-run")


def test_letters_are_dropped_only_when_somebody_says_so(events: EventService, letters: list[str], run: Run) -> None:
    assert run("dead", "purge", "--all", "--dry-run") == "2 dead letters would be dropped\n"
    assert CliRunner().invoke(app, ["dead", "purge", "--all"]).exit_code == 2
    assert CliRunner().invoke(app, ["dead", "purge"]).exit_code == 2
    assert run("dead", "purge", "one:ship", "--yes") == "1 dead letter was dropped\n"
    dropped = BatchResult.model_validate_json(run("dead", "purge", "--sub", "ship", "--yes", "--json"))
    assert (dropped.matched, dropped.changed) == (1, 1)
    assert events.dead_letters.count() == 0


@pytest.mark.parametrize("arguments", [["ls"], ["redrive", "--yes"], ["redrive", "--dry-run"], ["purge", "--yes"]])
def test_nothing_found_for_a_misspelt_reason_or_subscription_is_told_as_that(
    events: EventService, letters: list[str], arguments: list[str]
) -> None:
    def said(*condition: str) -> str:
        return CliRunner().invoke(app, ["dead", *arguments, *condition]).stderr

    assert said("--reason", "timout") == "note: there is no reason 'timout'; did you mean 'timeout'?\n"
    assert said("--reason", "zz").startswith("note: there is no reason 'zz'; there are failed, timeout, rejected, ")
    assert said("--sub", "shipp") == "note: there is no subscription 'shipp'; did you mean 'ship'?\n"
    assert said("--reason", "crash_loop") == ""
    assert events.dead_letters.count() == 2


def test_a_rate_that_is_none_is_refused_before_anybody_is_asked(events: EventService, letters: list[str]) -> None:
    refused = CliRunner().invoke(app, ["dead", "redrive", "--all", "--rate", "20x"])
    assert (refused.exit_code, "'20x' is no rate" in refused.stderr) == (2, True)
    assert events.dead_letters.count() == 2
