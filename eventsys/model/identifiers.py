"""Event ids: new ones in order of time, and the rule for the caller's own."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator

from eventsys.errors import InvalidEventError

LONGEST_ID = 128
"""Letters an id may have; the delayed store and the streams keep it as it is."""

# The last group of an id, 48 bits, counts within a millisecond. It starts at random in the lower half and grows by
# random steps of up to 16 bits, so there is room for two thousand million ids before the next millisecond is used.
_TAIL_LIMIT = 1 << 48
_STEP = 0xFFFF
# The clock may step back a little (a correction); ids stay in order. A longer step means that somebody turned the
# clock (a test), and ids follow it.
_STEP_BACK_MS = 60_000
_BLOCK = struct.Struct("<512Q")  # random words fetched at once: 4 KiB, about 15 microseconds

# Browsers and HTTP clients take these out of a path before they ask, escaped or not: nothing of such an id could be
# shown or changed by HTTP.
FOLDERS = (".", "..")


class _Sequence:
    """Where the ids of this process stand. Threads share it under its lock; a forked child starts again."""

    __slots__ = ("head", "last_ms", "lock", "tail", "words")

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.last_ms = 0
        self.head = ""
        self.tail = 0
        self.words: Iterator[int] = iter(())

    def begin(self, now_ms: int) -> None:
        """Start a millisecond: time, version, 12 random bits, variant, 14 random bits; and a random tail."""
        word = self.fetch_word()
        self.last_ms = now_ms
        self.head = (
            f"{now_ms >> 16:08x}-{now_ms & 0xFFFF:04x}-{0x7000 | (word & 0xFFF):04x}-{0x8000 | (word >> 50):04x}-"
        )
        self.tail = self.fetch_word() >> 17

    def fetch_word(self) -> int:
        """Return 64 random bits."""
        word = next(self.words, None)
        if word is None:
            self.words = iter(_BLOCK.unpack(os.urandom(_BLOCK.size)))
            word = next(self.words)
        return word


_sequence = _Sequence()
# A child would repeat its parent's ids, or wait for ever for a lock that no thread of its own holds.
os.register_at_fork(after_in_child=_sequence.__init__)  # type: ignore[misc]


def new_event_id(now_ms: int) -> str:
    """Return a new UUIDv7 as text: unique everywhere, and greater than every earlier one of this process.

    Args:
        now_ms: The clock's time in milliseconds since 1970; it can be read back from the id.
    """
    sequence = _sequence
    with sequence.lock:
        if now_ms > sequence.last_ms or now_ms < sequence.last_ms - _STEP_BACK_MS:
            sequence.begin(now_ms)
        word = next(sequence.words, None)
        if word is None:
            word = sequence.fetch_word()
        tail = sequence.tail + 1 + (word & _STEP)
        if tail >= _TAIL_LIMIT:
            sequence.begin(sequence.last_ms + 1)
            tail = sequence.tail
        sequence.tail = tail
        return f"{sequence.head}{tail:012x}"


def check_event_id(text: str, name: str = "event id") -> str:
    """Return `text` if it can be an event's id: 1 to 128 printable characters without whitespace.

    Args:
        text: The id.
        name: What errors call it; correlation and causation ids keep the same rule.

    Raises:
        InvalidEventError: If it cannot; the message says why.
    """
    if not isinstance(text, str):
        kind = type(text).__name__
        raise InvalidEventError(f"{name} is text, not {kind}; use str(...), or leave it out for the usual one")
    if not 0 < len(text) <= LONGEST_ID:
        raise InvalidEventError(f"{name} has {len(text)} characters, and must have 1 to {LONGEST_ID}: {text[:40]!a}")
    # isprintable is false for control characters, lone surrogates and every space but the plain one.
    if not text.isprintable() or " " in text:
        raise InvalidEventError(f"{name} {text!a} has whitespace or unprintable characters; use letters and digits")
    return text


def check_own_id(text: str) -> str:
    """Return `text` if it can be the id of an event that is published now: as above, and neither `.` nor `..`.

    Raises:
        InvalidEventError: If it cannot.
    """
    if text in FOLDERS:
        raise InvalidEventError(
            f"event id {text!a} means a folder where an address ends with it; use letters and digits"
        )
    return check_event_id(text)
