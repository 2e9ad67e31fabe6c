"""Ticker: periodiq's scheduling of periodic actors, kept going over errors and lost minutes."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterable
from datetime import datetime
from typing import Any

from dramatiq import Actor
from dramatiq.errors import ConnectionClosed
from periodiq import CronSpec, Scheduler

from eventsys.broker.broker import EventBroker
from eventsys.broker.staging import OWN_ACTORS
from eventsys.clock import from_ms
from eventsys.errors import EventsysError
from eventsys.middleware.periodic import MINUTE_MS
from eventsys.store.oddities import numbers_of
from eventsys.store.redis_time import read_clock

#: How long ago a tick may be that nobody sent, because no scheduler ran or Redis was away, and is sent all the same.
CATCH_UP_MS = 600_000

#: Seconds before another try after an error of Redis: first, and at most.
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.2, 2.0

logger = logging.getLogger(__name__)


class Ticker(Scheduler):  # type: ignore[misc]
    """Sends each periodic actor the ticks that periodiq would send it, and those that periodiq loses.

    It wakes in every minute of the bus's clock and asks each actor's own `CronSpec` whether it is due, in the local
    time of this process, as periodiq does. Of the ticks of the last ten minutes that nobody sent, each actor gets the
    latest. Any number of these, and of periodiq's own, may run: each tick takes effect once.

    Args:
        broker: Where the actors are declared.
    """

    def __init__(self, broker: EventBroker) -> None:
        super().__init__([actor for actor in broker.actors.values() if "periodic" in actor.options])
        self._broker = broker
        self._specs = {actor.actor_name: repaired(actor) for actor in self.actors}
        self._done_ms: int | None = None

    def run(self, stop: threading.Event) -> None:
        """Send ticks until `stop` is set; errors are outlasted."""
        pause = _FIRST_PAUSE_S
        while not stop.is_set():
            try:
                wait_s, pause = self.take_turn(), _FIRST_PAUSE_S
            except (ConnectionClosed, EventsysError) as error:
                logger.warning("ticks wait for Redis: %s", error, extra={"action": "ticks_wait"})
                wait_s, pause = pause, min(_LONGEST_PAUSE_S, 2 * pause)
            stop.wait(wait_s)

    def take_turn(self) -> float:
        """Send what is due and was not sent, and return the seconds until the next minute begins.

        Raises:
            ConnectionClosed: If Redis does not answer; the next turn sends what is left.
            RedisUnavailableError: As `ConnectionClosed`.
        """
        clock, link = self._broker.clock, self._broker.link
        read_clock(clock, link.call)
        minute_ms = clock.now_ms() // MINUTE_MS * MINUTE_MS
        sent = self._last_ticks()
        for actor in self.actors:
            since_ms = self._done_ms if self._done_ms is not None else sent.get(actor.actor_name, minute_ms - MINUTE_MS)
            tick = self._latest(actor, max(since_ms, minute_ms - CATCH_UP_MS), minute_ms)
            if tick is not None:
                self._send(actor, tick)
        self._done_ms = minute_ms
        return max(0.0, (minute_ms + MINUTE_MS - clock.now_ms()) / 1000)

    def _latest(self, actor: Actor[..., Any], after_ms: int, until_ms: int) -> datetime | None:
        """Return the last minute in which an actor was due, after one moment and up to another."""
        for minute_ms in range(until_ms, after_ms, -MINUTE_MS):
            moment = from_ms(minute_ms).astimezone()
            if self._specs[actor.actor_name].validate(moment):
                return moment
        return None

    def _send(self, actor: Actor[..., Any], tick: datetime) -> None:
        name = actor.actor_name
        # The sweeps have their ticks every minute of the year: that is no news.
        logger.log(
            logging.DEBUG if name.startswith(OWN_ACTORS) else logging.INFO, "%s gets its tick of %s", name,
            f"{tick:%Y-%m-%d %H:%M %Z}", extra={"action": "tick_sent", "actor": name},
        )  # fmt: skip
        try:
            self.send_actors([actor], tick)
        except (ConnectionClosed, EventsysError):
            raise
        except Exception:
            # What an application's hook raises must not keep the other actors from their ticks.
            logger.exception("%s got no message for its tick", actor, extra={"action": "tick_failed"})

    def _last_ticks(self) -> dict[str, int]:
        if self._done_ms is not None:
            return {}
        key = self._broker.keys.periodic_last
        return numbers_of(key, self._broker.link.call("HGETALL", key))


def repaired(actor: Actor[..., Any]) -> CronSpec:
    """Return the cron fields of an actor as they are meant, and warn where periodiq itself would read them otherwise.

    periodiq compares Sundays, which its own names and `0` call 0, with 7: `0`, `sun` and `@weekly` are never due.
    """
    spec: CronSpec = actor.options["periodic"]
    written = str(spec)
    if len(written.split()) > 5:
        logger.warning(
            "%s is declared with %r, and all behind the fifth field is ignored; for seconds use @events.cron",
            actor.actor_name, written, extra={"action": "spec_ignored"},
        )  # fmt: skip
    meant = with_sundays(spec)
    if meant is spec:
        return spec
    logger.warning(
        "%s is declared with %r, which the periodiq command never fires on Sundays; this one does. Write 7 for Sunday",
        actor.actor_name, written, extra={"action": "spec_repaired"},
    )  # fmt: skip
    return meant


def with_sundays(spec: CronSpec) -> CronSpec:
    """Return cron fields that are due on Sundays also where these are called 0; the same ones where that is so."""
    if 0 not in spec.dow or 7 in spec.dow:
        return spec
    meant: CronSpec = spec.replace(dow=[*spec.dow, 7])
    meant.parsed_from = str(spec)
    return meant


def named(actors: Iterable[Actor[..., Any]]) -> str:
    """Return what a log says of actors: the application's by name with their fields, the sweeps by number."""
    own = [actor for actor in actors if actor.actor_name.startswith(OWN_ACTORS)]
    others = [f"{actor.actor_name} ({actor.options['periodic']})" for actor in actors if actor not in own]
    return ", ".join([*others, f"{len(own)} sweeps of eventsys"])
