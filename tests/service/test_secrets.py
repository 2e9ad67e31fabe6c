"""Secrets are nowhere but where they belong: not in logs, errors, Redis, nor on the screen."""

from __future__ import annotations

import logging
import os
import subprocess
import sys
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import dramatiq
import pytest
import redis
from pydantic import BaseModel, Field

from eventsys import Event, EventService, EventStatus
from eventsys.errors import EventsysError
from eventsys.model.masking import MASK, shown_payload
from eventsys.model.texts import SECRET_HEADER
from eventsys.runtime.exposition import prometheus_text
from tests.service.test_encryption import everything_in
from tests.support.entries import add_entry
from tests.support.services import Services

CANARY = "canary-4111111111111111"
PASSWORD = "hunter2"
Work = Callable[..., Any]


class Payment(BaseModel):
    """A payload with a secret in it."""

    card: str = Field(json_schema_extra={"secret": True})
    amount: int


@pytest.fixture
def sealing() -> dict[str, str]:
    return {
        "signing_keys": f"s1:{CANARY}-signing", "encryption_keys": f"e1:{CANARY}-encryption",
    }  # fmt: skip


def test_a_canary_is_found_nowhere(
    redis_client: redis.Redis, events: EventService, quick_work: Work, caplog: pytest.LogCaptureFixture, capfd: Any
) -> None:
    """Keys and a payload are used for everything that can go right or wrong, and nothing tells them."""
    caplog.set_level(logging.DEBUG)
    events.type("payment.made", Payment)
    events.on("payment.made", name="fails", max_retries=1, retry_delay="10ms")(_fail)
    events.on("payment.made", name="stranger")(_want_something_else)
    dramatiq.actor(actor_name="plain", queue_name="tests", max_retries=0, broker=events.broker)(_fail)
    quick_work()
    event = events.publish("payment.made", Payment(card=CANARY, amount=1))
    events.cron.create("nightly", "0 3 * * *", "clean.up", {"days": 7})
    with pytest.raises(EventsysError) as refused:
        events.publish("payment.made", {"card": [CANARY], "amount": 1})
    assert events.wait(event.id).status is EventStatus.FAILED
    lane = events.broker.keys.lane("tests", 5)
    add_entry(events.broker, lane, "m", '{"no":"signature"}')
    events.bus.system.flush(60)
    told = "".join(traceback.format_exception(refused.value)) + caplog.text + "".join(capfd.readouterr())
    told += prometheus_text(events) + repr(events.settings) + repr(vars(events.settings))
    told += "".join(f"{one.error}{one.traceback}" for one in events.get_event(event.id).deliveries)
    told += "".join(f"{one.error}{one.traceback}" for one in events.dead_letters.list().items)
    assert CANARY not in told
    assert CANARY.encode() not in everything_in(redis_client)
    shown = _command(events, "events", "show", event.id)
    assert MASK in shown
    shown += _command(events, "dead", "show", f"{event.id}:fails") + _command(events, "events", "ls", "--json")
    shown += _command(events, "dead", "ls", "--json") + _command(events, "settings")
    assert CANARY not in shown


def test_an_event_made_by_hand_names_its_secrets_too(events: EventService) -> None:
    """Whoever shows it knows the fields by that header, and not the model."""
    events.type("payment.made", Payment)
    made = Event(id="mine", type="payment.made", payload={"card": CANARY, "amount": 1}, time=datetime.now(UTC))
    events.publish_many([made])
    assert shown_payload(events.get_event("mine")) == {"card": MASK, "amount": 1}


def _fail(event: Any) -> None:
    raise ValueError("it went wrong")


def _want_something_else(event: Event[StrangePayment]) -> None:
    """Never called: the payload does not fit."""


class StrangePayment(BaseModel):
    """What the payload is not."""

    card: int = Field(json_schema_extra={"secret": True})


def _command(events: EventService, *words: str) -> str:
    given = events.settings
    environment = {
        **os.environ,
        "EVENTSYS_REDIS_URL": given.redis_url.get_secret_value(),
        "EVENTSYS_NAME": given.name,
        "EVENTSYS_SIGNING_KEYS": given.signing_keys.get_secret_value(),
        "EVENTSYS_ENCRYPTION_KEYS": given.encryption_keys.get_secret_value(),
    }
    done = subprocess.run(
        [sys.executable, "-m", "eventsys", *words], env=environment, capture_output=True, text=True, timeout=110
    )
    assert done.returncode == 0, done.stderr
    return done.stdout + done.stderr


