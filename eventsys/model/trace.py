"""What led to what: the events of one chain as a tree of causes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict, Field

from eventsys.model.event import EventRecord


class TraceNode(BaseModel):
    """One event of a chain, at its place in the tree."""

    model_config = ConfigDict(frozen=True)

    event: EventRecord[dict[str, Any]]
    depth: int = Field(ge=0)
    """How many causes stand above it here; 0 for what has none."""
    guide: str = ""
    """What stands before its line when the tree is drawn, such as `│  └─ `."""
    is_delayed: bool = False
    """Whether it waits for its time."""
    is_orphan: bool = False
    """Whether it names a cause that is not here: of another chain, or gone from the history."""


class Trace(BaseModel):
    """The events of a chain, each behind its cause, those of one cause in the order they were stored."""

    model_config = ConfigDict(frozen=True)

    correlation_id: str
    nodes: list[TraceNode] = Field(default_factory=list)
    is_complete: bool = True
    """Whether all events of the chain are here; false where there are more than were asked for."""

    def children_of(self, event_id: str) -> list[TraceNode]:
        """Return the events that one led to directly."""
        return [node for node in self.nodes if node.event.causation_id == event_id and node.event.id != event_id]


def build_trace(
    correlation_id: str,
    events: Sequence[EventRecord[Any]],
    *,
    delayed: frozenset[str] = frozenset(),
    is_complete: bool = True,
) -> Trace:
    """Return the tree that events of a chain make.

    Causes that lead in a circle, which only events written by hand can, are cut at the event that was stored first.

    Args:
        correlation_id: The chain.
        events: Its events in the order they were stored, those that wait behind them.
        delayed: The ids of those that wait.
        is_complete: Whether these are all.
    """
    known = {event.id: event for event in events}
    caused: dict[str | None, list[EventRecord[Any]]] = {}
    for event in known.values():
        cause = event.causation_id if event.causation_id in known and event.causation_id != event.id else None
        caused.setdefault(cause, []).append(event)
    nodes: list[TraceNode] = []
    seen: set[str] = set()
    for root in (*caused.get(None, ()), *known.values()):
        if root.id not in seen:
            nodes += _branch(root, caused, seen, delayed, known)
    return Trace(correlation_id=correlation_id, nodes=nodes, is_complete=is_complete)


def _branch(
    root: EventRecord[Any],
    caused: Mapping[str | None, Sequence[EventRecord[Any]]],
    seen: set[str],
    delayed: frozenset[str],
    known: Mapping[str, EventRecord[Any]],
) -> Iterator[TraceNode]:
    """Give an event and all it led to, without recursion: a chain may be longer than Python's stack is deep."""
    waiting = [(root, 0, "", "")]
    seen.add(root.id)
    while waiting:
        event, depth, guide, below = waiting.pop()
        is_orphan = event.causation_id is not None and event.causation_id not in known
        yield TraceNode(event=event, depth=depth, guide=guide, is_delayed=event.id in delayed, is_orphan=is_orphan)
        following = [one for one in caused.get(event.id, ()) if one.id not in seen]
        seen.update(one.id for one in following)
        for at, child in reversed(list(enumerate(following))):
            is_last = at == len(following) - 1
            waiting.append(
                (child, depth + 1, below + ("└─ " if is_last else "├─ "), below + ("   " if is_last else "│  "))
            )
