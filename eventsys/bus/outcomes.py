"""What came of publishing: the stored event, or the error that tells the publisher."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

from pydantic import BaseModel

from eventsys.bus.drafting import Draft
from eventsys.errors import (
    EventConflictError,
    EventsysError,
    InvalidPayloadError,
    PartialPublishError,
    PayloadEncryptedError,
    PublishUnknownError,
    RedisUnavailableError,
)
from eventsys.model.envelope import decode_event, decode_header, shown_event
from eventsys.model.event import Event


def unavailable(draft: Draft, error: RedisUnavailableError) -> RedisUnavailableError:
    """Return what to tell who published: that nothing is stored, or that nobody knows."""
    if not error.may_have_run:
        return RedisUnavailableError(f"event {draft.event.id!r} was not published: {error}")
    return PublishUnknownError(
        f"event {draft.event.id!r} may or may not be stored, since the reply was lost ({error}); publishing it again"
        " under this id is safe",
        event_id=draft.event.id,
    )


def stored_event(draft: Draft, result: Any) -> Event[Any]:
    """Return the event as it is stored, which is an earlier one when this was published before.

    Raises:
        EventConflictError: If the earlier one has this id and other content.
    """
    if result[0] == b"stored":
        return draft.event
    first_id, envelope = result[1].decode(), result[2]
    if not envelope:
        return draft.event.model_copy(update={"id": first_id, "duplicate": True})
    first = _as_asked_for(envelope, draft)
    if first_id == draft.event.id and not _same_content(envelope, draft):
        raise EventConflictError(
            f"event {first_id!r} is stored already, with other content; give this one another id", event_id=first_id
        )
    return first.model_copy(update={"duplicate": True})


def outcome_of(draft: Draft, result: Any) -> Event[Any] | EventConflictError:
    """Return what `stored_event` returns, or the error it raises."""
    try:
        return stored_event(draft, result)
    except EventConflictError as error:
        return error


def accepted(
    drafts: Sequence[Draft], chunk: list[Draft], results: list[Any], before: list[Event[Any]]
) -> list[Event[Any]]:
    """Return the stored events of a chunk.

    Args:
        drafts: All that is published, chunk by chunk.
        chunk: The last chunk sent.
        results: What came of it.
        before: What is stored of the chunks before.

    Raises:
        PartialPublishError: If an id of the chunk is taken by other content: that event is refused, the others are not.
        EventConflictError: If that event is the only one.
    """
    stored: list[Event[Any]] = []
    refused: list[Event[Any]] = []
    conflict: EventConflictError | None = None
    for draft, result in zip(chunk, results, strict=True):
        if result[0] == b"stored":  # as nearly all of them
            stored.append(draft.event)
            continue
        outcome = outcome_of(draft, result)
        if isinstance(outcome, EventConflictError):
            conflict = conflict or outcome
            refused.append(draft.event)
        else:
            stored.append(outcome)
    if conflict is None:
        return stored
    if len(drafts) == 1:
        raise conflict
    unsent = [draft.event for draft in drafts[len(before) + len(chunk) :]]
    raise partial_error([*before, *stored], [*refused, *unsent], conflict) from conflict


def partial_error(stored: list[Event[Any]], refused: list[Event[Any]], error: EventsysError) -> PartialPublishError:
    """Return the error that tells which events are stored and which are not."""
    return PartialPublishError(
        f"{len(stored)} of {len(stored) + len(refused)} events are stored, then: {error}",
        published=stored,
        refused=refused,
    )


def _as_asked_for(envelope: bytes, draft: Draft) -> Event[Any]:
    """Return the stored event with a payload of the kind that was published, where it fits."""
    kind = type(draft.event.payload)
    if issubclass(kind, BaseModel):
        with suppress(InvalidPayloadError, PayloadEncryptedError):
            return decode_event(envelope, kind)
    return shown_event(decode_header(envelope))


def _same_content(envelope: bytes, draft: Draft) -> bool:
    first, own = shown_event(decode_header(envelope)), shown_event(decode_header(draft.envelope))
    return (first.type, first.payload, first.source, first.version) == (own.type, own.payload, own.source, own.version)
