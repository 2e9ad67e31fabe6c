"""The scenes of the demo: the examples of `actors/`, by the application's own functions."""

from __future__ import annotations

from typing import Any

from eventsys import DelayedEvent, catalog
from eventsys.cli.demo.chronicle import FIRST_TYPE, Chronicle, Published
from eventsys.cli.demo.screen import Screen
from eventsys.cli.demo.stage import Stage
from eventsys.cli.demo.worker_process import PROCESSES, THREADS

#: Seconds between two scenes, for reading.
_BREATH_S = 0.5

_WELCOME_S = 10
_CLEAN_UP_S = 2
_TICKS = 3


def meet_the_workers(stage: Stage, screen: Screen, chronicle: Chronicle) -> None:
    """Say what runs, once a worker has handled a first event."""
    kind = "Valkey" if stage.server.kind == "valkey" else "Redis"
    number = ".".join(map(str, stage.server.version))
    screen.say(f"{kind} {number} in a private directory, {PROCESSES} worker processes with {THREADS} threads each")
    first = stage.events.publish(FIRST_TYPE, {"processes": PROCESSES}, source="demo")
    screen.waits_for("the workers start")
    for _ in chronicle.follow(first.correlation_id, until=FIRST_TYPE):
        screen.waits_for("")


def a_login(stage: Stage, screen: Screen, chronicle: Chronicle) -> None:
    """Publish a login, which independent subscribers handle."""
    screen.scene(1, "A login, handled by two independent subscribers and the audit trail")
    login = stage.actors.sessions.report_login("12345", ip="192.168.1.100")
    _show(screen, chronicle, login.correlation_id, until=login.type)


def a_welcome(stage: Stage, screen: Screen, chronicle: Chronicle) -> DelayedEvent[Any]:
    """Schedule a welcome; it comes when the other scenes are over."""
    screen.scene(2, "A welcome notification, some time after the registration, at high priority")
    welcome: DelayedEvent[Any] = stage.actors.notifications.schedule_welcome("12345", delay=f"{_WELCOME_S}s")
    screen.scheduled(welcome, f"shortened for the demo: {_WELCOME_S} seconds, not 10 minutes")
    chronicle.pause(_BREATH_S)
    return welcome


def a_flaky_provider(stage: Stage, screen: Screen, chronicle: Chronicle) -> None:
    """Request a text, whose handler fails twice."""
    screen.scene(3, "A handler that fails twice and then succeeds; its retries wait in Redis")
    text = stage.actors.texts.request_text("+44 20 7946 0000", "Your order is on its way.")
    _show(screen, chronicle, text.correlation_id, until=text.type)
    chronicle.pause(_BREATH_S)


def a_clean_up(stage: Stage, screen: Screen, chronicle: Chronicle) -> None:
    """Schedule a clean-up at low priority."""
    screen.scene(4, "Data clean-up, later and at low priority")
    deletion = stage.actors.cleanup.schedule_clean_up("temp_uploads", delay=f"{_CLEAN_UP_S}s")
    screen.scheduled(deletion, f"shortened for the demo: {_CLEAN_UP_S} seconds, not 24 hours")
    chronicle.wait_until_due(deletion)
    _show(screen, chronicle, deletion.correlation_id, until=deletion.type)
    chronicle.pause(_BREATH_S)


def a_workflow(stage: Stage, screen: Screen, chronicle: Chronicle) -> None:
    """Start a workflow, each step of which publishes the next."""
    screen.scene(5, "A workflow of three steps, each published by the one before it")
    step = stage.actors.workflow.start_workflow("order-789", order_id="order_789", user_id="12345")
    _show(screen, chronicle, step.correlation_id, until="workflow.completed")
    chronicle.pause(_BREATH_S)


def a_task_that_ticks(stage: Stage, screen: Screen, chronicle: Chronicle) -> None:
    """Create a cron task while the workers run, and watch its first runs."""
    screen.scene(6, "A clean-up that repeats: a cron task, created while the workers run")
    task = stage.actors.cleanup.repeat_clean_up("carts", schedule="* * * * * *", max_runs=_TICKS)
    screen.repeats(task, f"shortened for the demo: each second and {_TICKS} times, not each hour")
    for run in chronicle.runs(task.name, _TICKS):
        assert run.target_id is not None
        _show(screen, chronicle, run.target_id, until=catalog.CRON_TASK_COMPLETED)
    chronicle.pause(_BREATH_S)


def the_welcome_arrives(screen: Screen, chronicle: Chronicle, welcome: DelayedEvent[Any]) -> None:
    """Wait for the welcome and show its arrival."""
    screen.scene(2, "The welcome notification again: now it is due")
    chronicle.wait_until_due(welcome)
    _show(screen, chronicle, welcome.correlation_id, until=welcome.type)


def play(stage: Stage, screen: Screen, chronicle: Chronicle) -> None:
    """Play all scenes, in order."""
    meet_the_workers(stage, screen, chronicle)
    a_login(stage, screen, chronicle)
    welcome = a_welcome(stage, screen, chronicle)
    a_flaky_provider(stage, screen, chronicle)
    a_clean_up(stage, screen, chronicle)
    a_workflow(stage, screen, chronicle)
    a_task_that_ticks(stage, screen, chronicle)
    the_welcome_arrives(screen, chronicle, welcome)


def _show(screen: Screen, chronicle: Chronicle, chain_id: str, *, until: str) -> None:
    for happening in chronicle.follow(chain_id, until=until):
        if isinstance(happening, Published):
            screen.published(happening)
        else:
            screen.attempted(happening)
