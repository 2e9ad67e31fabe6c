"""Event ids: new ones in order of time, and the rule for the caller's own."""

from __future__ import annotations

import os
import struct
import threading
from collections.abc import Iterator

from eventsys.errors import InvalidEventError

LONGEST_ID = 128
"""Letters an id may have; the delayed store and the streams keep it as it is."""

_LOW_48 = (1 << 48) - 1
_TAIL_LIMIT = 1 << 62
# The clock may step back a little (a correction); ids stay in order. A longer step means that somebody turned the
# clock (a test), and ids follow it.
_STEP_BACK_MS = 60_000
_WORDS = 512  # random words fetched from the system at once: 4 KiB, about 15 microseconds
_BLOCK = struct.Struct(f"<{_WORDS}Q")


class _Sequence:
    """Makes UUIDv7s that only grow. Threads share it; a forked child starts its own."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last_ms = 0
        self._head = ""
        self._tail = 0
        self._words: Iterator[int] = iter(())

    def next_id(self, now_ms: int) -> str:
        with self._lock:
            word = next(self._words, None)
            if word is None:
                word = self._fetch_words()
            self._tail += 1 + (word >> 32)
            if now_ms > self._last_ms or now_ms < self._last_ms - _STEP_BACK_MS:
                self._begin(now_ms, word)
            elif self._tail >= _TAIL_LIMIT:
                self._begin(self._last_ms + 1, word)
            tail = self._tail
            # 0x8000 is the variant that RFC 9562 asks for.
            return f"{self._head}{0x8000 | (tail >> 48):04x}-{tail & _LOW_48:012x}"

    def _begin(self, now_ms: int, word: int) -> None:
        """Start a millisecond: 12 random bits in the head, and a tail that starts in the lower half of its range."""
        self._last_ms = now_ms
        self._head = f"{now_ms >> 16:08x}-{now_ms & 0xFFFF:04x}-7{word & 0xFFF:03x}-"
        self._tail = next(self._words, word) >> 3

    def _fetch_words(self) -> int:
        self._words = iter(_BLOCK.unpack(os.urandom(_BLOCK.size)))
        return next(self._words)


_sequence = _Sequence()


def _start_again() -> None:
    """Give a forked child its own lock and randomness: the parent's would be repeated, or held for ever."""
    global _sequence
    _sequence = _Sequence()


os.register_at_fork(after_in_child=_start_again)


def new_event_id(now_ms: int) -> str:
    """Return a new UUIDv7 as text: unique everywhere, and greater than every earlier one of this process.

    Args:
        now_ms: The clock's time in milliseconds since 1970; it can be read back from the id.
    """
    return _sequence.next_id(now_ms)


def check_event_id(text: str) -> str:
    """Return `text` if it can be an event's id: 1 to 128 printable characters without whitespace.

    Raises:
        InvalidEventError: If it cannot; the message says why.
    """
    if not isinstance(text, str):
        raise InvalidEventError(f"an event id is text, not {type(text).__name__}; leave it out to get a new one")
    if not 0 < len(text) <= LONGEST_ID:
        raise InvalidEventError(
            f"an event id has 1 to {LONGEST_ID} characters, this one has {len(text)}: {text[:40]!r}"
        )
    # isprintable is false for control characters, lone surrogates and every space but the plain one.
    if not text.isprintable() or " " in text:
        raise InvalidEventError(f"event id {text!r} has whitespace or unprintable characters; use letters and digits")
    return text
