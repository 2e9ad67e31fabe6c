"""FastStream on Redis, by list and by stream, one message a call or a batch a call.

- `list`, `stream`: as the pages "Redis List: Subscription" and "Redis Stream: Consumer Groups" show it
  (https://faststream.ag2.ai/latest/redis/list/, https://faststream.ag2.ai/latest/redis/streams/groups/): one message a
  handler call. A stream without a group loses what comes while no worker runs, so the stream has groups.
- `list batch`, `stream batch`: `batch=True` with `max_records=100`
  (https://faststream.ag2.ai/latest/redis/list/batch/, https://faststream.ag2.ai/latest/redis/streams/batch/): one call
  for up to 100 messages; all of them succeed or fail together.

uvloop is installed, which the command takes by itself. A list takes several messages by `publish_batch`; a stream takes
them by `publish(..., pipeline=...)` (https://faststream.ag2.ai/latest/redis/pipeline/). One event for three handlers is
one message on a stream with three groups, and three messages on three lists. There are no delayed messages.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Any

import redis.asyncio as redis
from faststream import FastStream
from faststream.redis import ListSub, RedisBroker, StreamSub

from benchmarks.peers.counting import Counter
from benchmarks.peers.sending import Payload, Sender
from benchmarks.workload import BATCH, SUBSCRIBERS

URL = os.environ["REDIS_URL"]
SETTING = os.environ["PEER_SETTING"]
IS_STREAM, IS_BATCH = SETTING.startswith("stream"), SETTING.endswith("batch")
FAN = [f"fan_{number}" for number in range(SUBSCRIBERS)]

broker = RedisBroker(URL, logger=None)
app = FastStream(broker)
counter = Counter()
MORE: dict[str, Any] = {"max_workers": 100} if SETTING.endswith("100 at once") else {}


def _source(name: str) -> dict[str, Any]:
    """Return where a handler of that name reads from."""
    if not IS_STREAM:
        return {"list": ListSub(name, batch=True, max_records=BATCH) if IS_BATCH else name}
    stream = "fan" if name in FAN else name
    group = {"group": name, "consumer": f"{name}-{os.getpid()}"}
    batch = {"batch": True, "max_records": BATCH} if IS_BATCH else {}
    return {"stream": StreamSub(stream, **group, **batch)}


if IS_BATCH:

    async def noop(messages: list[Payload]) -> None:
        """Count."""
        counter.count(len(messages))

    async def timed(messages: list[Payload]) -> None:
        """Note how late they are."""
        for message in messages:
            counter.time(message)
else:

    async def noop(message: Payload) -> None:  # type: ignore[misc]
        """Count."""
        counter.count()

    async def timed(message: Payload) -> None:  # type: ignore[misc]
        """Note how late it is."""
        counter.time(message)


def _named(name: str) -> Any:
    """Return a handler of its own: FastStream joins the subscriptions of one function."""

    async def handler(message: list[Payload] if IS_BATCH else Payload) -> None:  # type: ignore[valid-type]
        await noop(message)

    # Annotations are text here, which FastStream would look up in the module.
    handler.__annotations__ = {"message": list[Payload] if IS_BATCH else Payload, "return": None}
    return handler


for _name in ("noop", *FAN):
    broker.subscriber(**_source(_name), **MORE)(_named(_name))
broker.subscriber(**_source("timed"), **MORE)(timed)


class FaststreamSender(Sender):
    """Sends by `publish`."""

    async def open(self) -> None:
        """Connect, and make the groups, which read what comes before the worker too."""
        await broker.connect()
        self._client = redis.Redis.from_url(URL)
        if IS_STREAM:
            for name in ("noop", "timed", *FAN):
                await self._client.xgroup_create("fan" if name in FAN else name, name, id="0", mkstream=True)

    async def send(self, handler: str, payload: Payload) -> None:
        """Send one."""
        await broker.publish(payload, **{"stream" if IS_STREAM else "list": handler})

    async def send_many(self, handler: str, payloads: Sequence[Payload]) -> None:
        """Send several in one step."""
        if not IS_STREAM:
            await broker.publish_batch(*payloads, list=handler)
            return
        async with self._client.pipeline(transaction=False) as pipe:
            for payload in payloads:
                await broker.publish(payload, stream=handler, pipeline=pipe)
            await pipe.execute()

    async def fan_out(self, payloads: Sequence[Payload]) -> None:
        """Send each event once to the stream, or to the three lists."""
        for target in ["fan"] if IS_STREAM else FAN:
            await self.send_many(target, payloads)


def worker_command(processes: int) -> list[str]:
    """Return the command of one worker process."""
    return ["faststream", "run", "benchmarks.peers.faststream_app:app", "--log-level", "error"]


SENDER = FaststreamSender
