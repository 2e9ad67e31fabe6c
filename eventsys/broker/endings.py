"""How an attempt ends: what the commit is told to do."""

from __future__ import annotations

import json
import traceback
from collections.abc import Callable
from typing import Any

import dramatiq.errors
from dramatiq.errors import ActorNotFound
from dramatiq.middleware.time_limit import TimeLimitExceeded

from eventsys.errors import InvalidPayloadError, Reject, Retry
from eventsys.model.seal import Seal
from eventsys.store.steps import Step, delayed_step, message_step

from .actor import HandlerActor
from .messages import DeliveryMessage, LogMessage, Place, PlainMessage, Received
from .past import LATEST_MS
from .sending import plain_text

#: Longest error text and traceback kept, in letters; a recursion error has a megabyte of them.
LONGEST_ERROR = 1_000
LONGEST_TRACEBACK = 8_000

#: How long a message of an unknown plain actor is tried again before it is a dead letter: a deploy takes less.
PARKED_MS = 15 * 60 * 1000

#: How long it waits between.
PARKING_MS = 5_000

#: Most parts kept of an entry that is no message: a script can pass on some thousand values and no more.
MOST_JUNK = 200

Ending = tuple[Any, ...]

DONE: Ending = ("done",)


def ending_of_success(message: Received, worker: int) -> Ending:
    """Return how a message ends that was acknowledged: done, dispatched, succeeded, or to be tried again."""
    attempt = message.attempt
    retry = attempt.retry if attempt is not None else None
    if isinstance(message, LogMessage):
        return (
            "dispatched",
            message.event_id,
            message.version,
            message.place.lane,
            message.envelope,
            message.targets,
            message.event_type,
            False if message.expires_ms is None else str(message.expires_ms),
        )
    if isinstance(message, DeliveryMessage):
        number, is_first = _number(message), message.is_first
        if message.is_expired:
            line = f"x{message.started_ms},0,{worker}"
            return ("ended", message.event_id, number, line, is_first, message.header.type, -1, -1)
        if retry is None:
            # As `_measures` has it, but this is the end of nearly all.
            stored_ms, event_type = message.stored_ms, message.header.type
            waited_ms = max(0, message.started_ms - stored_ms) if stored_ms and is_first else -1
            line = _line("s", message, worker)
            return ("ended", message.event_id, number, line, is_first, event_type, waited_ms, message.took_us)
        return ("retry", message.event_id, number, _line("f", message, worker), is_first, retry, *_measures(message))
    if retry is None:
        return DONE
    return ("retry", False, 0, "", True, retry)


def ending_of_failure(
    message: Received,
    worker: int,
    *,
    now_ms: int,
    parked_ms: int,
    known: Callable[[str], tuple[int, bool]],
    seal: Seal | None = None,
) -> Ending:
    """Return how a message ends that was rejected: dead, or waiting for a process that knows its actor.

    Args:
        message: What was rejected.
        worker: The number of this process.
        now_ms: The time.
        parked_ms: How long a message of an unknown plain actor is tried again.
        known: The number of a subscription, 0 if there never was one of that name, and whether it still exists.
        seal: What signs a message that goes on; None: it is not signed.
    """
    if isinstance(message, DeliveryMessage) and isinstance(message.error, ActorNotFound):
        return _unhosted(message, worker, *known(message.subscription))
    if is_to_be_parked(message, now_ms=now_ms, parked_ms=parked_ms):
        return _parked(message, now_ms, seal)
    error, trace = message.described or described(message.error)
    facts = ["reason", _reason(message), "error", error, "traceback", trace, "attempts", str(_attempts(message))]
    facts += ["queue", message.queue_name, "lane", str(message.place.lane), "actor", message.actor_name]
    facts += ["first_ms", str(_said(message, "first_ms", message.started_ms))]
    if redrives := _said(message, "redrives", 0):
        facts += ["redrives", str(redrives)]
    if isinstance(message, DeliveryMessage):
        facts += ["s", message.subscription, "e", message.envelope, "type", message.header.type]
        if message.replay:
            facts += ["o", json.dumps({"replay": message.replay})]
        facts += ["owner", f"subscription:{message.subscription}"]
        line = _line("d", message, worker)
        is_first, letter_id = message.is_first, message.message_id
        return ("dead", message.event_id, _number(message), line, is_first, letter_id, facts, *_measures(message))
    facts += ["m", plain_text(message, seal), "owner", f"actor:{message.actor_name}"]
    return ("dead", False, 0, "", True, message.message_id, facts)


def steps_of_failure(message: Received) -> list[Step]:
    """Return what a rejected message leaves behind: a plain one goes out too that a middleware enqueued by itself."""
    attempt = message.attempt
    if attempt is None:
        return []
    if attempt.retry is None or isinstance(message, DeliveryMessage):
        return attempt.steps
    return [*attempt.steps, attempt.retry]


def hook_of_failure(ending: Ending) -> str:
    """Return the hook that is told of the end of a rejected message; no middleware has the one for what is parked."""
    return "after_parking" if ending[0] == "retry" else "after_nack"


def verdict_of(message: Received) -> str:
    """Return what an attempt says of the health of its subscription: `s` well, `f` failed, or empty for neither.

    What a handler asked for, and a payload that nobody could handle, says nothing; nor does what was too late to begin.
    """
    error = message.error
    if error is None:
        return "" if isinstance(message, DeliveryMessage) and message.is_expired else "s"
    is_neither = isinstance(error, (Reject, Retry, dramatiq.errors.Retry, InvalidPayloadError, ActorNotFound))
    return "" if is_neither else "f"


