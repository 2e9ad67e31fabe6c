"""The embedded Redis is kept running for whoever connects to it."""

from __future__ import annotations

import os
from dataclasses import replace

import pytest
from dramatiq.middleware import TimeLimitExceeded

from eventsys import EventService
from eventsys.errors import RedisUnavailableError
from eventsys.runtime import embedded_keeper
from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.embedded_keeper import EmbeddedKeeper
from eventsys.runtime.server_link import Answer, ServerLink
from tests.runtime.users import embedded as embedded
from tests.runtime.users import kill_server, put, read
from tests.runtime.users import server_binary as server_binary
from tests.support.waiting import eventually

pytestmark = pytest.mark.filterwarnings("ignore:.*multi-threaded, use of fork:DeprecationWarning")


def test_a_service_starts_a_killed_server_again(embedded):
    events = EventService(redis_url="redis://127.0.0.1:1/0", app="tests", announce=False)
    events.broker.link.lead_to(embedded.keep)
    first = events.publish("a.b", {"n": 1})
    # While the disk is busy with what came before, Redis answers first and writes within two seconds.
    eventually(lambda: events.broker.link.call("INFO", "persistence").count(b"aof_buffer_length:0\r") == 1)
    kill_server(embedded)
    receipts = [events.publish_async("a.b", {"n": n}) for n in range(20)]
    assert [receipt.result("60s").payload["n"] for receipt in receipts] == list(range(20))
    assert events.get_event(first.id).payload == {"n": 1}
    events.stop()


def test_a_forked_child_starts_a_killed_server_again_and_leaves_it_to_its_parent(embedded):
    """A child never did: whatever it published, for hours, was refused."""
    embedded.keep()
    kill_server(embedded)
    child = os.fork()
    if child == 0:
        try:
            embedded.keep()
            put(embedded, "from", "child")
            embedded.stop()
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    assert ServerLink(embedded.directory / "redis.sock").ask() is Answer.READY
    embedded.keep()
    assert read(embedded, "from") == "child"


def test_a_forked_child_that_connects_keeps_the_server_until_it_ends(embedded):
    embedded.keep()
    go_on, parent_stopped = os.pipe()
    child_connected, connected = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(parent_stopped)
        embedded.keep()
        os.write(connected, b".")
        os.read(go_on, 1)
        embedded.stop()
        os._exit(0)
    os.read(child_connected, 1)
    embedded.stop()
    link = ServerLink(embedded.directory / "redis.sock")
    assert link.ask() is Answer.READY
    os.close(parent_stopped)
    assert os.waitpid(child, 0)[1] == 0
    assert link.ask() is Answer.REFUSED


def test_nothing_is_started_again_for_a_user_that_has_let_go(embedded):
    url = embedded.keep()
    embedded.stop()
    assert embedded.keep() == url
    assert ServerLink(embedded.directory / "redis.sock").ask() is Answer.REFUSED


@pytest.mark.parametrize("names", [["data"], ["long" * 20, "longer" * 20]], ids=["usual", "too long for a socket"])
def test_a_server_that_did_not_start_again_is_started_by_the_next_connection(tmp_path, server_binary, names):
    with EmbeddedRedis(tmp_path.joinpath(*names), binary=server_binary) as embedded:
        url = embedded.keep()
        put(embedded, "kept", "yes")
        kill_server(embedded)
        embedded._binary = replace(server_binary, path=tmp_path / "missing")
        for _ in range(2):
            with pytest.raises(RedisUnavailableError, match="could not be started"):
                embedded.keep()
        embedded._binary = server_binary
        assert embedded.keep() == url == embedded.url
        assert read(embedded, "kept") == "yes"


def test_a_handler_whose_time_is_over_while_it_starts_the_server_leaves_that_to_others(embedded, monkeypatch):
    def strike(link):
        raise TimeLimitExceeded

    embedded.keep()
    kill_server(embedded)
    with monkeypatch.context() as patched:
        patched.setattr(ServerLink, "identify", strike)
        with pytest.raises(TimeLimitExceeded):
            embedded.keep()
    embedded.keep()
    put(embedded, "works", "again")


def test_nothing_is_started_again_for_a_user_that_lets_go_of_a_server_that_did_not_start(
    embedded, server_binary, tmp_path
):
    embedded.keep()
    kill_server(embedded)
    embedded._binary = replace(server_binary, path=tmp_path / "missing")
    with pytest.raises(RedisUnavailableError):
        embedded.keep()
    embedded._binary = server_binary
    embedded.stop()
    embedded.keep()
    assert ServerLink(embedded.directory / "redis.sock").ask() is Answer.REFUSED


def test_a_child_whose_server_does_not_start_is_told_what_its_parent_would_be(embedded, server_binary, tmp_path):
    """So that what it buffers waits."""
    embedded.keep()
    kill_server(embedded)
    binary, embedded._binary = embedded._binary, replace(server_binary, path=tmp_path / "missing")
    for _ in range(2):  # a child may have children
        embedded.forget()
        with pytest.raises(RedisUnavailableError, match="could not be started"):
            embedded.keep()
    embedded._binary = binary
    assert embedded.keep() == embedded.url


def test_a_server_that_is_kept_is_tried_again_until_it_starts(embedded, server_binary, tmp_path, monkeypatch, caplog):
    monkeypatch.setattr(embedded_keeper, "_LOOK_S", 0.01)
    monkeypatch.setattr(embedded_keeper, "_RETRY_S", 0.01)
    keeper = EmbeddedKeeper(embedded)
    keeper.start()
    embedded._binary = replace(server_binary, path=tmp_path / "missing")
    kill_server(embedded)
    eventually(lambda: "the embedded Redis is away" in caplog.text)
    embedded._binary = server_binary
    link = ServerLink(embedded.directory / "redis.sock")
    eventually(lambda: link.ask() is Answer.READY)
    keeper.close()
    assert link.ask() is Answer.REFUSED
