"""The replays of a bus: where each stands, and the steps that carry it on."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from eventsys.clock import from_ms
from eventsys.model.queries import EventFilter
from eventsys.model.replay import Replay, ReplayState
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import read_or_pass_over, reading, text_of, texts_of
from eventsys.store.scripts import script
from eventsys.store.steps import Step, packed

#: Replays that are remembered after they ended.
MOST_KEPT = 1_000


class Standing(NamedTuple):
    """A replay, and what those who carry it on need beside.

    Attributes:
        replay: How it stands.
        cursor: How far it has come; None at the beginning.
        until: The newest entry of the bus when it began; later events are not its own.
        is_over: Whether nothing lies behind the cursor.
        paid_ms: Until when its rate is used up.
        driver: Who carries it on, and may go on alone until `driver_until_ms`.
    """

    replay: Replay
    cursor: str | None
    until: str
    is_over: bool
    paid_ms: float
    driver: str
    driver_until_ms: int


class Batch(NamedTuple):
    """The next step of a replay.

    Attributes:
        events: Id, place in the log, type and envelope of each event to give.
        next_cursor: Where the step after it begins.
        is_over: Whether nothing lies behind.
        scanned: Events looked at for these.
    """

    events: Sequence[tuple[str, str, str, str]]
    next_cursor: str
    is_over: bool
    scanned: int


class ReplayStore:
    """The replays of a bus.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys

    def start(self, now_ms: int, replay_id: str, subscription: str, facts: Mapping[str, str], told: Step) -> bool:
        """Begin a replay, together with the event that tells of it; say whether there is such a subscription."""
        flat = [part for pair in facts.items() for part in pair]
        result = self._link.run(
            script("start_replay"), self._keys.prefix, now_ms, replay_id, subscription, MOST_KEPT,
            packed(told), packed(flat),
        )  # fmt: skip
        return bool(result == b"started")

    def move(
        self, standing: Standing, batch: Batch, now_ms: int, *, driver: str, driver_until_ms: int, paid_ms: float
    ) -> tuple[str, int]:
        """Give the events of a batch, unless somebody else went on; return what became of it, and how many were given.

        Returns:
            `moved`, `behind`, `ended` or `unknown`, as `lua/replay_events.lua` tells.
        """
        result = self._link.run(
            script("replay_events"), self._keys.prefix, now_ms, standing.replay.id, standing.cursor or "",
            batch.next_cursor, int(batch.is_over), batch.scanned, driver, driver_until_ms, f"{paid_ms:.3f}",
            *[packed(list(one)) for one in batch.events],
        )  # fmt: skip
        return result[0].decode(), int(result[1]) if len(result) > 1 else 0

    def end(self, now_ms: int, replay_id: str, state: ReplayState, told: Step, *, error: str = "") -> str:
        """End a replay that runs, together with the event that tells of it; return the state it is in then."""
        ended: bytes = self._link.run(
            script("end_replay"), self._keys.prefix, now_ms, replay_id, state, error, packed(told)
        )
        return ended.decode()

    def running(self) -> list[str]:
        """Return the ids of the replays that run."""
        return sorted(text_of(one) for one in self._link.call("SMEMBERS", self._keys.replays_running))

    def get(self, replay_id: str) -> Standing | None:
        """Return a replay, None when there is none of this id, or no more.

        Raises:
            UnreadableError: If what is stored of it is odd.
        """
        key = self._keys.replay(replay_id)
        flat = self._link.call("HGETALL", key)
        with reading(key):
            return _standing(replay_id, flat) if flat else None

    def get_if_readable(self, replay_id: str) -> Standing | None:
        """Return what `get` does, and None where that is odd, with a warning: the other replays go on."""
        return read_or_pass_over(self._keys.replay(replay_id), self.get, replay_id)

    def newest(self, count: int) -> list[Standing]:
        """Return the newest replays that can be read, the newest first."""
        ids = [text_of(one) for one in self._link.call("ZREVRANGE", self._keys.replays, 0, count - 1)]
        flats = self._link.pipeline([("HGETALL", self._keys.replay(one)) for one in ids]) if ids else []
        found = [
            read_or_pass_over(self._keys.replay(one), _standing, one, flat)
            for one, flat in zip(ids, flats, strict=True)
            if flat
        ]
        return [one for one in found if one is not None]


def _standing(replay_id: str, flat: Any) -> Standing:
    facts = texts_of(flat)
    cursor = facts.get("cursor") or None
    replay = Replay(
        id=replay_id,
        subscription=facts["subscription"],
        number=int(facts["number"]),
        is_backfill=facts.get("is_backfill") == "1",
        filter=EventFilter.model_validate_json(facts["filter"]),
        rate=_finite(facts["rate"], low=_SLOWEST),
        requested_by=facts.get("requested_by", ""),
        state=ReplayState(facts["state"]),
        created_at=from_ms(int(facts["created_ms"])),
        updated_at=from_ms(int(facts["updated_ms"])),
        ended_at=from_ms(int(facts["ended_ms"])) if "ended_ms" in facts else None,
        reached_at=_time_of(cursor),
        scanned=int(facts.get("scanned", 0)),
        delivered=int(facts.get("delivered", 0)),
        skipped=int(facts.get("skipped", 0)),
        error=facts.get("error"),
    )
    return Standing(
        replay, cursor, facts.get("until", "0-0"), facts.get("is_over") == "1", _finite(facts.get("paid_ms", "0")),
        facts.get("driver", ""), int(facts.get("driver_until_ms", 0)),
    )  # fmt: skip


def _finite(text: str, *, low: float = 0.0) -> float:
    number = float(text)
    if not low <= number < _MOST:
        raise ValueError(f"{text[:40]!r} is no number of a replay")
    return number


#: The rate below which a replay would never come to its end, and what no rate or time comes to.
_SLOWEST, _MOST = 1e-9, 2.0**53


def _time_of(cursor: str | None) -> Any:
    """Return the time that a cursor of any index tells, if it does; that of a replay that met nothing is 0-0."""
    digits = (cursor or "").partition("-")[0].partition(":")[0]
    return from_ms(int(digits)) if digits.isdecimal() and 0 < int(digits) < 10**14 else None
