"""Whether events find their handlers."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Iterator

from eventsys.errors import InvalidEventError
from eventsys.model.diagnosis import Finding, fine, problem, warning
from eventsys.model.envelope import header_target
from eventsys.model.event_types import is_system_type
from eventsys.model.patterns import PatternIndex
from eventsys.model.priority import LANES
from eventsys.model.subscription import SubscriptionState
from eventsys.readable import many

from .patient import Patient, some

#: Most things named in one sentence.
_NAMED = 5


def check_events(patient: Patient) -> Iterator[Finding]:
    """Look at types without handlers, and at subscriptions that do not run."""
    yield _unhandled_types(patient)
    yield from _subscriptions(patient)


def _unhandled_types(patient: Patient) -> Finding:
    # A trail that takes everything hides a misspelt type from the count of unrouted events.
    narrow = [one.subscription.pattern for one in patient.standings if one.subscription.pattern != "#"]
    takes_all = len(narrow) < len(patient.standings)
    index = PatternIndex([(pattern, pattern) for pattern in narrow])
    seen = _recent_types(patient)
    unhandled = [one for one, _ in seen.most_common() if not is_system_type(one) and not index.match(one)]
    suspicious = [one for one in unhandled if not takes_all or _nearest(one, narrow)]
    if not suspicious:
        return fine("events.types", f"every type of the last {sum(seen.values()):,} events has a subscription")
    told = [f"{one!r}{_nearest(one, narrow)}" for one in suspicious[:_NAMED]]
    more = f" and {len(suspicious) - _NAMED} more" if len(suspicious) > _NAMED else ""
    only = "nobody but those who take everything subscribes" if takes_all else "nobody subscribes"
    return warning(
        "events.types",
        f"{only} to {', '.join(told)}{more}",
        "mend the type where it is published, or subscribe a handler: @events.on(...)",
    )


def _recent_types(patient: Patient) -> Counter[str]:
    types: Counter[str] = Counter()
    for lane in LANES:
        for _, fields in patient.answer(f"events of lane {lane}"):
            try:
                types[header_target(fields[1])[1]] += 1
            except InvalidEventError:
                continue  # what cannot be read becomes a dead letter, and is told of there
    return types


def _nearest(event_type: str, patterns: list[str]) -> str:
    near = difflib.get_close_matches(event_type, patterns, n=1, cutoff=0.7)
    return f" (did you mean {near[0]!r}?)" if near else ""


def _subscriptions(patient: Patient) -> Iterator[Finding]:
    held = {state: [one for one in patient.standings if one.state is state] for state in SubscriptionState}
    if unhosted := held[SubscriptionState.UNHOSTED]:
        open_ = sum(one.backlog for one in unhosted)
        queues = sorted({one.subscription.queue for one in unhosted})
        told = problem if open_ else warning
        yield told(
            "subscriptions",
            f"no living worker has the handler of {some([one.name for one in unhosted])} and reads {some(queues)};"
            f" {many(open_, 'delivery waits', 'deliveries wait')} for one",
            "start the worker of the application that declares them (if it runs, see its --queues), or end them:"
            " eventsys subs delete NAME",
        )
    if paused := held[SubscriptionState.PAUSED]:
        waiting = sum(one.waiting for one in paused)
        yield warning(
            "subscriptions",
            f"{some([one.name for one in paused])} paused by hand;"
            f" {many(waiting, 'delivery waits', 'deliveries wait')}",
            "let them go on: eventsys subs resume NAME",
        )
    if opened := held[SubscriptionState.OPEN]:
        yield warning(
            "subscriptions",
            f"the breaker of {some([one.name for one in opened])} is open: its attempts kept failing",
            "see the error: eventsys events ls --sub NAME; each breaker_wait one delivery tries, and the first that"
            " succeeds closes it",
        )
    if not (unhosted or paused or opened):
        yield fine("subscriptions", _all_run(len(patient.standings)))


def _all_run(count: int) -> str:
    if count == 0:
        return "there are no subscriptions"
    return "the only subscription runs" if count == 1 else f"all {count:,} subscriptions run"
