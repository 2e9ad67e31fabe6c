"""A Redis user with the least rights runs the whole system, and reaches nothing else."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import redis
from typer.testing import CliRunner

import eventsys.store
from eventsys import Event, EventFilter
from eventsys.cli.commands import app
from eventsys.errors import BenchError
from eventsys.runtime.bench.bench_bus import bench_bus
from eventsys.runtime.doctor import examine
from eventsys.settings import load_settings
from eventsys.store.keys import Keys
from eventsys.store.permissions import ON_KEYS, acl_rule
from tests.support.services import Services

_CALL = re.compile(r'redis\.p?call\(\s*"(\w+)"(?:\s*,\s*"([A-Z]+)")?')
_WITH_SUBCOMMANDS = {"XGROUP", "XINFO"}


@pytest.fixture
def limited(fresh_redis: Callable[[], Any]) -> Iterator[tuple[redis.Redis, str]]:
    """A server of its own with such a user: its administrator, and the user's URL."""
    server = fresh_redis()
    with redis.Redis.from_url(server.url) as admin:
        rule = acl_rule(Keys("shop"), "eventsys").replace("PASSWORD", "secret")
        admin.execute_command("ACL", "SETUSER", *rule.split(" "))
        path = server.url.partition("://")[2]
        yield admin, f"unix://eventsys:secret@{path}"


def test_every_command_of_every_script_is_allowed() -> None:
    folder = Path(eventsys.store.__file__).parent / "lua"
    used = set()
    for path in folder.rglob("*.lua"):
        for command, sub in _CALL.findall(path.read_text()):
            used.add(f"{command}|{sub}".lower() if command in _WITH_SUBCOMMANDS else command.lower())
    assert used - ON_KEYS == {"publish"}


@pytest.mark.redis62
def test_such_a_user_runs_everything_and_is_refused_nothing(limited: tuple[redis.Redis, str]) -> None:
    admin, url = limited
    services = Services(url)
    events = services.make(name="shop")
    tried: list[str] = []

    @events.on("order.paid", name="ship", retry_delay="10ms")
    def ship(event: Event) -> None:
        tried.append(event.id)
        if len(tried) == 1:
            raise RuntimeError("once")
        events.publish("order.sent", {})

    @events.on("order.lost", name="lose", max_retries=0)
    def lose(event: Event) -> None:
        raise RuntimeError("lost")

    try:
        services.work(events)
        assert events.wait(events.publish("order.paid", {}).id, "60s").status == "delivered"
        assert events.wait(events.publish("order.lost", {}).id, "60s").status == "failed"
        delayed = events.schedule("order.paid", {}, delay="50ms")
        assert events.wait(delayed.id, "60s").status == "delivered"
        events.cancel(events.schedule("order.paid", {}, delay="1h").id)
        events.cron.create("tick", "@hourly", "order.paid")
        events.cron.delete("tick")
        events.subscriptions.pause("ship")
        events.subscriptions.resume("ship")
        assert events.get_event_records(EventFilter(types=["order.*"])).total >= 4
        assert events.get_metrics().total_events >= 4
        for name in events.sweeps.names():
            events.sweeps.run(name)
        events.machinery.processes()
        assert not [one for one in examine(events).findings if "could not be looked at" in one.said]
    finally:
        services.close()
    assert _refusals(admin) == []


@pytest.mark.parametrize(
    "command",
    [
        "KEYS *", "FLUSHALL", "FLUSHDB", "CONFIG GET *", "SHUTDOWN", "SCRIPT FLUSH", "ACL LIST", "CLIENT LIST",
        "MONITOR", "DEBUG SLEEP 0", "REPLICAOF NO ONE", "SCAN 0", "GET elsewhere", "SET es:{other}:format 1",
        "PUBLISH elsewhere x", "EVAL return(redis.call('GET','elsewhere')) 0", "EVAL return(redis.call('KEYS','*')) 0",
    ],
)  # fmt: skip
def test_such_a_user_is_refused_everything_else(limited: tuple[redis.Redis, str], command: str) -> None:
    _, url = limited
    with redis.Redis.from_url(url) as client, pytest.raises(redis.ResponseError):
        client.execute_command(*command.split(" "))


def test_the_command_prints_a_rule_that_redis_takes(redis_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTSYS_NAME", "shop")
    said = CliRunner().invoke(app, ["redis-acl", "--user", "printed"]).stdout.strip()
    assert said.startswith("ACL SETUSER printed reset on >PASSWORD ~es:{shop}:*")
    with redis.Redis.from_url(redis_url) as admin:
        admin.execute_command(*said.split(" "))
        admin.execute_command("ACL", "DELUSER", "printed")


def _refusals(admin: redis.Redis) -> list[str]:
    """Return what the user was refused: the command or key, and where."""
    entries: Any = admin.acl_log()
    told = [{str(_text(key)): str(_text(value)) for key, value in entry.items()} for entry in entries]
    return [f"{one['object']} ({one['reason']}, {one['context']})" for one in told if one["username"] == "eventsys"]


def _text(value: Any) -> Any:
    return value.decode() if isinstance(value, bytes) else value


def test_measuring_says_what_such_a_user_lacks_and_runs_once_it_is_given(limited: tuple[redis.Redis, str]) -> None:
    admin, url = limited
    settings = load_settings(redis_url=url)
    with pytest.raises(BenchError) as refused, bench_bus(settings):
        pass
    assert "ACL SETUSER NAME ~es:{bench-* &es:{bench-* +scan +unlink" in str(refused.value)
    admin.execute_command("ACL", "SETUSER", "eventsys", "~es:{bench-*", "&es:{bench-*", "+scan", "+unlink")
    with bench_bus(settings) as bus:
        bus.events.publish("bench.done", {})
        assert list(admin.scan_iter("*bench*"))
    assert not list(admin.scan_iter("*bench*"))
