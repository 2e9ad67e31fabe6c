"""One connection to Redis: what is sent and read on it, and what its errors mean here."""

from __future__ import annotations

import re
import socket
from collections.abc import Callable, Sequence
from contextlib import suppress
from typing import Any, NoReturn

import redis
from hiredis import pack_command
from redis.exceptions import BusyLoadingError, NoScriptError, OutOfMemoryError, RedisError, ResponseError
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import TimeoutError as RedisTimeoutError
from redis.utils import SENTINEL

from eventsys.errors import BackpressureError, RedisRefusedError, RedisUnavailableError

from .urls import told_of_sentinels, told_of_tls
from .wakeful import Wakeful

#: Seconds a reply may take. Scripts here take milliseconds; a Redis that is silent this long is away. A connection has
#: this time anyhow: to set it for each reply, and back, lets go of the interpreter twice more, and others keep it long.
REPLY_TIMEOUT_S = 10.0

_CONNECTING, _CONNECTED, _SENT = range(3)

#: Replies of a Redis that is there but cannot serve now; waiting, or another node, mends them. Whole words only: a lane
#: whose group exists answers BUSYGROUP.
_PASSING = re.compile(r"\b(READONLY|BUSY|MASTERDOWN|MISCONF|LOADING|TRYAGAIN|CLUSTERDOWN|NOREPLICAS|UNBLOCKED)\b")

#: Bytes that a socket takes at once or not at all.
_ONE_WRITE = 16_384

#: Where in an error those may stand; Redis 6.2 puts a script's error behind its name.
_ERROR_HEAD = 200

Command = Sequence[Any]


class NoGroupError(RedisRefusedError):
    """A lane has no consumer group: Redis was emptied, or the lane is new."""


