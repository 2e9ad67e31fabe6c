"""Our broker under the names, and with the few test helpers, that Dramatiq's tests expect of its own brokers."""

from __future__ import annotations

import os
import sys
from collections import defaultdict
from typing import Any
from unittest import mock

import redis
from dramatiq import MessageProxy
from dramatiq.brokers import stub
from dramatiq.errors import QueueNotFound
from dramatiq.middleware import AsyncIO

from eventsys.broker.broker import EventBroker
from eventsys.middleware import default_middleware
from eventsys.scheduling.poller import PollerMiddleware

from .plugin_names import URL_VARIABLE

#: Modules the tests import and that need a server we do not have; tests that use one are excluded.
ABSENT = ("pika", "pika.exceptions", "pylibmc")


class ShimBroker(EventBroker):
    """EventBroker with `fail_fast` and `dead_letters`, which are StubBroker's own helpers for tests."""

    def __init__(self, middleware: list[Any] | None = None, *, fail_fast_default: bool = True, **_: Any) -> None:
        # Dramatiq's default has no AsyncIO; its tests add one, and a process has one event loop.
        usual = [one for one in default_middleware() if not isinstance(one, AsyncIO)]
        chosen = usual if middleware is None else list(middleware)
        super().__init__(os.environ[URL_VARIABLE], middleware=[*chosen, PollerMiddleware()], parked_ms=0)
        self.fail_fast_default = fail_fast_default
        self.dead_letters_by_queue: defaultdict[str, list[Any]] = defaultdict(list)
        self._errors: dict[str, BaseException] = {}
        self._work_end = self.work.end
        self.work.end = self._end  # type: ignore[method-assign]
        self.link.call("FLUSHALL")

    @property
    def dead_letters(self) -> list[Any]:
        return [message for letters in self.dead_letters_by_queue.values() for message in letters]

    def enqueue(self, message: Any, *, delay: int | None = None) -> Any:
        if message.queue_name not in self.queues:
            raise QueueNotFound(message.queue_name)
        return super().enqueue(message, delay=delay)

    def _end(self, message: Any, *, succeeded: bool) -> None:
        if not succeeded:
            self.dead_letters_by_queue[message.queue_name].append(message)
            if message.error is not None and not _errors_are_cleared():
                self._errors[message.message_id] = message.error
        self._work_end(message, succeeded=succeeded)

    def flush_all(self) -> None:
        super().flush_all()
        for letters in self.dead_letters_by_queue.values():
            letters.clear()
        self._errors.clear()

    def join(self, queue_name: str, *, timeout: int | None = None, fail_fast: bool | None = None) -> None:
        if queue_name not in self.queues:
            raise QueueNotFound(queue_name)
        super().join(queue_name, timeout=timeout)
        if self.fail_fast_default if fail_fast is None else fail_fast:
            for letter in self.dead_letters_by_queue[queue_name]:
                raise self._errors.get(letter.message_id) or Exception("Message failed with unknown error") from None


class RedisShimBroker(ShimBroker):
    """The same in place of RedisBroker, whose tests look into Redis with `client` and do not fail fast."""

    def __init__(self, *, middleware: list[Any] | None = None, client: Any = None, url: str = "", **_: Any) -> None:
        super().__init__(middleware, fail_fast_default=False)
        self.client = client or redis.Redis.from_url(os.environ[URL_VARIABLE])


def _errors_are_cleared() -> bool:
    """Say whether the test has asked that errors are dropped, as it asks StubBroker: by patching this method."""
    return getattr(stub._StubMessageProxy, "clear_exception", None) is MessageProxy.clear_exception


def install() -> None:
    """Put our broker where Dramatiq's tests take theirs from."""
    for name in ABSENT:
        sys.modules.setdefault(name, mock.MagicMock(name=name))
    import dramatiq.brokers.redis as redis_module
    from dramatiq.rate_limits import backends as limit_backends
    from dramatiq.results import backends as result_backends

    stub.StubBroker = ShimBroker  # type: ignore[misc]
    redis_module.RedisBroker = RedisShimBroker  # type: ignore[misc]
    for module in (limit_backends, result_backends):
        module.RedisBackend = _on_our_redis(module.RedisBackend)  # type: ignore[misc,assignment]


def _on_our_redis(backend: Any) -> Any:
    class Backend(backend):  # type: ignore[misc]
        def __init__(self, **options: Any) -> None:
            super().__init__(**{"client": redis.Redis.from_url(os.environ[URL_VARIABLE]), **options})

    return Backend
