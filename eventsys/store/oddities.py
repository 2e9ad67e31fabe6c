"""Reading stored bytes that perhaps none of ours wrote: a clear error that names the key, or a row passed over."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, TypeVar

import msgspec

from eventsys.errors import EventsysError, RedisUnavailableError, SettingsError, UnreadableError

logger = logging.getLogger(__name__)

#: What reading bytes of another shape, or none, can raise.
_ODD = (ValueError, TypeError, LookupError, AttributeError, ArithmeticError, RecursionError, msgspec.MsgspecError)

#: Most places a process warns of, each once: lists are read again and again, by every page that is open.
_MOST_TOLD = 1_000

#: The last whole second that a datetime can name, in milliseconds since 1970.
_LAST_MS = 253_402_300_799_000.0

#: Most characters of a number of 64 bits: what Redis counts with.
_DIGITS = 20

_told: set[str] = set()

Read = TypeVar("Read")


@contextmanager
def reading(key: str) -> Iterator[None]:
    """Turn whatever odd bytes make fail within into an `UnreadableError` that names where they are stored.

    Args:
        key: The key in Redis, and which part of it where that is a row of many.
    """
    try:
        yield
    except EventsysError:
        raise
    except _ODD as error:
        said = " ".join(str(error).split())[:200]
        raise UnreadableError(
            f"what is stored under {key!r} cannot be read ({type(error).__name__}: {said}); nothing of eventsys wrote"
            " it so, or it is damaged: docs/keys.md tells what belongs there",
            key=key,
        ) from error


def read_or_pass_over(key: str, read: Callable[..., Read], *arguments: Any) -> Read | None:
    """Return what `read` does; None, and a warning, where that cannot be read: one odd row does not hide the others.

    Args:
        key: Where it is stored.
        read: Reads it.
        arguments: What `read` is called with.

    Raises:
        RedisUnavailableError: If it asks Redis, and that does not answer.
        SettingsError: If a newer eventsys has written it: this one is to be upgraded, and not to overlook it.
    """
    try:
        with reading(key):
            return read(*arguments)
    except (RedisUnavailableError, SettingsError):
        raise
    except EventsysError as error:
        _warn(key, error)
        return None


def read_strictly(key: str, read: Callable[..., Read], *arguments: Any) -> Read:
    """Return what `read` does, as `read_or_pass_over`; raise an error that names the key where it cannot be read."""
    with reading(key):
        return read(*arguments)


def reply_of(reply: Any) -> Any:
    """Return a reply of a pipeline; raise it where Redis refused the command, as it does on a key of another type."""
    if isinstance(reply, Exception):
        raise reply
    return reply


def texts_of(flat: Any) -> dict[str, str]:
    """Return the fields of a hash as text; what is no UTF-8 is replaced."""
    flat = reply_of(flat)
    return {text_of(name): text_of(value) for name, value in zip(flat[::2], flat[1::2], strict=True)}


def numbers_of(key: str, flat: Any) -> dict[str, int]:
    """Return the fields of a hash that are whole numbers; others are passed over, with a warning."""
    flat = reply_of(flat)
    found: dict[str, int] = {}
    for name, value in zip(flat[::2], flat[1::2], strict=True):
        number = whole_number(value)
        if number is None:
            _warn(key, ValueError(f"field {text_of(name)[:80]!r} is no whole number"))
        else:
            found[text_of(name)] = number
    return found


def text_of(value: bytes) -> str:
    """Return stored text; what is no UTF-8 is replaced."""
    return value.decode("utf-8", "replace")


def moment_of(score: bytes | float) -> int:
    """Return the time that a score is, in ms; one beyond all dates counts as the last that is one, or the first."""
    return int(max(0.0, min(float(score), _LAST_MS)))


def whole_number(value: bytes | str | None) -> int | None:
    """Return a stored whole number of at most 64 bits; None where it is none."""
    text = value.decode("latin-1") if isinstance(value, bytes) else value
    if text is None or not text.removeprefix("-").isdecimal() or not text.isascii() or len(text) > _DIGITS:
        return None
    return int(text)


def _warn(key: str, error: Exception) -> None:
    if key in _told or len(_told) >= _MOST_TOLD:
        return
    _told.add(key)
    logger.warning(
        "passed over what is stored under %r: %s", key, error, extra={"action": "unreadable_passed_over", "key": key}
    )
