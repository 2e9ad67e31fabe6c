"""The way to Redis: its connections, and running scripts over them."""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from redis.exceptions import NoScriptError

from eventsys.errors import BackpressureError, RedisRefusedError, RedisUnavailableError

from .channel import Channel, Command
from .repeating import may_be_sent_again
from .scripts import Script
from .urls import Greeting, connection_maker, greet

#: Commands, or members of one, that go out at once where there may be any number: replies take memory on both sides.
AT_ONCE = 200


class Link:
    """Connections to one Redis: one for each thread that asks, more on request.

    Args:
        url: `redis://`, `rediss://`, `unix://` or `redis+sentinel://host:port[,host:port]/service[/db]`; or what
            returns it, asked when a connection is opened: the first answer counts.
        connect_timeout_s: Seconds until an unanswered connect counts as Redis being away.
        greet: What introduces a new connection and has Redis answer once.
    """

    def __init__(
        self, url: str | Callable[[], str], *, connect_timeout_s: float = 2.0, greet: Greeting = greet
    ) -> None:
        self._url, self._greet = url, greet
        self._connect_timeout_s = connect_timeout_s
        self._maker: Callable[[], Any] | None = None
        self._own = threading.local()
        self._channels: weakref.WeakSet[Channel] = weakref.WeakSet()
        _links.add(self)

    def channel(self, *, is_wakeful: bool = False) -> Channel:
        """Return a new connection, for a thread that blocks on it; see `Channel`."""
        channel = Channel(self._make_connection, is_wakeful=is_wakeful)
        self._channels.add(channel)
        return channel

    @contextmanager
    def over(self, channel: Channel) -> Iterator[None]:
        """Send what the calling thread has to ask over a channel that it has anyway, and open none of its own for it.

        Args:
            channel: Nobody else may use it meanwhile.
        """
        own = self._own
        before, own.channel = getattr(own, "channel", None), channel
        try:
            yield
        finally:
            own.channel = before

    def call(self, *command: Any) -> Any:
        """Send one command on this thread's connection; a reading one once more when that broke."""
        try:
            return self._mine().call(*command)
        except RedisUnavailableError as error:
            if not may_be_sent_again([command], error):
                raise
            return self._mine().call(*command)

    def pipeline(self, commands: Sequence[Command]) -> list[Any]:
        """Send several commands in one round trip; reading ones once more when the connection broke."""
        try:
            return self._mine().pipeline(commands)
        except RedisUnavailableError as error:
            if not may_be_sent_again(commands, error):
                raise
            return self._mine().pipeline(commands)

    def read(self, commands: Sequence[Command]) -> list[Any]:
        """Send several commands in one round trip, and raise the error of the first that was refused."""
        replies = self.pipeline(commands) if commands else []
        for reply in replies:
            if isinstance(reply, Exception):
                raise reply
        return replies

    def in_parts(self, commands: Sequence[Command]) -> Iterator[Any]:
        """Send any number of commands, 200 in a round trip as replies are taken; a refused one gives its error."""
        for start in range(0, len(commands), AT_ONCE):
            yield from self.pipeline(commands[start : start + AT_ONCE])

    def run(self, script: Script, *arguments: Any) -> Any:
        """Run a script; once more when the reply was lost, since every script here may run twice.

        The first argument is its key, the prefix of the bus.
        """
        return run_script(self._mine(), script, *arguments)

    def run_telling(self, script: Script, *arguments: Any) -> tuple[Any, bool]:
        """Run a script as `run` does, and say whether it may have run twice: what it found may be its own doing."""
        repeats: list[RedisUnavailableError] = []
        return run_script(self._mine(), script, *arguments, on_repeat=repeats.append), bool(repeats)

    def run_once(self, script: Script, *arguments: Any) -> Any:
        """Run a script that must not run twice: a lost reply is an error."""
        return run_script_once(self._mine(), script, *arguments)

    def close(self) -> None:
        """Close every connection made here."""
        for channel in list(self._channels):
            channel.close()

    def lead_to(self, url: str | Callable[[], str]) -> str | Callable[[], str]:
        """Lead to another Redis from the next call on, over the channels made here too; return what led before."""
        before, self._url, self._maker = self._url, url, None
        self.close()
        return before

    def forget(self) -> None:
        """Drop all connections without a word to Redis: in a forked child they belong to the parent."""
        self._own = threading.local()
        self._channels = weakref.WeakSet()
        self._maker = None  # a Redis of our own is asked anew where it listens

    def _make_connection(self) -> Any:
        if self._maker is None:
            url = self._url if isinstance(self._url, str) else self._url()
            self._maker = connection_maker(url, self._greet, connect_timeout_s=self._connect_timeout_s)
        elif not isinstance(self._url, str):
            self._url()  # whoever started this Redis looks whether it is there still
        return self._maker()

    def _mine(self) -> Channel:
        channel: Channel | None = getattr(self._own, "channel", None)
        if channel is None:
            channel = self._own.channel = self.channel(is_wakeful=True)
        return channel


def run_script_once(channel: Channel, script: Script, *arguments: Any) -> Any:
    """Run `script` on `channel`, and load it first where Redis lost it; a lost reply is an error."""
    return _evaluate(channel, script, arguments)


def run_script(
    channel: Channel,
    script: Script,
    *arguments: Any,
    on_repeat: Callable[[RedisUnavailableError], None] | None = None,
) -> Any:
    """Run `script` on `channel`, load it first where Redis lost it, and once more after a broken connection.

    `on_repeat` is called before the second time, if the first one may have run, with its error. That error is raised
    where the second time is refused: whoever is told of a refusal relies on it that nothing was done.
    """
    try:
        return _evaluate(channel, script, arguments)
    except RedisUnavailableError as first:
        if first.at_connect:
            raise
        if first.may_have_run and on_repeat is not None:
            on_repeat(first)
        try:
            return _evaluate(channel, script, arguments)
        except RedisUnavailableError as second:
            second.may_have_run = second.may_have_run or first.may_have_run
            raise
        except (BackpressureError, RedisRefusedError) as refusal:
            if not first.may_have_run:
                raise
            raise first from refusal


def _evaluate(channel: Channel, script: Script, arguments: Sequence[Any]) -> Any:
    try:
        return channel.call("EVALSHA", script.sha, 1, *arguments)
    except NoScriptError:
        return channel.call("EVAL", script.text, 1, *arguments)


_links: weakref.WeakSet[Link] = weakref.WeakSet()


def _forget_all() -> None:
    for link in list(_links):
        link.forget()


os.register_at_fork(after_in_child=_forget_all)
