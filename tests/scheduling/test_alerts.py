"""Alerts: what begins to be wrong and what ends, each told once."""

from __future__ import annotations

import json
import socket
import threading
from base64 import b64encode
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from dramatiq import Message

from eventsys import Event, EventFilter, EventService, Reject, SettingsError
from eventsys.scheduling.webhook import WebhookError, masked
from eventsys.store.keys import GROUP, RETURNED, SUSPECTS
from tests.support.services import Services
from tests.support.waiting import eventually

QUIET: dict[str, Any] = {
    "failure_ratio": None, "backlog_age": None, "lateness": None, "dead_letters": None, "no_worker": None,
}  # fmt: skip


def told(events: EventService) -> list[tuple[str, str, bool]]:
    """Return type, rule and whether it is over, of what was published, oldest first."""
    wanted = EventFilter(types=("system.warning", "system.error"), order="oldest")
    return [(one.type, one.payload["rule"], one.payload["ended"]) for one in events.get_event_records(wanted).items]


def judge(*services: EventService) -> list[int]:
    return [one.alerts.evaluate(one.broker.clock.now_ms()) for one in services]


@pytest.fixture
def make(services: Services) -> Callable[..., EventService]:
    """Make a service with some limits; the rest is switched off."""

    def make_one(**limits: Any) -> EventService:
        return services.make(alerts={**QUIET, **limits})

    return make_one


