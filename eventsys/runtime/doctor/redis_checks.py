"""Whether Redis is one that events are safe with."""

from __future__ import annotations

import statistics
import time
from collections.abc import Iterator

from eventsys.errors import EventsysError
from eventsys.model.diagnosis import Finding, fine, problem, warning
from eventsys.readable import many
from eventsys.store.bus_format import BusFormatError

from .patient import Patient

#: The oldest Redis that has every command the scripts use.
OLDEST = (6, 2)

#: Shares of its memory limit from which on there is something to say; publishing is refused near the second.
MUCH_MEMORY, TOO_MUCH_MEMORY = 0.80, 0.95

#: The share of the connections Redis allows from which on there is something to say.
MANY_CONNECTIONS = 0.8

#: Seconds that the clock of this host may differ from Redis's before people are misled by what logs say.
CLOCK_OFF_S = 2.0

#: Milliseconds of a round trip above which every publish is felt.
SLOW_ROUND_TRIP_MS = 20.0

#: How old an entry of the slow log may be, in seconds, to be news.
_NEWS_S = 3600

#: Round trips that are measured: the median of three bears with one that was kept waiting.
_ROUND_TRIPS = 3


def check_redis(patient: Patient) -> Iterator[Finding]:
    """Look at version, role, persistence, memory, connections, slow commands, distance and clock."""
    yield _version(patient)
    yield _role(patient)
    yield _persistence(patient)
    yield _policy(patient)
    yield _memory(patient)
    yield _connections(patient)
    yield _slow_commands(patient)
    yield _distance(patient)
    yield _clock(patient)


def is_new_enough(patient: Patient) -> bool:
    """Return whether this Redis has every command that is needed."""
    is_valkey, version, _ = _server(patient)
    return is_valkey or version >= OLDEST


def _server(patient: Patient) -> tuple[bool, tuple[int, ...], str]:
    """Return whether it is Valkey, which version of what, and how that is called."""
    is_valkey = patient.info.get("server_name") == "valkey"
    text = patient.info.get("valkey_version" if is_valkey else "redis_version", "0")
    version = tuple(int(part) for part in text.split(".")[:2] if part.isdigit())
    return is_valkey, version, f"{'Valkey' if is_valkey else 'Redis'} {text}"


def _version(patient: Patient) -> Finding:
    is_valkey, version, name = _server(patient)
    if not is_new_enough(patient):
        return problem("redis.version", f"{name} is older than 6.2 and lacks commands", "upgrade Redis to 6.2 or later")
    if not is_valkey and version < (7, 0):
        return warning(
            "redis.version",
            f"{name} works, and no longer gets security fixes",
            "use it for development only; run Redis 7 or later, or Valkey, in production",
        )
    return fine("redis.version", name)


def _role(patient: Patient) -> Finding:
    role = patient.info.get("role", "master")
    if role != "master":
        return problem(
            "redis.role",
            f"this Redis is a {role} and accepts no writes",
            "point EVENTSYS_REDIS_URL at the master, or use redis+sentinel://",
        )
    return fine("redis.role", "it is the master")


def _persistence(patient: Patient) -> Finding:
    if patient.number("aof_enabled") != 1:
        return problem(
            "redis.persistence",
            "the append-only file is off: a crash of Redis loses events",
            "set `appendonly yes` in redis.conf, or now: redis-cli CONFIG SET appendonly yes",
        )
    for name in ("aof_last_write_status", "aof_last_bgrewrite_status"):
        if patient.info.get(name, "ok") != "ok":
            return problem(
                "redis.persistence",
                f"the append-only file cannot be written ({name} is {patient.info[name]})",
                "look at the disk of the Redis host: full, read-only or failing; Redis's own log tells which",
            )
    return fine("redis.persistence", "the append-only file is on")


