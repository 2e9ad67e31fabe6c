"""Reading one dead letter, and making a plain message of it that begins anew."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from typing import Any

import msgspec

from eventsys.clock import from_ms
from eventsys.errors import BadSignatureError, EventsysError
from eventsys.model.dead_letter import FORGED, JUNK, DeadLetter
from eventsys.model.envelope import decode_header, shown_event
from eventsys.model.event import Event
from eventsys.model.seal import MESSAGE, Seal, is_signed
from eventsys.store.renamed import LetterOwners

Fields = Mapping[str, str]

#: What a letter says of itself; everything else in it is what was in the queue.
_OWN = frozenset(
    {"died_ms", "reason", "error", "traceback", "attempts", "queue", "lane", "actor", "type", "first_ms", "redrives"}
    | {"log", "owner", "number", "step", "facts", "due_ms"}
)

#: What was in the lane beside an event, or with it, and is not shown again where that is.
_OF_EVENT = frozenset({"s", "e", "o", "t", "x", "n"})


def read_letter(letter_id: str, fields: Fields, owners: LetterOwners) -> DeadLetter:
    """Return a dead letter.

    Args:
        letter_id: Its id.
        fields: Its hash.
        owners: What tells whose it is.
    """
    kind, _, name = fields.get("owner", "").partition(":")
    event = _event(fields.get("e"))
    # What could not be handled has no owner, and may be the delivery of one all the same.
    wanted = name if kind == "subscription" else fields.get("s") if event is not None else None
    return DeadLetter(
        id=letter_id,
        reason=fields.get("reason", ""),
        subscription=None if wanted is None else owners.present(wanted, fields.get("number")),
        actor=name if kind == "actor" else None,
        type=event.type if event is not None else fields.get("type"),
        error=fields.get("error", ""),
        traceback=fields.get("traceback", ""),
        attempts=_number(fields, "attempts") or 0,
        first_failed_at=None if (first_ms := _number(fields, "first_ms")) is None else from_ms(first_ms),
        died_at=from_ms(_number(fields, "died_ms") or 0),
        redrives=_number(fields, "redrives") or 0,
        queue=fields.get("queue") or None,
        lane=_number(fields, "lane"),
        event=event,
        content=_content(fields, is_told=event is not None),
    )


def _content(fields: Fields, *, is_told: bool) -> dict[str, str]:
    """Return what was in the lane, but for what the event of a letter tells."""
    hidden = _OWN | _OF_EVENT if is_told else _OWN
    return {name: value for name, value in fields.items() if name not in hidden}


def revived_message(fields: Fields, seal: Seal | None = None) -> str:
    """Return the message of a plain actor with its retries to come anew; empty where that cannot be said of it.

    Its options are ours and Dramatiq's only where the encoder is Dramatiq's own, which writes JSON. What is signed is
    left as it is by a process that cannot sign it again, and by every process where the signature is wrong.
    """
    text = fields.get("m", "")
    if fields.get("reason") in JUNK or fields.get("reason") == FORGED:
        return ""
    with suppress(msgspec.MsgspecError, AttributeError, TypeError, BadSignatureError):
        if seal is not None:
            text = seal.body_of(MESSAGE, text)
        elif is_signed(text):
            return ""
        message: dict[str, Any] = msgspec.json.decode(text.encode())
        options = {key: value for key, value in message["options"].items() if key not in _SPENT}
        message["options"] = {**options, "redrives": (_number(fields, "redrives") or 0) + 1}
        revived = msgspec.json.encode(message).decode()
        return revived if seal is None else seal.signed(MESSAGE, revived)
    return ""


#: Options that tell of attempts before.
_SPENT = frozenset({"retries", "traceback", "requeue_timestamp", "parked_ms"})


def _number(fields: Fields, name: str) -> int | None:
    """Return a field that is a number; None where it is none, so that one odd letter does not hide all others."""
    text = fields.get(name, "")
    return int(text) if text.isascii() and text.isdecimal() and len(text) < _DIGITS else None


#: More digits than any time that is a date has.
_DIGITS = 15


def _event(envelope: str | None) -> Event[dict[str, Any]] | None:
    if envelope is None:
        return None
    try:
        event: Event[dict[str, Any]] = shown_event(decode_header(envelope))
    except (EventsysError, ValueError):
        return None
    return event
