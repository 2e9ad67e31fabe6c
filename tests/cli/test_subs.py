"""`eventsys subs` and `eventsys metrics`."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from pydantic import TypeAdapter
from typer.testing import CliRunner

from eventsys import Event, EventMetrics, EventService
from eventsys.cli.commands import app
from eventsys.model.metrics import SubscriptionMetrics
from eventsys.model.standing import SubscriptionStanding
from tests.support.waiting import eventually

Run = Callable[..., str]


@pytest.fixture
def handled(events: EventService, work: Callable[[], Any]) -> EventService:
    """A bus with one subscription, which has handled one event."""

    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        pass

    work()
    events.wait(events.publish("order.paid", {}).id, "60s")
    eventually(lambda: events.subscriptions.get("ship").state == "active")
    return events


def test_a_subscription_is_listed_paused_resumed_and_ended(handled: EventService, run: Run) -> None:
    [standing] = TypeAdapter(list[SubscriptionStanding]).validate_json(run("subs", "ls", "--json"))
    assert (standing.name, standing.state) == ("ship", "active")
    assert run("subs", "ls").splitlines()[1].startswith("ship\torder.paid\tactive\t1\t0\t0\ttests")
    assert SubscriptionStanding.model_validate_json(run("subs", "pause", "ship", "--json")).state == "paused"
    shown = run("subs", "show", "ship").splitlines()
    assert {"state         paused", "retry delay   5 s", "timeout       30 s"} <= set(shown)
    assert SubscriptionStanding.model_validate_json(run("subs", "resume", "ship", "--json")).state == "active"
    assert CliRunner().invoke(app, ["subs", "delete", "ship"]).exit_code == 2
    assert run("subs", "delete", "ship", "--yes") == "ship has ended\n"
    assert run("subs", "ls", "--json") == "[]\n"


def test_how_a_subscription_gathers_its_batches_is_shown(events: EventService, run: Run) -> None:
    events.on("order.paid", name="ship", batch_size=40, batch_wait="250ms", breaker=3)(lambda batch: None)
    events.on("order.paid", name="tell")(lambda event: None)
    events.bus.prepare()
    lines = run("subs", "show", "ship").splitlines()
    assert "batch         at most 40 a call, gathered for 250 ms" in lines
    assert "breaker       after 3 failures in a row" in lines
    [standing] = [one for one in json.loads(run("subs", "ls", "--json")) if one["name"] == "ship"]
    assert (standing["subscription"]["batch_size"], standing["subscription"]["batch_wait_ms"]) == (40, 250)
    assert not [line for line in run("subs", "show", "tell").splitlines() if line.startswith(("batch", "breaker"))]


def test_an_unknown_subscription_is_told_in_a_sentence(events: EventService) -> None:
    result = CliRunner().invoke(app, ["subs", "pause", "nobody"])
    assert (result.exit_code, result.stderr.count("\n")) == (1, 1)
    assert "no subscription is named 'nobody'" in result.stderr


def test_the_figures_are_those_of_the_bus(handled: EventService, run: Run) -> None:
    totals = EventMetrics.model_validate_json(run("metrics", "--json"))
    assert (totals.delivered_events, totals.succeeded) == (1, 1)
    assert "delivered        1" in run("metrics")
    by_name = json.loads(run("metrics", "--by", "subscription", "--json"))
    assert SubscriptionMetrics.model_validate(by_name["ship"]).succeeded == 1
    assert "order.paid\t1" in run("metrics", "--by", "type")