@pytest.mark.parametrize(
    "url",
    [
        f"redis://user:{PASSWORD}@127.0.0.1:1/0",
        f"rediss://user:{PASSWORD}@127.0.0.1:1/0",
        f"redis+sentinel://user:{PASSWORD}@127.0.0.1:1/main",
        f"redis+sentinel://user:{PASSWORD}@127.0.0.1:{PASSWORD}",
        f"redis+sentinel://127.0.0.1:{PASSWORD}/main",
        f"redis://user:{PASSWORD}@127.0.0.1:port/0",
        f"redis://user:{PASSWORD}/more@127.0.0.1:1/0",
        f"redis://user:{PASSWORD}#more@127.0.0.1:1/0",
        f"redis://user:{PASSWORD}[more@127.0.0.1:1/0",
        f"redis://127.0.0.1:1/0?unknown={PASSWORD}",
        f"redis://127.0.0.1:1/0?socket_timeout={PASSWORD}",
        f"rediss://127.0.0.1:1/0?ssl_cert_reqs={PASSWORD}",
        f"rediss://127.0.0.1:1/0?ssl_ca_certs=/nowhere&password={PASSWORD}",
        f"redis://:{PASSWORD}@[nothing",
        f"nothing://user:{PASSWORD}@127.0.0.1:1/0",
    ],
)
def test_the_password_of_a_url_is_in_no_error(services: Services, url: str, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    service = services.make(redis_url=url)
    with pytest.raises(EventsysError) as raised:
        service.publish("a.b", {})
    assert PASSWORD not in "".join(traceback.format_exception(raised.value)) + caplog.text + repr(service.settings)


URLS = {
    f"redis://user:{PASSWORD}@127.0.0.1:1/0": "redis://user:***@127.0.0.1:1/0",
    f"redis://:{PASSWORD}@127.0.0.1:1/0": "redis://:***@127.0.0.1:1/0",
    f"redis://127.0.0.1:1/0?password={PASSWORD}&db=1": "redis://127.0.0.1:1/0?password=***&db=1",
    f"rediss://127.0.0.1:1/0?ssl_pass%77ord={PASSWORD}": "rediss://127.0.0.1:1/0?ssl_pass%77ord=***",
    f"redis://user:a/{PASSWORD}@127.0.0.1:1/0": "redis://user:***@127.0.0.1:1/0",
    f"redis://user:{PASSWORD}@more@127.0.0.1:1/0": "redis://user:***@127.0.0.1:1/0",
    f"redis+sentinel://user:{PASSWORD}@one:1,two:2/main": "redis+sentinel://user:***@one:1,two:2/main",
    f"redis://:{PASSWORD}@[nothing": "redis://:***@[nothing",
}


@pytest.mark.parametrize("url", URLS)
def test_the_settings_show_where_redis_is_and_no_password(url: str) -> None:
    words = [sys.executable, "-m", "eventsys", "settings"]
    environment = {**os.environ, "EVENTSYS_REDIS_URL": url, "COLUMNS": "200"}
    done = subprocess.run(words, env=environment, capture_output=True, text=True, timeout=110)
    assert URLS[url] in done.stdout
    assert PASSWORD not in done.stdout + done.stderr


@pytest.mark.parametrize("url", [f"redis://user:{PASSWORD}@127.0.0.1:1/0", f"redis://user:a/{PASSWORD}@127.0.0.1:1/0"])
def test_a_password_on_the_command_line_is_warned_of(url: str) -> None:
    words = [sys.executable, "-m", "eventsys", "events", "ls", "--redis-url", url]
    done = subprocess.run(words, capture_output=True, text=True, timeout=110)
    assert done.returncode in (1, 2)
    assert "can be seen in the list of processes" in done.stderr
    assert PASSWORD not in done.stderr + done.stdout


def test_an_event_that_names_more_secrets_than_its_model_keeps_them(events: EventService) -> None:
    events.type("payment.made", Payment)
    headers = {SECRET_HEADER: "note"}
    made = Event(
        id="mine", type="payment.made", payload={"card": CANARY, "amount": 1}, time=datetime.now(UTC), headers=headers
    )
    assert events.publish(made).headers[SECRET_HEADER].split(",") == ["note", "card"]
