"""Finding dead letters: by the time they died, over all or of one owner."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

from eventsys.clock import first_ms, last_ms
from eventsys.errors import InvalidCursorError
from eventsys.model.dead_letter import FORGED, JUNK, DeadLetterFilter
from eventsys.model.patterns import pattern_matches
from eventsys.store.keys import LOG_QUEUE, Keys
from eventsys.store.link import Link
from eventsys.store.oddities import moment_of, reply_of, text_of, whole_number
from eventsys.store.renamed import letter_owners

#: Letters looked at in one round trip.
_CHUNK = 500

#: Letters a listing looks through for those of a type or a reason, once to show and once to count them; beyond, its
#: total is a lower bound.
MOST_COUNTED = 10_000

#: Digits of a time in a cursor.
_MOST_DIGITS = 15


class Found(NamedTuple):
    """A dead letter in an index; letters sort by time."""

    died_ms: int
    id: str


class LetterIndex:
    """The indexes of dead letters: one of all, and one of each subscription and each plain actor.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def page(self, wanted: DeadLetterFilter) -> tuple[list[Found], str | None]:
        """Return the letters of one page, and the cursor that leads to what follows, if anything may.

        No more than 10,000 letters, and those read with the last of them, are looked at: a page may have fewer than it
        has room for, or none, and a cursor all the same.

        Raises:
            InvalidCursorError: If the cursor is none of ours.
        """
        found: list[Found] = []
        seen = 0
        after = None if wanted.cursor is None else _place_of(wanted.cursor)
        for part in self._parts(wanted, after, until_ms=None):
            seen += len(part)
            found += self._fitting(part, wanted)
            if len(found) > wanted.page_size:
                return found[: wanted.page_size], _cursor_of(found[wanted.page_size - 1])
            if seen >= MOST_COUNTED:
                return found, _cursor_of(part[-1])
        return found, None

    def walk(self, wanted: DeadLetterFilter, *, until_ms: int | None = None) -> Iterator[list[Found]]:
        """Yield all letters that fit, the oldest first, some at a time; those already yielded may go meanwhile.

        Args:
            wanted: Which.
            until_ms: Leave out those that died later.
        """
        oldest_first = wanted.model_copy(update={"order": "oldest"})
        for part in self._parts(oldest_first, None, until_ms=until_ms):
            yield self._fitting(part, wanted)

    def count(self, wanted: DeadLetterFilter) -> tuple[int, bool]:
        """Return how many letters fit, and whether that is exact or a lower bound."""
        low, high = _bounds(wanted, None)
        in_time = int(self._link.call("ZCOUNT", self._index_of(wanted), low, high))
        if not wanted.types and wanted.reason is None:
            return in_time, True
        fitting = seen = 0
        for part in self._parts(wanted.model_copy(update={"cursor": None}), None, until_ms=None):
            seen += len(part)
            fitting += len(self._fitting(part, wanted))
            if seen >= MOST_COUNTED:
                break
        return fitting, seen >= in_time

    def find(self, letter_ids: Sequence[str]) -> list[Found]:
        """Return those of these letters that there are."""
        commands = [("ZSCORE", self._keys.dead, stored_id(letter_id)) for letter_id in letter_ids]
        scores = self._link.read(commands) if commands else []
        return [Found(moment_of(score), one) for one, score in zip(letter_ids, scores, strict=True) if score]

    def refusals(self, letter_ids: Sequence[str], cap: int) -> Counter[str]:
        """Count by cause which of these letters would not be sent again, as `lua/redrive_letters.lua` decides.

        Args:
            letter_ids: The letters.
            cap: Those that were sent again so often stay; 0: none do.
        """
        asked = ("reason", "redrives", "owner", "number", "queue")
        letters = [("HMGET", stored_id(self._keys.letter(one)), *asked) for one in letter_ids]
        living, *facts = self._link.pipeline([("HKEYS", self._keys.subscriptions), *letters])
        owners, names = letter_owners(self._link, self._keys), {text_of(one) for one in reply_of(living)}
        causes: Counter[str] = Counter()
        for reply in facts:
            reason, redrives, owner, number, queue = [None] * 5 if isinstance(reply, Exception) else reply
            kind, _, name = (owner or b"").decode("utf-8", "replace").partition(":")
            if reason is None:
                causes["gone"] += 1
            elif text_of(reason) in JUNK:
                causes["junk"] += 1
            elif 0 < cap <= (whole_number(redrives) or 0):
                causes["capped"] += 1
            elif text_of(reason) == FORGED and queue == LOG_QUEUE.encode():
                causes["junk"] += 1
            elif kind == "subscription" and owners.present(name, number and text_of(number)) not in names:
                causes["no_subscription"] += 1
        return causes

    def _parts(self, wanted: DeadLetterFilter, after: Found | None, *, until_ms: int | None) -> Iterator[list[Found]]:
        """Yield the letters of an index in order, from behind `after` on; each part is read when it is asked for."""
        index, is_newest = self._index_of(wanted), wanted.order == "newest"
        while True:
            low, high = _bounds(wanted, until_ms)
            if after is not None:
                low, high = (low, str(after.died_ms)) if is_newest else (str(after.died_ms), high)
            part = self._behind(index, low, high, after, is_newest=is_newest)
            if not part:
                return
            yield part
            after = part[-1]

    def _behind(self, index: str, low: str, high: str, after: Found | None, *, is_newest: bool) -> list[Found]:
        """Return the next letters behind one; several may have died in the same millisecond."""
        offset = 0
        while True:
            limit = ("WITHSCORES", "LIMIT", offset, _CHUNK)
            if is_newest:
                flat = self._link.call("ZREVRANGEBYSCORE", index, high, low, *limit)
            else:
                flat = self._link.call("ZRANGEBYSCORE", index, low, high, *limit)
            read = [
                Found(moment_of(score), one.decode("utf-8", "surrogateescape"))
                for one, score in zip(flat[::2], flat[1::2], strict=True)
            ]
            new = [one for one in read if after is None or _is_behind(one, after, is_newest=is_newest)]
            if new or len(read) < _CHUNK:
                return new
            offset += _CHUNK

    def _index_of(self, wanted: DeadLetterFilter) -> str:
        if wanted.subscription is not None:
            return self._keys.letters_of(wanted.subscription)
        return self._keys.dead if wanted.actor is None else self._keys.letters_of_actor(wanted.actor)

    def _fitting(self, part: Sequence[Found], wanted: DeadLetterFilter) -> list[Found]:
        if not wanted.types and wanted.reason is None:
            return list(part)
        replies: list[Any] = self._link.pipeline(
            [("HMGET", stored_id(self._keys.letter(one.id)), "reason", "type") for one in part]
        )
        return [
            one
            for one, reply in zip(part, replies, strict=True)
            if not isinstance(reply, Exception)
            for reason, event_type in [reply]
            if (wanted.reason is None or reason == wanted.reason.encode())
            and (not wanted.types or _is_one_of(event_type, wanted.types))
        ]


