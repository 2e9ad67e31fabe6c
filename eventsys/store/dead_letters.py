"""Dead letters: list, show, send again, purge."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Any, NamedTuple, TypeAlias

from eventsys.clock import Clock
from eventsys.errors import NotFoundError, RedriveRefusedError
from eventsys.model.dead_letter import DeadLetter, DeadLetterFilter, RedriveResult
from eventsys.model.expecting import expect
from eventsys.model.queries import Page, page_of
from eventsys.model.rates import RateLike, interval_of_rate
from eventsys.model.seal import Seal
from eventsys.store.keys import Keys
from eventsys.store.letter_index import Found, LetterIndex, stored_id
from eventsys.store.letters import read_letter, revived_message
from eventsys.store.link import Link
from eventsys.store.oddities import read_or_pass_over, reading, reply_of, text_of, texts_of
from eventsys.store.renamed import LetterOwners, letter_owners
from eventsys.store.scripts import script

#: Times a letter is sent again before that is refused: what has failed so often needs a person, not another try.
REDRIVE_CAP = 10

#: Letters that one script sends again: it blocks Redis for about 50 µs each.
_AT_ONCE = 100

_WHY = {
    "gone": "there is none of this id any more; eventsys dead ls shows what there is",
    "capped": "it was sent again {redrives} times before; mend the cause, then redrive with force=True, or purge it",
    "junk": "its reason is {reason!r}, so it is no message that could be handled; it can be shown and purged",
    "unfired": "Redis still refuses to let its event go; eventsys dead show tells why",
    "no_subscription": "its subscription {subscription!r} has ended; subscribe it again, or purge the letter",
}

_Letters: TypeAlias = list[DeadLetter]


class _Turn(NamedTuple):
    """When the next letters are due: 0 for at once."""

    due_ms: int
    interval_ms: float


class DeadLetters:
    """What was given up, over all subscriptions and plain actors; nothing but a person takes anything out.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        clock: The time.
        retention_ms: How long the record of a finished event is kept.
        seal: What signs messages that are sent again; None: nothing is signed.
    """

    def __init__(self, link: Link, keys: Keys, clock: Clock, *, retention_ms: int, seal: Seal | None = None) -> None:
        self._seal = seal
        self._retention_ms = retention_ms
        self._link = link
        self._keys = keys
        self._clock = clock
        self._index = LetterIndex(link, keys)

    def list(self, wanted: DeadLetterFilter | None = None) -> Page[DeadLetter]:
        """Return a page of dead letters; `next_cursor` leads on.

        Where type or reason is asked for, 10,000 letters are looked at: the total is exact if those are all, and a page
        may have fewer than it has room for, or none, while `next_cursor` leads on. Else the total is always exact.
        """
        wanted = expect(DeadLetterFilter, wanted or DeadLetterFilter())
        found, next_cursor = self._index.page(wanted)
        total, is_exact = self._index.count(wanted)
        return page_of(DeadLetter)(
            items=self._read([one.id for one in found]),
            total=total,
            total_is_exact=is_exact,
            page_size=wanted.page_size,
            next_cursor=next_cursor,
        )

    def count(self, wanted: DeadLetterFilter | None = None) -> int:
        """Return how many dead letters fit, however many there are; see `count_some`."""
        wanted = wanted or DeadLetterFilter()
        count, is_exact = self.count_some(wanted)
        return count if is_exact else sum(len(part) for part in self._index.walk(wanted))

    def count_some(self, wanted: DeadLetterFilter | None = None) -> tuple[int, bool]:
        """Return how many of 10,000 dead letters fit, and whether that is how many fit of all: a lower bound else."""
        return self._index.count(wanted or DeadLetterFilter())

    def show(self, letter_id: str) -> DeadLetter:
        """Return one dead letter, with its traceback and its event.

        Raises:
            NotFoundError: If there is none of this id.
        """
        [flat] = self._raw([letter_id])
        if not reply_of(flat):
            raise NotFoundError(f"no dead letter {letter_id!r} is kept; {_WHY['gone'].partition('; ')[2]}")
        with reading(self._keys.letter(letter_id)):
            return read_letter(text_of(stored_id(letter_id)), texts_of(flat), letter_owners(self._link, self._keys))

    def redrive(self, letter_id: str, *, force: bool = False) -> DeadLetter:
        """Send one dead letter again, and return it as it was: its delivery goes on, with its retries anew.

        Args:
            letter_id: The letter.
            force: Also when it was sent again ten times before.

        Raises:
            NotFoundError: If there is none of this id.
            RedriveRefusedError: If it cannot be sent again.
            BackpressureError: If Redis is full; the letter is kept.
        """
        letter = self.show(letter_id)
        [outcome] = self._redrive([letter_id], _Turn(0, 0), force=force)
        if outcome != "redriven":
            raise RedriveRefusedError(
                f"dead letter {letter_id!r} was not sent again: {_WHY[outcome].format(**letter.model_dump())}",
                letter_id=letter_id,
                cause=outcome,
            )
        return letter

    def redrive_many(self, letter_ids: Sequence[str], *, force: bool = False, dry_run: bool = False) -> RedriveResult:
        """Send these dead letters again, as many as can be, or only count them; the result tells of the others."""
        outcomes: Counter[str] = Counter()
        if dry_run:
            return RedriveResult(matched=len(letter_ids), refused=self._index.refusals(letter_ids, _cap(force)))
        for start in range(0, len(letter_ids), _AT_ONCE):
            outcomes.update(self._redrive(letter_ids[start : start + _AT_ONCE], _Turn(0, 0), force=force))
        return _result(outcomes)

    def redrive_all(
        self,
        wanted: DeadLetterFilter | None = None,
        *,
        rate: RateLike | None = None,
        force: bool = False,
        dry_run: bool = False,
    ) -> RedriveResult:
        """Send all dead letters that fit again, the oldest first; what dies meanwhile is left alone.

        With a rate they are spread: each waits in the delayed store until its turn, so this returns at once, and the
        rate is kept though this process ends.

        Args:
            wanted: Which; None: all.
            rate: How many begin: `100/s`, `10/m`, `1/h`, or a number a second; None: as fast as workers take them.
            force: Also those that were sent again ten times before.
            dry_run: Only count them, those too that would be refused.
        """
        now_ms = self._clock.now_ms()
        interval_ms = 0.0 if rate is None else interval_of_rate(rate)
        outcomes: Counter[str] = Counter()
        matched = 0
        for part in self._index.walk(wanted or DeadLetterFilter(), until_ms=now_ms):
            matched += len(part)
            if dry_run:
                outcomes += self._index.refusals([one.id for one in part], _cap(force))
                continue
            for start in range(0, len(part), _AT_ONCE):
                due_ms = now_ms + round(outcomes["redriven"] * interval_ms) if rate is not None else 0
                ids = [one.id for one in part[start : start + _AT_ONCE]]
                outcomes.update(self._redrive(ids, _Turn(due_ms, interval_ms), force=force))
        if dry_run:
            takes_s = max(0, matched - outcomes.total()) * interval_ms / 1000
            return RedriveResult(matched=matched, refused=dict(outcomes), takes_s=takes_s)
        return _result(outcomes, interval_ms=interval_ms)

    def purge(self, *letter_ids: str, dry_run: bool = False) -> int:
        """Drop these dead letters for good, or only count them, and return how many there were."""
        found = self._index.find(letter_ids)
        if dry_run:
            return len(found)
        return sum(self._purge(found[start : start + _AT_ONCE]) for start in range(0, len(found), _AT_ONCE))

    def purge_all(self, wanted: DeadLetterFilter | None = None, *, dry_run: bool = False) -> int:
        """Drop all dead letters that fit for good, or only count them; what dies meanwhile is left alone."""
        dropped = 0
        for part in self._index.walk(wanted or DeadLetterFilter(), until_ms=self._clock.now_ms()):
            if dry_run:
                dropped += len(part)
                continue
            for start in range(0, len(part), _AT_ONCE):
                dropped += self._purge(part[start : start + _AT_ONCE])
        return dropped

    def _purge(self, found: Sequence[Found]) -> int:
        arguments = [value for one in found for value in (stored_id(one.id), one.died_ms)]
        times = (self._clock.now_ms(), self._retention_ms)
        return int(self._link.run(script("purge_letters"), self._keys.prefix, *times, *arguments))

    def _redrive(self, letter_ids: Sequence[str], turn: _Turn, *, force: bool) -> Sequence[str]:
        letters = [{} if isinstance(flat, Exception) else texts_of(flat) for flat in self._raw(letter_ids)]
        arguments: list[str | bytes] = []
        for letter_id, letter in zip(letter_ids, letters, strict=True):
            message = revived_message(letter, self._seal)
            arguments += [stored_id(letter_id), letter.get("died_ms", ""), message]
        outcomes, is_repeated = self._link.run_telling(
            script("redrive_letters"), self._keys.prefix, self._clock.now_ms(), _cap(force), *turn, *arguments,
        )  # fmt: skip
        return [
            # After a lost reply, what is gone and was there before was sent by this very call.
            "redriven" if is_repeated and outcome == b"gone" and letter else outcome.decode()
            for outcome, letter in zip(outcomes, letters, strict=True)
        ]

    def _read(self, letter_ids: Sequence[str]) -> _Letters:
        owners = letter_owners(self._link, self._keys)
        replies = zip(letter_ids, self._raw(letter_ids), strict=True)
        found = [read_or_pass_over(self._keys.letter(one), _letter, one, flat, owners) for one, flat in replies if flat]
        return [one for one in found if one is not None]

    def _raw(self, letter_ids: Sequence[str]) -> Sequence[Sequence[bytes]]:
        commands = [("HGETALL", stored_id(self._keys.letter(letter_id))) for letter_id in letter_ids]
        return self._link.pipeline(commands) if commands else []


def _letter(letter_id: str, flat: Any, owners: LetterOwners) -> DeadLetter:
    return read_letter(text_of(stored_id(letter_id)), texts_of(flat), owners)


def _cap(force: bool) -> int:
    return 0 if force else REDRIVE_CAP


def _result(outcomes: Counter[str], *, interval_ms: float = 0.0) -> RedriveResult:
    redriven = outcomes.pop("redriven", 0)
    takes_s = max(0, redriven - 1) * interval_ms / 1000
    return RedriveResult(
        matched=redriven + outcomes.total(), redriven=redriven, refused=dict(outcomes), takes_s=takes_s
    )
