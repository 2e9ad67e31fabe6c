"""`eventsys events trace` and `export`."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from typer.testing import CliRunner

from eventsys import Event, EventRecord, EventService
from eventsys.cli.commands import app
from eventsys.model.trace import Trace

Run = Callable[..., str]


def test_a_chain_is_drawn_as_a_tree(events: EventService, work: Callable[[], Any], run: Run) -> None:
    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        events.publish("order.sent", {}, id="child")

    work()
    events.publish("order.paid", {}, id="root")
    events.wait("root", "60s")
    events.wait("child", "60s")
    root, child = run("events", "trace", "child").splitlines()
    assert root.startswith("order.paid root")
    assert root.endswith("delivered  [ship succeeded]")
    assert child.startswith("└─ order.sent child")
    trace = Trace.model_validate_json(run("events", "trace", "root", "--json"))
    assert [(node.event.id, node.depth) for node in trace.nodes] == [("root", 0), ("child", 1)]


def test_history_is_exported_and_the_export_resumed(events: EventService, tmp_path: Path) -> None:
    for number in range(3):
        events.publish("order.paid", {}, id=f"event-{number}")
    path = tmp_path / "history.jsonl"
    first = CliRunner().invoke(app, ["events", "export", "--to", str(path)])
    assert first.exit_code == 0
    assert first.stderr.startswith("3 events; go on with --cursor ")
    events.publish("order.paid", {}, id="event-3")
    cursor = first.stderr.rpartition(" ")[2].strip()
    assert CliRunner().invoke(app, ["events", "export", "--to", str(path), "--cursor", cursor]).exit_code == 0
    records = [EventRecord[Any].model_validate_json(line) for line in path.read_text().splitlines()]
    assert [one.id for one in records] == ["event-0", "event-1", "event-2", "event-3"]
    batch = CliRunner().invoke(app, ["events", "export", "--form", "cloudevents", "--type", "order.*"])
    assert {one["specversion"] for one in json.loads(batch.stdout)} == {"1.0"}
    assert batch.stdout.endswith("]\n")  # each batch is a line: several in one file are read one by one
