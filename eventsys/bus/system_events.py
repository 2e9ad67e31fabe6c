"""What the system says of itself: `system.startup`, `.shutdown`, `.warning` and `.error`."""

from __future__ import annotations

import socket
import threading
from collections import OrderedDict
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NamedTuple

from pydantic import BaseModel

from eventsys.broker.attempt import current_attempt
from eventsys.broker.batch import Batch
from eventsys.broker.messages import DeliveryMessage
from eventsys.bus.drafting import Drafter
from eventsys.bus.reporter import LAST_S, Reporter
from eventsys.clock import Clock, to_ms
from eventsys.forking import begins_anew_in_children
from eventsys.model.builtin_payloads import SystemTrouble
from eventsys.model.catalog import SYSTEM_ERROR, SYSTEM_WARNING
from eventsys.model.durations import DurationLike, to_milliseconds
from eventsys.model.event_types import is_system_type
from eventsys.model.priority import Priority
from eventsys.model.trouble import Trouble
from eventsys.store.steps import Step
from eventsys.store.troubles import Report, TroubleStore, facts_of

#: Seconds for which the beginning of a trouble is not sent again by this process: a hot path may report it each time.
SAID_S = 1.0

#: Most keys remembered for that.
_MOST_SAID = 1_000

#: Longest message, in letters.
_LONGEST_MESSAGE = 1_000


class _Said(NamedTuple):
    verb: str
    key: str
    event_type: str
    payload: Mapping[str, Any] | BaseModel
    at: datetime
    lasts_ms: int = 0


