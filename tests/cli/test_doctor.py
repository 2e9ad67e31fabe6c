"""`eventsys doctor`."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

from eventsys import Event, EventService
from eventsys.cli.commands import app
from eventsys.cli.doctor import _FAMILIES, _limited
from eventsys.model.diagnosis import Diagnosis, Severity, problem, warning
from eventsys.runtime.doctor.examination import CHECKS
from tests.support.waiting import eventually


def test_a_problem_ends_with_1_and_is_told_with_its_remedy(events: EventService) -> None:
    result = CliRunner().invoke(app, ["doctor"])
    assert result.exit_code == 1
    assert "problem  workers            no worker process is alive" in result.stdout
    assert "-> start one: eventsys worker MODULE" in result.stdout


def test_what_there_is_one_of_is_told_so(events: EventService, work: Callable[[], Any]) -> None:
    handled = threading.Event()

    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        handled.set()

    work()
    events.publish("order.paid", {})
    assert handled.wait(60)

    def runs() -> str | None:
        said = CliRunner().invoke(app, ["doctor"]).stdout
        return said if "subscriptions      the only subscription runs" in said else None

    said = eventually(runs)
    assert "workers            1 worker process is alive" in said
    assert [*dict.fromkeys(line.split()[1].partition(".")[0] for line in said.splitlines() if line[0] != " ")] == [
        *_FAMILIES
    ]


def test_json_is_the_diagnosis(events: EventService) -> None:
    diagnosis = Diagnosis.model_validate_json(CliRunner().invoke(app, ["doctor", "--json"]).stdout)
    assert not diagnosis.is_healthy
    assert {one.check for one in diagnosis.findings if one.severity is Severity.PROBLEM} == {"workers"}


def test_a_redis_that_is_away_is_told_as_a_finding(monkeypatch: pytest.MonkeyPatch) -> None:
    result = CliRunner().invoke(app, ["doctor", "--redis-url", "redis://127.0.0.1:1"])
    assert result.exit_code == 1
    assert result.stdout.startswith("problem  redis.reached      Redis does not answer")


def test_before_a_release_only_redis_counts(events: EventService) -> None:
    result = CliRunner().invoke(app, ["doctor", "--wait-for-redis", "--only", "redis", "--json"])
    assert result.exit_code == 0
    assert {one.check.partition(".")[0] for one in Diagnosis.model_validate_json(result.stdout).findings} == {"redis"}
    assert CliRunner().invoke(app, ["doctor", "--only", "redis", "--redis-url", "redis://127.0.0.1:1"]).exit_code == 1


@pytest.mark.parametrize("only", [["radis"], ["redis", "radis"], ["redis.radis"]])
def test_a_check_that_there_is_not_is_refused_with_those_there_are(events: EventService, only: list[str]) -> None:
    result = CliRunner().invoke(app, ["doctor", *(word for one in only for word in ("--only", one))])
    assert result.exit_code == 2
    assert f"nothing is called {only[-1]}; there are redis, workers, " in result.stderr


@pytest.mark.parametrize("only", ["queues", "queue"])
def test_a_check_has_its_name_whether_or_not_there_is_something_wrong(events: EventService, only: str) -> None:
    """What is found of a queue is called after it, and scripts cannot know beforehand that there is something."""
    well = CliRunner().invoke(app, ["doctor", "--only", only])
    assert (well.exit_code, well.stdout.split()[:2]) == (0, ["ok", "queues"])
    assert "1 queue is known, and nothing waits there too long" in well.stdout  # nobody reads it yet
    events.publish("order.paid", {})
    ill = CliRunner().invoke(app, ["doctor", "--only", only])
    assert (ill.exit_code, ill.stdout.split()[:2]) == (1, ["problem", "queue.readers"])


def test_what_cannot_be_looked_at_is_told_with_what_is_in_the_way(events: EventService) -> None:
    """Who dispatches is a question only where some worker is alive."""
    result = CliRunner().invoke(app, ["doctor", "--only", "dispatcher"])
    assert (result.exit_code, result.stdout.split()[:2]) == (1, ["problem", "workers"])


@pytest.mark.parametrize(
    ("forbidden", "only", "told"),
    [
        ("hgetall", ["dispatcher"], ["dispatcher"]),
        ("hgetall", ["workers", "sweeps"], ["workers", "sweeps"]),
        ("zrevrange", ["dead"], ["dead"]),
        ("slowlog", ["redis.distance"], ["redis"]),
    ],
)
def test_what_this_user_may_not_look_at_is_told_under_the_name_it_is_asked_for(
    events: EventService,
    redis_url: str,
    redis_client: redis.Redis,
    monkeypatch: pytest.MonkeyPatch,
    forbidden: str,
    only: list[str],
    told: list[str],
) -> None:
    redis_client.execute_command(
        "ACL", "SETUSER", "small", "reset", "on", ">secret", "~*", "&*", "+@all", f"-{forbidden}"
    )
    monkeypatch.setenv("EVENTSYS_REDIS_URL", redis_url.replace("unix://", "unix://small:secret@"))
    try:
        result = CliRunner().invoke(app, ["doctor", *(word for one in only for word in ("--only", one))])
    finally:
        redis_client.execute_command("ACL", "DELUSER", "small")
    warnings = [line.split()[1] for line in result.stdout.splitlines() if line.startswith("warning")]
    assert (result.exit_code, warnings) == (0, told), result.output
    assert result.stdout.count("some of this could not be looked at") == len(told)


def test_every_family_can_be_asked_for() -> None:
    assert [one for families in CHECKS.values() for one in families] == [*_FAMILIES]


def test_a_warning_is_not_in_the_way_where_there_is_a_problem() -> None:
    slow, alone = warning("redis.distance", "far", "move"), problem("workers", "none", "start one")
    assert _limited(Diagnosis(findings=[slow, alone]), ["dispatcher"]).findings == [alone]
    assert _limited(Diagnosis(findings=[slow]), ["dispatcher"]).findings == [slow]
