"""What a task publishes is checked when it is said, and not each night at its tick."""

from __future__ import annotations

import traceback
from datetime import UTC, datetime
from typing import Any

import pytest
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from eventsys import CronTaskError, NotFoundError
from tests.cron.rig import Rig, published


class Report(BaseModel):
    model_config = ConfigDict(alias_generator=to_camel, populate_by_name=True)

    report_kind: str
    since: datetime


class Access(BaseModel):
    user: str
    token: str = Field(json_schema_extra={"secret": True})


SINCE = datetime(2026, 11, 1, tzinfo=UTC)
FITS = {"reportKind": "long", "since": "2026-11-01T00:00:00Z"}


@pytest.mark.parametrize("make", ["create", "create_later"])
def test_a_payload_that_does_not_fit_its_type_makes_no_task(rig: Rig, make: str) -> None:
    rig.events.type("report.due", Report)
    later: dict[str, Any] = {"delay": "1h"} if make == "create_later" else {}
    with pytest.raises(
        CronTaskError, match=r"cron task 'reports' cannot be: the payload of 'report\.due' does not fit"
    ):
        getattr(rig.events.cron, make)("reports", "0 * * * *", "report.due", {"kind": "long"}, **later)
    with pytest.raises(NotFoundError):
        rig.events.cron.get("reports")


def test_a_change_to_what_does_not_fit_is_refused_and_another_change_made(rig: Rig) -> None:
    cron = rig.events.cron
    cron.create("reports", "0 * * * *", "report.made", {"kind": "long"})
    rig.events.type("report.due", Report)
    rig.events.type("report.made", Report)
    for change in ({"payload": {"kind": "short"}}, {"event_type": "report.due"}):
        with pytest.raises(CronTaskError, match="does not fit Report"):
            cron.update("reports", **change)
    # What was there before the model was is not looked at again, nor is it where code says the same as before.
    assert cron.update("reports", schedule="*/5 * * * *").schedule == "*/5 * * * *"
    assert cron.create("reports", "0 * * * *", "report.made", {"kind": "long"}).payload == {"kind": "long"}


def test_a_model_is_published_as_publish_would(rig: Rig) -> None:
    rig.events.type("report.due", Report)
    task = rig.events.cron.create("reports", "@hourly", "report.due", Report(report_kind="long", since=SINCE))
    assert task.payload == FITS
    rig.advance(hours=1)
    changed = rig.events.cron.update("reports", payload=Report(report_kind="short", since=SINCE))
    assert changed.payload == {**FITS, "reportKind": "short"}
    rig.advance(hours=1)
    assert [event.payload for event in published(rig.events, "report.due")] == [FITS, changed.payload]


def test_what_the_model_of_a_payload_calls_secret_is_named(rig: Rig) -> None:
    """Though no process knows a model of the type; and what was named before stays."""
    cron = rig.events.cron
    assert cron.create("reports", "@hourly", "report.due", Access(user="a", token="b")).secret_fields == ("token",)
    cron.create("others", "@hourly", "other.due", {"user": "a"}, secret_fields=("user",))
    changed = cron.update("others", payload=Access(user="a", token="b"))
    assert changed.secret_fields == ("token", "user")


def test_a_model_that_does_not_read_back_is_refused(rig: Rig) -> None:
    class Odd(BaseModel):
        number: float

    with pytest.raises(CronTaskError, match="does not read back as what it writes"):
        rig.events.cron.create("reports", "@hourly", "report.due", Odd(number=float("nan")))


@pytest.mark.parametrize("what", [{"event_type": "a.b", "payload": ["s3cret"]}, {"actor": "a", "actor_args": "s3cret"}])
def test_what_a_task_may_not_hand_over_is_not_repeated(rig: Rig, what: dict[str, Any]) -> None:
    with pytest.raises(CronTaskError, match="Input should be a valid") as raised:
        rig.events.cron.create("reports", "@hourly", **what)
    assert "s3cret" not in "".join(traceback.format_exception(raised.value))