def stored_id(letter_id: str) -> bytes:
    """Return an id, or a key with one, as it is stored: one that is no text is read so that it can be written again."""
    return letter_id.encode("utf-8", "surrogateescape")


def _is_one_of(event_type: bytes | None, patterns: Sequence[str]) -> bool:
    return event_type is not None and any(pattern_matches(one, text_of(event_type)) for one in patterns)


def _bounds(wanted: DeadLetterFilter, until_ms: int | None) -> tuple[str, str]:
    latest = [] if until_ms is None else [until_ms]
    if wanted.end_time is not None:
        latest.append(last_ms(wanted.end_time))
    low = "-inf" if wanted.start_time is None else str(first_ms(wanted.start_time))
    return low, str(min(latest)) if latest else "+inf"


def _is_behind(one: Found, other: Found, *, is_newest: bool) -> bool:
    here = (one.died_ms, one.id.encode("utf-8", "surrogateescape"))
    there = (other.died_ms, other.id.encode("utf-8", "surrogateescape"))
    return here < there if is_newest else here > there


def _cursor_of(found: Found) -> str:
    return f"{found.died_ms}|{found.id}"


def _place_of(cursor: str) -> Found:
    died_ms, _, letter_id = cursor.partition("|")
    if not died_ms.isdecimal() or len(died_ms) > _MOST_DIGITS or not letter_id:
        raise InvalidCursorError(f"{cursor[:80]!r} leads nowhere; give next_cursor of the page before, as it is")
    return Found(int(died_ms), letter_id)
