"""Keeping delayed events in chunks: each is kept as a whole or not at all, but for what is refused by itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from eventsys.bus.drafting import Draft
from eventsys.bus.outcomes import partial_error, unavailable
from eventsys.bus.publisher import ATOMIC
from eventsys.errors import EventConflictError, EventsysError, RedisUnavailableError
from eventsys.scheduling.delayed_keys import conflict
from eventsys.store.steps import Step

CarryOut = Callable[[list[Step]], list[Any]]


def keep_all(drafts: Sequence[Draft], steps: Sequence[Step], carry_out: CarryOut) -> None:
    """Keep events, up to 500 together.

    Args:
        drafts: The events.
        steps: What keeps each.
        carry_out: Carries out steps together, and returns what came of each.

    Raises:
        EventConflictError: If the id or key of the only one is taken.
        PartialPublishError: If that of one of several is, or a later chunk failed; it tells which are kept.
        EventsysError: If the first chunk failed; nothing is kept.
    """
    events = [draft.event for draft in drafts]
    for start in range(0, len(drafts), ATOMIC):
        end = start + ATOMIC
        try:
            taken = _keep(drafts[start:end], list(steps[start:end]), carry_out)
        except EventsysError as error:
            if start == 0:
                raise
            raise partial_error(events[:start], events[start:], error) from error
        if taken:
            first = next(iter(taken.values()))
            if len(drafts) == 1:
                raise first
            kept = [event for at, event in enumerate(events[start:end]) if at not in taken]
            refused = [events[start + at] for at in taken]
            raise partial_error([*events[:start], *kept], [*refused, *events[end:]], first) from first


def _keep(drafts: Sequence[Draft], steps: list[Step], carry_out: CarryOut) -> dict[int, EventConflictError]:
    """Keep events together or not at all, and return those whose id or key is taken, by their place."""
    try:
        results = carry_out(steps)
    except RedisUnavailableError as error:
        raise unavailable(drafts[0], error) from error
    return {
        at: conflict(draft.event.id, result[0], result[1].decode())
        for at, (draft, result) in enumerate(zip(drafts, results, strict=True))
        if result[0] != b"delayed"
    }
