"""What a Redis user needs to be allowed for a bus, and nothing more."""

from __future__ import annotations

from eventsys.store.keys import Keys

_ON_KEYS = """
append bitfield del echo exists get getrange hdel hexists hget hgetall hincrby hkeys hlen hmget hset hsetnx hvals incr
incrby llen lpush lrange ltrim memory|usage mget persist pexpire pttl rename rpush sadd scard set sismember smembers
smismember srem sscan strlen xack xadd xclaim xdel xgroup|create xgroup|delconsumer xinfo|groups xlen xpending xrange
xread xreadgroup xrevrange xtrim zadd zcard zcount zmscore zrange zrangebyscore zrank zrem zremrangebyscore zrevrange
zrevrangebyscore zscore zunionstore
"""

_ON_CONNECTIONS = """
auth client|setname eval evalsha hello info ping publish select slowlog|get subscribe time unsubscribe
"""

#: What the scripts and the store call on the keys of the bus. A test compares this with their text.
ON_KEYS = frozenset(_ON_KEYS.split())

#: What a connection needs; `info` and `slowlog|get` are for the doctor and for what is reported at start.
ON_CONNECTIONS = frozenset(_ON_CONNECTIONS.split())


def acl_rule(keys: Keys, user: str) -> str:
    """Return the rule of a Redis user who may do what eventsys does on one bus, as `ACL SETUSER` takes it.

    It reaches the keys and channels of that bus only. No command in it reads or deletes other keys, changes the server,
    or lists keys. The password is left to be filled in.

    Args:
        keys: The keys of the bus.
        user: The name of the user.
    """
    allowed = " ".join(f"+{command}" for command in sorted(ON_KEYS | ON_CONNECTIONS))
    return f"{user} reset on >PASSWORD ~{keys.prefix}:* ~{keys.prefix} resetchannels &{keys.prefix}:* -@all {allowed}"
