"""What the demo makes of a history in which not all went as on an idle machine."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

from eventsys import EventService
from eventsys.cli.demo.chronicle import Chronicle
from tests.cron.conftest import START
from tests.cron.rig import Rig


def test_a_tick_that_was_missed_is_passed_over_and_is_no_run(events: EventService) -> None:
    rig = Rig(events, START)
    events.cron.create("carts", "* * * * *", "carts.emptied", max_runs=2)
    rig.jump(minutes=3)
    rig.advance(minutes=1)
    assert [str(one.outcome) for one in events.cron.history("carts").items] == ["completed", "completed", "missed"]
    stage = cast("Any", SimpleNamespace(events=events))
    runs = list(Chronicle(stage, cast("Any", None), cast("Any", None)).runs("carts", 2))
    assert [str(one.outcome) for one in runs] == ["completed", "completed"]
