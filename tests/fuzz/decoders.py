"""What reads what somebody else wrote: each with the errors it may raise, and inputs to begin from."""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, NamedTuple

import msgspec
import typer

from eventsys.broker.messages import Place, UndecodableError, read_entry
from eventsys.cli.commands import app
from eventsys.errors import (
    BadSignatureError,
    CronTaskError,
    InvalidDurationError,
    InvalidEventError,
    InvalidPatternError,
    InvalidScheduleError,
    PayloadEncryptedError,
    SettingsError,
    SubscriptionError,
)
from eventsys.model.cloudevents import from_cloudevent
from eventsys.model.cron_schedule import CronSchedule
from eventsys.model.durations import format_duration, parse_duration
from eventsys.model.envelope import decode_event, decode_header, header_fields, header_target, shown_event
from eventsys.model.filters import compile_filter
from eventsys.model.keyring import read_keys
from eventsys.model.patterns import Pattern, pattern_matches
from eventsys.model.seal import EVENT, MESSAGE, Seal
from eventsys.model.subscription import Subscription
from eventsys.settings import load_settings
from eventsys.store.cron_tasks import CronTaskStore
from eventsys.store.delayed_entries import read_delayed
from eventsys.store.delayed_entries import read_entry as read_delayed_entry
from eventsys.store.keys import LOG_QUEUE, Keys
from tests.fuzz import bodies, http

NOW = datetime(2026, 11, 25, 12, 0, tzinfo=UTC)
_KEYS = b"k1:a-secret-of-some-length,k2:another-of-some-length"
SEAL = Seal(read_keys("k1:a-secret-of-some-length"), "fuzz")
ENVELOPE = b'{"id":"e-1","type":"user.login","time":"2026-11-25T12:00:00Z","headers":{"a":"b"},"payload":{"n":[null]}}'
_MESSAGE = (
    b'{"queue_name":"q","actor_name":"a","args":[1],"kwargs":{},"options":{"retries":1},"message_id":"m",'
    b'"message_timestamp":1}'
)
_EVENT = {"id": "e", "type": "a.b", "payload": {"n": 1, "tags": ["x"]}, "source": "s", "priority": 5}
_PLACES = [Place(queue, 5, f"lane:{queue}", "1-1", "me") for queue in ("tests", LOG_QUEUE)]


#: All commands, made once: that takes longer than parsing.
_COMMANDS = typer.main.get_command(app)

#: What a command line is refused with: the root of `typer.BadParameter`, which typer does not name.
_MISUSE = next(one for one in typer.BadParameter.__mro__ if one.__name__ == "ClickException")


class Decoder(NamedTuple):
    """One reader.

    Attributes:
        read: Reads bytes.
        errors: What it may raise.
        seeds: Inputs that it takes, or nearly.
    """

    read: Callable[[bytes], object]
    errors: tuple[type[BaseException], ...]
    seeds: tuple[bytes, ...]

    def survives(self, data: bytes) -> bool:
        """Say whether an input was taken; a refusal with the right error is none.

        Raises:
            BaseException: Whatever the decoder must not raise.
        """
        try:
            self.read(data)
        except self.errors:
            return False
        return True


def _text(data: bytes) -> str:
    return data.decode("utf-8", "surrogateescape")


def _envelope(data: bytes) -> None:
    header = decode_header(data)
    header_target(data)
    shown_event(header)
    header_fields(header)
    decode_event(data.decode(), dict[str, Any])


def _entry(data: bytes, seal: Seal | None = None) -> None:
    fields = data[1:].split(b"\x00")
    read_entry(fields, _PLACES[bool(data) and data[0] % 2], seal)


def _delayed(data: bytes) -> None:
    entry = read_delayed_entry(data, 1_800_000_000_000)
    read_delayed(entry)


def _cron_row(data: bytes) -> None:
    parts: list[bytes | None] = [part or None for part in data.split(b"\x00")]
    CronTaskStore(None, Keys("fuzz"))._row("task", (parts + [None] * 15)[:15])  # type: ignore[arg-type]


def _pattern(data: bytes) -> None:
    pattern, _, event_type = _text(data).partition(" ")
    Pattern.parse(pattern).matches(event_type)
    pattern_matches(pattern, event_type)


def _filter(data: bytes) -> None:
    try:
        where = json.loads(data)
    except (ValueError, RecursionError):
        return
    compile_filter(where).matches(_EVENT)


def _duration(data: bytes) -> None:
    format_duration(parse_duration(_text(data)))


def _cron(data: bytes) -> None:
    expression, _, zone = _text(data).partition("|")
    CronSchedule(expression, zone or "UTC").next_after(NOW)


