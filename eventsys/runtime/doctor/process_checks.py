"""Whether somebody does the work: workers, readers of queues, the poller, the sweeps."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

from eventsys.clock import from_ms
from eventsys.model.diagnosis import Finding, fine, problem, warning
from eventsys.readable import many, span
from eventsys.scheduling.sweeps import OVERDUE_MS
from eventsys.store.keys import LOG_QUEUE
from eventsys.store.oddities import moment_of, text_of, whole_number

from .patient import Patient

#: For how long a message may wait on a queue that is read before the backlog is worth a word.
LONG_WAIT = timedelta(minutes=1)

#: What is asked for the first, and for the last, of the delayed store: of either tier.
_ENDS = (("first due", "first far due"), ("last due", "last far due"))

#: How late an entry of the delayed store may be, in milliseconds, before nobody seems to let it go.
LATE_MS = 5_000


def check_processes(patient: Patient) -> Iterator[Finding]:
    """Look at worker processes, queues, poller and sweeps."""
    yield _workers(patient)
    yield from _queues(patient)
    yield _poller(patient)
    yield _sweeps(patient)


def _workers(patient: Patient) -> Finding:
    alive = [one for one in patient.processes if one.is_alive]
    overdue = len(patient.processes) - len(alive)
    if not alive:
        left = f"; {overdue} ended without a word, and nobody takes over what they held" if overdue else ""
        return problem("workers", f"no worker process is alive{left}", "start one: eventsys worker MODULE")
    living = many(len(alive), "worker process is alive", "worker processes are alive")
    if overdue:
        return warning(
            "workers",
            f"{living}, {overdue} stopped beating and are being taken over",
            "if this lasts longer than 15 s, look at the log of the workers",
        )
    return fine("workers", living)


def _queues(patient: Patient) -> Iterator[Finding]:
    found = False
    for state in patient.queues:
        name = "the event log" if state.name == LOG_QUEUE else f"queue {state.name}"
        if state.is_paused:
            found = True
            yield warning(
                "queue.paused",
                f"{name} is paused by hand; {many(state.waiting, 'message waits', 'messages wait')}",
                f"let processes read it again: eventsys queue resume {state.name}",
            )
        elif state.unclaimed and not state.readers:
            found = True
            yield problem(
                "queue.readers",
                f"{many(state.unclaimed, 'message waits', 'messages wait')} on {name} and no process reads it",
                _reader_of(state.name),
            )
        # Suspects alone are no backlog: they are as old as their handlers took long.
        elif state.waiting and state.oldest_waiting is not None and state.oldest_waiting > LONG_WAIT:
            found = True
            threads = patient.events.settings.bus.worker_count
            yield warning(
                "queue.backlog",
                f"{many(state.unclaimed, 'message waits', 'messages wait')} on {name}, the oldest for"
                f" {_seconds(state.oldest_waiting)}"
                f"{_slowest(patient, state.name)}",
                "the workers do not keep up: start more of them (--processes), give each more threads where handlers"
                f" wait (EVENTSYS_BUS__WORKER_COUNT, here {threads}), or make the handler faster: eventsys top",
            )
        if state.suspects:
            found = True
            yield warning(
                "queue.suspects",
                f"{many(state.suspects, 'message', 'messages')} on {name} held by processes that died; each runs alone",
                "see why the processes died in their log; a message that kills five becomes a dead letter",
            )
    if not found:
        yield fine(
            "queues", f"{many(len(patient.queues), 'queue is', 'queues are')} known, and nothing waits there too long"
        )


def _reader_of(queue: str) -> str:
    """Say how a queue gets somebody who reads it."""
    if queue == LOG_QUEUE:  # every worker reads it; one that was started for it alone would handle nothing
        return "start a worker, each dispatches: eventsys worker MODULE (if one runs, see its --queues)"
    modules = "the modules whose handlers use it, or used it before"
    return f"start a worker for {modules}: eventsys worker MODULE --queues {queue}"


def _slowest(patient: Patient, queue: str) -> str:
    """Return what is said of the handler of a queue that takes longest; nothing where none was measured yet."""
    took = {
        one.name: figures.duration.p99
        for one in patient.standings
        if one.subscription.queue == queue and (figures := patient.figures.get(one.name)) is not None
    }
    measured = {name: length for name, length in took.items() if length is not None}
    if not measured:
        return ""
    name = max(measured, key=lambda name: measured[name])
    return f"; the slowest handler is {name}: its p99 is {span(measured[name])}"


def _poller(patient: Patient) -> Finding:
    # Where nobody promotes, what is due is still in the far tier.
    firsts, lasts = ([moment_of(one[1]) for one in map(patient.answer, ends) if one] for ends in _ENDS)
    lead, now_ms = patient.answer("poller"), patient.now_ms
    late_ms = max((now_ms - due_ms for due_ms in firsts), default=0)
    lease_end, _, leader = text_of(lead or b"0 nobody").partition(" ")
    leads = (whole_number(lease_end) or 0) > now_ms
    if late_ms > LATE_MS:
        tiers = (patient.keys.delayed_due, patient.keys.delayed_far_due)
        waiting = sum(map(int, patient.link.read([("ZCOUNT", tier, "-inf", now_ms) for tier in tiers])))
        who = f"{leader} leads" if leads else "no poller leads"
        overdue = many(waiting, "delayed entry is", "delayed entries are")
        return problem(
            "poller",
            f"{overdue} overdue, the first by {late_ms / 1000:.0f} s; {who}",
            "every worker process has a poller: start a worker, or see in its log why it cannot reach Redis",
        )
    # Who looks for an event that does not come sees here that it waits for another time than was meant.
    waits = f"; the next is due at {_shown(min(firsts))}, the last at {_shown(max(lasts))}" if firsts and lasts else ""
    return fine(
        "poller", (f"{leader} leads, nothing is overdue" if leads else "nothing is overdue; no poller leads") + waits
    )


def _sweeps(patient: Patient) -> Finding:
    states = patient.events.sweeps.states()
    late = [
        one["name"]
        for one in states
        # One that lies ahead ended before the clock was set back, and was not run since.
        if one["ended_ms"] is not None and abs(patient.now_ms - one["ended_ms"]) > one["interval_ms"] + 2 * OVERDUE_MS
    ]
    failed = [f"{one['name']} ({one['error']})" for one in states if one["error"]]
    if failed:
        return warning("sweeps", f"sweeps failed the last time: {', '.join(failed)}", "see the log of the workers")
    if late:
        return warning(
            "sweeps",
            f"sweeps were not run for too long: {', '.join(late)}",
            "start a worker, and a scheduler beside it: eventsys scheduler MODULE",
        )
    return fine("sweeps", f"{len(states)} sweeps are on time")


def _shown(due_ms: int) -> str:
    return f"{from_ms(due_ms):%Y-%m-%d %H:%M:%S} UTC"


def _seconds(length: timedelta) -> str:
    return f"{length.total_seconds():,.0f} s"
