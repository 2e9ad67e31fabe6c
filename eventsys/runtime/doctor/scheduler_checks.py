"""Whether periodic actors get their ticks: a scheduler runs, or does not, or several do."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from eventsys.middleware.periodic import OWN_ACTORS
from eventsys.model.diagnosis import Finding, fine, problem

from .patient import Patient

#: For how long no tick may come, in milliseconds, before no scheduler seems to run: each sends one every minute.
SILENT_MS = 180_000

#: How long ago a periodic actor may have had its last tick, in milliseconds, to be missed; one given up stays known.
_MISSED_MS = 7 * 24 * 3600 * 1000

#: Most actors named in one sentence.
_NAMED = 5


def check_scheduler(patient: Patient) -> Iterator[Finding]:
    """Look at the ticks of actors declared with `periodic=cron(...)`; cron tasks need no scheduler."""
    now_ms = patient.now_ms
    last, doubled = patient.numbers("last ticks"), patient.numbers("doubled ticks")
    missed = sorted(
        name for name, ms in last.items() if not name.startswith(OWN_ACTORS) and now_ms - ms < _MISSED_MS
    )  # fmt: skip
    newest_ms = max(last.values(), default=None)
    if newest_ms is None:
        yield fine("scheduler", "none was ever seen; only actors declared with periodic=cron(...) need one")
    elif now_ms - newest_ms <= SILENT_MS:
        also = "; more than one runs, and each tick takes effect once"
        is_doubled = now_ms - max(doubled.values(), default=0) <= SILENT_MS
        yield fine("scheduler", f"it sends its ticks{also if is_doubled else ''}")
    elif missed:
        more = f" and {len(missed) - _NAMED} more" if len(missed) > _NAMED else ""
        yield problem(
            "scheduler",
            f"none has sent a tick for {_minutes(now_ms - newest_ms)}: {', '.join(missed[:_NAMED])}{more} stand still",
            "start one: eventsys scheduler MODULE; ticks of the last ten minutes are made up for",
        )
    else:
        yield fine("scheduler", f"none has run for {_minutes(now_ms - newest_ms)}, and no periodic actor misses it")


def _minutes(length_ms: int) -> str:
    return f"{timedelta(milliseconds=length_ms) / timedelta(minutes=1):,.0f} minutes"
