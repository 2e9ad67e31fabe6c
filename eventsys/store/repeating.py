"""Which commands may be sent again when their reply was lost."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventsys.errors import RedisUnavailableError

#: Commands that only read.
_READING_TEXT = """
ECHO EXISTS GET GETRANGE HEXISTS HGET HGETALL HKEYS HMGET HVALS INFO LLEN LRANGE MGET PING SCAN SMEMBERS SSCAN STRLEN
TIME XLEN XPENDING XRANGE XREVRANGE ZCARD ZCOUNT ZRANGE ZRANGEBYSCORE ZREVRANGE ZREVRANGEBYSCORE ZSCORE
"""
_READING = frozenset(_READING_TEXT.split())


def may_be_sent_again(commands: Sequence[Sequence[Any]], error: RedisUnavailableError) -> bool:
    """Say whether commands may be sent once more after an error: none of them ran, or they only read."""
    if error.at_connect:
        return False
    return not error.may_have_run or all(command[0] in _READING for command in commands)