class SystemEvents:
    """Publishes what happens to the system itself, from wherever it is noticed.

    Nothing here blocks or fails who calls: a thread sends, and while Redis is away it waits. A trouble has a key.
    However often, and in however many processes it is reported, it is published once when it begins, and once when it
    ends, unless it is over by itself. Trouble with the delivery of a `system.*` event is counted as `system_troubles`
    and never published: it would lead to the next.

    Args:
        store: Where the troubles stand.
        drafter: What makes the events.
        clock: The time.
        at_once: Whether to publish in the thread of who reports something: where a test decides what happens when.
    """

    def __init__(
        self, store: TroubleStore, drafter: Drafter, clock: Clock, *, at_once: Callable[[], bool] = lambda: False
    ) -> None:
        self._store = store
        self._drafter = drafter.without_limits()
        self._clock = clock
        self._reporter: Reporter[_Said, Report] = Reporter(
            self._report_of, lambda reports: store.report(clock.now_ms(), reports), at_once=at_once
        )
        self._said: OrderedDict[str, float] = OrderedDict()
        self.forget_process()
        begins_anew_in_children(self)

    def warn(
        self,
        key: str,
        message: str,
        *,
        rule: str | None = None,
        details: Mapping[str, Any] | None = None,
        about: str | None = None,
        lasts: DurationLike | None = None,
    ) -> None:
        """Report a trouble that needs a person soon: `system.warning` when it begins.

        Args:
            key: What it is known by, the same whoever reports it: `breaker:<subscription>`.
            message: One sentence, with the next step.
            rule: The alert rule, or the part that reports it; None: the key up to its first colon.
            details: Figures, as JSON.
            about: The type of the event it is about, if it is about one; None: of the event handled here, if any.
            lasts: When it counts as over by itself, and may be reported anew; None: when `over` is called.
        """
        self._begins(SYSTEM_WARNING, key, message, rule=rule, details=details, about=about, lasts=lasts)

    def error(
        self,
        key: str,
        message: str,
        *,
        rule: str | None = None,
        details: Mapping[str, Any] | None = None,
        about: str | None = None,
        lasts: DurationLike | None = None,
    ) -> None:
        """Report a trouble that needs a person now: `system.error` when it begins; see `warn`."""
        self._begins(SYSTEM_ERROR, key, message, rule=rule, details=details, about=about, lasts=lasts)

    def over(
        self, key: str, message: str, *, rule: str | None = None, details: Mapping[str, Any] | None = None
    ) -> None:
        """Report that a trouble is over; published, with `ended`, if it was going on, by the type it began with."""
        with self._lock:
            self._said.pop(key, None)
        payload = {**_payload(key, message, rule, details), "ended": True}
        self._reporter.put(_Said("ends", key, "", payload, self._clock.now()))

    def begin_now(
        self,
        event_type: str,
        key: str,
        message: str,
        *,
        rule: str,
        details: Mapping[str, Any],
        also: Step | None = None,
    ) -> bool:
        """Publish that a trouble begins, if it is not going on, and say whether it was published.

        Args:
            event_type: `system.warning` or `system.error`.
            key: As for `warn`.
            message: As for `warn`.
            rule: As for `warn`.
            details: As for `warn`.
            also: What to carry out in the same step, if it is published.

        Raises:
            RedisUnavailableError: If Redis does not answer.
        """
        said = _Said("begins", key, event_type, _payload(key, message, rule, details), self._clock.now())
        return self._store.report(self._clock.now_ms(), [(*self._report_of(said), also or False)])[0]

    def end_now(
        self, key: str, message: str, *, rule: str | None, details: Mapping[str, Any], also: Step | None = None
    ) -> bool:
        """Publish that a trouble is over, if it was going on, and say whether it was published; see `begin_now`."""
        said = _Said("ends", key, "", {**_payload(key, message, rule, details), "ended": True}, self._clock.now())
        return self._store.report(self._clock.now_ms(), [(*self._report_of(said), also or False)])[0]

    def say(self, event_type: str, payload: BaseModel) -> None:
        """Publish a `system.*` event that is no trouble."""
        self._reporter.put(_Said("say", "", event_type, payload, self._clock.now()))

    def troubles(self) -> list[Trouble]:
        """Return what goes on, reported by whichever process, the oldest first."""
        return self._store.all(self._clock.now_ms())

    @property
    def dropped(self) -> int:
        """How much this process could not say, because Redis was away for too long or it was no JSON."""
        return self._reporter.dropped

    def flush(self, timeout_s: float) -> bool:
        """Wait until everything said so far is published, and say whether it is."""
        return self._reporter.flush(timeout_s)

    def close(self, timeout_s: float = LAST_S) -> None:
        """Publish what was said, for at most `timeout_s`; what is said later begins anew."""
        self._reporter.close(timeout_s)

    def forget(self) -> None:
        """Say anew what was said: it was said on another bus."""
        with self._lock:
            self._said.clear()

    def forget_process(self) -> None:
        """In a forked child: whoever says something just now does so in the parent."""
        self._lock = threading.Lock()

    def _begins(
        self,
        event_type: str,
        key: str,
        message: str,
        *,
        rule: str | None,
        details: Mapping[str, Any] | None,
        about: str | None,
        lasts: DurationLike | None,
    ) -> None:
        if self._was_said(key):
            return
        verb = "count" if _is_recursive(about) else "begins"
        lasts_ms = 0 if lasts is None else to_milliseconds(lasts)
        payload = _payload(key, message, rule, details)
        self._reporter.put(_Said(verb, key, event_type, payload, self._clock.now(), lasts_ms))

    def _was_said(self, key: str) -> bool:
        now = self._clock.monotonic()
        with self._lock:
            if self._said.get(key, float("-inf")) > now - SAID_S:
                return True
            self._said[key] = now
            self._said.move_to_end(key)
            if len(self._said) > _MOST_SAID:
                self._said.popitem(last=False)
        return False

    def _report_of(self, said: _Said) -> Report:
        if said.verb == "count":
            return ("count",)
        if isinstance(said.payload, BaseModel):
            return ("say", self._step(said, said.event_type, said.payload, Priority.NORMAL))
        payload = SystemTrouble.model_validate(said.payload)
        if said.verb == "ends":
            kinds = (SYSTEM_WARNING, SYSTEM_ERROR)
            steps = [part for kind in kinds for part in (kind, self._step(said, kind, payload, Priority.HIGH))]
            return ("ends", said.key, steps)
        began_ms = to_ms(said.at)
        until_ms = began_ms + said.lasts_ms if said.lasts_ms else 0
        trouble = Trouble(
            key=said.key, event_type=said.event_type, message=payload.message, rule=payload.rule,
            details=payload.details, began_at=said.at,
        )  # fmt: skip
        facts = facts_of(trouble, began_ms=began_ms, until_ms=until_ms)
        return ("begins", said.key, self._step(said, said.event_type, payload, Priority.HIGH), facts)

    def _step(self, said: _Said, event_type: str, payload: BaseModel, priority: Priority) -> Step:
        source = f"eventsys@{socket.gethostname()[:60]}"
        return self._drafter.draft(event_type, payload, source=source, priority=priority, time=said.at).step


def _payload(key: str, message: str, rule: str | None, details: Mapping[str, Any] | None) -> dict[str, Any]:
    own_rule = key.partition(":")[0] if rule is None else rule
    return {"message": message[:_LONGEST_MESSAGE], "rule": own_rule, "details": dict(details or {})}


def _is_recursive(about: str | None) -> bool:
    """Say whether this is trouble about a system event: about one, or reported while one is handled."""
    if about is not None:
        return is_system_type(about)
    attempt = current_attempt()
    message = attempt.message if attempt is not None else None
    if isinstance(message, Batch):
        return any(is_system_type(one.header.type) for one in message.deliveries)
    return isinstance(message, DeliveryMessage) and is_system_type(message.header.type)