def ahead(events: EventService, monkeypatch: pytest.MonkeyPatch, by: timedelta) -> None:
    now_ms = events.broker.clock.now_ms
    monkeypatch.setattr(events.broker.clock, "now_ms", lambda: now_ms() + by // timedelta(milliseconds=1))


@pytest.mark.redis62
def test_two_evaluators_tell_a_beginning_and_an_end_once(make: Callable[..., EventService]) -> None:
    events = make(dead_letters=1)
    other = EventService(settings=events.settings)
    link, dead = events.broker.link, events.broker.keys.dead
    assert judge(events, other) == [0, 0]
    link.call("ZADD", dead, 1, "letter")
    at_once = [threading.Thread(target=judge, args=(one,)) for one in (events, other) for _ in range(4)]
    for thread in at_once:
        thread.start()
    for thread in at_once:
        thread.join()
    assert told(events) == [("system.warning", "dead_letters", False)]
    assert [one.key for one in other.alerts.active()] == ["dead_letters"]
    link.call("ZREM", dead, "letter")
    assert sorted(judge(other, events)) == [0, 1]
    assert told(events) == [("system.warning", "dead_letters", False), ("system.warning", "dead_letters", True)]
    assert events.alerts.active() == []
    other.stop()


def test_a_subscription_that_fails_too_often_is_told_of(
    make: Callable[..., EventService], services: Services, monkeypatch: pytest.MonkeyPatch
) -> None:
    events = make(failure_ratio=0.5, failure_attempts=4)

    @events.on("client.*", name="h", max_retries=0)
    def handle(event: Event) -> None:
        if event.payload["dies"]:
            raise Reject("no")

    services.work(events)
    for dies in (True, True, False):
        events.wait(events.publish("client.seen", {"dies": dies}).id)
    assert judge(events) == [0], "three attempts are too few"
    events.wait(events.publish("client.seen", {"dies": False}).id)
    assert judge(events) == [1]
    [alert] = events.alerts.active()
    assert alert.key == "failure_ratio:h"
    assert alert.details == {"failed": 2, "attempts": 4, "ratio": 0.5, "limit": 0.5}
    ahead(events, monkeypatch, timedelta(minutes=7))
    assert judge(events) == [1], "nothing failed in the last five minutes"
    assert told(events)[-1] == ("system.warning", "failure_ratio", True)


def test_system_events_that_fail_are_not_alerted(make: Callable[..., EventService], services: Services) -> None:
    events = make(failure_ratio=0.5, failure_attempts=1)

    @events.on("system.*", name="pager", max_retries=0)
    def page(event: Event) -> None:
        raise Reject("no")

    services.work(events)
    events.wait(events.publish("system.warning", {"message": "m"}).id)
    assert judge(events) == [0]


def test_a_backlog_that_gets_old_is_told_of(
    make: Callable[..., EventService], monkeypatch: pytest.MonkeyPatch, services: Services
) -> None:
    events = make(backlog_age="10m")
    events.on("client.*", name="h", queue="nobody")(_nothing)
    worker = services.work(events, queues={"eventsys.log"})
    events.publish("client.seen", {})
    eventually(lambda: events.get_metrics(by="subscription")["h"].backlog == 1)
    worker.stop()
    assert judge(events) == [0]
    ahead(events, monkeypatch, timedelta(minutes=11))
    assert judge(events) == [1]
    [alert] = events.alerts.active()
    assert alert.key == "backlog_age:h"
    assert alert.details["backlog"] == 1


def test_messages_that_no_worker_reads_are_an_error(
    make: Callable[..., EventService], monkeypatch: pytest.MonkeyPatch, services: Services
) -> None:
    events = make(no_worker="1m")
    events.on("client.*", name="h")(_nothing)
    gone = services.make(name=events.settings.name)
    services.work(gone).stop()
    gone.stop()
    events.publish("client.seen", {})
    ahead(events, monkeypatch, timedelta(minutes=2))
    assert judge(events) == [1]
    [alert] = events.alerts.active()
    assert (alert.key, alert.is_error) == ("no_worker:eventsys.log", True)
    services.work(events)
    eventually(lambda: events.get_metrics().delivered_events == 1)
    judge(events)
    assert [one for one in told(events) if one[1] == "no_worker"][-1] == ("system.error", "no_worker", True)


@pytest.mark.redis62
@pytest.mark.parametrize("holder", [RETURNED, SUSPECTS])
def test_messages_that_a_process_held_before_are_told_of_too_when_no_worker_reads_them(
    make: Callable[..., EventService], monkeypatch: pytest.MonkeyPatch, holder: str
) -> None:
    events = make(no_worker="1m")
    link, lane = events.broker.link, events.broker.keys.lane("plain", 5)
    for _ in range(10):
        events.broker.enqueue(Message(queue_name="plain", actor_name="note", args=(), kwargs={}, options={}))
    link.call("XGROUP", "CREATE", lane, GROUP, "0", "MKSTREAM")
    link.call("XREADGROUP", "GROUP", GROUP, holder, "STREAMS", lane, ">")
    assert judge(events) == [0]
    ahead(events, monkeypatch, timedelta(minutes=2))
    assert judge(events) == [1]
    [alert] = events.alerts.active()
    assert (alert.key, alert.details["waiting"]) == ("no_worker:plain", 10)
    [oldest] = [one.oldest_waiting for one in events.machinery.queues() if one.name == "plain"]
    assert oldest is not None
    assert oldest >= timedelta(minutes=2)


def test_what_is_not_let_go_in_time_is_an_error(
    make: Callable[..., EventService], monkeypatch: pytest.MonkeyPatch
) -> None:
    events = make(lateness="30s")
    events.schedule("client.seen", {}, delay="1s")
    assert judge(events) == [0]
    ahead(events, monkeypatch, timedelta(seconds=40))
    assert judge(events) == [1]
    assert told(events) == [("system.error", "lateness", False)]


def test_events_that_nobody_wants_are_told_of_where_that_is_asked_for(
    make: Callable[..., EventService], services: Services
) -> None:
    events = make(unrouted=2)
    services.work(events)
    for _ in range(2):
        events.wait(events.publish("client.sene", {}).id)
    assert judge(events) == [1]
    assert [one.key for one in events.alerts.active()] == ["unrouted:client.sene"]
    silent = make()
    services.work(silent)
    silent.wait(silent.publish("client.sene", {}).id)
    assert judge(silent) == [0]


def test_the_rules_are_judged_by_a_sweep(make: Callable[..., EventService]) -> None:
    events = make(dead_letters=1)
    events.broker.clock.turn_to(events.broker.clock.now_ms())  # the minute must not end in between
    events.broker.link.call("ZADD", events.broker.keys.dead, 1, "letter")
    assert events.sweeps.run("alerts") == 1
    assert events.sweeps.run("alerts") is None, "once a minute"


class Hook(ThreadingHTTPServer):
    """A webhook on loopback that answers with the codes given, then with 200."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Answer)
        self.codes: list[int] = []
        self.got: list[dict[str, Any]] = []
        self.said: list[str | None] = []
        self.url = f"http://127.0.0.1:{self.server_address[1]}/secret-path?token=hunter2"


class Answer(BaseHTTPRequestHandler):
    server: Hook

    def do_POST(self) -> None:
        self.server.said.append(self.headers.get("Authorization"))
        body = self.rfile.read(int(self.headers["Content-Length"]))
        code = self.server.codes.pop(0) if self.server.codes else 200
        if code == 200:
            self.server.got.append(json.loads(body))
        self.send_response(code)
        if code == 302:
            self.send_header("Location", "http://127.0.0.1:1/elsewhere")
        self.end_headers()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def hook() -> Iterator[Hook]:
    with Hook() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join()


def test_an_alert_is_posted_when_it_begins_and_when_it_ends(
    make: Callable[..., EventService], services: Services, hook: Hook, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("eventsys.scheduling.webhook._FIRST_WAIT_MS", 1)
    events = make(dead_letters=1, webhook_url=hook.url)
    services.work(events)
    hook.codes = [500, 302]
    events.broker.link.call("ZADD", events.broker.keys.dead, 1, "letter")
    for _ in range(3):
        judge(events)
    eventually(lambda: len(hook.got) == 1)
    events.broker.link.call("ZREM", events.broker.keys.dead, "letter")
    for _ in range(3):
        judge(events)
    eventually(lambda: len(hook.got) == 2)
    assert [(one["type"], one["key"], one["ended"]) for one in hook.got] == [
        ("system.warning", "dead_letters", False),
        ("system.warning", "dead_letters", True),
    ]
    assert "dead letters" in hook.got[0]["message"]


def test_a_webhook_that_is_away_does_not_keep_the_sweep(make: Callable[..., EventService]) -> None:
    events = make(dead_letters=1, webhook_url="http://127.0.0.1:1/secret-path")
    events.broker.link.call("ZADD", events.broker.keys.dead, 1, "letter")
    assert judge(events) == [1]
    assert events.broker.link.call("XLEN", events.broker.keys.lane("eventsys.sweeps", 8)) == 1


@pytest.mark.parametrize("code", [500, 302])
def test_the_error_of_a_webhook_does_not_show_its_secrets(
    make: Callable[..., EventService], hook: Hook, code: int
) -> None:
    events = make(webhook_url=hook.url)
    hook.codes = [code]
    with pytest.raises(WebhookError) as caught:
        events.alerts._webhook.post({"key": "k"})
    assert str(code) in str(caught.value)
    assert "secret" not in str(caught.value)
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(events.settings)
    assert caught.value.__suppress_context__


def test_where_nobody_listens_the_error_says_so_without_secrets(make: Callable[..., EventService]) -> None:
    events = make(webhook_url="http://127.0.0.1:1/secret-path")
    with pytest.raises(WebhookError, match=r"http://127\.0\.0\.1:1/\*\*\* did not take an alert"):
        events.alerts._webhook.post({"key": "k"})


def test_user_and_password_of_a_webhook_go_into_a_header(make: Callable[..., EventService], hook: Hook) -> None:
    events = make(webhook_url=hook.url.replace("://", "://ann:password@"))
    events.alerts._webhook.post({"key": "k"})
    assert hook.said == ["Basic " + b64encode(b"ann:password").decode()]
    assert hook.got == [{"key": "k"}]


def test_an_answer_that_is_no_http_shows_no_secrets_either(make: Callable[..., EventService]) -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        events = make(webhook_url=f"http://127.0.0.1:{server.getsockname()[1]}/secret-path")
        with ThreadPoolExecutor(1) as thread:
            answered = thread.submit(_answer_with_junk, server)
            with pytest.raises(WebhookError, match=r"/\*\*\* did not take an alert \(BadStatusLine\)"):
                events.alerts._webhook.post({"key": "k"})
            answered.result()


def _answer_with_junk(server: socket.socket) -> None:
    connection, _ = server.accept()
    with connection:
        connection.recv(65_536)
        connection.sendall(b"what?\r\n\r\n")


@pytest.mark.parametrize(
    "url",
    ["ftp://hunter2/", "http://hunter2:port/", "http:///hunter2", "https://host/hunter2 x", "https://host/hunter2\n"],
)
def test_a_url_that_cannot_be_posted_to_is_refused_and_not_shown(services: Services, url: str) -> None:
    with pytest.raises(SettingsError, match="webhook URL") as caught:
        services.make(alerts={"webhook_url": url})
    assert "hunter2" not in str(caught.value)


def test_a_url_is_shown_without_what_may_be_secret() -> None:
    assert masked("https://user:secret@hooks.example.com:8443/T0/B0?x=1#y") == "https://hooks.example.com:8443/***"


@pytest.mark.parametrize("wrong", [{"webhook_url": "file:///etc/passwd"}, {"window": "2h"}, {"failure_ratio": 2}])
def test_settings_that_make_no_sense_are_refused(services: Services, wrong: dict[str, Any]) -> None:
    with pytest.raises(SettingsError):
        services.make(alerts=wrong)


def _nothing(event: Event) -> None:
    """Succeed."""
