"""eventsys under the same orders as its peers, with nothing switched off that it does for what is sent.

- `worker`: `eventsys worker` with 8 threads. Messages are those of plain actors, as the peers' are: with retries, time
  limits, metrics and the transactional commit, and without a record. What is fanned out, timed or delayed is an event.
- `dramatiq`: the same under the stock `dramatiq` command.
- `events`: as `worker`, where each message is an event for one subscription, that the dispatcher gives out: recorded in
  the history, with each of its deliveries. A fan-out is one event for three subscriptions, published in batches.
- `batch`: as `events`, where each handler takes up to 100 events a call (`docs/batches.md`) and waits 50 ms for more of
  them, as it does by default.

Plain actors have no call for several messages; events have `publish_many`. Delays are `schedule(at=...)`, and many at
once `delayed.schedule_many`.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from datetime import UTC, datetime

import dramatiq

from benchmarks.peers.counting import Counter
from benchmarks.peers.sending import Payload, Sender
from benchmarks.workload import BATCH, SUBSCRIBERS, THREADS
from eventsys import Event, EventService

events = EventService(redis_url=os.environ["REDIS_URL"], app="bench")
counter = Counter()


def timed(event: Event) -> None:
    """Note how late it is."""
    counter.time(event.payload)


def timed_many(batch: list[Event]) -> None:
    """Note how late they are."""
    for event in batch:
        counter.time(event.payload)


def take(event: Event) -> None:
    """Count."""
    counter.count()


def take_many(batch: list[Event]) -> None:
    """Count."""
    counter.count(len(batch))


def noop(payload: Payload) -> None:
    """Count."""
    counter.count()


setting = os.environ["PEER_SETTING"]
names = {"timed": "bench.timed", "noop": "bench.noop", **{f"fan_{n}": "bench.fan" for n in range(SUBSCRIBERS)}}
for _name, _type in names.items():
    if setting == "batch":
        events.on(_type, name=_name, batch_size=BATCH)(timed_many if _name == "timed" else take_many)
    else:
        events.on(_type, name=_name)(timed if _name == "timed" else take)
actor = dramatiq.actor(actor_name="plain", queue_name="bench", broker=events.broker)(noop)

#: Whether what has one handler is sent to an actor, and not published.
_are_messages = setting in ("worker", "dramatiq")


class EventsysSender(Sender):
    """Sends to the plain actor, or publishes."""

    async def open(self) -> None:
        """Connect."""
        events.publish_many([])

    async def send(self, handler: str, payload: Payload) -> None:
        """Send or publish one."""
        if handler == "noop" and _are_messages:
            actor.send(payload)
        else:
            events.publish(f"bench.{handler}", payload)

    async def send_many(self, handler: str, payloads: Sequence[Payload]) -> None:
        """Publish several at once."""
        if _are_messages:
            await super().send_many(handler, payloads)
        events.publish_many([(f"bench.{handler}", payload) for payload in payloads])

    async def fan_out(self, payloads: Sequence[Payload]) -> None:
        """Publish each once; the dispatcher gives it to three."""
        events.publish_many([("bench.fan", payload) for payload in payloads])

    async def send_at(self, handler: str, payload: Payload, due_ms: int) -> None:
        """Schedule one."""
        events.schedule(f"bench.{handler}", payload, at=datetime.fromtimestamp(due_ms / 1000, UTC))

    async def send_many_at(self, handler: str, payload: Payload, due_ms: int, count: int) -> None:
        """Schedule many, due at once, a batch in each call."""
        one = {
            "event_type": f"bench.{handler}", "payload": payload, "at": datetime.fromtimestamp(due_ms / 1000, UTC)
        }  # fmt: skip
        for start in range(0, count, BATCH):
            events.delayed.schedule_many([one] * min(BATCH, count - start))


def worker_command(processes: int) -> list[str]:
    """Return the command of the workers."""
    module = "benchmarks.peers.eventsys_app"
    options = [module, "--processes", str(processes), "--threads", str(THREADS)]
    return ["dramatiq", *options] if setting == "dramatiq" else ["eventsys", "worker", *options]


SENDER = EventsysSender
