"""Attempts that are over, on their way into the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eventsys.store.commit_batch import CommitBatch
from eventsys.store.steps import Step

from .attempt import Attempt
from .endings import Ending
from .messages import Place


class Shared:
    """What attempts leave behind together that were made in one call.

    Args:
        attempt: The attempt at all of them, over.
        many: How many of them there are.

    Attributes:
        published: What the handler published: it goes out while any is ours to end that succeeded.
        added: What hooks added after the handler: it goes out while any is ours to end.
    """

    __slots__ = ("_is_committed", "_left", "_settle", "added", "published")

    def __init__(self, attempt: Attempt, many: int) -> None:
        self.published = attempt.published
        self.added = attempt.added
        self._left = many
        self._settle = attempt.settle
        self._is_committed = False

    def note(self, result: str, *, succeeded: bool) -> None:
        """Note how one of them came out; after the last, tell who waits for the commit."""
        self._left -= 1
        if result == "ok" and (succeeded or not self.published):
            self._is_committed = True
        if self._left == 0:
            self._settle(committed=self._is_committed)


class Finished:
    """An attempt that is over, on its way into the commit.

    Attributes:
        place: Where its message stands.
        ending: What becomes of it.
        steps: What its handler and hooks published.
        done: Called once with "ok" or "lost" when the commit has returned.
        resolve: Computes the ending again when the subscriptions changed under it; None: it was handed back instead.
        gate: What a subscription with limits or a breaker has to be told: its name, and the verdict.
        shared: What it leaves behind together with others, which then are ended by the same script call.
        may_have_run: Whether its commit was sent before, and the answer lost.
        weight: Bytes that it holds until it is committed, where these are many.
        succeeded: Whether its handler succeeded; said only where something is shared.
    """

    __slots__ = ("done", "ending", "gate", "may_have_run", "place", "resolve", "shared", "steps", "succeeded", "weight")

    def __init__(
        self,
        place: Place,
        ending: Ending,
        steps: list[Step],
        done: Callable[[str], None] | None = None,
        resolve: Callable[[], Ending | None] | None = None,
        gate: tuple[str, str] | None = None,
        weight: int = 0,
    ) -> None:
        self.weight = weight
        self.may_have_run = False
        self.gate = gate
        self.shared: Shared | None = None
        self.succeeded = False
        self.place = place
        self.ending = ending
        self.steps = steps
        self.done = done
        self.resolve = resolve


def add_shared(written: CommitBatch, batch: Sequence[Finished]) -> None:
    """Write down once what several attempts leave behind together."""
    sharing: dict[int, tuple[Shared, list[int], list[int]]] = {}
    for at, one in enumerate(batch):
        if one.shared is not None:
            _, all_of_them, succeeded = sharing.setdefault(id(one.shared), (one.shared, [], []))
            all_of_them.append(at)
            if one.succeeded:
                succeeded.append(at)
    for shared, all_of_them, succeeded in sharing.values():
        if shared.published and succeeded:
            written.add_shared(succeeded, shared.published)
        if shared.added:
            written.add_shared(all_of_them, shared.added)
