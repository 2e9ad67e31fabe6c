"""What a lane holds, as Dramatiq's workers take it: plain messages, deliveries, and events to dispatch."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import msgspec
from dramatiq import Actor, Message, MessageProxy
from dramatiq.encoder import JSONEncoder, PickleEncoder
from dramatiq.message import get_encoder

from eventsys.errors import BadSignatureError
from eventsys.model.envelope import EventHeader, decode_header
from eventsys.model.seal import EVENT, MESSAGE, Seal, without_signature
from eventsys.store.keys import LOG_QUEUE

from .attempt import Attempt
from .past import read_past

#: The actor that gives every matching subscription its delivery.
DISPATCHER = "eventsys.dispatch"

#: Letters from which on what a message holds is counted while it waits for its commit.
WEIGHED_FROM = 4_096


class UndecodableError(Exception):
    """An entry of a lane that is no message.

    Attributes:
        fields: What it is, as it came.
        reason: Why it is a dead letter.
    """

    reason = "undecodable"

    def __init__(self, why: str, fields: Sequence[bytes]) -> None:
        super().__init__(why)
        self.fields = list(fields)


class ForgedError(UndecodableError):
    """An entry of a lane that nobody with a key of this process has signed, or that is not what was signed."""

    reason = "bad_signature"


class Received(MessageProxy):
    """A message that this process holds, with its place in the lane.

    Its attributes are those of Dramatiq's message, kept here too because asking the proxy for them costs more than the
    rest of the hand-off.

    Attributes:
        previous: How many attempts there were before this one.
        described: What its error says, and its traceback, where somebody has written that down already.
        weight: Letters of what it holds, where these are many.
    """

    # What most messages never have is said here once; each attribute of its own costs a message time and memory.
    weight = 0
    described: tuple[str, str] | None = None
    actor: Actor[..., Any] | None = None
    attempt: Attempt | None = None
    token: Any = None
    started_ms = 0
    began_ns = 0
    took_us = 0
    is_on_loop = False
    begun_slot: int | None = None
    _built: Message[Any] | None = None

    def __init__(
        self,
        place: Place,
        *,
        actor_name: str,
        args: tuple[Any, ...],
        options: dict[str, Any],
        message_id: str,
        kwargs: dict[str, Any] | None = None,
        timestamp: int = 0,
    ) -> None:
        self.failed = False
        self._exception = None
        self.queue_name = place.queue
        self.actor_name = actor_name
        self.args = args
        self.kwargs = {} if kwargs is None else kwargs
        self.options = options
        self.message_id = message_id
        self.message_timestamp = timestamp
        retries = options.get("retries", 0)
        self.previous = retries if isinstance(retries, int) else 0
        self.place = place

    @property
    def _message(self) -> Message[Any]:  # type: ignore[override]
        """Dramatiq's message, made when something asks for it; most messages end without."""
        if self._built is None:
            self._built = Message(
                queue_name=self.queue_name,
                actor_name=self.actor_name,
                args=self.args,
                kwargs=self.kwargs,
                options=self.options,
                message_id=self.message_id,
                message_timestamp=self.message_timestamp,
            )
        return self._built

    def __str__(self) -> str:
        """Name the message without its arguments, which may be secret."""
        return f"{self.actor_name}({self.message_id})"

    @property
    def elapsed_ms(self) -> int:
        """Milliseconds since its attempt began, while it goes on."""
        return (time.perf_counter_ns() - self.began_ns) // 1_000_000

    @property
    def keeps_steps(self) -> bool:
        """Whether what its handler published goes out though it raised."""
        return False

    @property
    def places(self) -> list[Place]:
        """Every place it stands for."""
        return [self.place]

    @property
    def error(self) -> BaseException | None:
        """What the handler raised, as long as the message is being worked on."""
        return self._exception


