"""Attempts that are over, on their way into the commit."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from eventsys.store.commit_batch import CommitBatch
from eventsys.store.steps import Step

from .endings import Ending
from .messages import Place


class Shared:
    """What attempts leave behind together that were made in one call: it goes out while any of them is ours to end.

    Attributes:
        steps: What the handler published.
    """

    __slots__ = ("_is_any_ok", "_left", "_settle", "steps")

    def __init__(self, steps: list[Step], many: int, settle: Callable[..., None]) -> None:
        self.steps = steps
        self._left = many
        self._settle = settle
        self._is_any_ok = False

    def note(self, result: str) -> None:
        """Note how one of them came out; after the last, tell who waits for the commit."""
        self._left -= 1
        self._is_any_ok = self._is_any_ok or result == "ok"
        if self._left == 0:
            self._settle(committed=self._is_any_ok)


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
        weight: Bytes that it holds until it is committed, where these are many.
    """

    __slots__ = ("done", "ending", "gate", "place", "resolve", "shared", "steps", "weight")

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
        self.gate = gate
        self.shared: Shared | None = None
        self.place = place
        self.ending = ending
        self.steps = steps
        self.done = done
        self.resolve = resolve


def add_shared(written: CommitBatch, batch: Sequence[Finished]) -> None:
    """Write down once what several attempts leave behind together."""
    sharing: dict[int, tuple[Shared, list[int]]] = {}
    for at, one in enumerate(batch):
        if one.shared is not None and one.shared.steps:
            sharing.setdefault(id(one.shared), (one.shared, []))[1].append(at)
    for shared, places in sharing.values():
        written.add_shared(places, shared.steps)