def ending_of_waiting(message: DeliveryMessage, *, is_hosted: bool) -> Ending:
    """Return how a delivery ends that may not run now: in the waiting room, and no attempt is used.

    Args:
        message: The delivery.
        is_hosted: Whether it waits for its state alone, and may go back as soon as that allows it.
    """
    fields = entry_of(message)
    if message.expires_ms is not None and not is_hosted:
        # What its state holds back is never too late; what nobody can run may be.
        fields += ["x", str(message.expires_ms)]
    return ("waiting", message.subscription, message.place.lane, fields, is_hosted)


def entry_of(message: DeliveryMessage) -> list[str]:
    """Return a delivery as an entry of a lane, by which it can go there again."""
    fields = ["s", message.subscription, "e", message.envelope, "o", json.dumps(message.options)]
    return [*fields, "t", str(message.stored_ms)] if message.stored_ms else fields


def ending_of_junk(
    letter_id: str, why: str, fields: list[bytes], *, reason: str = "undecodable", place: Place | None = None
) -> Ending:
    """Return how an entry ends that is no message: a dead letter with its bytes, as far as they are text.

    Args:
        letter_id: The letter's id.
        why: What is wrong with it.
        fields: What it is, as it came.
        reason: Why it is a dead letter.
        place: Where it stood, for what may go there again.
    """
    facts = [part.decode("utf-8", "backslashreplace") for part in fields[:MOST_JUNK]]
    if len(facts) % 2:
        facts.append("")
    # Ours come last, so that nothing in the junk takes their place.
    if place is not None:
        facts += ["queue", place.queue, "lane", str(place.lane)]
    facts += ["reason", reason, "error", why[:LONGEST_ERROR], "attempts", "0", "owner", "junk"]
    return ("dead", False, 0, "", True, letter_id, facts)


def is_to_be_parked(message: Received, *, now_ms: int, parked_ms: int) -> bool:
    """Say whether a rejected message of a plain actor waits for a process that knows it, and is not given up yet."""
    if isinstance(message, DeliveryMessage) or not isinstance(message.error, ActorNotFound):
        return False
    return now_ms - _said(message, "parked_ms", now_ms) < parked_ms


def is_undecided(message: Received) -> bool:
    """Say whether a delivery failed and nobody said what then, because the hook that decides it broke."""
    attempt = message.attempt
    has_failed = isinstance(message, DeliveryMessage) and message.error is not None
    return has_failed and attempt is not None and attempt.retry is None


def _unhosted(message: DeliveryMessage, worker: int, number: int, exists: bool) -> Ending:
    if not exists:
        return (
            "ended",
            message.event_id,
            f"{number}#{message.replay}" if message.replay else number,
            f"c{message.started_ms},0,{worker}",
            message.is_first,
            message.header.type,
            -1,
            -1,
        )
    return ending_of_waiting(message, is_hosted=False)


def _parked(message: Received, now_ms: int, seal: Seal | None) -> Ending:
    copy = message.copy(options={"parked_ms": _said(message, "parked_ms", now_ms)})
    step = message_step(message.queue_name, message.place.lane, {"m": plain_text(copy, seal)})
    later = delayed_step(message.message_id, now_ms + PARKING_MS, 5, step, queue=message.queue_name)
    return ("retry", False, 0, "", True, later)


def _attempts(message: Received) -> int:
    """Return how many attempts there were, this one and those before a redrive included."""
    return message.previous + 1 + _said(message, "before", 0)


def _said(message: Received, option: str, otherwise: int) -> int:
    """Return the number that an option is; what else stands there counts as if nothing did."""
    value = message.options.get(option)
    return value if type(value) is int and 0 <= value <= LATEST_MS else otherwise


def _number(message: DeliveryMessage) -> int | str:
    number = message.actor.subscription.number if isinstance(message.actor, HandlerActor) else 0
    return f"{number}#{message.replay}" if message.replay else number


def _measures(message: DeliveryMessage) -> tuple[str, int, int]:
    """Return what the metrics get: the event's type, the wait until its first attempt began, how long this one took."""
    if not message.stored_ms or not message.is_first:
        return message.header.type, -1, message.took_us
    return message.header.type, max(0, message.started_ms - message.stored_ms), message.took_us


def _line(letter: str, message: DeliveryMessage, worker: int) -> str:
    line = f"{letter}{message.started_ms},{message.took_us},{worker}"
    if message.error is None:
        return line
    error, trace = message.described or described(message.error)
    return f"{line},{json.dumps([error, trace])}"


def described(error: BaseException | None) -> tuple[str, str]:
    """Return what an error says, and its traceback, as long as they are kept and as text that can be stored.

    A handler may raise anything: an error whose text cannot be made, or one that names a file as it was found, which
    may be no valid Unicode.
    """
    if error is None:
        return "", ""
    try:
        said = str(error)
    except Exception as problem:
        said = f"its text cannot be made, for {type(problem).__name__}"
    text = f"{type(error).__name__}: {said}".removesuffix(": ")[:LONGEST_ERROR]
    trace = "".join(traceback.format_exception(error))
    return _storable(text), _storable(trace[-LONGEST_TRACEBACK:])


def _storable(text: str) -> str:
    return text if text.isascii() else text.encode("utf-8", "backslashreplace").decode()


def _reason(message: Received) -> str:
    error = message.error
    if isinstance(error, ActorNotFound):
        return "unknown_actor"
    if isinstance(error, InvalidPayloadError):
        return "invalid_payload"
    if isinstance(error, Reject):
        return "rejected"
    if isinstance(error, TimeLimitExceeded):
        return "timeout"
    if isinstance(message, PlainMessage) and error is None:
        return "rejected"
    return "failed"
