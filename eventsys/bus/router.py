"""Which subscriptions an event goes to."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, NamedTuple

from eventsys.broker.gates import Gates
from eventsys.forking import begins_anew_in_children
from eventsys.model.envelope import decode_header, header_fields, header_target
from eventsys.model.filters import PayloadFilter
from eventsys.model.patterns import PatternIndex
from eventsys.model.subscription import Subscription
from eventsys.store.set_version import has_lost_data
from eventsys.store.subscriptions import SubscriptionStore

#: Seconds until every living process has seen that Redis has lost data, and declared its subscriptions again.
OTHERS_S = 1.5

#: Types remembered with where their events go. The names come from publishers, so the memory must have an end.
_MOST_REMEMBERED = 8192

#: Parts of a list that filters chose, and that is remembered: sixteen targets. All of them come to some 10 MiB.
_LONGEST_REMEMBERED = 64


class Route(NamedTuple):
    """Where one event goes.

    Attributes:
        event_id: The event.
        event_type: Its type.
        version: The version of the set of subscriptions it was computed with.
        targets: Number, subscription, queue (empty: the script decides) and lane (0: the event's own) of each, in a
            row, as the scripts read them.
    """

    event_id: str
    event_type: str
    version: str
    targets: list[Any]


class _Target(NamedTuple):
    flat: tuple[int, str, str, int]
    where: PayloadFilter | None


class _Compiled(NamedTuple):
    version: str
    patterns: PatternIndex[_Target]
    unfiltered: dict[str, list[Any]]  # by type, where no payload decides
    lists: dict[tuple[Any, ...], list[Any]]  # one list for all that goes to the same, so a commit sends it once


class Router:
    """Matches events with subscriptions, with an index that is made once for each version of the set.

    It need not know at once that the set has changed: the commit refuses a route computed with an old version, and
    the route is then computed again after `refresh`.

    Args:
        subscriptions: Where the set is stored.
        gates: Where the process keeps what it knows of their states and limits.
        look: Has this process declare again what it hosts, where Redis has lost data.
    """

    def __init__(self, subscriptions: SubscriptionStore, gates: Gates, look: Callable[[], None] = lambda: None) -> None:
        self._look, self._never = look, threading.Event()
        self._subscriptions = subscriptions
        self._gates = gates
        self._compiled: _Compiled | None = None
        self.forget_process()
        begins_anew_in_children(self)

    def forget(self) -> None:
        """Know nothing of the set: it is another bus's from now on."""
        self._compiled = None

    def forget_process(self) -> None:
        """In a forked child: whoever reads the set just now does so in the parent."""
        self._lock = threading.Lock()

    def refresh(self, *, older_than: str | None = None) -> None:
        """Read the set again, unless that has happened since version `older_than`."""
        with self._lock:
            if older_than is not None and self._compiled is not None and self._compiled.version != older_than:
                return
            version, subscriptions = self._subscriptions.all()
            if self._compiled is not None and has_lost_data(version, self._compiled.version):
                # An event that is dispatched before its handlers are declared again passes them by for good.
                self._look()
                self._never.wait(OTHERS_S)
                version, subscriptions = self._subscriptions.all()
            self._gates.learn(version, subscriptions)
            patterns = PatternIndex([(one.pattern, _target(one)) for one in subscriptions])
            self._compiled = _Compiled(version, patterns, {}, {})

    def route(self, envelope: str) -> Route:
        """Return where an event goes.

        Raises:
            InvalidEventError: If the envelope cannot be read.
            RedisUnavailableError: If the set of subscriptions is not known yet and cannot be read.
        """
        compiled = self._compiled
        if compiled is None:
            self.refresh()
            return self.route(envelope)
        event_id, event_type, _priority = header_target(envelope)
        targets = compiled.unfiltered.get(event_type)
        if targets is None:
            targets = _targets_of(compiled, event_type, envelope)
        return Route(event_id, event_type, compiled.version, targets)


def _targets_of(compiled: _Compiled, event_type: str, envelope: str) -> list[Any]:
    matching = compiled.patterns.match(event_type)
    is_unfiltered = all(target.where is None for target in matching)
    if not is_unfiltered:
        fields = header_fields(decode_header(envelope))
        matching = tuple(target for target in matching if target.where is None or target.where.matches(fields))
    flat = tuple(part for target in matching for part in target.flat)
    targets = compiled.lists.get(flat)
    if targets is None:
        targets = list(flat)
        # Which combinations of filters there are, payloads decide.
        if is_unfiltered or len(flat) <= _LONGEST_REMEMBERED:
            if len(compiled.lists) >= _MOST_REMEMBERED:
                compiled.lists.clear()
            compiled.lists[flat] = targets
    if is_unfiltered:
        if len(compiled.unfiltered) >= _MOST_REMEMBERED:
            compiled.unfiltered.clear()
        compiled.unfiltered[event_type] = targets
    return targets


def _target(subscription: Subscription) -> _Target:
    lane = 0 if subscription.priority is None else int(subscription.priority)
    queue = "" if subscription.is_gated else subscription.queue  # without one, the commit decides where it goes
    return _Target((subscription.number, subscription.name, queue, lane), subscription.payload_filter)
