"""Following the log as it grows."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from eventsys.errors import InvalidEventError, RedisUnavailableError
from eventsys.model.envelope import decode_header, shown_event
from eventsys.model.event import Event
from eventsys.model.patterns import check_pattern, pattern_matches
from eventsys.model.priority import LANES
from eventsys.store.keys import CLASSES, Keys
from eventsys.store.link import Link

#: How long Redis is asked to wait at a time; the question is asked again, from where the answer before left off.
WAIT_MS = 5_000

#: Seconds until Redis is asked again that did not answer.
_AGAIN_S = 0.5

#: Most events of a lane taken at once.
_AT_ONCE = 100

#: Bytes of a lane taken at once, as far as the last ones tell: where events are large, fewer.
_BYTES_AT_ONCE = 4 * 1024 * 1024


def follow_log(
    link: Link,
    keys: Keys,
    patterns: Sequence[str] = (),
    *,
    is_wanted: Callable[[], bool] = lambda: True,
    on_outage: Callable[[str], None] | None = None,
) -> Iterator[Event[Any]]:
    """Give every event that is stored from now on, as soon as it is; those of one lane in their order.

    Redis holds the question until there is an answer: nothing is polled. What is published while the connection is
    broken is given afterwards, as far as it is still in the log.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        patterns: Types or patterns that are wanted; none given: all.
        is_wanted: Asked between two questions to Redis, every five seconds at least: false ends it.
        on_outage: Has Redis asked again and again once it has answered and then does not: told why, once, and once
            with nothing when it answers again. None: an outage ends it.

    Raises:
        InvalidPatternError: If a pattern cannot be.
        RedisUnavailableError: If Redis does not answer the first question; without `on_outage`, any.
    """
    wanted = [check_pattern(pattern) for pattern in patterns]
    channel = link.channel()
    streams = [keys.log(str(home)) for home in (*LANES, *CLASSES)]
    newest = channel.pipeline([("XREVRANGE", stream, "+", "-", "COUNT", 1) for stream in streams])
    places = {stream.encode(): found[0][0] if found else b"0" for stream, found in zip(streams, newest, strict=True)}
    many, is_away = _AT_ONCE, False
    try:
        while is_wanted():
            # After an outage Redis is asked without waiting: it answers even if nothing came meanwhile.
            patience = () if is_away else ("BLOCK", WAIT_MS)
            command = ("XREAD", "COUNT", many, *patience, "STREAMS", *places, *places.values())
            try:
                found = channel.call(*command, timeout_s=WAIT_MS / 1000 + 5)
            except RedisUnavailableError as error:
                if on_outage is None:
                    raise
                if not is_away:
                    on_outage(str(error))
                is_away = True
                time.sleep(_AGAIN_S)
                continue
            if is_away and on_outage is not None:
                on_outage("")
                is_away = False
            for stream, entries in found or ():
                places[stream] = entries[-1][0]
                many = _at_once(entries)
                for _, fields in entries:
                    event = _readable(fields[1]) if b"n" in fields[2::2] else None
                    if event is not None and (not wanted or any(pattern_matches(one, event.type) for one in wanted)):
                        yield event
    finally:
        channel.close()


def _at_once(entries: Sequence[Any]) -> int:
    """Return how many such events may be taken at once."""
    size = sum(len(fields[1]) for _, fields in entries) / len(entries)
    return max(1, min(_AT_ONCE, int(_BYTES_AT_ONCE / max(size, 1))))


def _readable(envelope: bytes) -> Event[Any] | None:
    """Return the event, or None for what cannot be read: the dispatcher makes a dead letter of it."""
    try:
        return shown_event(decode_header(envelope))
    except InvalidEventError:
        return None
