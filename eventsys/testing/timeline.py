"""Letting things happen at their time, one moment after another."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from eventsys.bus.replay import Replays
from eventsys.clock import Clock, from_ms
from eventsys.errors import EventsysError
from eventsys.scheduling.poller import Poller
from eventsys.scheduling.sweeps import Sweeps

#: Messages handled at one moment that can only mean that they bring forth each other for ever.
MOST_AT_A_MOMENT = 1_000_000

#: Milliseconds after which what is due and cannot go is tried again, as a poller does.
STUCK_MS = 1_000

#: Milliseconds between two steps of a replay; a worker takes them oftener, at the same rate.
REPLAY_STEP_MS = 1_000

#: About so often sweeps run in a long stretch of time in which nothing else happens.
SWEEPS_OF_A_STRETCH = 50


class Drains(Protocol):
    """What handles everything that is there now.

    Attributes:
        next_ms: When something is due next, after `drain`; None: never.
    """

    next_ms: int | None

    def drain(self) -> int:
        """Handle it, and return how many messages that were."""


class Timeline:
    """Turns a clock from one due time to the next, and lets go and handles what is due there.

    The clock stands exactly at the due time of an entry while that is handled. What is scheduled on the way, and falls
    due on the way, takes its place among the rest.

    Args:
        clock: The clock, turned before.
        worker: What handles messages.
        poller: What lets go what is due.
        sweeps: What is done again and again.
        replays: What gives history again, at its rate on the clock.
        sweep_every_ms: How often sweeps are told to run. They bear being late, and a month has 43,200 minutes.
    """

    def __init__(
        self, clock: Clock, worker: Drains, poller: Poller, sweeps: Sweeps, replays: Replays, *, sweep_every_ms: int
    ) -> None:
        self._clock = clock
        self._worker = worker
        self._poller = poller
        self._sweeps = sweeps
        self._replays = replays
        self._is_replaying = False
        self._has_handled = False
        self._sweep_every_ms = sweep_every_ms
        self._swept_ms = clock.now_ms()

    def settle(self) -> int | None:
        """Let everything happen that is due now, and return when the next thing is due, None when nothing waits."""
        handled, now_ms = 0, self._clock.now_ms()
        while True:
            moved, count = self._poller.let_go(now_ms).moved, self._worker.drain()
            handled += count
            self._has_handled = handled > 0
            now_ms, next_ms = self._clock.now_ms(), self._worker.next_ms
            if next_ms is None or next_ms > now_ms:
                return next_ms
            if not moved and not count:
                return now_ms + STUCK_MS
            if handled > MOST_AT_A_MOMENT:
                raise EventsysError(
                    f"{handled} messages were handled at {from_ms(now_ms)} and there are more; does an actor send to"
                    " itself without a delay?"
                )

    def run_until(self, end_ms: int, *, stop: Callable[[], bool] = lambda: False) -> None:
        """Let everything happen that is due until a moment, that included, and end there.

        Args:
            end_ms: The moment.
            stop: Asked after every moment; true ends it there.
        """
        next_ms = self.settle()
        self._is_replaying = self._replays.running()
        while not stop():
            due_ms = end_ms + 1 if next_ms is None else next_ms
            if self._is_replaying:
                due_ms = min(due_ms, self._clock.now_ms() + REPLAY_STEP_MS)
            sweep_ms = self._next_sweep_ms(min(due_ms, end_ms))
            moment_ms = min(sweep_ms, due_ms)
            if moment_ms > end_ms:
                self._turn_to(end_ms)
                self.sweep()
                self.settle()
                return
            self._turn_to(moment_ms)
            if sweep_ms <= moment_ms:
                self.sweep()
                self._is_replaying = self._replays.running()
            if self._is_replaying:
                self._replays.step()
                self._is_replaying = self._replays.running()
            next_ms = self.settle()
            if self._has_handled:  # a handler may have begun one
                self._is_replaying = self._replays.running()

    def _turn_to(self, moment_ms: int) -> None:
        """Turn the clock on, never back: a handler may have turned it beyond what comes next."""
        self._clock.turn_to(max(moment_ms, self._clock.now_ms()))

    def sweep(self) -> None:
        """Run the sweeps whose interval has begun since they ran last."""
        self._swept_ms = self._clock.now_ms()
        self._sweeps.run_all()

    def _next_sweep_ms(self, quiet_until_ms: int) -> int:
        """Return when sweeps run next: rarer the longer nothing else happens."""
        quiet_ms = quiet_until_ms - self._clock.now_ms()
        every_ms = max(self._sweep_every_ms, quiet_ms // SWEEPS_OF_A_STRETCH)
        return (self._swept_ms // every_ms + 1) * every_ms
