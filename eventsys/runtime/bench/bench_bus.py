"""A bus for measuring: a name that nobody else has, workers of its own, and nothing left of it afterwards."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import Any

from eventsys.errors import BenchError, RedisRefusedError
from eventsys.service import EventService
from eventsys.settings import Settings
from eventsys.store.location import redis_url_of

#: Threads of a worker process.
THREADS = 8

#: Seconds between two looks.
_LOOK_S = 0.002

#: Seconds that anything may take: a takeover needs up to 15.
_PATIENCE_S = 30.0

#: Seconds that an idle worker has to end in order.
_END_WITHIN_S = 15.0

_KEYS_AT_ONCE = 500


class BenchBus:
    """A bus under a new name.

    Args:
        settings: Which Redis.

    Attributes:
        events: The service that publishes; it hosts no handler.
    """

    def __init__(self, settings: Settings) -> None:
        self._url = redis_url_of(settings)
        self._name = f"bench-{uuid.uuid4().hex[:12]}"
        self.events = EventService(name=self._name, redis_url=self._url, app="bench")
        self._prefix = self.events.broker.keys.prefix

    def call(self, *command: Any) -> Any:
        """Ask Redis."""
        return self.events.broker.link.call(*command)

    def check_permissions(self) -> None:
        """Try what measuring needs beyond `eventsys redis-acl`, whose user has one bus and cannot list keys.

        Raises:
            BenchError: If Redis refuses some of it; it says how to allow it.
        """
        key = f"{self._prefix}:format"
        needed = [
            ("SCAN", "0", "MATCH", key, "COUNT", 1),
            ("UNLINK", key),
            ("GET", key),
            ("PUBLISH", f"{key}:none", ""),
        ]
        try:
            self.events.broker.link.read(needed)
        except RedisRefusedError as error:
            raise BenchError(
                f"measuring works on a bus of a new name, which this Redis user may not ({error}); let it do so for"
                " now: ACL SETUSER NAME ~es:{bench-* &es:{bench-* +scan +unlink, or name another user with --redis-url"
            ) from error

    def notes(self, name: str, count: int) -> list[str]:
        """Return the notes of the handlers of `name`, once there are so many.

        Raises:
            BenchError: If there are fewer after half a minute.
        """
        key = f"{self._prefix}:bench:{name}"
        self.wait_until(lambda: self.call("LLEN", key) >= count, f"{count} calls of the handler {name!r}")
        return [bytes(note).decode() for note in self.call("LRANGE", key, 0, -1)]

    def take_notes(self, name: str, count: int) -> list[str]:
        """Return the notes as `notes` does, and forget them."""
        notes = self.notes(name, count)
        self.call("DEL", f"{self._prefix}:bench:{name}")
        return notes

    def wait_until(self, is_so: Callable[[], bool], what: str) -> None:
        """Return once `is_so`.

        Raises:
            BenchError: If it is not so after half a minute.
        """
        until = time.monotonic() + _PATIENCE_S
        while not is_so():
            if time.monotonic() > until:
                raise BenchError(f"{what} did not come within {_PATIENCE_S:.0f} s; eventsys doctor may know why")
            time.sleep(_LOOK_S)

    @contextmanager
    def worker(self) -> Iterator[subprocess.Popen[bytes]]:
        """Run `eventsys worker` with one process, and end it afterwards, if nothing else has."""
        command = [sys.executable, "-m", "eventsys", "worker", "eventsys.runtime.bench.handlers"]
        with ExitStack() as stack:
            output = stack.enter_context(tempfile.TemporaryFile())
            process = subprocess.Popen(  # noqa: S603 - our own interpreter and module
                [*command, "--processes", "1", "--threads", str(THREADS)],
                env={**_neutral_environment(), "EVENTSYS_REDIS_URL": self._url, "EVENTSYS_NAME": self._name},
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
            stack.callback(_end, process)
            yield process

    def close(self) -> None:
        """Delete every key of the bus, and close the service."""
        self.empty()
        self.events.stop()

    def empty(self) -> None:
        """Delete every key of the bus; the service does not keep what it knew of them."""
        # The braces of a bus's name mean nothing in a pattern, and its letters are those of `uuid`.
        cursor, pattern = b"0", f"{self._prefix}*"
        while True:
            cursor, keys = self.call("SCAN", cursor, "MATCH", pattern, "COUNT", _KEYS_AT_ONCE)
            if keys:
                self.call("UNLINK", *keys)
            if int(cursor) == 0:
                return


@contextmanager
def bench_bus(settings: Settings) -> Iterator[BenchBus]:
    """Give a bus for measuring, and leave nothing of it behind.

    Raises:
        BenchError: If the Redis user may not use a bus of a new name, or may not clean up behind it.
    """
    bus = BenchBus(settings)
    try:
        bus.check_permissions()
    except BaseException:
        bus.events.stop()
        raise
    try:
        yield bus
    finally:
        bus.close()


def _neutral_environment() -> dict[str, str]:
    """Return the environment without what would lead the workers elsewhere."""
    return {name: value for name, value in os.environ.items() if name not in ("REDIS_URL", "EVENTSYS_APP")}


def _end(process: subprocess.Popen[bytes]) -> None:
    process.terminate()
    try:
        process.wait(_END_WITHIN_S)
    except subprocess.TimeoutExpired:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
