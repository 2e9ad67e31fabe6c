"""What a reader finds in its queue that others had before: what they handed back, and what they died with."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Mapping
from typing import Any, Literal

from eventsys.store.channel import Channel
from eventsys.store.keys import GROUP, LOG_QUEUE
from eventsys.store.link import run_script_once
from eventsys.store.scripts import script

from .lanes import Entry
from .work import Work

#: Crashes of the process that handles it that make a message a dead letter.
CRASH_LIMIT = 5

#: What is known of an entry that another process held: it died with it, or had begun it in time and handed it back.
SUSPECT: Literal["suspect"] = "suspect"
BEGUN: Literal["begun"] = "begun"

#: An entry, and which of these it is, if any.
Found = tuple[Entry, Literal["suspect", "begun"] | None]

logger = logging.getLogger(__name__)


class Leftovers:
    """The messages of a queue that were handed back, or that a dead process held: the suspects, one at a time.

    Args:
        work: What the process holds.
        queue: The queue.
        streams: The keys of its lanes.
        channel: The connection of the reader.
    """

    def __init__(self, work: Work, queue: str, streams: Mapping[int, str], channel: Channel) -> None:
        self._work = work
        self._queue = queue
        self._channel = channel
        self._streams = dict(streams)
        self._lane_of = {stream.encode(): lane for lane, stream in streams.items()}
        self._lost_suspects: deque[Entry] = deque()
        self._is_suspects_turn = True

    @property
    def may_be_there(self) -> bool:
        """Whether it is worth asking for them."""
        return bool(self._lost_suspects) or self._work.presence.queues.have_leftovers(self._queue)

    def take(self, holder: str, room: int) -> list[Found]:
        """Return what others handed back, or one message that a dead process held: in turn, so that neither starves.

        Args:
            holder: The name under which this process takes them.
            room: Most of what was handed back.
        """
        is_suspects_turn = self._is_suspects_turn
        suspect = self._suspect(holder) if is_suspects_turn else None
        self._is_suspects_turn = not suspect
        if suspect:
            return suspect
        if returned := self._returned(holder, room):
            return returned
        if not is_suspects_turn:
            suspect = self._suspect(holder)
        if suspect is not None and not suspect:
            self._work.presence.queues.no_leftovers(self._queue)
        return suspect or []

    def but_suspects(self, own: list[Entry], holder: str) -> list[Entry]:
        """Return what this process holds according to Redis; what it was given as a suspect is set aside to be one."""
        self._lost_suspects.clear()
        if not own:
            return own
        marks = [f"{self._streams[lane]}|{entry.decode()}" for lane, entry, _ in own]
        crashes = self._channel.call("HMGET", f"{self._work.keys.prefix}:crashes", *marks)
        rest: list[Entry] = []
        for one, count in zip(own, crashes, strict=True):
            is_known = self._work.in_flight.knows(self._streams[one[0]], one[1].decode(), holder)
            (rest if count is None or is_known else self._lost_suspects).append(one)
        return rest

    def _returned(self, holder: str, room: int) -> list[Found]:
        # A lost reply is no reason to claim once more: what it told of is this process's now, and the next consumer
        # finds it in its own list. That holds for a suspect too, which it tells by the crash that was counted.
        arguments = (self._work.keys.prefix, holder, room, *self._streams.values())
        taken = run_script_once(self._channel, script("claim_returned"), *arguments)
        return [
            ((self._lane_of[stream], entry[0], entry[1]), BEGUN if entry[0] in begun else None)
            for stream, entries, begun in taken
            for entry in entries
        ]

    def _suspect(self, holder: str) -> list[Found] | None:
        """Claim one; return an empty list when there is none, and None when there may be one and it must wait."""
        work, limit = self._work, 0 if self._queue == LOG_QUEUE else CRASH_LIMIT
        if not work.in_flight.begin_claim():
            return None
        suspect: list[Any] = []
        try:
            arguments = (work.clock.now_ms(), holder, limit, work.retention_ms, *self._streams.values())
            suspect = self._lost_suspect(holder) or run_script_once(
                self._channel, script("claim_suspect"), work.keys.prefix, *arguments
            )
        finally:
            if len(suspect) != 3:  # lane, entry and crashes
                work.in_flight.end_claim()
        if len(suspect) == 2:
            logger.error(
                "a message that killed its process %d times is a dead letter now", CRASH_LIMIT,
                extra={"action": "crash_loop_buried", "queue": self._queue, "entry": suspect[1].decode()},
            )  # fmt: skip
            return None
        if not suspect:
            return []
        stream, entry, _crashes = suspect
        return [((self._lane_of[stream], entry[0], entry[1]), SUSPECT)]

    def _lost_suspect(self, holder: str) -> list[Any]:
        """Return one whose claim got no reply, as that would have told of it, if nobody has ended it since."""
        while self._lost_suspects:
            lane, entry, fields = self._lost_suspects.popleft()
            stream = self._streams[lane]
            if self._channel.call("XPENDING", stream, GROUP, entry, entry, 1, holder):
                return [stream.encode(), (entry, fields), 1]
        return []
