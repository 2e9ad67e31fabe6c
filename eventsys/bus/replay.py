"""Replays: giving history to a subscription again, or to a new one for the first time."""

from __future__ import annotations

import logging
import os
import socket
from collections.abc import Callable
from typing import Any

from eventsys.bus.drafting import Drafter
from eventsys.bus.replay_scan import Part, ReplayScan
from eventsys.clock import Clock, from_ms
from eventsys.errors import (
    BackpressureError,
    EventsysError,
    NotFoundError,
    PayloadEncryptedError,
    RedisUnavailableError,
)
from eventsys.model.builtin_payloads import SystemReplay
from eventsys.model.catalog import (
    SYSTEM_REPLAY_CANCELLED,
    SYSTEM_REPLAY_COMPLETED,
    SYSTEM_REPLAY_FAILED,
    SYSTEM_REPLAY_STARTED,
)
from eventsys.model.envelope import EventHeader
from eventsys.model.identifiers import new_event_id
from eventsys.model.queries import EventFilter
from eventsys.model.rates import RateLike, interval_of_rate
from eventsys.model.replay import Replay, ReplayCount, ReplayState
from eventsys.model.subscription import Subscription
from eventsys.store.history import History
from eventsys.store.places import NEWEST, Logged, Place, place_of_log
from eventsys.store.replays import Batch, ReplayStore, Standing
from eventsys.store.steps import Step
from eventsys.store.subscriptions import SubscriptionStore

#: Events a second, unless something else is asked for.
USUAL_RATE = 100.0

#: Most events given in one step, and most looked at for it: what a process does before it looks around again.
_MOST_GIVEN, _MOST_SCANNED = 200, 5_000

#: How long a process may carry a replay on alone, after its last step.
_DRIVING_MS = 3_000

#: How long a process leaves a replay to others that it could not carry on.
_LEFT_MS = 30_000

#: The rate allows at most what a second of standing still would have given, or one event where that takes longer.
_CATCH_UP_MS = 1_000

_TOLD = {
    ReplayState.COMPLETED: SYSTEM_REPLAY_COMPLETED,
    ReplayState.CANCELLED: SYSTEM_REPLAY_CANCELLED,
    ReplayState.FAILED: SYSTEM_REPLAY_FAILED,
}

logger = logging.getLogger(__name__)


