"""The doctor says what is wrong with a Redis: each on a server of the test's own that is really so."""

from __future__ import annotations

import re
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import redis

from eventsys import EventService
from eventsys.model.diagnosis import Diagnosis, Finding, Severity
from eventsys.runtime.doctor import examine, redis_checks
from tests.support.services import Services
from tests.support.waiting import eventually


@pytest.fixture
def server(fresh_redis: Callable[[], Any]) -> Any:
    return fresh_redis()


@pytest.fixture
def client(server: Any) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(server.url) as made:
        yield made


@pytest.fixture
def events(server: Any) -> Iterator[EventService]:
    services = Services(server.url)
    yield services.make()
    services.close()


def finding(events: EventService, check: str) -> Finding:
    return found_in(examine(events), check)


def url_of(events: EventService) -> str:
    assert events.settings.redis_url is not None
    return events.settings.redis_url.get_secret_value()


def found_in(diagnosis: Diagnosis, check: str) -> Finding:
    [only] = [one for one in diagnosis.findings if one.check == check]
    return only


def test_memory_near_its_limit_is_told_before_publishing_is_refused(events: EventService, client: redis.Redis) -> None:
    assert finding(events, "redis.memory").said.endswith("used, no limit set")
    used = client.info("memory")["used_memory"]
    client.config_set("maxmemory", int(used / 0.87))
    found = finding(events, "redis.memory")
    assert (found.severity, "above 95 % publishing is refused" in found.said) == (Severity.WARNING, True)
    client.config_set("maxmemory", int(used / 0.99))
    found = finding(events, "redis.memory")
    assert (found.severity, "publishing is refused" in found.said) == (Severity.PROBLEM, True)
    assert "EVENTSYS_RETENTION" in (found.remedy or "")
    client.config_set("maxmemory", used * 10)
    assert finding(events, "redis.memory").severity is Severity.OK


def test_slow_commands_are_told_with_the_slowest(events: EventService, client: redis.Redis) -> None:
    # On a busy machine any command may take long: only one counts here.
    client.config_set("slowlog-log-slower-than", -1)
    client.slowlog_reset()
    assert finding(events, "redis.slow").severity is Severity.OK
    client.config_set("slowlog-log-slower-than", 5_000)
    client.eval("local n = 0 while n < 5000000 do n = n + 1 end redis.call('PING') return n", 0)
    client.config_set("slowlog-log-slower-than", -1)
    found = finding(events, "redis.slow")
    assert found.severity is Severity.WARNING
    # On a busy machine what sets the limit may be over it, too.
    assert re.match(r"[12] slow commands? in the last hour, the slowest", found.said)
    assert "redis-cli SLOWLOG GET" in (found.remedy or "")


def test_many_connections_are_told_before_redis_refuses_more(events: EventService, client: redis.Redis) -> None:
    assert finding(events, "redis.connections").severity is Severity.OK
    client.config_set("maxclients", 20)
    others = [redis.Redis.from_url(url_of(events)) for _ in range(15)]
    for other in others:
        other.ping()
    found = finding(events, "redis.connections")
    for other in others:
        other.close()
    assert found.severity is Severity.WARNING
    assert "of 20 connections are open: beyond, Redis refuses new ones" in found.said
    assert "maxclients" in (found.remedy or "")


def test_keys_that_redis_deleted_are_told_after_the_policy_is_mended(events: EventService, client: redis.Redis) -> None:
    client.config_set("maxmemory-policy", "allkeys-random")
    client.set("something", "x" * 100_000)
    client.config_set("maxmemory", client.info("memory")["used_memory"] - 50_000)
    client.ping()
    assert finding(events, "redis.policy").severity is Severity.PROBLEM
    client.config_set("maxmemory", 0)
    client.config_set("maxmemory-policy", "noeviction")
    assert client.info("stats")["evicted_keys"] > 0
    found = finding(events, "redis.policy")
    assert (found.severity, "events may be missing" in found.said) == (Severity.WARNING, True)


