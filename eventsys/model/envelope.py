"""The stored form of an event: one JSON object, with defaults left out and the payload embedded as it is."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime
from functools import lru_cache
from typing import Annotated, Any, TypeVar

import msgspec
from msgspec import Meta, Raw, Struct
from pydantic import BaseModel, TypeAdapter, ValidationError

from eventsys.errors import InvalidEventError, InvalidPayloadError, PayloadEncryptedError
from eventsys.model.assembly import assemble_event, event_class_for, is_dictionary
from eventsys.model.cipher import Cipher, decrypted
from eventsys.model.event import Event
from eventsys.model.event_types import check_event_type
from eventsys.model.identifiers import LONGEST_ID
from eventsys.model.masking import declared_names
from eventsys.model.misfits import payload_misfits
from eventsys.model.priority import Priority

FORMAT = 1
"""The format this version writes, and the newest it reads."""

P = TypeVar("P")
Id = Annotated[str, Meta(min_length=1, max_length=LONGEST_ID)]


class EventHeader(Struct, frozen=True, omit_defaults=True, gc=False, kw_only=True):
    """An envelope read as far as its payload, which stays JSON in `payload`.

    The fields are those of `Event`. `correlation_id` is None when it is the event's own id; see `chain_id`.
    """

    id: Id
    type: str
    time: Annotated[datetime, Meta(tz=True)]
    source: str = ""
    version: Annotated[int, Meta(ge=1)] = 1
    priority: Priority = Priority.NORMAL
    correlation_id: Id | None = None
    causation_id: Id | None = None
    headers: dict[str, str] = msgspec.field(default_factory=dict)
    idempotency_key: str | None = None
    depth: Annotated[int, Meta(ge=0)] = 0
    max_retries: Annotated[int, Meta(ge=0)] | None = None
    """What the publisher said for this event; None leaves it to the subscriptions."""
    retry_delay_ms: Annotated[int, Meta(ge=0)] | None = None
    """As `max_retries`."""
    format: int = FORMAT
    encrypted: str | None = None
    """The name of the key that opens the payload, which then is a JSON string; see `payload_of`."""
    payload: Raw

    @property
    def chain_id(self) -> str:
        """The correlation id, written out."""
        return self.correlation_id or self.id


class _Target(Struct, frozen=True, gc=False):
    id: Id
    type: str
    priority: Priority = Priority.NORMAL
    format: int = FORMAT


class _Format(Struct):
    format: Any = FORMAT


_encode = msgspec.json.Encoder().encode
_decode_header = msgspec.json.Decoder(EventHeader).decode
_decode_target = msgspec.json.Decoder(_Target).decode
_decode_format = msgspec.json.Decoder(_Format).decode
_decode_text = msgspec.json.Decoder(str).decode
_decode_object: Callable[[Any], dict[str, Any]] = msgspec.json.Decoder(dict[str, Any]).decode
# What decoders raise for hostile bytes: bad UTF-8 is a UnicodeError, a number too long for Python a ValueError.
_UNREADABLE = (msgspec.MsgspecError, ValueError, RecursionError)


def encode_event(
    event: Event[Any],
    payload_json: bytes,
    *,
    max_retries: int | None = None,
    retry_delay_ms: int | None = None,
    cipher: Cipher | None = None,
) -> bytes:
    """Return the envelope of `event`.

    Args:
        event: The event; its `is_replay` and `duplicate` are not stored.
        payload_json: Its payload, as `encode_payload` wrote it.
        max_retries: Overrides what the subscriptions say, for this event.
        retry_delay_ms: As `max_retries`.
        cipher: What encrypts the payload; None: it is stored as it is.
    """
    event_id, correlation_id = event.id, event.correlation_id
    key = None
    if cipher is not None:
        key, text = cipher.encrypted(payload_json, event_id, event.type)
        payload_json = f'"{text}"'.encode()
    return _encode(
        EventHeader(
            id=event_id,
            type=event.type,
            time=event.time,
            source=event.source,
            version=event.version,
            priority=event.priority,
            correlation_id=None if correlation_id == event_id else correlation_id,
            causation_id=event.causation_id,
            headers=event.headers,
            idempotency_key=event.idempotency_key,
            depth=event.depth,
            max_retries=max_retries,
            retry_delay_ms=retry_delay_ms,
            encrypted=key,
            payload=Raw(payload_json),
        )
    )


def decode_header(envelope: bytes | str) -> EventHeader:
    """Return an envelope's parts, with the payload still JSON.

    Raises:
        InvalidEventError: If it is not JSON, lacks a field, has one of a wrong type, or is of a newer format.
    """
    try:
        header = _decode_header(envelope)
    except _UNREADABLE as error:
        raise _unreadable(envelope, error) from error
    if header.format != FORMAT:
        raise _unknown_format(header.format)
    check_event_type(header.type)
    return header


def header_target(envelope: bytes | str) -> tuple[str, str, Priority]:
    """Return an envelope's id, type and priority: what routing needs, at half the price of its header.

    Raises:
        InvalidEventError: As `decode_header`, for the parts that are read.
    """
    try:
        target = _decode_target(envelope)
    except _UNREADABLE as error:
        raise _unreadable(envelope, error) from error
    if target.format != FORMAT:
        raise _unknown_format(target.format)
    return target.id, target.type, target.priority


def decode_event(envelope: bytes | str, payload_type: type[P], *, is_replay: bool = False) -> Event[P]:
    """Return the event in `envelope`, its payload validated as `payload_type`.

    Args:
        envelope: What `encode_event` wrote.
        payload_type: A pydantic model, `dict[str, Any]` for the payload as it came, or anything else that pydantic
            can validate.
        is_replay: Whether the event is seen because history is replayed.

    Raises:
        InvalidEventError: As `decode_header`.
        InvalidPayloadError: If the payload does not fit; the message names each field, what was expected and the kind
            of what came, and shows no value.
        PayloadEncryptedError: If it is stored encrypted, and no key of this process opens it.
    """
    return open_event(decode_header(envelope), payload_type, is_replay=is_replay)


def open_event(header: EventHeader, payload_type: type[P], *, is_replay: bool = False) -> Event[P]:
    """Return the event of a header read before; otherwise as `decode_event`."""
    wanted: Any = payload_type
    event_class, read_payload = _reader(wanted)
    plain = header.payload if header.encrypted is None else payload_of(header)
    try:
        payload = read_payload(plain)
    except (ValidationError, *_UNREADABLE) as error:
        name = getattr(payload_type, "__name__", str(payload_type))
        why = payload_misfits(error, declared_names(wanted)) if isinstance(error, ValidationError) else str(error)
        said = f"the payload of event {header.id} ({header.type}) does not fit {name}: {why}"
        # Pydantic's error shows what was given, and whatever is raised here is logged and recorded with its causes.
        raise InvalidPayloadError(said) from None
    return _assembled(event_class, header, payload, is_replay=is_replay)


def shown_event(header: EventHeader) -> Event[dict[str, Any]]:
    """Return the event of a header for somebody to look at: what cannot be decrypted here says so in the payload.

    Raises:
        InvalidPayloadError: If the payload is not a JSON object.
    """
    try:
        return open_event(header, dict[str, Any])
    except PayloadEncryptedError as error:
        return _assembled(event_class_for(dict[str, Any]), header, {"$encrypted": str(error)}, is_replay=False)


def payload_of(header: EventHeader) -> bytes | Raw:
    """Return the payload of an event as JSON, decrypted where it is stored encrypted.

    Raises:
        PayloadEncryptedError: If no key of this process opens it.
    """
    if header.encrypted is None:
        return header.payload
    try:
        text: str = _decode_text(header.payload)
    except _UNREADABLE as error:
        raise InvalidEventError(f"the encrypted payload of event {header.id} is no text: {error}") from error
    return decrypted(header.encrypted, text, header.id, header.type)


def _assembled(event_class: Any, header: EventHeader, payload: Any, *, is_replay: bool) -> Event[Any]:
    moment = header.time
    event_id = header.id
    fields = {
        "id": event_id,
        "type": header.type,
        "payload": payload,
        "source": header.source,
        "time": moment if moment.tzinfo is UTC else moment.astimezone(UTC),
        "version": header.version,
        "priority": header.priority,
        "correlation_id": header.correlation_id or event_id,
        "causation_id": header.causation_id,
        "headers": dict(header.headers),  # one header may serve the handlers of several subscriptions
        "idempotency_key": header.idempotency_key,
        "depth": header.depth,
        "is_replay": is_replay,
        "duplicate": False,
    }
    return assemble_event(event_class, fields)


def header_fields(header: EventHeader) -> dict[str, Any]:
    """Return an event's fields as JSON values, defaults filled in and the payload decoded: what filters look at.

    Raises:
        InvalidPayloadError: If the payload is not a JSON object.
        PayloadEncryptedError: If no key of this process opens it.
    """
    try:
        payload = _decode_object(payload_of(header))
    except _UNREADABLE as error:
        raise InvalidPayloadError(
            f"the payload of event {header.id} ({header.type}) is no JSON object: {error}"
        ) from error
    return {
        "id": header.id,
        "type": header.type,
        "payload": payload,
        "source": header.source,
        "time": header.time.astimezone(UTC).isoformat().replace("+00:00", "Z"),
        "version": header.version,
        "priority": int(header.priority),
        "correlation_id": header.chain_id,
        "causation_id": header.causation_id,
        "headers": header.headers,
        "idempotency_key": header.idempotency_key,
        "depth": header.depth,
    }


@lru_cache(maxsize=1024)
def _reader(payload_type: Any) -> tuple[type[Event[Any]], Callable[[Any], Any]]:
    """Return the class of events with such payloads, and what reads one from JSON."""
    event_class = event_class_for(payload_type)
    if is_dictionary(payload_type):
        return event_class, _decode_object
    if isinstance(payload_type, type) and issubclass(payload_type, BaseModel):
        validate = payload_type.__pydantic_validator__.validate_json
    else:
        validate = TypeAdapter(payload_type).validator.validate_json
    return event_class, lambda raw: validate(bytes(raw))


def _unreadable(envelope: bytes | str, error: Exception) -> InvalidEventError:
    """Say what is wrong with an envelope, without its content: a payload may be secret."""
    try:
        number = _decode_format(envelope).format
    except _UNREADABLE:
        number = FORMAT
    if type(number) is int and number > FORMAT:
        return _unknown_format(number)
    return InvalidEventError(f"a stored event of {len(envelope)} bytes cannot be read: {error}")


def _unknown_format(number: int) -> InvalidEventError:
    return InvalidEventError(
        f"a stored event has format {number}, and this version of eventsys reads format {FORMAT} only; "
        "upgrade eventsys in this process to the version that wrote it"
    )
