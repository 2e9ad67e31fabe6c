"""`eventsys events replay`, `subs backfill` and `replays`."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from typer.testing import CliRunner

from eventsys import Event, EventService
from eventsys.cli.commands import app
from eventsys.model.replay import Replay, ReplayCount

Run = Callable[..., str]


@pytest.fixture
def seen(events: EventService, work: Callable[[], Any]) -> list[str]:
    """What the handler of `order.*` was given again; two events have been handled."""
    again: list[str] = []

    @events.on("order.*", name="ship")
    def ship(event: Event) -> None:
        if event.is_replay:
            again.append(event.id)

    work()
    for event_id in ("one", "two"):
        events.wait(events.publish("order.paid", {}, id=event_id).id, "60s")
    return again


def test_a_dry_run_counts_and_gives_nothing(events: EventService, seen: list[str], run: Run) -> None:
    given = ("events", "replay", "--sub", "ship", "--type", "order.*", "--since", "1h", "--dry-run")
    assert "2 events (2 order.paid, from" in run(*given)
    assert ReplayCount.model_validate_json(run(*given, "--json")).events == 2
    assert run("replays", "ls", "--json") == "[]\n"
    assert seen == []


def test_a_replay_is_begun_shown_and_cancelled(events: EventService, seen: list[str], run: Run) -> None:
    begun = Replay.model_validate_json(run("events", "replay", "--sub", "ship", "--rate", "36/h", "--yes", "--json"))
    assert begun.rate == 0.01
    assert "@" in begun.requested_by
    assert begun.id in run("replays", "ls")
    assert "ship#1" in run("replays", "show", begun.id)
    cancelled = Replay.model_validate_json(run("replays", "cancel", begun.id, "--json"))
    assert cancelled.state == "cancelled"


def test_a_back_fill_leaves_out_what_was_had(events: EventService, seen: list[str], run: Run) -> None:
    assert "0 events" in run("subs", "backfill", "ship", "--dry-run")


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        (["events", "replay"], 2, "say to which subscription"),
        (["events", "replay", "--sub", "nobody", "--yes"], 1, "nobody"),
        (["events", "replay", "--sub", "ship", "--rate", "fast", "--yes"], 2, "'fast' is no rate"),
        (["replays", "show", "nothing"], 1, "nothing"),
    ],
)
def test_what_cannot_be_is_told_in_a_sentence(events: EventService, arguments: list[str], code: int, said: str) -> None:
    result = CliRunner().invoke(app, arguments)
    assert (result.exit_code, result.stdout) == (code, "")
    assert said in result.stderr
