"""The bodies of what waits in the delayed store; `lua/includes/delayed_body.lua` has the same two forms."""

from __future__ import annotations

from typing import Any

import msgspec

#: What an event's entry does not say because it is usual, at its place; the first three are always said.
_USUAL: tuple[Any, ...] = ("", "", 0, 0, False, 0, False, None)

#: How the rest of an envelope begins.
_TYPE = '"type":"'

_pack = msgspec.msgpack.Encoder().encode
_unpack = msgspec.msgpack.Decoder().decode


def event_body(step: tuple[Any, ...], facts: dict[str, Any]) -> bytes | None:
    """Return the short form of an event that waits; None where its envelope does not begin as ours do.

    Args:
        step: What stores the event when its time has come.
        facts: What a listing shows beside it.
    """
    _, event_id, event_type, lane, envelope, key, window_ms, chain, expire_after_ms = step
    head = f'{{"id":"{event_id}",'
    if not envelope.startswith(f'{head}{_TYPE}{event_type}"'):
        return None
    rest, window_ms = envelope[len(head) :], window_ms if key else 0
    parts = [event_id, rest, lane, expire_after_ms, key, window_ms, chain, facts or False]
    while not parts[-1] and len(parts) > 3:
        parts.pop()
    return _pack(parts)


def read_body(body: bytes) -> tuple[str, str, list[Any], dict[str, Any]]:
    """Return what is kept in a body of either form: id, queue, what is carried out, and what a listing shows.

    Raises:
        Exception: One of several when it is none of them; the parts are not checked.
    """
    parts: list[Any] = _unpack(body)
    if isinstance(parts[2], list):
        entry_id, queue, step, facts = parts
        return entry_id, queue, step, facts or {}
    entry_id, rest, lane, expire_after_ms, key, window_ms, chain, facts = (*parts, *_USUAL[len(parts) :])
    event_type = rest[len(_TYPE) : rest.index('"', len(_TYPE))]
    envelope = f'{{"id":"{entry_id}",{rest}'
    step = ["event", entry_id, event_type, lane, envelope, key, window_ms, chain, expire_after_ms]
    return entry_id, "", step, facts or {}
