"""What a sent message becomes: a step for the scripts."""

from __future__ import annotations

import json
from typing import Any

from dramatiq import Message
from dramatiq.encoder import JSONEncoder
from dramatiq.message import get_encoder

from eventsys.errors import BackpressureError, InvalidDurationError
from eventsys.model.seal import MESSAGE, Seal
from eventsys.store.steps import Step, delayed_step, message_step, packed, tick_step

from .attempt import FOLLOWING, Attempt
from .messages import DeliveryMessage

#: The lanes of plain actors, by the name their `lane` option gives.
LANE_NAMES = {"low": 1, "normal": 5, "high": 8, "critical": 10}

#: Writes what Dramatiq's own encoder does, which makes such a writer anew for each message.
_as_json = json.JSONEncoder(separators=(",", ":")).encode

#: Beyond all times that Redis's scores tell to the millisecond.
_NEVER_MS = 2**53


def step_of(
    message: Message[Any], attempt: Attempt | None, *, usual_lane: str | None, seal: Seal | None = None
) -> Step:
    """Return the step that sends a message, now or when it is due.

    Args:
        message: The message; its option `due_ms` or `eta` says when, in milliseconds since 1970, and its option `claim`
            which tick of a periodic actor it is for.
        attempt: The attempt it is sent from. A delivery under attempt that is sent again is its own retry.
        usual_lane: The lane of its actor, for a message that names none.
        seal: What signs it; None: it is not signed.

    Raises:
        InvalidDurationError: If it is due at no time that can be told.
    """
    lane = LANE_NAMES.get(message.options.get("lane") or usual_lane or "normal", 5)
    options = dict(message.options)
    due_ms, eta, claim = options.pop("due_ms", None), options.pop("eta", None), options.pop("claim", None)
    options.pop("parked_ms", None)  # a process knew its actor since
    if due_ms is None and isinstance(eta, (int, float)):
        due_ms = eta
    under_attempt = attempt.message if attempt is not None else None
    if isinstance(under_attempt, DeliveryMessage) and message.message_id == under_attempt.message_id:
        kept = json.dumps(_kept(under_attempt))
        fields = {"s": under_attempt.subscription, "e": under_attempt.envelope, "o": kept}
        lane = under_attempt.place.lane
    else:
        stored = message if len(options) == len(message.options) else _with_options(message, options)
        fields = {"m": plain_text(stored, seal)}
    step = message_step(message.queue_name, lane, fields)
    if due_ms is not None:
        step = delayed_step(message.message_id, _moment(due_ms, message), lane, step, queue=message.queue_name)
    if claim is None:
        return step
    step = tick_step(message.actor_name, step=step, **claim)
    return step if seal is None else seal.signed_step(step)


def leaves_with(attempt: Attempt, message: Message[Any], step: Step) -> bool:
    """Keep a message until an attempt commits, if that takes it; say whether it does, else it has to be sent at once.

    The message under attempt, enqueued again by a hook, is its retry; a plain one that several enqueue, as a middleware
    does that sends it elsewhere, is sent as often. What else hooks enqueue leaves at once where the
    commit has no room for it any more: whatever they raise is passed over, and the attempt would end without it.

    Args:
        attempt: The attempt that the message is sent from.
        message: The message.
        step: What sends it.

    Raises:
        AttemptEndedError: If the attempt is over.
        BackpressureError: If its handler has published as much as one commit may carry.
    """
    is_following = attempt.phase == FOLLOWING
    if is_following and message.message_id == attempt.message_id:
        if attempt.retry is not None and not isinstance(attempt.message, DeliveryMessage):
            attempt.steps.append(attempt.retry)
        attempt.retry = step
        return True
    if not (is_following or attempt.takes_sends):
        return False
    try:
        attempt.add(step, len(packed(step)))
    except BackpressureError:
        if not is_following:
            raise
        return False
    return True


def _moment(due_ms: Any, message: Message[Any]) -> int:
    """Return when a message is due, in whole milliseconds since 1970."""
    if not isinstance(due_ms, (int, float)) or not abs(due_ms) < _NEVER_MS:
        raise InvalidDurationError(
            f"{message.actor_name}({message.message_id}) is to wait until a moment that no clock tells; give a delay in"
            " milliseconds, below a thousand years"
        )
    return int(due_ms)


def plain_text(message: Any, seal: Seal | None) -> str:
    """Return a message of a plain actor as it is stored: signed, where there is a seal."""
    text = _as_json(_parts_of(message)) if type(get_encoder()) is JSONEncoder else message.encode().decode()
    return text if seal is None else seal.signed(MESSAGE, text)


def _parts_of(message: Any) -> dict[str, Any]:
    return {
        "queue_name": message.queue_name,
        "actor_name": message.actor_name,
        "args": message.args,
        "kwargs": message.kwargs,
        "options": message.options,
        "message_id": message.message_id,
        "message_timestamp": message.message_timestamp,
    }


#: Options of a delivery that hold for every attempt.
_LASTING = frozenset({"before", "redrives", "replay"})


def _kept(message: DeliveryMessage) -> dict[str, Any]:
    """Return what the next attempt at a delivery has to know of those before."""
    kept = {name: value for name, value in message.options.items() if name in _LASTING}
    kept["first_ms"] = message.options.get("first_ms", message.started_ms)
    return {"retries": message.previous + 1, **kept}


def _with_options(message: Any, options: dict[str, Any]) -> Message[Any]:
    return Message(
        queue_name=message.queue_name,
        actor_name=message.actor_name,
        args=message.args,
        kwargs=message.kwargs,
        options=options,
        message_id=message.message_id,
        message_timestamp=message.message_timestamp,
    )