class Place(msgspec.Struct, frozen=True):
    """Where a received message stands.

    Attributes:
        queue: The name of its queue.
        lane: Its priority.
        stream: The key of the lane.
        entry: The name of the entry in it.
        holder: The name under which this process fetched it.
        is_suspect: Whether a process died that held it.
        has_begun: Whether it began in time already, in a process that handed it back when it ended.
    """

    queue: str
    lane: int
    stream: str
    entry: str
    holder: str
    is_suspect: bool = False
    has_begun: bool = False


class PlainMessage(Received):
    """A message of an actor that is no event handler."""


class LogMessage(Received):
    """An event that waits to be dispatched.

    Attributes:
        envelope: Its stored form.
        event_id: The event's id, once it is resolved.
        event_type: Its type, once it is resolved.
        expires_ms: When its deliveries may begin no more, in milliseconds since 1970; None: they always may.
        targets: What the dispatcher resolved: number, subscription, queue, for each, and the version of the set.
    """

    def __init__(self, envelope: str, place: Place) -> None:
        super().__init__(place, actor_name=DISPATCHER, args=(envelope,), options={}, message_id=place.entry)
        self.envelope = envelope
        if len(envelope) >= WEIGHED_FROM:
            self.weight = len(envelope)
        self.event_id = ""
        self.event_type = ""
        self.expires_ms: int | None = None
        self.targets: list[Any] | None = None
        self.version = ""


class DeliveryMessage(Received):
    """One event to one subscription.

    Attributes:
        subscription: The name of the subscription.
        envelope: The event's stored form.
        header: That, read as far as its payload.
        event_id: The event's id.
        replay: The number of the replay it belongs to; 0 for what is no replay.
        stored_ms: When the event was stored; 0 where the entry does not say, as after its first attempt.
        is_first: Whether no attempt was made at it before, nor before a redrive.
        is_inline: Whether its publisher runs it.
        is_probe: Whether it may begin though its subscription is closed: it tries whether a breaker can be closed.
        is_turned_away: Whether it ends in the waiting room, since its subscription closed before it began.
        expires_ms: When it may begin no more, in milliseconds since 1970; None: it always may.
        is_expired: Whether it was too late to begin it.
    """

    stored_ms = 0
    span: Any = None
    is_inline = False
    is_probe = False
    is_turned_away = False
    expires_ms: int | None = None
    is_expired = False

    def __init__(
        self,
        subscription: str,
        envelope: str,
        options: dict[str, Any],
        place: Place,
        header: EventHeader | None = None,
    ) -> None:
        header = decode_header(envelope) if header is None else header
        replay = options.get("replay", 0) if options else 0
        message_id = f"{header.id}:{subscription}#{replay}" if replay else f"{header.id}:{subscription}"
        super().__init__(place, actor_name=subscription, args=(envelope,), options=options, message_id=message_id)
        self.replay = replay
        self.subscription = subscription
        self.envelope = envelope
        if len(envelope) >= WEIGHED_FROM:
            self.weight = len(envelope)
        self.header = header
        self.event_id = header.id
        self.is_first = not options or (self.previous == 0 and "before" not in options)

    def rename(self, subscription: str) -> None:
        """Go by the present name of the subscription from here on."""
        self.subscription = self.actor_name = subscription
        replay = f"#{self.replay}" if self.replay else ""
        self.message_id = f"{self.event_id}:{subscription}{replay}"


