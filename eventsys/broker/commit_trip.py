"""One way to Redis and back that ends attempts."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from eventsys.clock import Clock
from eventsys.errors import RedisUnavailableError
from eventsys.store.channel import Channel
from eventsys.store.commit_batch import CommitBatch
from eventsys.store.link import run_script
from eventsys.store.scripts import script

from .finished import Finished, add_shared

#: A lane, and its entries that are this process's now: each its name and fields.
Fetched = tuple[bytes, list[tuple[bytes, list[bytes]]]]


class Sent(NamedTuple):
    """A commit that is under way.

    Attributes:
        batch: What it ends.
        written: The same, as it was sent.
        posted: What the connection returns its reply for.
    """

    batch: list[Finished]
    written: CommitBatch
    posted: Any


class CommitTrip:
    """What sends attempts that are over to the script `commit`, and reads its answer; for one thread.

    Args:
        channel: The connection.
        prefix: The prefix of the bus.
        clock: The time.
        retention_ms: How long the record of a finished event is kept.
        lease_ended: Called when Redis says that the lease was ended under which something was held.
        subscriptions_changed: Called when a commit tells of another version of the subscriptions than the one before.

    Attributes:
        fetched: What the last one brought of the lanes that were wanted; None where an answer was lost that may have
            told of some.
    """

    def __init__(
        self,
        channel: Channel,
        prefix: str,
        clock: Clock,
        retention_ms: int,
        lease_ended: Callable[[], None],
        subscriptions_changed: Callable[[], None],
    ) -> None:
        self._channel = channel
        self._prefix = prefix
        self._clock = clock
        self._retention_ms = retention_ms
        self._lease_ended = lease_ended
        self._subscriptions_changed = subscriptions_changed
        self._version = b""
        self._script = script("commit")
        self.fetched: list[Fetched] | None = None

    def make(self, batch: Sequence[Finished], *, wanted: Sequence[str | int] = ()) -> list[str]:
        """Commit what was held under each name by itself: there is one, but for a process that was paused.

        Args:
            batch: What is to end.
            wanted: Lanes, each with how many of the deliveries that this puts there become this process's with it.

        Returns:
            What came of each: "ok", "lost", "refused" or "stale", as `lua/commit.lua` has them.

        Raises:
            EventsysError: If Redis does not answer, or refuses the script as a whole.
        """
        first = batch[0].place.holder
        if all(one.place.holder == first for one in batch):
            return self._make(first, batch, wanted)
        results = ["ok"] * len(batch)
        holders: dict[str, list[int]] = {}
        for at, one in enumerate(batch):
            holders.setdefault(one.place.holder, []).append(at)
        for holder, places in holders.items():
            part = self._make(holder, [batch[at] for at in places], wanted)
            for at, result in zip(places, part, strict=True):
                results[at] = result
                if result == "ok":
                    batch[at].may_have_run = True  # where the rest fails, all of them are sent again
        return results

    def send(self, batch: list[Finished], behind: Sent | None) -> Sent | None:
        """Send a commit and wait for nothing, so that Redis has it when it is through with the one before.

        Args:
            batch: What is to end.
            behind: What was sent before and is not answered yet.

        Returns:
            What `answer` takes; None where it has to be made in parts.

        Raises:
            EventsysError: If Redis cannot be reached. Then it did not run.
        """
        holder = batch[0].place.holder
        if any(one.place.holder != holder for one in batch):
            return None
        written = _written(batch)
        posted = self._channel.post(
            "EVALSHA", self._script.sha, 1, *self._arguments(holder, written),
            behind=None if behind is None else behind.posted,
        )  # fmt: skip
        return Sent(batch, written, posted)

    def answer(self, sent: Sent) -> list[str]:
        """Wait for the answer to the first that was sent of those that have none yet, and return as `make` does.

        Raises:
            EventsysError: If there is none, as with `make`. What was sent behind it has no answer either then.
        """
        try:
            told = self._channel.collect(sent.posted)
            return self._results(sent.batch, sent.written, told, was_repeated=False)
        except Exception as error:
            self._channel.close()  # or what comes on it would be taken for the answer to something else
            self._note_lost(sent.batch, error)
            raise

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def _make(self, holder: str, batch: Sequence[Finished], wanted: Sequence[str | int]) -> list[str]:
        written = _written(batch)
        if wanted:
            written.fetch(wanted)
        repeats: list[Exception] = []
        self.fetched = None
        try:
            told = run_script(
                self._channel, self._script, *self._arguments(holder, written), on_repeat=repeats.append
            )  # fmt: skip
        except RedisUnavailableError as error:
            self._note_lost(batch, error)
            raise
        if wanted and told != [b"ended"]:
            fetched = told.pop(-2)
            self.fetched = None if repeats else fetched
        return self._results(batch, written, told, was_repeated=bool(repeats))

    def _arguments(self, holder: str, written: CommitBatch) -> list[Any]:
        return [self._prefix, self._clock.now_ms(), holder, self._retention_ms, *written.arguments()]

    def _results(
        self, batch: Sequence[Finished], written: CommitBatch, told: list[Any], *, was_repeated: bool
    ) -> list[str]:
        if told == [b"ended"]:
            self._lease_ended()
            return ["lost"] * len(batch)
        version = told.pop()
        if version != self._version:
            self._version = version
            self._subscriptions_changed()
        results = ["ok"] * len(batch)
        for at, why in written.exceptions(told):
            # After a lost reply, what has ended before was ended by this very commit.
            if not (why == "lost" and (was_repeated or batch[at].may_have_run)):
                results[at] = why
        return results

    @staticmethod
    def _note_lost(batch: Sequence[Finished], error: Exception) -> None:
        if isinstance(error, RedisUnavailableError) and error.may_have_run:
            for one in batch:
                one.may_have_run = True


def _written(batch: Sequence[Finished]) -> CommitBatch:
    written = CommitBatch([(one.place.stream, one.place.entry, one.ending, one.steps, one.gate) for one in batch])
    add_shared(written, batch)
    return written