def _policy(patient: Patient) -> Finding:
    policy = patient.info.get("maxmemory_policy", "noeviction")
    if policy != "noeviction":
        return problem(
            "redis.policy",
            f"the eviction policy is {policy}: at its memory limit Redis would delete events in silence",
            "set `maxmemory-policy noeviction`, or now: redis-cli CONFIG SET maxmemory-policy noeviction",
        )
    evicted = patient.number("evicted_keys")
    if evicted:
        return warning(
            "redis.policy",
            f"nothing is evicted now, but Redis has deleted {evicted:,} keys since it started: events may be missing",
            "see what is gone: eventsys events ls; the count begins anew with a restart of Redis",
        )
    return fine("redis.policy", "nothing is evicted")


def _memory(patient: Patient) -> Finding:
    used, limit = patient.number("used_memory"), patient.number("maxmemory")
    if limit == 0:
        return fine("redis.memory", f"{_mebibytes(used)} used, no limit set")
    share = used / limit
    said = f"{_mebibytes(used)} of {_mebibytes(limit)} used ({share:.0%})"
    remedy = "raise `maxmemory`, keep less history (EVENTSYS_RETENTION), or find what piles up: eventsys queue ls"
    if share >= TOO_MUCH_MEMORY:
        return problem("redis.memory", f"{said}: publishing is refused, what is stored goes on", remedy)
    if share >= MUCH_MEMORY:
        return warning("redis.memory", f"{said}: above 95 % publishing is refused", remedy)
    return fine("redis.memory", said)


def _connections(patient: Patient) -> Finding:
    open_now, most = patient.number("connected_clients"), patient.number("maxclients")
    said = f"{open_now:,} of {most:,} connections are open" if most else f"{open_now:,} connections are open"
    if most and open_now >= MANY_CONNECTIONS * most:
        return warning(
            "redis.connections",
            f"{said}: beyond, Redis refuses new ones",
            "raise `maxclients` (and the limit of open files), or see who holds them: redis-cli CLIENT LIST",
        )
    return fine("redis.connections", said)


def _slow_commands(patient: Patient) -> Finding:
    since = patient.now_ms / 1000 - _NEWS_S
    recent = [entry for entry in patient.answer("slow commands") if entry[1] >= since]
    if not recent:
        return fine("redis.slow", "no slow commands in the last hour")
    worst = max(recent, key=lambda entry: entry[2])
    name = worst[3][0].decode("utf-8", "replace").upper()
    who = "a script of eventsys" if name in {"EVALSHA", "EVAL"} else name
    return warning(
        "redis.slow",
        f"{many(len(recent), 'slow command', 'slow commands')} in the last hour, the slowest {worst[2] / 1000:.0f} ms,"
        f" {who}",
        "see them with redis-cli SLOWLOG GET; other applications on this Redis, or a busy host, are the usual cause",
    )


def _distance(patient: Patient) -> Finding:
    times = []
    for _ in range(_ROUND_TRIPS):
        began = time.perf_counter()
        patient.link.call("PING")
        times.append((time.perf_counter() - began) * 1000)
    median = statistics.median(times)
    said = f"a round trip takes {median:.2f} ms"
    if median > SLOW_ROUND_TRIP_MS:
        return warning("redis.distance", f"{said}: every publish waits for one", "run workers nearer to Redis")
    return fine("redis.distance", said)


def _clock(patient: Patient) -> Finding:
    # The bus's clock was set from Redis's when the examination began.
    off = time.time() - patient.events.broker.clock.real_ms() / 1000
    if abs(off) > CLOCK_OFF_S:
        return warning(
            "redis.clock",
            f"this host's clock is {abs(off):.1f} s {'ahead of' if off > 0 else 'behind'} Redis's",
            "set both by NTP; nothing fires at a wrong time (Redis's clock counts), but logs will not agree",
        )
    return fine("redis.clock", "this host's clock and Redis's agree")


def check_reached(patient_error: EventsysError) -> Finding:
    """Return that Redis could not be asked at all, and why."""
    remedy = "start Redis, or name it with --redis-url or EVENTSYS_REDIS_URL; eventsys settings shows which is used"
    if isinstance(patient_error, BusFormatError):
        remedy = "install the version of eventsys that wrote it, or name another bus with EVENTSYS_NAME"
    return problem("redis.reached", " ".join(str(patient_error).split()), remedy)


def _mebibytes(count: int) -> str:
    return f"{count / 2**20:,.0f} MiB"
