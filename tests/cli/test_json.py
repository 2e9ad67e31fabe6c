"""What commands print with --json reads back, through the model it was made from, as the same JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import BaseModel, Field, TypeAdapter
from typer.main import get_command
from typer.testing import CliRunner

from eventsys import Event, EventFilter, EventService
from eventsys.cli.commands import app
from tests.support.waiting import eventually

EVENT_TYPE = "order.paid"

SECRET = "4111-1111"


class Order(BaseModel):
    """A payload with a secret."""

    order_id: str
    card: str = Field(default=SECRET, json_schema_extra={"secret": True})


#: What to type for each command that has --json; `{event}` and so on are what the fixture has made.
TYPED: dict[str, str] = {
    "publish": "order.paid {{}}",
    "doctor": "",
    "health": "--ready",
    "metrics": "",
    "settings": "",
    "version": "",
    "events publish": "order.paid {{}}",
    "events ls": "",
    "events show": "{event}",
    "events trace": "{event}",
    "events replay": "--sub ship --since 1h --dry-run",
    "delayed ls": "",
    "delayed show": "{delayed}",
    "delayed schedule": "order.late {{}} --delay 1h",
    "delayed cancel": "{delayed}",
    "delayed reschedule": "{delayed} --delay 2h",
    "delayed run": "{delayed}",
    "dead ls": "",
    "dead show": "{letter}",
    "dead redrive": "{letter}",
    "dead purge": "{letter} --yes",
    "cron ls": "",
    "cron show": "nightly",
    "cron create": "weekly --schedule @weekly --publish report.due",
    "cron update": "nightly --schedule @hourly",
    "cron delete": "nightly --yes",
    "cron pause": "nightly",
    "cron resume": "nightly",
    "cron run": "nightly",
    "cron history": "nightly",
    "subs ls": "",
    "subs show": "ship",
    "subs pause": "ship",
    "subs resume": "ship",
    "subs delete": "ship --yes",
    "subs backfill": "ship --since 1h --dry-run",
    "replays ls": "",
    "replays show": "{replay}",
    "replays cancel": "{replay}",
    "queue ls": "",
    "queue pause": "tests",
    "queue resume": "tests",
    "queue purge": "tests --yes",
    "workers ls": "",
    "schema ls": "eventsys",
    "schema diff": "{schema} eventsys",
}

#: Those that cannot be run here, and why.
LEFT_OUT = {
    "bench": "it loads the machine for most of a minute; tests/cli/test_bench.py reads its JSON back",
    "events tail": "it goes on until Ctrl-C; what it prints is the model of events show, an event",
}


def with_json(group: Any = None, words: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield every command that has --json, by the words that name it."""
    root: Any = group or get_command(app)
    for name, command in root.commands.items():
        if hasattr(command, "commands"):
            yield from with_json(command, (*words, name))
        elif any("--json" in one.opts for one in command.params):
            yield " ".join((*words, name))


def test_every_command_with_json_is_tried_or_left_out_for_a_reason() -> None:
    assert set(with_json()) == {*TYPED, *LEFT_OUT}


@pytest.fixture
def made(events: EventService, work: Callable[[], Any], tmp_path: Any) -> dict[str, str]:
    """A bus with one of everything."""

    @events.on(EVENT_TYPE, name="ship", max_retries=0)
    def ship(event: Event) -> None:
        raise RuntimeError("no parcels")

    for one in (EVENT_TYPE, "order.late"):
        events.type(one, Order)

    events.cron.create("nightly", "0 2 * * *", "report.due", {"kind": "night"})
    event = events.publish(EVENT_TYPE, Order(order_id="ä"))
    delayed = events.schedule("order.late", Order(order_id="1"), delay="1h")
    work()
    events.wait(event.id, "60s")
    eventually(lambda: events.dead_letters.list().items)
    [letter] = events.dead_letters.list().items  # before the replay, which makes another
    replay = events.replays.replay("ship", EventFilter(), rate=1)
    schema = tmp_path / "schema.json"
    schema.write_text(CliRunner().invoke(app, ["schema", "export", "eventsys"]).stdout)
    return {"event": event.id, "delayed": delayed.id, "letter": letter.id, "replay": replay.id, "schema": str(schema)}


@pytest.mark.parametrize("name", list(TYPED))
def test_json_reads_back_as_what_it_was_made_from(
    name: str, made: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    printed: list[BaseModel] = []
    dump = BaseModel.model_dump_json

    def noting(model: BaseModel, **options: Any) -> str:
        printed.append(model)
        return dump(model, **options)

    monkeypatch.setattr(BaseModel, "model_dump_json", noting)
    typed = [word.format(**made) for word in TYPED[name].split()]
    result = CliRunner().invoke(app, [*name.split(), *typed, "--json"])
    assert result.exit_code in {0, 1}, result.output
    said = json.loads(result.stdout)
    assert SECRET not in result.stdout
    monkeypatch.undo()
    assert printed or name in PLAIN, "it printed no model"
    for model in printed:
        text = dump(model)
        assert dump(type(model).model_validate_json(text)) == text
    if len(printed) == 1 and isinstance(said, dict) and name not in PLAIN:
        assert said == json.loads(dump(printed[0]))
    elif isinstance(said, list):
        assert said == [json.loads(dump(one)) for one in printed]


#: What is no model: a value or a plain mapping of texts, by its type.
PLAIN: dict[str, Any] = {"version": TypeAdapter(dict[str, str])}