def _settings(data: bytes) -> None:
    try:
        given = json.loads(data)
    except (ValueError, RecursionError):
        return
    if isinstance(given, dict):
        found = load_settings(**{**given, "signing_keys_file": None, "encryption_keys_file": None})
        assert found.seal is None or found.signing_keys is not None


def _command(data: bytes) -> None:
    """Parse a command line, down to the last command, without running it."""
    words = [word for word in _text(data).replace("\x00", "").split("\n") if word]
    command: Any = _COMMANDS
    context = None
    while True:
        context = command.make_context("eventsys", list(words), parent=context)
        if not hasattr(command, "resolve_command"):
            return
        words = [*context._protected_args, *context.args]
        if not words:
            return  # told as a missing command, when it is run
        _, command, words = command.resolve_command(context, words)


DECODERS: dict[str, Decoder] = {
    "envelope": Decoder(_envelope, (InvalidEventError, PayloadEncryptedError, UnicodeDecodeError), (ENVELOPE,)),
    "entry": Decoder(
        _entry,
        (UndecodableError,),
        (b"\x00m\x00" + _MESSAGE, b"\x00s\x00h\x00e\x00" + ENVELOPE + b"\x00t\x001", b"\x01e\x00" + ENVELOPE),
    ),
    "sealed-entry": Decoder(
        lambda data: _entry(data, SEAL),
        (UndecodableError,),
        (
            b"\x00m\x00" + SEAL.signed(MESSAGE, _MESSAGE.decode()).encode(),
            b"\x00s\x00h\x00e\x00" + SEAL.signed(EVENT, ENVELOPE.decode()).encode(),
        ),
    ),
    "seal": Decoder(
        lambda data: SEAL.check(EVENT, _text(data)),
        (BadSignatureError,),
        (SEAL.signed(EVENT, ENVELOPE.decode()).encode(),),
    ),
    "delayed": Decoder(
        _delayed,
        (InvalidEventError,),
        (
            msgspec.msgpack.encode(["e-1", ENVELOPE.decode().removeprefix('{"id":"e-1",'), 5]),
            msgspec.msgpack.encode(["m", "q", ["message", "q", 5, ["m", _MESSAGE]], {"created_ms": 1}]),
            msgspec.msgpack.encode(["e-1", "", ["event", "e-1", "a.b", 5, ENVELOPE.decode()], {"created_ms": 1}]),
        ),
    ),
    "subscription": Decoder(
        Subscription.from_row,
        (SubscriptionError, SettingsError),
        (b'{"name":"h","pattern":"a.b","queue":"q","number":1,"where":{"payload.n":[1]},"rate":"10/s"}',),
    ),
    "cron-task": Decoder(
        _cron_row,
        (CronTaskError, SettingsError, InvalidScheduleError),
        (
            b'{"name":"t","schedule":"* * * * *","event_type":"a.b"}'
            + b"|active||1|x|1|1|0|||0|h|1|1|1".replace(b"|", b"\x00"),
        ),
    ),
    "cloudevent": Decoder(
        lambda data: from_cloudevent(data, now=NOW),
        (InvalidEventError,),
        (b'{"specversion":"1.0","id":"1","source":"s","type":"a.b","time":"2026-11-25T12:00:00Z","data":{"n":1}}',),
    ),
    "pattern": Decoder(_pattern, (InvalidPatternError, InvalidEventError), (b"order.# order.placed", b"user.* user.x")),
    "filter": Decoder(
        _filter, (InvalidPatternError,), (b'{"payload.n":[{"numeric":[">=",1]}],"source":[{"anything-but":["s"]}]}',)
    ),
    "duration": Decoder(_duration, (InvalidDurationError,), (b"1h30m", b"2.5s", b"-1", b"1e999d")),
    "cron": Decoder(_cron, (InvalidScheduleError,), (b"0 30 2 * * MON-FRI|Europe/Berlin", b"@hourly")),
    "settings": Decoder(
        _settings,
        (SettingsError,),
        (b'{"name":"n","bus":{"worker_count":2},"retention":"1h"}',),
    ),
    "keys": Decoder(lambda data: read_keys(_text(data)), (ValueError,), (_KEYS,)),
    "command": Decoder(
        _command,
        (_MISUSE, typer.Exit, typer.Abort),
        (b"events\nls\n--limit\n5", b"cron\ncreate\nt\n* * * * *\n--json", b"worker\n--processes\n2"),
    ),
    "bodies": Decoder(bodies.read, bodies.REFUSALS, bodies.SEEDS),
    "http": Decoder(http.ask, (http.RefusedError,), http.SEEDS),
}
