"""Whether periodic actors get their ticks: a scheduler runs, or does not, or several do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta, timezone

from periodiq import CronSpec, cron

from eventsys.broker.staging import OWN_ACTORS
from eventsys.clock import from_ms
from eventsys.middleware.periodic import MINUTE_MS
from eventsys.model.diagnosis import Finding, fine, problem, warning
from eventsys.readable import span
from eventsys.scheduling.ticker import with_sundays
from eventsys.store.oddities import read_or_pass_over, texts_of

from .patient import Patient, some

#: For how long no tick may come, in milliseconds, before no scheduler seems to run: each sends one every minute.
SILENT_MS = 180_000

#: How long ago a periodic actor may have had its last tick, in milliseconds, to be missed: one given up stays known.
#: A weekly one is missed for a day.
_MISSED_MS = 8 * 24 * 3600 * 1000

#: The zones that a scheduler may be in.
_ZONES = [timezone(timedelta(minutes=offset)) for offset in range(-12 * 60, 14 * 60 + 1, 15)]


def check_scheduler(patient: Patient) -> Iterator[Finding]:
    """Look at the ticks of actors declared with `periodic=cron(...)`; cron tasks need no scheduler."""
    now_ms = patient.now_ms
    last, doubled = patient.numbers("last ticks"), patient.numbers("doubled ticks")
    known = sorted(
        name for name, ms in last.items() if not name.startswith(OWN_ACTORS) and now_ms - ms < _MISSED_MS
    )  # fmt: skip
    newest_ms = max(last.values(), default=None)
    if newest_ms is None:
        yield fine("scheduler", "none was ever seen; only actors declared with periodic=cron(...) need one")
    elif now_ms - newest_ms <= SILENT_MS:
        is_doubled = now_ms - max(doubled.values(), default=0) <= SILENT_MS
        yield _of_those_that_run(patient, {name: last[name] for name in known}, is_doubled=is_doubled)
    elif known:
        yield problem(
            "scheduler",
            f"none has sent a tick for {_minutes(now_ms - newest_ms)}: {some(known)} stand still",
            "start one: eventsys scheduler MODULE; ticks of the last ten minutes are made up for",
        )
    else:
        yield fine("scheduler", f"none has run for {_minutes(now_ms - newest_ms)}, and no periodic actor misses it")


def _of_those_that_run(patient: Patient, last: dict[str, int], *, is_doubled: bool) -> Finding:
    """Say whether schedulers that run sent every actor its ticks: that of another application knows only its own."""
    until_ms = patient.now_ms - SILENT_MS
    fields = texts_of(patient.answer("periodic fields"))
    specs = {
        name: read_or_pass_over(patient.keys.periodic_specs, cron, fields[name]) for name in last if name in fields
    }
    missed = [name for name, spec in specs.items() if spec is not None and _is_missed(spec, last[name], until_ms)]
    if missed:
        told = [f"{name} (the last {span(timedelta(milliseconds=patient.now_ms - last[name]))} ago)" for name in missed]
        return warning(
            "scheduler",
            f"one runs, and yet some got no tick when they were due: {some(told)}",
            "start one for the modules that declare them: eventsys scheduler MODULE; of an actor that is no more, or is"
            " due at other times now, this is said for eight days, or until its next tick",
        )
    also = "; more than one runs, and each tick takes effect once" if is_doubled else ""
    return fine("scheduler", f"it sends its ticks{also}")


def _is_missed(spec: CronSpec, last_ms: int, until_ms: int) -> bool:
    """Say whether an actor was due after its last tick, up to a moment, wherever its scheduler may be.

    Fields are read in the zone of the scheduler, which nobody knows here. It is one in which the last tick was due;
    only when another one was due in all of these, one was missed. Where clocks change, this may be an hour off.
    """
    if last_ms >= until_ms:
        return False
    spec, last = with_sundays(spec), from_ms(last_ms)
    waiting = [moment for moment in map(last.astimezone, _ZONES) if spec.validate(moment)]
    is_known = bool(waiting)
    for minute in range(1, (until_ms - last_ms) // MINUTE_MS + 1):
        waiting = [moment for moment in waiting if not spec.validate(moment + timedelta(minutes=minute))]
        if not waiting:
            return is_known
    return False


def _minutes(length_ms: int) -> str:
    return f"{timedelta(milliseconds=length_ms) / timedelta(minutes=1):,.0f} minutes"
