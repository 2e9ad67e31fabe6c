"""The examination: every check, in the order in which a cause comes before its effects."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from eventsys.errors import EventsysError, RedisRefusedError
from eventsys.model.diagnosis import Diagnosis, Finding, family_of, warning
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

#: Every check, with the families of what it finds, in the order in which it looks at them.
CHECKS: dict[Check, tuple[str, ...]] = {
    check_redis: ("redis",),
    check_processes: ("workers", "queues", "poller", "sweeps"),
    check_scheduler: ("scheduler",),
    check_hosting: ("dispatcher", "declarations"),
    check_events: ("events", "subscriptions"),
    check_handlers: ("attempts", "retries", "crashes", "dead"),
}


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
        checks = CHECKS if is_new_enough(patient) else [check_redis]
        return Diagnosis(findings=[finding for check in checks for finding in _carried_out(check, patient)])
    except EventsysError as error:
        return Diagnosis(findings=[check_reached(error)])


def _carried_out(check: Check, patient: Patient) -> Iterator[Finding]:
    """Give what a check finds; where Redis forbids a command to this user, say of what, and go on with the next check.

    It is said under the name of everything that was not looked at, so that who asks for one of these hears of it.
    """
    told: set[str] = set()
    try:
        for finding in check(patient):
            told.add(family_of(finding.check))
            yield finding
    except RedisRefusedError as error:
        families = CHECKS[check]
        for family in [one for one in families if one not in told] or families[-1:]:
            yield warning(
                family,
                f"some of this could not be looked at: {error}",
                "run the doctor as a Redis user who may use INFO, SLOWLOG and TIME",
            )
