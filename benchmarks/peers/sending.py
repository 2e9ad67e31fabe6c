"""The sender of a peer: a process of the peer's own interpreter that takes orders on its standard input.

Each order is a line of JSON, and each is answered by one. So the interpreter's start and the first connection are not
measured, and what is measured is timed inside, next to the peer's own call. The orders:

    {"do": "single", "handler": "noop", "count": 100}     send one by one, each in Redis before the next
    {"do": "batch", "handler": "noop", "count": 100}      send as the peer sends several at once
    {"do": "fan", "count": 100}                           send events, each to three handlers
    {"do": "timed", "count": 100, "pause_s": 0.05}        send one by one with a pause, for the latency
    {"do": "delayed", "count": 100, "lead_s": 5, "window_s": 10}   to be due evenly over a window that begins in lead_s
    {"do": "far", "count": 1000, "limit_s": 60}           to be due in an hour, until the time is up

The answer is {"sent": n, "seconds": s, "cpu_seconds": s}, the last of all threads of the sender, or {"none": reason}
where a peer has no such thing.
"""

from __future__ import annotations

import asyncio
import json
import sys
import time
from collections.abc import Sequence
from typing import Any

from benchmarks.workload import BATCH, PAYLOAD, SUBSCRIBERS

_HOUR_S = 3600
_FAR_CHUNK = 1000

Payload = dict[str, Any]


class AbsentError(Exception):
    """The peer has no such feature; says so in a sentence."""


class Sender:
    """Sends as one peer does; a peer overrides what it has.

    Handlers are named `noop` (nothing), `timed` (notes how late it is) and `fan_0` to `fan_2` (nothing).

    Attributes:
        sends_together: Whether several sends may be under way at once, which is how an asyncio library without a call
            for many messages sends many.
    """

    sends_together = False

    async def open(self) -> None:
        """Connect."""

    async def send(self, handler: str, payload: Payload) -> None:
        """Send one message; it is in Redis when this returns."""
        raise NotImplementedError

    async def send_many(self, handler: str, payloads: Sequence[Payload]) -> None:
        """Send several messages in the way that the peer's documentation has for that."""
        if not self.sends_together:
            raise AbsentError("no call that sends several messages at once")
        await asyncio.gather(*(self.send(handler, payload) for payload in payloads))

    async def fan_out(self, payloads: Sequence[Payload]) -> None:
        """Send events, each to three handlers."""
        handlers = [f"fan_{number}" for number in range(SUBSCRIBERS)]
        if self.sends_together:
            await asyncio.gather(*(self.send(handler, payload) for payload in payloads for handler in handlers))
            return
        for payload in payloads:
            for handler in handlers:
                await self.send(handler, payload)

    async def send_at(self, handler: str, payload: Payload, due_ms: int) -> None:
        """Send one message that is due at a time, in milliseconds since 1970."""
        raise AbsentError("no delayed messages")

    async def send_many_at(self, handler: str, payload: Payload, due_ms: int, count: int) -> None:
        """Send the same message many times, due at the same time, in the fastest documented way."""
        for start in range(0, count, BATCH):
            size = min(BATCH, count - start)
            if self.sends_together:
                await asyncio.gather(*(self.send_at(handler, payload, due_ms) for _ in range(size)))
                continue
            for _ in range(size):
                await self.send_at(handler, payload, due_ms)


def serve(sender: Sender) -> None:
    """Carry out orders until the input ends, on uvloop where the peer has it, as its worker does."""
    try:
        from uvloop import new_event_loop
    except ImportError:
        asyncio.run(_serve(sender))
        return
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_serve(sender))


async def _serve(sender: Sender) -> None:
    await sender.open()
    print(json.dumps({"ready": True}), flush=True)
    loop = asyncio.get_running_loop()
    while line := await loop.run_in_executor(None, sys.stdin.readline):
        order = json.loads(line)
        began, used = time.perf_counter(), time.process_time()
        try:
            sent = await _ORDERS[order.pop("do")](sender, **order)
            seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - used
            answer: dict[str, object] = {"sent": sent, "seconds": seconds, "cpu_seconds": cpu_seconds}
        except AbsentError as absent:
            answer = {"none": str(absent)}
        print(json.dumps(answer), flush=True)


async def _single(sender: Sender, *, handler: str, count: int) -> int:
    for _ in range(count):
        await sender.send(handler, PAYLOAD)
    return count


async def _batch(sender: Sender, *, handler: str, count: int) -> int:
    for start in range(0, count, BATCH):
        await sender.send_many(handler, [PAYLOAD] * min(BATCH, count - start))
    return count


async def _fan(sender: Sender, *, count: int) -> int:
    for start in range(0, count, BATCH):
        await sender.fan_out([PAYLOAD] * min(BATCH, count - start))
    return count


async def _timed(sender: Sender, *, count: int, pause_s: float) -> int:
    for _ in range(count):
        await asyncio.sleep(pause_s)
        await sender.send("timed", {**PAYLOAD, "at_us": time.monotonic_ns() // 1000})
    return count


async def _delayed(sender: Sender, *, count: int, lead_s: float, window_s: float) -> int:
    wall_ns, monotonic_ns = time.time_ns(), time.monotonic_ns()
    began_ms, began_us = wall_ns // 1_000_000, (monotonic_ns - wall_ns % 1_000_000) // 1000
    for number in range(count):
        # Whole milliseconds: what the coarsest of the peers can store, so that none is early or late by rounding.
        after_ms = round((lead_s + window_s * number / count) * 1000)
        await sender.send_at("timed", {**PAYLOAD, "at_us": began_us + after_ms * 1000}, began_ms + after_ms)
    return count


async def _far(sender: Sender, *, count: int, limit_s: float) -> int:
    began, sent = time.monotonic(), 0
    due_ms = time.time_ns() // 1_000_000 + _HOUR_S * 1000
    while sent < count and time.monotonic() - began < limit_s:
        chunk = min(_FAR_CHUNK, count - sent)
        await sender.send_many_at("noop", PAYLOAD, due_ms, chunk)
        sent += chunk
    return sent


_ORDERS = {"single": _single, "batch": _batch, "fan": _fan, "timed": _timed, "delayed": _delayed, "far": _far}