class Replays:
    """The replays of a bus: begun by anybody, carried on by the worker processes, at a limited rate.

    A replay is work in Redis: it has a cursor, and whoever gives the next events moves it in the same step. So it
    survives every process, and gives each event once. Its deliveries are new ones, `subscription#1` and so on, in the
    lowest lane, and `event.is_replay` is true in the handler. What the event had come to stays what it was.

    Args:
        store: Where replays are kept.
        history: What is replayed.
        subscriptions: The set of subscriptions.
        drafter: Makes the events that tell of replays.
        clock: The time.
        driver: The name of this process.
        prepare: Declares what this process subscribed and Redis does not know yet.
        when_blind: Called when a filter has to look at a payload that no key of this process opens.
    """

    def __init__(
        self,
        store: ReplayStore,
        history: History,
        subscriptions: SubscriptionStore,
        drafter: Drafter,
        clock: Clock,
        *,
        driver: Callable[[], str],
        prepare: Callable[[], None],
        when_blind: Callable[[], None] = lambda: None,
    ) -> None:
        self._prepare = prepare
        self._when_blind = when_blind
        self._store = store
        self._history = history
        self._subscriptions = subscriptions
        self._drafter = drafter
        self._clock = clock
        self._driver = driver
        self._left_until_ms: dict[str, int] = {}

    def replay(
        self,
        subscription: str,
        wanted: EventFilter | None = None,
        *,
        rate: RateLike = USUAL_RATE,
        requested_by: str | None = None,
        backfill: bool = False,
    ) -> Replay:
        """Begin to give history to a subscription again, and return the replay; worker processes carry it on.

        Only events that its pattern and filter want are given, and only what was stored before now.

        Args:
            subscription: Its name.
            wanted: Which events; its page, order and cursor do not count. None: all there are.
            rate: Most events: `100/s`, `10/m`, `1/h`, or a number a second.
            requested_by: Who asks, for the record; None: this process.
            backfill: Whether to leave out what was delivered to it before, as for a new subscription.

        Raises:
            NotFoundError: If there is no subscription of this name.
            SubscriptionError: If the rate is none.
        """
        a_second = 1_000 / interval_of_rate(rate)
        self._prepare()
        now_ms = self._clock.now_ms()
        replay = Replay(
            id=new_event_id(now_ms), subscription=subscription, number=1, is_backfill=backfill,
            filter=wanted or EventFilter(), rate=a_second, requested_by=requested_by or _this_process(),
            created_at=from_ms(now_ms), updated_at=from_ms(now_ms),
        )  # fmt: skip
        facts = {
            "filter": replay.filter.model_dump_json(), "rate": str(a_second), "requested_by": replay.requested_by,
            "is_backfill": str(int(backfill)),
        }  # fmt: skip
        if not self._store.start(now_ms, replay.id, subscription, facts, self._told(SYSTEM_REPLAY_STARTED, replay)):
            raise _no_subscription(subscription)
        return self.get(replay.id)

    def backfill(self, subscription: str, wanted: EventFilter | None = None, **options: Any) -> Replay:
        """Begin to give a new subscription the history it was not there for; see `replay`."""
        return self.replay(subscription, wanted, backfill=True, **options)

    def count(
        self,
        subscription: str,
        wanted: EventFilter | None = None,
        *,
        rate: RateLike = USUAL_RATE,
        backfill: bool = False,
        longest_s: float | None = None,
    ) -> ReplayCount:
        """Count what a replay would give, without giving or declaring anything; it reads all history that may fit.

        It goes by the subscription as Redis has it, not by what this process declares: who only looks may be of an
        older version than those that work.

        Args:
            subscription: Its name.
            wanted: As for `replay`.
            rate: As for `replay`, for how long it would take.
            backfill: As for `replay`.
            longest_s: Seconds after which counting stops, with what was counted by then; None: never.

        Raises:
            NotFoundError: If there is no subscription of this name.
        """
        interval_ms = interval_of_rate(rate)
        row = self._subscription(subscription)
        by_type: dict[str, int] = {}
        ends: list[Place] = []
        is_exact, until = True, None if longest_s is None else self._clock.monotonic() + longest_s
        for part in self._scan(row, wanted or EventFilter(), NEWEST).parts(None):
            for logged, header in self._history.not_had(part.fitting, row.number, only_new=backfill):
                by_type[header.type] = by_type.get(header.type, 0) + 1
                ends = [ends[0] if ends else place_of_log(logged.log), place_of_log(logged.log)]
            if until is not None and part.cursor is not None and self._clock.monotonic() > until:
                is_exact = False
                break
        events = sum(by_type.values())
        return ReplayCount(
            subscription=subscription, events=events, is_exact=is_exact, by_type=by_type,
            seconds=events * interval_ms / 1_000, oldest_at=from_ms(ends[0].ms) if ends else None,
            newest_at=from_ms(ends[1].ms) if ends else None,
        )  # fmt: skip

    def get(self, replay_id: str) -> Replay:
        """Return how a replay stands.

        Raises:
            NotFoundError: If there is none of this id, or it is forgotten.
        """
        return self._standing(replay_id).replay

    def list(self, count: int = 50) -> list[Replay]:
        """Return the newest replays, the newest first."""
        return [one.replay for one in self._store.newest(count)]

    def cancel(self, replay_id: str, *, requested_by: str | None = None) -> Replay:
        """End a replay; what it gave until then is handled. One that has ended stays as it is.

        Raises:
            NotFoundError: If there is none of this id.
        """
        replay = self.get(replay_id).model_copy(update={"requested_by": requested_by or _this_process()})
        self._end(replay, ReplayState.CANCELLED)
        return self.get(replay_id)

    def running(self) -> bool:
        """Say whether a replay is to be carried on."""
        return bool(self._store.running())

    def step(self) -> int:
        """Carry every running replay on as far as its rate allows now, and return how many events were given.

        One that this process cannot carry on is left to others for a while, and keeps no other one from going on.

        Raises:
            BackpressureError: If Redis is full.
            RedisUnavailableError: If Redis does not answer.
        """
        running = self._store.running()
        self._left_until_ms = {one: until_ms for one, until_ms in self._left_until_ms.items() if one in running}
        return sum(self._step_or_leave(replay_id) for replay_id in running)

    def _step_or_leave(self, replay_id: str) -> int:
        now_ms = self._clock.now_ms()
        if now_ms < self._left_until_ms.get(replay_id, 0) <= now_ms + _LEFT_MS:
            return 0
        try:
            return self._step_of(replay_id)
        except (BackpressureError, RedisUnavailableError):
            raise
        except EventsysError as error:
            self._left_until_ms[replay_id] = now_ms + _LEFT_MS
            if isinstance(error, PayloadEncryptedError):
                self._when_blind()  # another process may have the key
            logger.warning(
                "replay %s cannot be carried on here, and is left to others for %d s: %s",
                replay_id, _LEFT_MS // 1_000, error,
                extra={"action": "replay_failed", "replay_id": replay_id},
            )  # fmt: skip
            return 0

    def _step_of(self, replay_id: str) -> int:
        now_ms, standing = self._clock.now_ms(), self._store.get_if_readable(replay_id)
        if standing is None or standing.replay.state is not ReplayState.RUNNING:
            return 0
        if now_ms < standing.driver_until_ms <= now_ms + _DRIVING_MS and standing.driver != self._driver():
            return 0
        if standing.is_over:
            self._end(standing.replay, ReplayState.COMPLETED)
            return 0
        subscription = self._subscriptions.get(standing.replay.subscription)
        if subscription is None:
            # Not where it was renamed since the replay was read: the next step goes by the new name.
            present = self._store.get_if_readable(replay_id)
            if present is not None and present.replay.subscription == standing.replay.subscription:
                self._end(standing.replay, ReplayState.FAILED, error="its subscription has ended")
            return 0
        each_ms = 1_000 / standing.replay.rate
        paid_ms = now_ms - max(_CATCH_UP_MS, each_ms)
        # A time far ahead was paid for by a clock that has been set back since: waiting for it would be standing still.
        if paid_ms < standing.paid_ms <= now_ms + _CATCH_UP_MS:
            paid_ms = standing.paid_ms
        # Kept to a thousandth of a millisecond, in which the turn of a slow rate may seem not quite to have come.
        allowed = min(_MOST_GIVEN, int((now_ms - paid_ms + 0.001) / each_ms))
        if allowed < 1:
            return 0
        batch = self._batch(standing, subscription, allowed)
        became, given = self._store.move(
            standing, batch, now_ms,
            driver=self._driver(), driver_until_ms=now_ms + _DRIVING_MS, paid_ms=paid_ms + len(batch.events) * each_ms,
        )  # fmt: skip
        if became == "unknown":
            self._end(standing.replay, ReplayState.FAILED, error="its subscription has ended")
        return given

    def _batch(self, standing: Standing, subscription: Subscription, allowed: int) -> Batch:
        """Return the next events, as many as allowed; fewer when many had to be looked at."""
        found: list[tuple[Logged, EventHeader]] = []
        scanned = 0
        part, reached = Part([], standing.cursor, []), standing.cursor
        scan = self._scan(subscription, standing.replay.filter, Place.of(standing.until))
        for part in scan.parts(standing.cursor):
            found += part.fitting
            scanned += len(part.seen)
            reached = part.seen[-1] if part.seen else reached
            if len(found) >= allowed or scanned >= _MOST_SCANNED:
                break
        is_cut = len(found) > allowed
        found = found[:allowed]
        cursor = part.cursor
        if is_cut:
            cursor = found[-1][0].cursor
            scanned -= len(part.seen) - part.seen.index(cursor) - 1 if cursor in part.seen else 0
        return Batch(
            [(header.id, logged.log, header.type, (logged.envelope or b"").decode()) for logged, header in found],
            cursor or reached or "0-0",
            not is_cut and part.cursor is None,
            scanned,
        )

    def _scan(self, subscription: Subscription, wanted: EventFilter, until: Place) -> ReplayScan:
        return ReplayScan(self._history, subscription, wanted, until=until)

    def _end(self, replay: Replay, state: ReplayState, *, error: str = "") -> None:
        told = self._told(_TOLD[state], replay.model_copy(update={"error": error or None}))
        self._store.end(self._clock.now_ms(), replay.id, state, told, error=error)

    def _told(self, event_type: str, replay: Replay) -> Step:
        payload = SystemReplay(
            replay=replay.id, subscription=replay.subscription, requested_by=replay.requested_by,
            backfill=replay.is_backfill, filter=replay.filter.model_dump(mode="json", exclude_defaults=True),
            rate=replay.rate, scanned=replay.scanned, delivered=replay.delivered, skipped=replay.skipped,
            error=replay.error,
        )  # fmt: skip
        return self._drafter.draft(event_type, payload, source="eventsys").step

    def _standing(self, replay_id: str) -> Standing:
        standing = self._store.get(replay_id)
        if standing is None:
            raise NotFoundError(
                f"no replay {replay_id!r} is known; the newest thousand are kept, and eventsys replays ls shows them"
            )
        return standing

    def _subscription(self, name: str) -> Subscription:
        subscription = self._subscriptions.get(name)
        if subscription is None:
            raise _no_subscription(name)
        return subscription


def _no_subscription(name: str) -> NotFoundError:
    return NotFoundError(
        f"no subscription is named {name!r}; a replay needs one that exists: eventsys subs ls shows all"
    )


def _this_process() -> str:
    return f"{socket.gethostname()}:{os.getpid()}"