class Channel:
    """One connection, for one thread, that raises only errors of ours.

    A broken connection is opened again by the next call. Nothing that Redis may have seen is sent twice: whoever
    calls knows whether that would be safe.

    Args:
        connect: Returns a connection of redis-py, not open yet.
        is_wakeful: Whether to stay awake for replies to calls that come one right after another.
    """

    def __init__(self, connect: Callable[[], Any], *, is_wakeful: bool = False) -> None:
        self._connect = connect
        self._wakeful = Wakeful() if is_wakeful else None
        self._connection: Any = None
        self._stage = _CONNECTING
        self._is_new = False

    def call(self, *command: Any, timeout_s: Any = SENTINEL) -> Any:
        """Send one command and return its reply, as bytes, integers and lists of these, within 10 s or `timeout_s`.

        Raises:
            RedisUnavailableError: If no reply came within `timeout_s`, or Redis cannot serve now.
            RedisRefusedError: If Redis refused the command.
        """
        was_open = self._connection is not None
        try:
            return self._call(command, timeout_s)
        except RedisUnavailableError as error:
            if not was_open or error.may_have_run:
                raise
        # The connection had died before, unnoticed because nobody used it; nothing was sent.
        return self._call(command, timeout_s)

    def _call(self, command: tuple[Any, ...], timeout_s: Any) -> Any:
        try:
            connection = self._open()
            connection = self._send(connection, [pack_command(command)])  # redis-py's looks at each part first
            if self._wakeful is not None:
                self._wakeful.await_reply(getattr(connection, "_sock", None))
            return connection.read_response(timeout=timeout_s)
        except BaseException as error:
            self._raise_ours(error)

    def post(self, *command: Any, behind: Any = None) -> Any:
        """Send one command and wait for nothing; `collect` returns its reply, for what this returns.

        Args:
            command: The command.
            behind: What another `post` returned whose reply is not collected yet: Redis is to come to this one after
                that, so it goes over the same connection, or not at all. It runs even where that one is refused.

        Raises:
            RedisUnavailableError: If Redis cannot be reached, or that connection is gone. It was not sent.
        """
        if behind is not None and behind is not self._connection:
            self._stage = _CONNECTED
            raise self._unavailable("the connection is gone on which it would have followed")
        try:
            if behind is None:
                return self._send(self._open(), [pack_command(command)])
            self._stage = _CONNECTED
            behind.send_packed_command([pack_command(command)])
            return behind
        except BaseException as error:
            self._raise_ours(error)

    def collect(self, posted: Any) -> Any:
        """Return the reply to the earliest command that was posted and whose reply is not collected yet.

        Raises:
            RedisUnavailableError: If no reply came, or the connection is gone on which it would.
            RedisRefusedError: If Redis refused the command.
        """
        self._stage = _SENT
        if posted is not self._connection:
            raise self._unavailable("the connection is gone, and with it the reply")
        try:
            return posted.read_response()
        except BaseException as error:
            self._raise_ours(error)

    def pipeline(self, commands: Sequence[Command], *, timeout_s: Any = SENTINEL) -> list[Any]:
        """Send several commands in one round trip; a refused one leaves its error in the list."""
        try:
            connection = self._open()
            connection = self._send(connection, connection.pack_commands(commands))
            return [self._reply(connection, timeout_s) for _ in commands]
        except BaseException as error:
            self._raise_ours(error)

    def receive(self, wait_s: float) -> Any:
        """Return what Redis sends of its own accord to a subscriber, or None when that is nothing for `wait_s` seconds.

        Only whole milliseconds are waited: the system would wait for a socket a whole one for each part of one.

        Raises:
            RedisUnavailableError: If the connection broke, and with it the subscription.
        """
        if self._connection is None:
            raise self._unavailable("the subscription is gone with its connection")
        rounded_up_s = max(0.0, (int(wait_s * 1000) - 0.5) / 1000)
        try:
            return self._connection.read_response() if self._connection.can_read(timeout=rounded_up_s) else None
        except BaseException as error:
            self._raise_ours(error)

    def close(self) -> None:
        """Close the connection; another call would open it again."""
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(Exception):
                connection.disconnect()

    def hang_up(self) -> bool:
        """Break the connection from another thread: a call that waits for its reply there fails at once.

        Returns:
            Whether there was a connection.
        """
        sock = getattr(self._connection, "_sock", None)
        if sock is not None:
            with suppress(OSError):  # with TLS, its own `shutdown` would take from the reader what that reads with
                socket.socket.shutdown(sock, socket.SHUT_RDWR)
        return sock is not None

    def _send(self, connection: Any, pieces: Sequence[bytes]) -> Any:
        """Send what was packed, and return the connection it went out on: another one, where this had broken.

        A connection that broke while it lay idle is found out by the first write, of which nothing can have arrived
        when it is one small piece: that is sent again on a new connection.
        """
        try:
            connection.send_packed_command(pieces)
        except (OSError, RedisConnectionError):
            if self._is_new or len(pieces) > 1 or len(pieces[0]) > _ONE_WRITE:
                raise
            self.close()
            (connection := self._open()).send_packed_command(pieces)
        self._stage = _SENT
        return connection

    def _open(self) -> Any:
        self._is_new = self._connection is None
        if self._is_new:
            self._stage = _CONNECTING
            connection = self._connect()
            connection.connect()
            # From here on for writes too: a large one may take longer than a connect.
            connection.socket_timeout = REPLY_TIMEOUT_S
            connection.update_current_socket_timeout(REPLY_TIMEOUT_S)
            self._connection = connection
        self._stage = _CONNECTED
        return self._connection

    def _reply(self, connection: Any, timeout_s: Any) -> Any:
        try:
            return connection.read_response(timeout=timeout_s)
        except ResponseError as error:
            return self._ours(error)

    def _raise_ours(self, error: BaseException) -> NoReturn:
        """Raise what an error that cut a call short means here."""
        if isinstance(error, RedisError):
            raise self._ours(error) from error
        # It may be a handler's timeout, between question and answer: that answer must not be taken for the next one's.
        self.close()
        if isinstance(error, OSError):
            raise self._unavailable(f"the connection to Redis broke: {error}") from error
        raise error

    def _ours(self, error: RedisError) -> Exception:
        text = str(error)
        if isinstance(error, (RedisConnectionError, RedisTimeoutError)) and not isinstance(error, BusyLoadingError):
            self.close()
            if "CERTIFICATE_REQUIRED" in text.upper():
                self._stage = _CONNECTED  # the handshake ended only now, and badly: nothing ran
            return self._unavailable(told_of_tls(text) or told_of_sentinels(text) or f"Redis does not answer: {text}")
        if isinstance(error, OutOfMemoryError) or "OOM " in text:
            return BackpressureError("Redis is at its memory limit and takes no more events; what it holds goes on")
        if "HISTORYFULL" in text[:_ERROR_HEAD]:
            return BackpressureError(
                "events that nobody dispatched have reached retention_bytes; start a worker, or raise that limit"
            )
        if isinstance(error, NoScriptError):
            return error
        if "NOGROUP" in text:
            return NoGroupError(text)
        if isinstance(error, (redis.ReadOnlyError, BusyLoadingError)) or _PASSING.search(text[:_ERROR_HEAD]):
            self._stage = _CONNECTED  # it answered that it would not: nothing ran
            self.close()
            return self._unavailable(f"Redis cannot serve now: {text}")
        return RedisRefusedError(f"Redis refused: {text}")

    def _unavailable(self, text: str) -> RedisUnavailableError:
        error = RedisUnavailableError(text)
        error.at_connect = self._stage == _CONNECTING
        error.may_have_run = self._stage == _SENT
        return error
