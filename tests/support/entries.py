"""Stream entries that no publisher of ours would write."""

from __future__ import annotations

from typing import Any

from eventsys.broker.broker import EventBroker

# An entry named by Redis's clock (`*`) could be newer than what the bus names in the same millisecond, which Redis
# would then refuse to add behind it.
_ADD = """
local ms, number = string.match(redis.call("GET", KEYS[2]) or "0-0", "^(%d+)-(%d+)$")
local entry = ms .. "-" .. string.format("%.0f", number + 1)
redis.call("SET", KEYS[2], entry)
return redis.call("XADD", KEYS[1], entry, unpack(ARGV))
"""


def add_entry(broker: EventBroker, stream: str, *fields: Any) -> Any:
    """Add what is given to a stream of the bus, named by the bus's own clock, and return that name."""
    return broker.link.call("EVAL", _ADD, 2, stream, broker.keys.clock, *fields)
