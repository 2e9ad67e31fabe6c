"""Reading the four lanes of a queue in fair shares."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventsys.errors import RedisRefusedError
from eventsys.model.priority import LANES
from eventsys.store.channel import Channel, NoGroupError
from eventsys.store.keys import GROUP
from eventsys.store.link import run_script
from eventsys.store.scripts import script

#: How often each lane is served under load, most urgent first.
SHARES = (8, 4, 2, 1)

#: Which lane comes first when there is room for fewer messages than lanes: each as often as its share says.
_TURNS = (0, 0, 1, 0, 0, 2, 0, 1, 0, 0, 1, 0, 3, 2, 1)

Entry = tuple[int, bytes, list[bytes]]


class LaneReader:
    """Fetches messages from the lanes of one queue, over its own connection.

    Args:
        channel: The connection.
        streams: The keys of the lanes, most urgent first.
        process: The name under which this process holds messages.
    """

    def __init__(self, channel: Channel, streams: Sequence[str], process: str) -> None:
        self._channel = channel
        self._streams = list(streams)
        self._lane_of = dict(zip((stream.encode() for stream in streams), LANES, strict=True))
        self.process = process
        self._turn = 0
        self._were_empty = [False] * len(streams)

    def ensure_groups(self) -> None:
        """Create the consumer group of every lane that has none."""
        prefix = self._streams[0].partition("}")[0] + "}"
        run_script(self._channel, script("create_groups"), prefix, *self._streams)

    def read_now(self, room: int) -> list[Entry]:
        """Return at most `room` messages that are there, by shares; an empty lane lends its share to the others."""
        if room < len(self._streams):
            return self._read_in_turn(room)
        counts = self._counts(room)
        replies = self._channel.pipeline(
            [self._command(count, [stream]) for count, stream in zip(counts, self._streams, strict=True)]
        )
        entries: list[Entry] = []
        for at, reply in enumerate(replies):
            if isinstance(reply, NoGroupError):
                self.ensure_groups()
                continue  # what the other lanes gave is this process's now
            if isinstance(reply, Exception):
                raise reply
            found = self._entries(reply)
            self._were_empty[at] = len(found) < counts[at]
            entries += found
        return entries

    def read_or_wait(self, room: int, timeout_ms: int) -> list[Entry]:
        """Return messages as soon as any lane has one, or nothing after `timeout_ms`.

        With room for fewer messages than lanes, a script that fills several empty lanes at once can make this return
        one for each: Redis has no count over lanes.
        """
        if room < len(self._streams) and (found := self._read_in_turn(room)):
            return found
        return self._blocking(max(1, room // len(self._streams)), timeout_ms)

    def read_at_once(self, room: int) -> list[Entry]:
        """Return at most `room` messages that are there, with one command: as many of each lane, most urgent first."""
        try:
            return self._entries(self._channel.call(*self._command(max(1, room // len(self._streams)), self._streams)))
        except NoGroupError:
            self.ensure_groups()
            return []

    def read_own(self) -> list[Entry]:
        """Return what this process holds according to Redis; what it does not know of is a lost reply."""
        found: list[Entry] = []
        for stream in self._streams:
            try:
                reply = self._channel.call("XREADGROUP", "GROUP", GROUP, self.process, "STREAMS", stream, "0")
            except NoGroupError:
                self.ensure_groups()
                continue
            found += self._entries(reply)
        return found

    def _blocking(self, count: int, timeout_ms: int) -> list[Entry]:
        command = self._command(count, self._streams, block_ms=timeout_ms)
        try:
            return self._entries(self._channel.call(*command, timeout_s=timeout_ms / 1000 + 5))
        except NoGroupError:
            self.ensure_groups()
            return []

    def _read_in_turn(self, room: int) -> list[Entry]:
        first = _TURNS[self._turn % len(_TURNS)]
        self._turn += 1
        order = [self._streams[first], *(stream for at, stream in enumerate(self._streams) if at != first)]
        entries: list[Entry] = []
        for stream in order:
            if len(entries) == room:
                break
            try:
                entries += self._entries(self._channel.call(*self._command(room - len(entries), [stream])))
            except NoGroupError:
                self.ensure_groups()
        return entries

    def _counts(self, room: int) -> list[int]:
        """Divide `room`; at least one for each lane, and never more than `room` together."""
        weights = [0 if empty else share for empty, share in zip(self._were_empty, SHARES, strict=True)]
        total = sum(weights) or sum(SHARES)
        weights = weights if any(weights) else list(SHARES)
        spare = room - len(self._streams)
        counts = [1 + spare * weight // total for weight in weights]
        busiest = max(range(len(counts)), key=lambda at: weights[at])
        counts[busiest] += room - sum(counts)
        return counts

    def _command(self, count: int, streams: Sequence[str], *, block_ms: int | None = None) -> tuple[Any, ...]:
        block = () if block_ms is None else ("BLOCK", max(1, block_ms))
        new = [">"] * len(streams)
        return ("XREADGROUP", "GROUP", GROUP, self.process, "COUNT", count, *block, "STREAMS", *streams, *new)

    def _entries(self, reply: Any) -> list[Entry]:
        if isinstance(reply, Exception):
            raise RedisRefusedError(str(reply))
        found: list[Entry] = []
        for stream, entries in reply or ():
            lane = self._lane_of[stream]
            found += [(lane, entry[0], entry[1]) for entry in entries]
        return found
