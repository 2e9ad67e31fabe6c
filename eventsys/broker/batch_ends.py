"""How the deliveries of a batch end: each by itself, all in one commit with what the handler published."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING

from eventsys.errors import BatchError

from .actor import HandlerActor
from .attempt import Attempt, enter_attempt, leave_attempt
from .batch import Batch
from .endings import described
from .finished import Finished, Shared
from .messages import DeliveryMessage

if TYPE_CHECKING:
    from .work import Work


def end_batch(work: Work, batch: Batch) -> None:
    """End the attempt at every delivery of a batch; what its handler published goes out with those that succeeded.

    Deliveries that failed are judged one by one, by the hook `after_batched_failure` of the middleware, each as an
    attempt of its own: so each has its own retry. Nothing is acknowledged before the commit has returned.
    """
    attempt = batch.attempt
    _leave(work, batch)
    is_whole = batch.error is not None and not isinstance(batch.error, BatchError)
    text = described(batch.error) if is_whole else None
    success = _Success(work, batch)
    shared = None
    if attempt is not None and (attempt.steps or attempt.is_awaited):
        shared = Shared(attempt, len(batch.deliveries))
    finished: list[Finished] = []
    for at, one in enumerate(batch.deliveries):
        error = batch.failures.get(at, batch.error if is_whole else None)
        if error is None and not batch.failed:
            finished.append(success.of(one))
            finished[-1].succeeded = True
        else:
            one.described = text if error is batch.error else None
            finished.append(_failed(work, batch, one, error))
        finished[-1].shared = shared
    if attempt is not None:
        finished[0].weight += attempt.weight
    work.in_flight.end_batch(batch.queue_name, len(finished))
    work.committer.put_batch(finished)


def _leave(work: Work, batch: Batch) -> None:
    """Let nothing in any more, and take off the marks that tell what runs."""
    token, batch.token = batch.token, None
    if batch.attempt is not None:
        batch.attempt.seal()
    if token is not None:
        leave_attempt(token)
    if work.begun_board is not None:
        for one in (batch, *batch.deliveries):
            slot, one.begun_slot = one.begun_slot, None
            if slot is not None:
                work.begun_board.leave(slot)


class _Success:
    """Ends deliveries that succeeded; nearly everything about them is the same."""

    def __init__(self, work: Work, batch: Batch) -> None:
        actor = batch.actor
        number = actor.subscription.number if isinstance(actor, HandlerActor) else 0
        self._work = work
        self._number = number
        self._started_ms, self._took_us = batch.started_ms, batch.took_us
        self._line = f"s{batch.started_ms},{batch.took_us},{work.presence.number}"
        self._gate = (batch.actor_name, "s") if batch.actor_name in work.gates.kept else None
        self._tells = work.hooks.any_for("before_ack") or work.hooks.any_for("after_ack")

    def of(self, one: DeliveryMessage) -> Finished:
        number = f"{self._number}#{one.replay}" if one.replay else self._number
        waited_ms = max(0, self._started_ms - one.stored_ms) if one.stored_ms and one.is_first else -1
        header = one.header
        ending = ("ended", header.id, number, self._line, one.is_first, header.type, waited_ms, self._took_us)
        told = self._told(one) if self._tells else None
        return Finished(one.place, ending, [], told, None, self._gate, one.weight)

    def _told(self, one: DeliveryMessage) -> Callable[[str], None] | None:
        one.started_ms, one.took_us = self._started_ms, self._took_us
        self._work.hooks.call_before("before_ack", one)
        return self._work.when_committed(one, "after_ack", None)


def _failed(work: Work, batch: Batch, one: DeliveryMessage, error: BaseException | None) -> Finished:
    one.started_ms, one.took_us = batch.started_ms, batch.took_us
    one.attempt = own = Attempt(one, takes_sends=True, owner=work.owner)
    own.handler_ended(succeeded=False)
    if error is not None:
        one.stuff_exception(error)
    if batch.failed:
        one.fail()
    token = enter_attempt(own)
    try:
        work.hooks.call_after("after_batched_failure", one, exception=error)
    finally:
        leave_attempt(token)
    own.seal()
    signal = "nack" if one.failed else "ack"
    work.hooks.call_before(f"before_{signal}", one)
    finished = work.finished(one, succeeded=not one.failed)
    one.clear_exception()
    return finished
