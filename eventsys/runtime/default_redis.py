"""The Redis of a process that names none: the embedded one of its directory."""

from __future__ import annotations

from functools import cache

from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.store.location import when_no_url_is_given


def use_embedded_redis_by_default() -> None:
    """Have every service without a `redis_url` use the embedded Redis in `.eventsys/` of the working directory.

    It is started, or joined if it runs, when the first connection is opened, and stopped by whichever process is last.
    Should it die meanwhile, the next connection of any of them starts it again.
    """
    when_no_url_is_given(lambda: embedded_redis().keep())


@cache
def embedded_redis() -> EmbeddedRedis:
    """Return this process's hold on the embedded Redis."""
    return EmbeddedRedis()
