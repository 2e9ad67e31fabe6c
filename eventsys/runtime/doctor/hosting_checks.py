"""Whether handlers get their events: somebody dispatches, and no process declares a subscription in its own way."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from eventsys.model.diagnosis import Finding, fine, problem, warning
from eventsys.model.machinery import Displaced, WorkerProcess
from eventsys.model.subscription import Subscription
from eventsys.readable import many
from eventsys.store.keys import LOG_QUEUE

from .patient import Patient, some

_CHECK = "declarations"


class _Quarrel(NamedTuple):
    """Subscriptions that processes of one application, the loser, declare otherwise than those of the holder."""

    loser: str
    holder: str
    names: list[str]
    differ: list[str]
    queues: list[str]
    addresses: list[str]


def check_hosting(patient: Patient) -> Iterator[Finding]:
    """Look at who dispatches, and at subscriptions that processes declare differently."""
    yield from _dispatchers(patient)
    yield from _declarations(patient)


def _dispatchers(patient: Patient) -> Iterator[Finding]:
    alive = [one for one in patient.processes if one.is_alive]
    count = sum(LOG_QUEUE in one.queues for one in alive)
    if count:
        yield fine("dispatcher", many(count, "process dispatches", "processes dispatch"))
    elif alive:
        living = many(len(alive), "process that runs handlers is", "processes that run handlers are")
        yield problem(
            "dispatcher",
            f"{living} alive, and none dispatches: events are stored, and reach no handler",
            "start a worker, each dispatches: eventsys worker MODULE (if one runs, see its --queues); events.start()"
            " alone runs what a process subscribed at run time, and dispatches nothing",
        )


def _declarations(patient: Patient) -> Iterator[Finding]:
    rows = {one.name: one.subscription for one in patient.standings}
    alive = [one for one in patient.processes if one.is_alive]
    displaced = [(process, one) for process in alive for one in process.displaced if one.subscription in rows]
    read = {queue for process in alive for queue in process.queues}
    doubled = [(one.name, former) for one in rows.values() for former in one.was if former in rows]
    for name, former in doubled:
        yield warning(
            _CHECK,
            f"{name} says that it was {former}, and there is a subscription of that name too: what both want goes to"
            " both",
            f"if one of them is not wanted, take its handler out and delete it, with what it has open: eventsys subs"
            f" delete {former}",
        )
    if not displaced and not doubled:
        yield fine(_CHECK, "no two living processes declare a subscription differently")
    for quarrel in _quarrels(displaced, rows):
        yield _told(quarrel, [queue for queue in quarrel.queues if queue not in read])


def _quarrels(displaced: list[tuple[WorkerProcess, Displaced]], rows: dict[str, Subscription]) -> list[_Quarrel]:
    found: dict[tuple[str, str], list[tuple[WorkerProcess, Displaced]]] = {}
    for process, one in displaced:
        found.setdefault((one.declared_by, rows[one.subscription].declared_by), []).append((process, one))
    return [
        _Quarrel(
            loser,
            holder,
            names=sorted({one.subscription for _, one in group}),
            differ=list(dict.fromkeys(field for _, one in group for field in one.differ)),
            queues=sorted({rows[one.subscription].queue for _, one in group}),
            addresses=sorted({f"{process.host}:{process.pid}" for process, _ in group}),
        )
        for (loser, holder), group in sorted(found.items())
    ]


def _told(quarrel: _Quarrel, unread: list[str]) -> Finding:
    where, what = some(quarrel.addresses), f"{some(quarrel.names)} with another {', '.join(quarrel.differ)}"
    nobody = f"; no living process reads {some(unread)}, where the deliveries go" if unread else ""
    if quarrel.loser == quarrel.holder:
        told = problem if unread else warning
        return told(
            _CHECK,
            f"{where} declared {what} than {quarrel.holder or 'another process'} does now{nobody}",
            "a deploy that is under way may end this. It does not where a process with the older code started last, and"
            " put its declaration back: if the code of the processes named here is the newer one, start them anew; else"
            " those with older code or other variables. Or give one of two handlers that share a name another name=",
        )
    return problem(
        _CHECK,
        f"{quarrel.loser or 'a process'} ({where}) declares {what} than {quarrel.holder or 'another process'}, whose"
        f" declaration is the later one and holds: the handlers of {quarrel.loser or 'that process'} may get"
        f" nothing{nobody}",
        "give the handlers of one application another name=; or, if both are one application, all its processes the"
        " same EVENTSYS_APP",
    )
