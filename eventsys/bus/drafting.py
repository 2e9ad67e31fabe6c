"""Making the event that a publisher asks for."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from datetime import datetime
from typing import Any, NamedTuple, TypeVar

from pydantic import BaseModel

from eventsys.bus.arguments import arguments_of, check_known
from eventsys.clock import Clock
from eventsys.errors import CausationDepthError, InvalidEventError
from eventsys.middleware import Chain, current_chain
from eventsys.model.catalog import Catalog
from eventsys.model.cipher import Cipher
from eventsys.model.durations import DurationLike, kept_milliseconds, to_milliseconds
from eventsys.model.envelope import encode_event
from eventsys.model.event import Event
from eventsys.model.event_types import check_event_type
from eventsys.model.masking import secret_fields
from eventsys.model.new_events import check_event, new_event, time_in_utc
from eventsys.model.payloads import MAX_BYTES, MAX_DEPTH, encode_payload
from eventsys.model.priority import Priority
from eventsys.model.seal import EVENT, Seal
from eventsys.model.texts import SECRET_HEADER
from eventsys.settings import Settings
from eventsys.store.steps import Step, event_step, expiry_ms_of, with_expiry

M = TypeVar("M", bound=BaseModel)

#: The chain of what is published outside of every attempt.
_NO_CHAIN = Chain(None, None, -1)


class Draft(NamedTuple):
    """An event that may be published.

    Attributes:
        event: The event.
        envelope: Its stored form.
        step: What publishes it.
    """

    event: Event[Any]
    envelope: str
    step: Step


class Drafter:
    """Makes events, and refuses what no worker could decode or no handler was made for.

    Args:
        settings: The limits.
        clock: The time of new events.
        catalog: The models that payloads are checked with.
        seal: What signs them; None: they are not signed.
        cipher: What encrypts their payloads; None: those are stored as they are.
    """

    def __init__(
        self, settings: Settings, clock: Clock, catalog: Catalog, seal: Seal | None = None, cipher: Cipher | None = None
    ) -> None:
        self._cipher = cipher
        self._seal = seal
        self.when_drafted: Callable[[Event[Any]], Event[Any]] | None = None
        self._clock = clock
        self._catalog = catalog
        self._max_bytes = settings.max_payload_bytes
        self._max_levels = settings.max_payload_levels
        self._max_depth = settings.max_depth
        self._window_ms = to_milliseconds(settings.idempotency_window)

    def without_limits(self) -> Drafter:
        """Return one for what the system says of itself: what an application may publish limits none of that."""
        mine = copy(self)
        vars(mine).update(_max_bytes=max(self._max_bytes, MAX_BYTES), _max_levels=MAX_DEPTH)
        return mine

    def draft_for(self, call: str, event_type: str | BaseModel, payload: Any, fields: Mapping[str, Any]) -> Draft:
        """Return the event that is asked for by a public call of this name; see `draft`.

        Raises:
            TypeError: If one of the fields is none that the call knows.
        """
        try:
            return self.draft(event_type, payload, **fields)
        except TypeError:
            check_known(call, fields)
            raise

    def draft(
        self,
        event_type: str | BaseModel,
        payload: Any = None,
        *,
        source: str = "",
        priority: int = Priority.NORMAL,
        id: str | None = None,  # noqa: A002 - the name of the field
        time: datetime | None = None,
        version: int | None = None,
        correlation_id: str | None = None,
        caused_by: Event[Any] | None = None,
        headers: Mapping[str, str] | None = None,
        idempotency_key: str | None = None,
        window: DurationLike | None = None,
        max_retries: int | None = None,
        retry_delay: DurationLike | None = None,
        expire_after: DurationLike | None = None,
    ) -> Draft:
        """Return the event asked for; see `EventService.publish` for the arguments.

        Raises:
            InvalidEventError: If a part of it breaks a rule.
            InvalidPayloadError: If the payload does not fit the model of its type.
            CausationDepthError: If the chain it belongs to is as long as it may be.
        """
        if not isinstance(event_type, str) and isinstance(event_type, BaseModel):  # pydantic is slow to say no
            if isinstance(event_type, Event):
                more = [
                    payload, source or None, None if priority == Priority.NORMAL else priority, id, time, version,
                    correlation_id, caused_by, headers, idempotency_key, window, max_retries, retry_delay, expire_after,
                ]  # fmt: skip
                return self.adopt(_nothing_beside(event_type, more))
            payload = _nothing_beside(event_type, (payload,))
            event_type = self._catalog.type_for(type(payload))
        self._catalog.check_payload(check_event_type(event_type), payload := {} if payload is None else payload)
        written = encode_payload(payload, max_bytes=self._max_bytes, max_depth=self._max_levels)
        chain = self._chain_of(event_type, caused_by)
        event = new_event(
            event_type,
            payload,
            now_ms=self._clock.now_ms(),
            event_id=id,
            source=source,
            version=self._catalog.version_for(event_type) if version is None else version,
            priority=priority,
            correlation_id=correlation_id or chain.correlation_id,
            causation_id=chain.causation_id,
            headers=_headers(headers, chain, self._secrets_of(event_type, payload)),
            idempotency_key=idempotency_key,
            depth=chain.depth + 1,
        )
        if time is not None or self.when_drafted is not None:
            event = self._adjusted(event, time)
        written = _enveloped(event, written, max_retries, retry_delay, self._cipher)
        draft = self._draft(event, written, _window_ms(window, self._window_ms), is_own_id=id is None)
        return _limited(draft, expire_after)

    def _placed(self, event: Event[Any]) -> Event[Any]:
        """Return an event with its place in the chain it is published from, as far as it names none itself.

        Its depth grows in any case: a handler that publishes what it handles must come to an end.
        """
        if current_chain() is None:
            return event
        chain = self._chain_of(event.type, None)
        begins = event.causation_id is None and event.correlation_id == event.id
        said = {
            "correlation_id": chain.correlation_id if begins and chain.correlation_id else event.correlation_id,
            "causation_id": event.causation_id or chain.causation_id,
            "depth": max(event.depth, chain.depth + 1),
            "headers": _headers(event.headers, chain, ()) or {},
        }
        return event.model_copy(update=said)

    def _secrets_of(self, event_type: str, payload: Any) -> tuple[str, ...]:
        """Return the names of the secret fields of a payload, by its own model and the one registered for its type."""
        registered = self._catalog.model_for(event_type)
        if registered is None and type(payload) is dict:
            return ()
        models = (registered, type(payload) if isinstance(payload, BaseModel) else None)
        return tuple(name for model in dict.fromkeys(models) if model is not None for name in secret_fields(model))

    def _adjusted(self, event: Event[Any], time: datetime | None) -> Event[Any]:
        if time is not None:
            event = event.model_copy(update={"time": time_in_utc(time)})
        return event if self.when_drafted is None else self.when_drafted(event)

    def _chain_of(self, event_type: str, caused_by: Event[Any] | None) -> Chain:
        """Return the chain of what is published here, or by the cause that is named, if it may grow."""
        chain = (current_chain() or _NO_CHAIN) if caused_by is None else _chain_behind(caused_by)
        if chain.depth >= self._max_depth:
            raise CausationDepthError(
                f"{event_type!r} would be number {chain.depth + 1} in a chain of events that publish events, and"
                f" max_depth is {self._max_depth}; most likely a handler publishes what it handles"
            )
        return chain

    def draft_many(self, many: Iterable[Any]) -> list[Draft]:
        """Return the events that `publish_many` is asked for; the error of one that is refused says which it is.

        Raises:
            InvalidEventError: As `draft_any`; likewise all others.
        """
        drafts: list[Draft] = []
        at, draft, add = -1, self.draft_any, drafts.append
        try:
            for at, one in enumerate(many):  # noqa: B007 - read where one is refused
                add(draft(one))
        except Exception as error:
            if len(drafts) == at:  # otherwise it was the caller's own generator that raised
                name_item(error, "publish_many", at + 1)
            raise
        return drafts

    def draft_any(self, one: Any) -> Draft:
        """Return the event that one of `publish_many` is: a mapping of arguments, type and payload, model, or event.

        Raises:
            InvalidEventError: If it is none of these, or a part of it breaks a rule.
            TypeError: If a mapping has an argument that `publish` does not know.
        """
        if type(one) is tuple and len(one) == 2:
            return self.draft(*one)
        if isinstance(one, Event):
            return self.adopt(one)
        if isinstance(one, BaseModel):
            return self.draft(one)
        if isinstance(one, Mapping):
            return self.draft_for("publish_many", *arguments_of("publish_many", one))
        if isinstance(one, Sequence) and not isinstance(one, str) and len(one) == 2:
            return self.draft(*one)
        raise InvalidEventError(
            "each of publish_many is a dictionary of the arguments of publish, a pair of type and payload, a registered"
            f" model, or an Event; this is {ascii(one)[:80]}"
        )

    def adopt(self, event: Event[Any]) -> Draft:
        """Return an event that somebody else made, ready to be published; all of it is checked again.

        Raises:
            InvalidEventError: If it breaks a rule, as a copy may, or its payload cannot be published.
            CausationDepthError: As `draft`.
        """
        check_event(event)
        self._catalog.check_payload(event.type, event.payload)
        if secrets := self._secrets_of(event.type, event.payload):
            named = _with_secrets(event.headers, secrets)
            event = event.model_copy(update={"headers": {**event.headers, SECRET_HEADER: named}})
        event = self._adjusted(self._placed(event), None)
        written = encode_payload(event.payload, max_bytes=self._max_bytes, max_depth=self._max_levels)
        return self._draft(event, encode_event(event, written, cipher=self._cipher), self._window_ms)

    def _draft(self, event: Event[Any], written: bytes, window_ms: int, *, is_own_id: bool = False) -> Draft:
        """Return an event as it is published; no other can share the chain of one whose id was made just now."""
        envelope, key = written.decode(), event.idempotency_key
        if self._seal is not None:
            envelope = self._seal.signed(EVENT, envelope)
        chain = None if is_own_id and event.correlation_id == event.id else event.correlation_id
        lane = int(event.priority)
        step = event_step(event.id, event.type, lane, envelope, key=key, window_ms=window_ms, chain=chain)
        return Draft(event, envelope, step)


def name_item(error: Exception, of: str, position: int) -> None:
    """Let an error begin with the item of a call that it is about, counted from 1; its class and its facts stay."""
    said = error.args[0] if len(error.args) == 1 else None
    if not isinstance(said, str):
        error.add_note(f"item {position} of {of}")
        return
    place = f"item {position}" if said.startswith(f"{of}()") else f"item {position} of {of}"
    error.args = (f"{place}: {said}",)


def _nothing_beside(whole: M, more: Sequence[Any]) -> M:
    """Return an event, or a payload that names its type: what is said beside it would be dropped without a word."""
    if all(one is None for one in more):
        return whole
    what = "an event brings all its fields" if isinstance(whole, Event) else f"a {type(whole).__name__} is the payload"
    raise InvalidEventError(
        f"{what}, and others were given beside it; change a copy, by model_copy(update=...), or give type and payload"
    )


def _enveloped(
    event: Event[Any], written: bytes, max_retries: int | None, retry_delay: DurationLike | None, cipher: Cipher | None
) -> bytes:
    return encode_event(
        event,
        written,
        max_retries=None if max_retries is None else _whole(max_retries),
        retry_delay_ms=None if retry_delay is None else kept_milliseconds(retry_delay, "retry_delay"),
        cipher=cipher,
    )


def _chain_behind(cause: Event[Any]) -> Chain:
    if not isinstance(cause, Event):
        raise InvalidEventError(f"caused_by is the event that led to this one, not {type(cause).__name__}")
    return Chain(cause.correlation_id, cause.id, cause.depth, cause.headers.get("traceparent"))


def _whole(max_retries: Any) -> int:
    if type(max_retries) is int and max_retries >= 0:
        return max_retries
    raise InvalidEventError(
        f"max_retries is {ascii(max_retries)[:40]}, and must be a whole number from 0, which means one attempt"
    )


def _window_ms(window: DurationLike | None, usual_ms: int) -> int:
    if window is None:
        return usual_ms
    window_ms = kept_milliseconds(window, "window")
    if window_ms < 1:
        raise InvalidEventError(
            "the window of an idempotency key is at least a millisecond; give none to use the setting"
            " idempotency_window"
        )
    return window_ms


def _limited(draft: Draft, expire_after: DurationLike | None) -> Draft:
    """Return the same event with a limit of its age, if there is one."""
    return draft if expire_after is None else draft._replace(step=with_expiry(draft.step, expiry_ms_of(expire_after)))


def _headers(given: Mapping[str, str] | None, chain: Chain, secrets: tuple[str, ...]) -> dict[str, str] | None:
    if given is not None and not isinstance(given, Mapping):
        raise InvalidEventError(f"headers are a dictionary of texts, not {type(given).__name__}")
    more = {} if chain.traceparent is None else {"traceparent": chain.traceparent}
    if not more and not secrets:
        return None if given is None else dict(given)
    headers = {**more, **(given or {})}
    if secrets:
        headers[SECRET_HEADER] = _with_secrets(headers, secrets)
    return headers


def _with_secrets(headers: Mapping[str, str], secrets: tuple[str, ...]) -> str:
    """Return which fields are secret; what is given can name more, and takes nothing away."""
    named = filter(None, str(headers.get(SECRET_HEADER, "")).split(","))
    return ",".join(dict.fromkeys((*named, *secrets)))
