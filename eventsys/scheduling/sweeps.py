"""Sweeps: work that is done again and again, by whoever is told to, and takes effect once each time."""

from __future__ import annotations

import logging
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import dramatiq
from periodiq import cron

from eventsys.broker.broker import EventBroker
from eventsys.errors import RedisRefusedError, RedisUnavailableError, SettingsError
from eventsys.store.keys import SWEEP_QUEUE
from eventsys.store.oddities import read_or_pass_over, reply_of, text_of, whole_number
from eventsys.store.scripts import script

#: How long a sweep may be late before the leading poller's process runs it: two ticks of periodiq may be lost.
OVERDUE_MS = 180_000

logger = logging.getLogger(__name__)


class Sweep(NamedTuple):
    """Work that has to be done once in every interval.

    Attributes:
        name: Lower-case words, joined by `-`.
        interval_ms: How often. Intervals are counted from 1970, so an hourly sweep runs soon after the full hour.
        run: Called with the time in milliseconds; returns how many things it changed. It may run twice at once, late
            or not at all, so it must do nothing that was done already, and change Redis in bounded steps only.
    """

    name: str
    interval_ms: int
    run: Callable[[int], int]

    def slot_at(self, now_ms: int) -> int:
        """Return the number of the interval that a moment belongs to."""
        return now_ms // self.interval_ms


class Sweeps:
    """The sweeps of a bus. Each takes effect once an interval, however many tell it to, and whoever they are.

    Each is an actor on the queue `eventsys.sweeps` that periodiq sends a message every minute. Where nobody runs
    periodiq, the process whose poller leads runs what is three minutes late, so nothing depends on periodiq but how
    promptly a sweep is run.

    Args:
        broker: Where the actors are declared, and whose clock counts.
    """

    def __init__(self, broker: EventBroker) -> None:
        self._broker = broker
        self._sweeps: dict[str, Sweep] = {}

    def add(self, name: str, interval: timedelta, run: Callable[[int], int]) -> None:
        """Declare a sweep; nothing happens in Redis.

        Args:
            name: As for `Sweep`.
            interval: How often it runs; at least a minute, since nobody asks more often.
            run: As for `Sweep`.

        Raises:
            SettingsError: If there is one of this name, or the interval is shorter than a minute.
        """
        if name in self._sweeps:
            raise SettingsError(f"two sweeps are named {name!r}; give one of them another name")
        if interval < timedelta(minutes=1):
            raise SettingsError(f"sweep {name!r} is to run every {interval}; at most once a minute is possible")
        self._sweeps[name] = Sweep(name, interval // timedelta(milliseconds=1), run)

        def sweep() -> None:
            try:
                self.run(name)
            except RedisUnavailableError as error:
                # No failure that anyone has to look at, and no dead letter: another minute's message runs it.
                logger.warning(
                    "sweep %s waits for Redis: %s", name, error, extra={"action": "sweeps_wait", "sweep": name}
                )

        declare = dramatiq.actor(
            broker=self._broker, actor_name=f"eventsys.sweep.{name}", queue_name=SWEEP_QUEUE,
            periodic=cron("* * * * *"), max_retries=0,
        )  # fmt: skip
        declare(sweep)

    def remember(self) -> Callable[[], None]:
        """Return what takes back every sweep that is declared after this."""
        sweeps = dict(self._sweeps)

        def put_back() -> None:
            self._sweeps = sweeps

        return put_back

    def names(self) -> list[str]:
        """Return the names of all sweeps, in the order they were declared."""
        return list(self._sweeps)

    def run(self, name: str) -> int | None:
        """Run a sweep unless that was done in this interval; return what it returned, None where it did not run.

        What it raises is recorded with it and logged; the next one who asks runs it again.

        Raises:
            RedisUnavailableError: If Redis does not answer before it began, or when its end is to be recorded.
        """
        sweep = self._sweeps[name]
        now_ms = self._broker.clock.now_ms()
        link, prefix = self._broker.link, self._broker.keys.prefix
        try:
            is_mine = link.run(script("claim_sweep"), prefix, now_ms, name, sweep.slot_at(now_ms))
        except RedisRefusedError as error:
            # Its row is of another kind than ours. The other sweeps must go on.
            logger.error(
                "sweep %s cannot be begun: %s; delete %s", name, error, self._broker.keys.sweep(name),
                extra={"action": "sweep_refused", "sweep": name},
            )  # fmt: skip
            return None
        if not is_mine:
            return None
        did, problem = 0, ""
        try:
            did = sweep.run(now_ms)
        except Exception as error:
            problem = f"{type(error).__name__}: {error}"
            logger.exception("sweep %s failed", name, extra={"action": "sweep_failed", "sweep": name})
        link.run(script("end_sweep"), prefix, self._broker.clock.now_ms(), name, did, problem)
        return did

    def run_all(self) -> dict[str, int]:
        """Run every sweep that is due in its interval, and return what those that ran returned."""
        ran = {name: self.run(name) for name in self._sweeps}
        return {name: did for name, did in ran.items() if did is not None}

    def run_overdue(self) -> dict[str, int]:
        """Run the sweeps that are three minutes late, and return what those that ran returned."""
        now_ms = self._broker.clock.now_ms()
        late_ms = now_ms - OVERDUE_MS
        ran: dict[str, int] = {}
        for name, (ended_ms, _, _) in zip(self._sweeps, self._facts("ended_ms", "did", "error"), strict=True):
            sweep = self._sweeps[name]
            ended_at_ms = whole_number(ended_ms)
            # What ended further ahead than clocks differ did so before the clock was set back.
            newest_slot = sweep.slot_at(now_ms) + 1
            if ended_at_ms is not None and sweep.slot_at(late_ms) <= sweep.slot_at(ended_at_ms) <= newest_slot:
                continue
            did = self.run(name)
            if did is not None:
                ran[name] = did
        return ran

    def states(self) -> list[dict[str, Any]]:
        """Return for each sweep its name, when it last ended well (ms or None), what it did, and its error."""
        facts = self._facts("ended_ms", "did", "error")
        return [
            {
                "name": name,
                "interval_ms": self._sweeps[name].interval_ms,
                "ended_ms": whole_number(ended_ms),
                "did": whole_number(did) or 0,
                "error": text_of(error) if error else None,
            }
            for name, (ended_ms, did, error) in zip(self._sweeps, facts, strict=True)
        ]

    def _facts(self, *names: str) -> list[list[Any]]:
        keys = self._broker.keys
        replies = self._broker.link.pipeline([("HMGET", keys.sweep(name), *names) for name in self._sweeps])
        nothing = [None] * len(names)
        return [
            read_or_pass_over(keys.sweep(name), reply_of, reply) or nothing
            for name, reply in zip(self._sweeps, replies, strict=True)
        ]
