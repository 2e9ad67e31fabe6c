"""How everything that enters eventsys is written down for the scripts: as a step to carry out.

`lua/includes/carry_out.lua` is the other side of this module.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from itertools import chain, groupby
from operator import itemgetter
from typing import Any, Literal

import msgspec

from eventsys.errors import InvalidEventError
from eventsys.model.durations import DurationLike, kept_milliseconds
from eventsys.store.delayed_bodies import event_body

Step = tuple[Any, ...]

WhenTaken = Literal["replace", "refuse"]

_encoder = msgspec.msgpack.Encoder()

#: Parts of the step of an entry that waits without a key.
_WITHOUT_KEY = 6

#: What came of a step in a row with others of its kind.
_DONE = {"event": (b"stored",), "delayed": (b"delayed",)}


def event_step(
    event_id: str,
    event_type: str,
    lane: int,
    envelope: str,
    *,
    key: str | None = None,
    window_ms: int = 0,
    chain: str | None = None,
    expire_after_ms: int = 0,
) -> Step:
    """Return the step that stores an event.

    Args:
        event_id: Its id.
        event_type: Its type.
        lane: Its priority, which is the log lane it goes to.
        envelope: Its stored form.
        key: Its idempotency key, if it has one.
        window_ms: How long that key is remembered.
        chain: Its correlation id, where other events may share it.
        expire_after_ms: How long after it was due, or published, its deliveries may still begin; 0: for ever.
    """
    return ("event", event_id, event_type, lane, envelope, key or False, window_ms, chain or False, expire_after_ms)


def expiry_ms_of(expire_after: DurationLike) -> int:
    """Return the limit of an event's age in milliseconds.

    Raises:
        InvalidDurationError: If it is no duration.
        InvalidEventError: If it is nothing.
    """
    limit_ms = kept_milliseconds(expire_after, "expire_after")
    if limit_ms < 1:
        raise InvalidEventError("expire_after is at least a millisecond; give none where an event is never too late")
    return limit_ms


def with_expiry(step: Step, expire_after_ms: int) -> Step:
    """Return the step that stores the same event, with another limit of its age unless it has one."""
    return step if step[8] else (*step[:8], expire_after_ms)


def message_step(queue: str, lane: int, fields: Mapping[str, str]) -> Step:
    """Return the step that puts a message on a lane of a queue."""
    flat: list[str] = []
    for name, value in fields.items():
        flat += (name, value)
    return ("message", queue, lane, flat)


def delayed_step(
    entry_id: str,
    due_ms: int,
    priority: int,
    step: Step,
    *,
    queue: str = "",
    facts: Mapping[str, Any] | None = None,
    key: str | None = None,
    when_taken: WhenTaken = "replace",
    retention_ms: int = 0,
) -> Step:
    """Return the step that carries out another step at `due_ms`.

    Args:
        entry_id: What it can be cancelled by: the id of the event, or of the message.
        due_ms: When, in milliseconds since 1970.
        priority: Decides among entries due at the same millisecond; 1 to 10.
        step: What to do then.
        queue: The queue of the message, which counts it as its own; empty for an event.
        facts: What a listing shows beside the event.
        key: The caller's name for it; of those that wait one at most has it.
        when_taken: What happens when another one has it: that one is cancelled, or this one refused.
        retention_ms: How long the record of one that is cancelled so is kept.
    """
    if key is None:
        return ("delayed", entry_id, due_ms, priority, queue, (entry_id, queue, step, facts or {}))
    body = (entry_id, queue, step, {**(facts or {}), "key": key})
    return ("delayed", entry_id, due_ms, priority, queue, body, key, when_taken, retention_ms)


def tick_step(
    actor: str,
    tick_ms: int,
    fields: str,
    step: Step,
    *,
    told: Sequence[Step] = (),
    if_new: Step | None = None,
    if_changed: Step | None = None,
) -> Step:
    """Return the step that sends a periodic actor its message for one tick, if nobody did before.

    Args:
        actor: The actor's name.
        tick_ms: The tick, in milliseconds since 1970.
        fields: When it is due, as five cron fields.
        step: What sends the message, now or later.
        told: Events that tell of the run.
        if_new: The event that tells of an actor never seen before.
        if_changed: The event that tells of one whose fields changed.
    """
    return ("tick", actor, tick_ms, fields, step, list(told), if_new or False, if_changed or False)


def packed(step: Step | list[Any] | bool) -> bytes:
    """Return `step` as the scripts read it."""
    return _encoder.encode(step)


def packed_steps(steps: Sequence[Step]) -> list[bytes | str]:
    """Return steps as the script `add` reads them: alike ones in a row as one piece, which costs Redis less.

    The envelopes of events follow their piece, as they are.
    """
    if len(steps) == 1 and steps[0][0] == "event":
        return _packed_events(steps)
    arguments: list[bytes | str] = []
    for kind, some in groupby(map(_row_of, steps), itemgetter(0)):
        if kind == "events":
            arguments += _packed_events([step for _, step in some])
        elif kind:
            arguments.append(packed([kind, *chain.from_iterable(parts for _, parts in some)]))
        else:
            arguments += [packed(step) for _, step in some]
    return arguments


def _packed_events(steps: Sequence[Step]) -> list[bytes | str]:
    """Return events as one piece, their envelopes behind it; what several in a row have in common is said once."""
    row: list[Any] = ["events", len(steps)]
    envelopes: list[str] = []
    common: Step | None = None
    event_type = ""
    for _, event_id, own_type, lane, envelope, *others in steps:
        alike = (lane, *others)
        if alike != common:
            common, event_type, types_at = alike, "", len(row) + len(alike)
            row += (*alike, 0)
        if own_type != event_type:
            event_type, many_at = own_type, len(row) + 1
            row += (own_type, 0)
            row[types_at] += 1
        row[many_at] += 1
        row.append(event_id)
        envelopes.append(envelope)
    return [packed(row), *envelopes]


def _row_of(step: Step) -> tuple[str, Step]:
    """Return the kind of row a step may stand in and what it says there, or the step."""
    if step[0] == "event":
        return "events", step
    if step[0] == "delayed" and len(step) == _WITHOUT_KEY and step[5][2][0] == "event":
        _, entry_id, due_ms, priority, _, (_, _, firing, facts) = step
        if (body := event_body(firing, facts)) is not None:
            return "delayed_events", (entry_id, due_ms, priority, firing[7], as_text(body))
    return "", step


def as_text(body: bytes) -> msgspec.Raw:
    """Return bytes as msgpack's text, which may hold any: the scripts' reader knows no other kind of bytes."""
    return msgspec.Raw(b"\xdb%b%b" % (len(body).to_bytes(4, "big"), body))


def results_of(steps: Sequence[Step], told: Sequence[Any]) -> list[Any]:
    """Return what came of steps that went out so, from what the script told of them."""
    return [_DONE[step[0]] if result == 1 else result for step, result in zip(steps, told, strict=True)]
