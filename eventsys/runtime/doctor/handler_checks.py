"""Whether handlers cope with their events: failures, retries, crashes, dead letters."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import timedelta

from eventsys.errors import NotFoundError
from eventsys.model.diagnosis import Finding, fine, warning
from eventsys.readable import many
from eventsys.store.keys import CRON_QUEUE
from eventsys.store.machinery_look import handler_of
from eventsys.store.oddities import text_of

from .patient import Patient, some

#: Retries that wait at once from which on it is a storm rather than an accident.
MANY_RETRIES = 1_000

#: What counts as failing: so many attempts in the last minutes, and this share of them in vain.
RECENTLY, MANY_ATTEMPTS, MOST_IN_VAIN = timedelta(minutes=5), 20, 0.5

#: Letters of an error that are told.
_LONGEST_ERROR = 120

#: Messages that may have killed their process, of which the handlers are told.
_LOOKED_AT = 100


def check_handlers(patient: Patient) -> Iterator[Finding]:
    """Look at failing attempts, retries, crashes and dead letters."""
    yield from _attempts(patient)
    yield _retries(patient)
    yield _crashes(patient)
    yield _dead_letters(patient)


def _attempts(patient: Patient) -> Iterator[Finding]:
    recent = patient.metrics.recent(RECENTLY)
    counts = {name: (failed, succeeded + failed) for name, (succeeded, failed) in recent.attempts.items()}
    failing = [
        name for name, (failed, all_) in counts.items() if all_ >= MANY_ATTEMPTS and failed / all_ >= MOST_IN_VAIN
    ]
    for name in sorted(failing, key=lambda name: -counts[name][0])[:3]:
        failed, all_ = counts[name]
        error = _last_error(patient, name)
        yield warning(
            "attempts",
            f"{failed:,} of the last {all_:,} attempts of {name} failed{f': {error}' if error else ''}",
            f"mend what it says; until then hold it back: eventsys subs pause {name}, or declare a breaker",
        )
    if not failing:
        yield fine(
            "attempts", f"no handler failed again and again in the last {RECENTLY // timedelta(minutes=1)} minutes"
        )


def _last_error(patient: Patient, name: str) -> str:
    """Return the error of the delivery that is tried again next; empty where none waits."""
    waiting = patient.events.delayed.get_waiting_retries(name, page_size=1).items
    if not waiting:
        return ""
    try:
        record = patient.events.get_event(waiting[0].event.id)
    except NotFoundError:
        return ""
    errors = [one.error for one in record.deliveries if one.subscription == name and one.error]
    return " ".join(errors[0].split())[:_LONGEST_ERROR] if errors else ""


def _retries(patient: Patient) -> Finding:
    waiting = patient.numbers("delayed messages")
    waiting.pop(CRON_QUEUE, None)  # each cron task has a tick that waits
    total = sum(waiting.values())
    if total < MANY_RETRIES:
        return fine("retries", many(total, "retry or delayed message waits", "retries and delayed messages wait"))
    worst = max(waiting, key=lambda name: waiting[name])
    return warning(
        "retries",
        f"{total:,} retries and delayed messages wait, most of queue {worst}: a retry storm",
        "see which handlers fail, and why: eventsys delayed ls --retries, eventsys events show ID",
    )


def _crashes(patient: Patient) -> Finding:
    counts = patient.numbers("crashes")
    if not counts:
        return fine("crashes", "no message is suspected of killing its process")
    handlers = _handlers_of(patient, list(counts)[:_LOOKED_AT])
    of_whom = f", of {some([name for name, _ in handlers.most_common()])}" if handlers else ""
    worst = max(counts.values())
    return warning(
        "crashes",
        f"{many(len(counts), 'message was', 'messages were')} in hand when a process died{of_whom};"
        f" {many(worst, 'time', 'times')} the same one",
        "see why processes die in the log of eventsys worker; a message that kills five becomes a dead letter",
    )


def _handlers_of(patient: Patient, marks: list[str]) -> Counter[str]:
    places = [mark.rpartition("|")[::2] for mark in marks]
    entries = patient.link.pipeline([("XRANGE", lane, entry, entry) for lane, entry in places])
    return Counter(handler_of(found[0][1]) for found in entries if isinstance(found, list) and found)


def _dead_letters(patient: Patient) -> Finding:
    count, newest = patient.answer("dead letters"), patient.answer("newest dead letter")
    if not newest:
        return fine("dead", "there are no dead letters")
    facts = patient.link.call("HMGET", patient.keys.letter(text_of(newest[0])), "reason", "error", "actor")
    reason, error, actor = (value.decode("utf-8", "replace") if value else "" for value in facts)
    whose = f"{actor}'s" if actor else "of no handler"  # refused before anybody was looked for
    return warning(
        "dead",
        f"{many(count, 'dead letter waits', 'dead letters wait')} for a decision; the newest is {whose}: {reason}:"
        f" {error[:_LONGEST_ERROR]}",
        "see them: eventsys dead ls; after mending the cause: eventsys dead redrive; or drop them: eventsys dead purge",
    )