@pytest.mark.parametrize(("ahead_s", "said"), [(60.0, r"6\d\.\d s ahead of"), (-9.0, r" \d\.\d s behind")])
def test_a_clock_that_is_off_is_told_with_its_offset(
    events: EventService, monkeypatch: pytest.MonkeyPatch, ahead_s: float, said: str
) -> None:
    assert finding(events, "redis.clock").severity is Severity.OK
    host = SimpleNamespace(time=lambda: time.time() + ahead_s, perf_counter=time.perf_counter)
    monkeypatch.setattr(redis_checks, "time", host)
    found = finding(events, "redis.clock")
    assert found.severity is Severity.WARNING
    assert re.search(f"{said} Redis's", found.said)
    assert "NTP" in (found.remedy or "")


def test_a_redis_that_is_far_away_is_told(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    ticking = iter(range(1_000))
    monkeypatch.setattr(
        redis_checks, "time", SimpleNamespace(time=time.time, perf_counter=lambda: next(ticking) * 0.025)
    )
    found = finding(events, "redis.distance")
    assert (found.severity, found.said.startswith("a round trip takes 25.00 ms")) == (Severity.WARNING, True)


def test_an_append_only_file_that_cannot_be_written_anew_is_a_problem(
    events: EventService, client: redis.Redis, server: Any
) -> None:
    assert finding(events, "redis.persistence").severity is Severity.OK
    written = next(Path(server.embedded.directory).rglob("appendonly*"))
    if not written.is_dir():
        pytest.skip("before 7.0 Redis does not tell of a file that cannot be put in its place")
    written.rename(written.with_name("kept"))
    written.touch()  # a file where a directory should be: an obstacle that stops root, too
    with suppress(redis.ResponseError):
        client.bgrewriteaof()
    eventually(lambda: client.info("persistence")["aof_last_bgrewrite_status"] == "err")
    found = finding(events, "redis.persistence")
    assert found.severity is Severity.PROBLEM
    assert found.said == "the append-only file cannot be written (aof_last_bgrewrite_status is err)"
    assert "the disk of the Redis host" in (found.remedy or "")


class AgedRedis:
    """Redis through a wire that makes it call itself an older version, of as many letters."""

    def __init__(self, url: str, version: bytes, aged: bytes) -> None:
        self._url, self._version, self._aged = url, version, aged
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._listener.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            far.connect(self._url.partition("://")[2].partition("?")[0])
            threading.Thread(target=self._pass, args=(near, far, False), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, True), daemon=True).start()

    def _pass(self, source: socket.socket, target: socket.socket, ages: bool) -> None:
        try:
            while data := source.recv(1 << 20):
                target.sendall(data.replace(self._version, self._aged) if ages else data)
            target.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


def test_a_redis_that_is_too_old_is_a_problem_and_nothing_else_is_asked_of_it(server: Any, client: redis.Redis) -> None:
    version = str(client.info("server")["redis_version"])
    if client.info("server").get("server_name") == "valkey":
        pytest.skip("Valkey was never so old")
    aged = AgedRedis(server.url, f"redis_version:{version}".encode(), f"redis_version:5{version[1:]}".encode())
    services = Services(aged.url)
    diagnosis = examine(services.make())
    services.close()
    aged.close()
    found = found_in(diagnosis, "redis.version")
    assert found.severity is Severity.PROBLEM
    assert found.said == f"Redis 5{version[1:]} is older than 6.2 and lacks commands"
    assert found.remedy == "upgrade Redis to 6.2 or later"
    assert {one.check.partition(".")[0] for one in diagnosis.findings} == {"redis"}


def test_a_redis_that_is_asked_for_what_a_user_may_not_do_says_so(server: Any, client: redis.Redis) -> None:
    client.execute_command("ACL", "SETUSER", "small", "on", ">secret", "~*", "&*", "+@all", "-slowlog")
    services = Services(server.url.replace("unix://", "unix://small:secret@"))
    diagnosis = examine(services.make())
    services.close()
    found = found_in(diagnosis, "redis")
    assert (found.severity, "some of this could not be looked at" in found.said) == (Severity.WARNING, True)
