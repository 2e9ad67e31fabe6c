"""What a Dramatiq worker reads a queue with."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable, Collection, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any

from dramatiq import Consumer, MessageProxy
from dramatiq.errors import ConnectionClosed

from eventsys.errors import BackpressureError, EventsysError, RedisUnavailableError
from eventsys.model.priority import LANES
from eventsys.store.link import run_script

from .actor import HandlerActor
from .commit_trip import Fetched
from .lanes import Entry, LaneReader
from .leftovers import BEGUN, SUSPECT, Found, Leftovers
from .messages import DeliveryMessage, Place, Received, UndecodableError, read_entry
from .patience import Patience
from .prefetch import Prefetch
from .setting_aside import set_aside
from .turning_down import turn_down
from .wanted import why_unwanted
from .work import Work

#: Seconds a reader with suspects waits for the one that runs, before it looks for other messages.
SUSPECT_PAUSE_S = 0.02

#: Seconds between two looks at whether a paused queue may be read again.
PAUSED_S = 0.5


class EventConsumer(Consumer):
    """Fetches the messages of one queue, as many as this process can handle soon.

    It raises nothing but `ConnectionClosed`: Dramatiq then closes it and asks for another one, which begins by looking
    for messages that Redis believes this process to hold and that it does not know: those of a lost reply.

    Args:
        work: What the process holds.
        queue: The queue.
        threads: How many threads handle its messages.
        timeout_ms: How long an empty queue is waited for at a time; 0: not at all.

    Attributes:
        channel: Its connection. What fetching has to ask of Redis goes over it, in whichever thread.
        patience: How long it waits for an empty queue; whoever can wake it may lengthen that.
    """

    def __init__(self, work: Work, queue: str, *, threads: int, timeout_ms: int) -> None:
        self.queue = queue
        self._work = work
        self._timeout_ms = timeout_ms
        self._prefetch = Prefetch(threads)
        self._ready: deque[Received] = deque()
        self._streams = {lane: work.keys.lane(queue, lane) for lane in LANES}
        self._lane_of = {stream.encode(): lane for lane, stream in self._streams.items()}
        self.channel = work.link.channel()
        self.patience = Patience(self.channel, timeout_ms)
        self._reader = LaneReader(self.channel, list(self._streams.values()), work.presence.name)
        self._holder = ""
        self._is_busy = False
        self._leftovers = Leftovers(work, queue, self._streams, self.channel)
        self._has_lost_some = False

    def __next__(self) -> Received | None:
        """Return the next message, or None when there was none for a while.

        Raises:
            ConnectionClosed: If Redis cannot be asked now.
        """
        while True:
            if self._ready:
                message = self._ready.popleft()
                if self._work.presence.holds(message.place.holder):
                    return message
                # The lease ended while this message waited here, or before it came: somebody else has it, or will.
                self._work.in_flight.hold_no_more([message.place])
                self._work.presence.came_late(message.place.holder)
                continue
            with self._work.link.over(self.channel):  # not for each message: Dramatiq's worker takes them one by one
                try:
                    self._take(self._fetch())
                except EventsysError as error:
                    raise ConnectionClosed(str(error)) from error
                if self._work.is_ending or self._work.presence.is_paused(self.queue):
                    self._give_back()
            if not self._ready:
                return None

    def take_all(self) -> list[Received]:
        """Return everything fetched at once, waiting for it as `__next__` does; empty when there was nothing."""
        first = next(self)
        if first is None:
            return []
        messages = [first, *self._ready]
        self._ready.clear()
        return messages

    def room(self) -> int:
        """Return how many messages could begin at once while this waits for its queue to have some; else 0."""
        work = self._work
        if not self.patience.is_on or work.is_ending or self._holder != work.presence.name:
            return 0
        if work.presence.is_paused(self.queue) or work.presence.queues.have_leftovers(self.queue):
            return 0
        return max(0, self._prefetch.threads - work.in_flight.held(self.queue))

    def excess(self) -> int:
        """Return how many messages this process holds of the queue for handlers that have stalled since; else 0."""
        return self._prefetch.excess(self._work.in_flight.held(self.queue))

    def find_lost(self) -> None:
        """Look for what another thread fetched for this one, with an answer that was lost."""
        self._has_lost_some = True
        self.patience.wake()

    def accept(self, fetched: Fetched, holder: str, *, over: Collection[tuple[str, str, str]]) -> list[Received]:
        """Return the messages that another thread fetched for this one, which waits meanwhile.

        Args:
            fetched: What it fetched.
            holder: The name that this process had then; it may have another one by now.
            over: What was over before it could be noted here.

        Raises:
            EventsysError: If Redis had to be asked whether they may begin now, and does not answer.
        """
        stream, entries = fetched
        lane = self._lane_of[stream]
        messages = self._noted([((lane, entry, fields), None) for entry, fields in entries], holder, over=over)
        return self._admitted(messages, self._work.link.run) if self._work.gates.watched else messages

    def ack(self, message: MessageProxy) -> None:
        """End the attempt at a message that was handled, or that is to be tried again."""
        if isinstance(message, Received):
            self._work.end(message, succeeded=True)

    def nack(self, message: MessageProxy) -> None:
        """End the attempt at a message for good: a dead letter."""
        if isinstance(message, Received):
            self._work.end(message, succeeded=False)

    def requeue(self, messages: Iterable[MessageProxy]) -> None:
        """Hand back messages that were not started."""
        try:
            self._work.hand_back([message for message in messages if isinstance(message, Received)])
        except EventsysError as error:
            raise ConnectionClosed(str(error)) from error

    def close(self) -> None:
        """Hand back what was fetched and not given out, and close the connection."""
        left, self._ready = list(self._ready), deque()
        self.channel.close()
        self._work.last_commits.wait(self._work.committer)
        last = self._work.link.channel()  # whose thread may not have let go of the other one yet
        # Where it fails the next consumer finds them in its own list, or they are taken over.
        with suppress(ConnectionClosed), self._work.link.over(last):
            self.requeue(left)
        last.close()

    def _give_back(self) -> None:
        """Hand back what a read brought that was waiting when this process began to end, or its queue was paused."""
        self.requeue(self._ready)
        self._ready.clear()  # last: what could not be handed back `close` tries once more

    def _fetch(self) -> list[Found]:
        work = self._work
        if work.is_ending or work.presence.is_paused(self.queue):
            threading.Event().wait(min(self._timeout_ms / 1000, PAUSED_S))
            return []
        if self._holder != work.presence.name or self._has_lost_some:
            self._has_lost_some = False
            self._begin()
            if self._ready:
                return []
        has_leftovers = self._leftovers.may_be_there
        limit = self._prefetch.limit(work.in_flight.handled_count(self.queue))
        if has_leftovers:
            # A suspect must begin when it is claimed: while it waits for a thread, each kill of this process counts
            # as a crash of its own.
            limit = self._prefetch.threads
        # Fast handlers are fed again when half of what they may hold is done, so that a round trip carries many.
        enough = limit // 2 + 1 if limit > self._prefetch.threads else limit
        found_room = work.in_flight.wait_for_room(self.queue, enough, self._timeout_ms / 1000)
        self._prefetch.waited(self._timeout_ms / 1000, found_room=found_room)
        if not found_room:
            return []
        if not work.committer.backlog.has_room(self._timeout_ms / 1000):
            return []
        if self._holder != work.presence.name:
            return []  # the lease ended while this waited: nobody would look for what came under that name now
        room = limit - work.in_flight.held(self.queue)
        if has_leftovers and (found := self._leftovers.take(self._holder, room)):
            return found
        return [(entry, None) for entry in self._read(room)]

    def _read(self, room: int) -> list[Entry]:
        # With leftovers, waiting in Redis would let each suspect wait for as long as an empty queue is waited for.
        has_leftovers = self._work.presence.queues.have_leftovers(self.queue)
        never_waits = self._timeout_ms == 0
        if never_waits:
            return self._reader.read_at_once(room)
        entries = self._reader.read_now(room) if self._is_busy or has_leftovers else []
        if not entries and has_leftovers:
            self._work.in_flight.wait_for_suspect(SUSPECT_PAUSE_S)
        elif not entries:
            entries = self._wait(room)
        # A lane that gave less than its share of a waiting read has no more: reading on would find nothing, and only
        # cost a round trip before the next wait.
        self._is_busy = len(entries) >= max(1, room // len(LANES))
        return entries

    def _wait(self, room: int) -> list[Entry]:
        presence = self._work.presence
        if not presence.holds(self._holder):
            return []
        entries: list[Entry] = []
        problem: RedisUnavailableError | None = None
        try:
            # A read outlives its process in Redis where the machine is lost, for no connection is closed. What it was
            # given after the lease had ended, and all else was taken over, nobody would look for.
            timeout_ms = self.patience.begin(within_s=presence.lease_left_s)
            if not self._has_lost_some:  # whoever said so before this wait began has woken nobody
                entries = self._reader.read_or_wait(room, timeout_ms)
        except RedisUnavailableError as error:
            problem = error
        finally:
            was_woken = self.patience.end(found=bool(entries))
        if was_woken:
            self.channel.close()
            self._holder = ""  # so it begins anew, and finds what came, or a reply that was lost, among what it holds
            return []
        if problem is not None:
            raise problem
        return entries

    def _begin(self) -> None:
        """Enter the queue, and take what this process holds there without knowing: the replies it lost."""
        work = self._work
        self._reader.ensure_groups()
        work.presence.enter(self.queue)
        with suppress(BackpressureError):  # what drains goes on at the memory limit; it is told with the next lease
            work.queue_names.tell(actor.queue_name for actor in work.actors.values())
        self._holder = work.presence.name
        self._reader.process = self._holder
        work.presence.queues.wake_by(self.queue, self.patience.wake)
        with work.in_flight.watch() as over:
            own = self._leftovers.but_suspects(self._reader.read_own(), self._holder)
            self._take([(entry, None) for entry in own], over=over, are_found=True)

    def _take(
        self, entries: list[Found], *, over: Collection[tuple[str, str, str]] = (), are_found: bool = False
    ) -> None:
        if entries:
            few = (entries[0], entries[len(entries) // 2], entries[-1])
            self._prefetch.weigh([fields or () for (_, _, fields), _ in few])
        messages = self._noted(entries, self._holder, over=over, are_found=are_found)
        self._ready.extend(
            self._admitted(messages, partial(run_script, self.channel)) if self._work.gates.watched else messages
        )

    def _noted(
        self, entries: list[Found], holder: str, *, over: Collection[tuple[str, str, str]], are_found: bool = False
    ) -> list[Received]:
        """Note entries as held, and return those that are new and can be read as messages."""
        places = [
            Place(self.queue, lane, self._streams[lane], entry.decode(), holder, past is SUSPECT, past is BEGUN)
            for (lane, entry, _), past in entries
        ]
        are_new = self._work.in_flight.add(places, over=over, are_found=are_found)
        messages: list[Received] = []
        for ((_, _, fields), _), place, is_new in zip(entries, places, are_new, strict=True):
            if not is_new:
                continue
            try:
                message = read_entry(fields or (), place, self._work.seal)
            except UndecodableError as error:
                set_aside(self._work, place, error)
                continue
            message.actor = self._work.actor_of(message)
            if self._work.seal is not None and not self._is_wanted(message, fields or ()):
                continue
            self._work.in_flight.give(message)
            messages.append(message)
        return messages

    def _is_wanted(self, message: Received, fields: Sequence[bytes]) -> bool:
        """Say whether a message may run here; a delivery that its handler does not want is turned down."""
        actor = message.actor
        if not isinstance(message, DeliveryMessage) or not isinstance(actor, HandlerActor):
            return True
        why = why_unwanted(message, actor)
        if why:
            turn_down(self._work, message, actor, why, fields)
        return not why

    def _admitted(self, messages: list[Received], run: Callable[..., Any]) -> list[Received]:
        """Return the messages that may begin now; the others are left to Redis."""
        work = self._work
        try:
            begin, others = work.gates.admit(run, work.keys.prefix, work.clock.now_ms(), messages)
        except EventsysError:
            # They are pending for this process, and served again by the next connection.
            work.in_flight.hold_no_more([message.place for message in messages])
            raise
        if others:
            work.in_flight.hold_no_more([message.place for message in others])
        return begin
