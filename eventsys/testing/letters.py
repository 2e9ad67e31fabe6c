"""The dead letters of a bus, as a test sees them."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from eventsys.clock import from_ms
from eventsys.model.envelope import decode_event
from eventsys.model.event import Event
from eventsys.service import EventService


@dataclass(frozen=True)
class DeadLetter:
    """What was given up.

    Attributes:
        id: Of the letter.
        subscription: Whose delivery it was; of a plain actor's message the actor's name.
        reason: `failed`, `timeout`, `rejected`, `invalid_payload`, `unknown_actor`, `crash_loop` or `undecodable`.
        error: What the last attempt raised, as text.
        attempts: How many there were.
        died_at: When, by the clock of the harness.
        event: The event; None for a plain actor's message.
    """

    id: str
    subscription: str
    reason: str
    error: str
    attempts: int
    died_at: datetime
    event: Event[dict[str, Any]] | None


def dead_letters_of(events: EventService) -> list[DeadLetter]:
    """Return all dead letters of a bus, the oldest first."""
    link, keys = events.broker.link, events.broker.keys
    ids = [one.decode() for one in link.call("ZRANGE", keys.dead, 0, -1)]
    replies = link.pipeline([("HGETALL", keys.letter(one)) for one in ids]) if ids else []
    return [_letter(one, reply) for one, reply in zip(ids, replies, strict=True)]


def _letter(letter_id: str, flat: list[bytes]) -> DeadLetter:
    fields = {name.decode(): value.decode() for name, value in zip(flat[::2], flat[1::2], strict=True)}
    envelope = fields.get("e")
    return DeadLetter(
        id=letter_id,
        subscription=fields.get("s") or fields.get("actor", ""),
        reason=fields["reason"],
        error=fields.get("error", ""),
        attempts=int(fields.get("attempts", 0)),
        died_at=from_ms(int(fields["died_ms"])),
        event=None if envelope is None else decode_event(envelope, dict[str, Any]),
    )