def read_entry(fields: Sequence[bytes], place: Place, seal: Seal | None = None) -> Received:
    """Return the message that an entry of a lane is.

    Args:
        fields: Names and values in turn, as Redis returns them.
        place: Where it stands.
        seal: What its signature is checked with, before anything else is read of it; None: signatures do not matter.

    Raises:
        UndecodableError: If it is none.
        ForgedError: If its signature is wrong or missing.
    """
    try:
        kind = fields[0]
        if kind == b"m":
            text = without_signature(fields[1]) if seal is None else seal.body_of(MESSAGE, fields[1].decode()).encode()
            return _read_plain(text, place)
        if kind == b"s":
            if seal is not None:
                seal.check(EVENT, fields[3].decode())
            return _read_delivery(fields, place)
        if kind == b"e" and place.queue == LOG_QUEUE:
            if seal is not None:
                seal.check(EVENT, fields[1].decode())
            event = LogMessage(fields[1].decode(), place)
            if fields[-2] == b"x":
                event.expires_ms = int(fields[-1])
            return event
    except BadSignatureError as error:
        raise ForgedError(str(error), fields) from error
    except Exception as error:  # whatever the bytes made of it, a recursion too deep among them: the rest must go on
        raise UndecodableError(f"{type(error).__name__}: {error}", fields) from error
    raise UndecodableError(f"an entry that begins with the field {kind[:40]!r} is no message", fields)


#: The event read last: its bytes, its text, and its header. The deliveries of one event lie side by side in a queue.
_last_read: tuple[bytes, str, EventHeader] | None = None


def _read_event(data: bytes) -> tuple[str, EventHeader]:
    """Return an event's stored form and its header."""
    global _last_read
    last = _last_read
    if last is not None and last[0] == data:
        return last[1], last[2]
    envelope = data.decode()
    header = decode_header(envelope)
    _last_read = (data, envelope, header)
    return envelope, header


def _read_delivery(fields: Sequence[bytes], place: Place) -> DeliveryMessage:
    if len(fields) == 6 and fields[4] == b"t":  # nearly all of them
        envelope, header = _read_event(fields[3])
        message = DeliveryMessage(fields[1].decode(), envelope, {}, place, header)
        message.stored_ms = int(fields[5])
        return message
    more = dict(zip(fields[4::2], fields[5::2], strict=True))
    options = read_past(more[b"o"]) if b"o" in more else {}
    message = DeliveryMessage(fields[1].decode(), fields[3].decode(), options, place)
    message.stored_ms = int(more.get(b"t", 0))
    message.expires_ms = int(more[b"x"]) if b"x" in more else None
    return message


class _Wire(msgspec.Struct):
    queue_name: str
    actor_name: str
    args: list[Any]
    kwargs: dict[str, Any]
    options: dict[str, Any]
    message_id: str
    message_timestamp: int


_wire = msgspec.json.Decoder(_Wire)


def _read_plain(data: bytes, place: Place) -> PlainMessage:
    """Return a plain message; what is asked of it is what Dramatiq's own encoder wrote."""
    encoder = get_encoder()
    if isinstance(encoder, PickleEncoder):
        raise ValueError("PickleEncoder is refused: reading this message could run code; use the JSON encoder")
    if type(encoder) is JSONEncoder:
        try:
            wire: Any = _wire.decode(data)
        except msgspec.MsgspecError:
            # NaN and Infinity are JSON for Dramatiq's encoder and for nobody else.
            wire = _checked(Message.decode(data))
        if "throws" in wire.options:
            raise ValueError("its option throws names no exception: JSON holds none")  # and workers would trip over it
    else:
        wire = Message.decode(data)
    message = PlainMessage(
        place, actor_name=wire.actor_name, args=tuple(wire.args), kwargs=wire.kwargs, options=wire.options,
        message_id=wire.message_id, timestamp=wire.message_timestamp,
    )  # fmt: skip
    if len(data) >= WEIGHED_FROM:
        message.weight = len(data)
    return message


def _checked(message: Message[Any]) -> Message[Any]:
    parts = (message.kwargs, message.options, message.actor_name, message.message_id)
    if not all(isinstance(part, kind) for part, kind in zip(parts, (dict, dict, str, str), strict=True)):
        raise ValueError("a part of the message has the wrong type")
    for name in (message.actor_name, message.message_id):
        name.encode()  # Python's own reader takes lone surrogates, and nothing could be stored about such a message
    return message
