"""The examination: every check, in the order in which a cause comes before its effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from eventsys.errors import EventsysError, RedisRefusedError
from eventsys.model.diagnosis import Diagnosis, Finding, warning
from eventsys.service import EventService
from eventsys.store.metrics_look import MetricsLook
from eventsys.store.redis_time import read_clock

from .event_checks import check_events
from .handler_checks import check_handlers
from .hosting_checks import check_hosting
from .patient import Patient
from .process_checks import check_processes
from .redis_checks import check_reached, check_redis, is_new_enough
from .scheduler_checks import check_scheduler

Check = Callable[[Patient], Iterator[Finding]]

CHECKS: tuple[Check, ...] = (
    check_redis, check_processes, check_scheduler, check_hosting, check_events, check_handlers,
)  # fmt: skip


def examine(events: EventService, metrics: MetricsLook | None = None) -> Diagnosis:
    """Look at a bus, change nothing, and return what was found.

    Args:
        events: A service on the bus; no worker need run.
        metrics: Figures of it that were read already; None: what is wanted of them is read.
    """
    link = events.broker.link
    try:
        read_clock(events.broker.clock, link.call)
        patient = Patient(events, metrics)
        # What stands on a Redis that lacks commands cannot be looked at.
        checks = CHECKS if is_new_enough(patient) else CHECKS[:1]
        return Diagnosis(findings=[finding for check in checks for finding in _carried_out(check, patient)])
    except EventsysError as error:
        return Diagnosis(findings=[check_reached(error)])


def _carried_out(check: Check, patient: Patient) -> Iterator[Finding]:
    """Give what a check finds; where Redis forbids a command to this user, say so and go on with the next check."""
    try:
        yield from check(patient)
    except RedisRefusedError as error:
        yield warning(
            check.__name__.removeprefix("check_"),
            f"some of this could not be looked at: {error}",
            "run the doctor as a Redis user who may use INFO, SLOWLOG and TIME",
        )
