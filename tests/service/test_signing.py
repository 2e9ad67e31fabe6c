"""Signing: who can write to Redis and has no key makes no handler run."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable
from pathlib import Path
from typing import Any

import dramatiq
import pytest

from eventsys import DeadLetter, DeadLetterFilter, DelayedEvent, Event, EventFilter, EventService, EventStatus
from eventsys.errors import BadSignatureError, SettingsError
from eventsys.model.seal import without_signature
from eventsys.store.keys import LOG_QUEUE
from tests.support.entries import add_entry
from tests.support.fixtures import SEALED
from tests.support.services import Services
from tests.support.waiting import eventually

Work = Callable[..., Any]
FORGED = DeadLetterFilter(reason="bad_signature")


@pytest.fixture
def sealing() -> dict[str, str]:
    return SEALED


@pytest.fixture
def handled(events: EventService) -> list[str]:
    """The ids that the handler `h` of `a.b` got."""
    got: list[str] = []
    events.on("a.b", name="h", where={"payload.n": [1, 2]})(lambda event: got.append(event.id))
    return got


def _stored(events: EventService, event_id: str) -> str:
    """Return the envelope of an event as the log holds it."""
    entries = events.broker.link.call("XRANGE", events.broker.keys.log("5"), "-", "+")
    envelopes = [fields[1].decode() for _, fields in entries]
    return next(one for one in envelopes if json.loads(one)["id"] == event_id)


def _add(events: EventService, queue: str, *fields: str) -> None:
    add_entry(events.broker, events.broker.keys.lane(queue, 5), *fields)


def _refused(events: EventService, count: int) -> list[DeadLetter]:
    """Return the letters of what was refused, when there are so many."""

    def all_of_them() -> list[DeadLetter]:
        found = events.dead_letters.list(FORGED).items
        return found if len(found) == count else []

    return eventually(all_of_them)


def test_what_has_no_right_signature_reaches_nobody(
    events: EventService, services: Services, quick_work: Work, handled: list[str], caplog: pytest.LogCaptureFixture
) -> None:
    calls: list[str] = []
    actor = dramatiq.actor(actor_name="plain", queue_name="tests", broker=events.broker)(calls.append)
    quick_work()
    good = events.publish("a.b", {"n": 1})
    actor.send("good")
    assert events.wait(good.id).status is EventStatus.DELIVERED
    eventually(lambda: calls == ["good"])
    envelope = _stored(events, good.id)
    unsigned = envelope[: envelope.rindex(',"signature"')] + "}"
    edited = envelope.replace('"n":1', '"n":2')
    foreign = services.make(name=events.settings.name, signing_keys="k3:a-secret-nobody-else-has")
    stranger = foreign.bus.drafter.draft("a.b", {"n": 1}).envelope
    message = actor.message("bad").encode().decode()
    forged = [
        *(("tests", "s", "h", "e", one) for one in (unsigned, edited, stranger)),
        *((LOG_QUEUE, "e", one) for one in (unsigned, edited, stranger)),
        ("tests", "m", message),
        ("tests", "m", foreign.broker.work.seal.signed("message", message)),
        ("tests", "m", events.broker.work.seal.signed("event", message)),
    ]
    for queue, *fields in forged:
        _add(events, queue, *fields)
    letters = _refused(events, len(forged))
    assert (handled, calls) == ([good.id], ["good"])
    assert events.get_event(good.id).status is EventStatus.DELIVERED
    assert {letter.reason for letter in letters} == {"bad_signature"}
    assert [one.queue for one in letters if not one.can_be_redriven] == [LOG_QUEUE] * 3
    assert events.dead_letters.redrive_all(FORGED, dry_run=True).refused == {"junk": 3}
    counts = events.broker.link.call("HGET", events.broker.keys.counts, "dead_letters_bad_signature")
    assert int(counts) == len(forged)
    events.bus.system.flush(60)
    [warning] = events.get_event_records(EventFilter(types=("system.warning",))).items
    assert "with the reason 'bad_signature'" in warning.payload["message"]
    assert "a-secret" not in caplog.text


def test_a_signed_event_cannot_be_pointed_at_another_handler(
    events: EventService, quick_work: Work, handled: list[str]
) -> None:
    other: list[str] = []
    events.on("c.d", name="other")(lambda event: other.append(event.id))
    quick_work()
    unwanted, wanted = events.publish("a.b", {"n": 7}), events.publish("a.b", {"n": 1})
    for event in (unwanted, wanted):
        events.wait(event.id)
    _add(events, "tests", "s", "other", "e", _stored(events, wanted.id))
    _add(events, "tests", "s", "h", "e", _stored(events, unwanted.id))
    letters = _refused(events, 2)
    assert (other, handled) == ([], [wanted.id])
    assert {letter.error for letter in letters} == {
        "other subscribes to 'c.d', and got an event of type 'a.b'",
        "h got an event of type 'a.b' that its filter does not want",
    }


@pytest.mark.parametrize("is_known", [True, False])
def test_a_signed_event_makes_no_actor_run_but_its_handler(events: EventService, work: Work, is_known: bool) -> None:
    """Neither by the name that its delivery bears, nor by what that says of the attempts before."""
    got: list[Any] = []
    handled: list[int] = []

    @events.on("a.b", name="h", max_retries=0)
    def divide(event: Event) -> float:
        handled.append(event.payload["n"])
        return 1 / event.payload["n"]

    actor = dramatiq.actor(actor_name="plain", queue_name="tests", broker=events.broker)(
        lambda *given: got.append(given)
    )
    work()
    good, bad = events.publish("a.b", {"n": 1}), events.publish("a.b", {"n": 0})
    events.wait(good.id), events.wait(bad.id)
    if is_known:  # the rows of subscriptions are not signed
        row = json.loads(events.broker.link.call("HGET", events.broker.keys.subscriptions, "h"))
        for name in ("plain", "eventsys.dispatch"):
            events.broker.link.call("HSET", events.broker.keys.subscriptions, name, json.dumps({**row, "name": name}))
    for name in ("plain", "eventsys.dispatch", "eventsys.cron"):
        _add(events, "tests", "s", name, "e", _stored(events, good.id))
    message = actor.message("forged").asdict()
    for event, said in (
        (good, {"pipe_target": {**message, "options": {}}}),
        (good, {"on_success": "plain"}),
        (bad, {"on_failure": "plain"}),
    ):
        _add(events, "tests", "s", "h", "e", _stored(events, event.id), "o", json.dumps({"retries": 1, **said}))
    events.publish("a.b", {"n": 2})
    eventually(lambda: sorted(handled) == [0, 0, 1, 1, 1, 2])
    lane = events.broker.keys.lane("tests", 5)
    eventually(lambda: events.broker.link.call("XLEN", lane) == 0)
    assert got == []


def test_a_refused_delivery_is_judged_anew_when_it_is_redriven(services: Services, tmp_path: Path) -> None:
    """A key that was retired too early is listed again, and nothing is lost."""
    got: list[str] = []
    before = services.make(signing_keys="k1:the-secret-that-was-before")
    before.bus.prepare()
    after = services.make(name=before.settings.name, signing_keys="k2:a-secret-of-some-length")
    after.on("a.b", name="h")(lambda event: got.append(event.id))
    after.bus.prepare()
    event = before.publish("a.b", {"n": 1})
    dispatcher = services.work(before, dramatiq.Worker, queues={LOG_QUEUE})
    lane = before.broker.keys.lane("tests", 5)
    eventually(lambda: before.broker.link.call("XLEN", lane))
    dispatcher.stop()
    worker = services.work(after, dramatiq.Worker, queues={"tests"})
    [letter] = _refused(after, 1)
    assert "signed with the key 'k1'" in letter.error
    worker.stop()
    keys = tmp_path / "keys"
    keys.write_text("k2:a-secret-of-some-length\nk1:the-secret-that-was-before\n")
    mended = services.make(name=before.settings.name, signing_keys=None, signing_keys_file=keys)
    mended.on("a.b", name="h")(lambda event: got.append(event.id))
    mended.dead_letters.redrive(letter.id)
    services.work(mended, dramatiq.Worker)
    assert mended.wait(event.id).status is EventStatus.DELIVERED
    assert got == [event.id]


def _unsigned(events: EventService, count: int) -> list[str]:
    """Put deliveries that nobody has signed on the queue of `h`, and return the ids of their events."""
    ids = []
    for number in range(count):
        drafted = events.bus.drafter.draft("a.b", {"n": 1, "number": number})
        _add(events, "tests", "s", "h", "e", without_signature(drafted.envelope.encode()).decode())
        ids.append(drafted.event.id)
    return ids


def test_refused_deliveries_are_sent_again_at_the_rate_asked_for(
    events: EventService, services: Services, handled: list[str]
) -> None:
    worker = services.work(events, dramatiq.Worker)
    ids = _unsigned(events, 3)
    _refused(events, 3)
    worker.stop()
    result = events.dead_letters.redrive_all(FORGED, rate="1/h")
    assert (result.redriven, result.takes_s) == (3, 7200)
    waiting = [events.store.delayed.find(f"{event_id}:h") for event_id in ids]
    first, second, third = (one.due_ms for one in waiting if one is not None)
    assert (second - first, third - second) == (3_600_000, 3_600_000)


def test_a_delivery_that_is_refused_again_and_again_wants_to_be_forced(
    events: EventService, quick_work: Work, handled: list[str]
) -> None:
    quick_work()
    _unsigned(events, 1)

    def letter_sent(times: int) -> DeadLetter:
        return eventually(lambda: [one for one in events.dead_letters.list(FORGED).items if one.redrives == times])[0]

    for turn in range(10):
        events.dead_letters.redrive(letter_sent(turn).id)
    letter = letter_sent(10)
    for dry_run in (True, False):
        assert events.dead_letters.redrive_many([letter.id], dry_run=dry_run).refused == {"capped": 1}
    assert events.dead_letters.redrive_many([letter.id], force=True).redriven == 1
    letter_sent(11)
    assert handled == []


def test_a_cron_task_written_by_a_stranger_is_refused(events: EventService) -> None:
    task = events.cron.create("t", "* * * * *", "a.b", {"n": 1})
    assert events.cron.get("t") == task
    key = events.broker.keys.cron_task("t")
    definition = events.broker.link.call("HGET", key, "definition").decode()
    events.broker.link.call("HSET", key, "definition", definition.replace("a.b", "c.d"))
    with pytest.raises(BadSignatureError, match="cron task is not what was signed"):
        events.cron.run_now("t")


def test_what_a_list_shows_of_a_cron_task_is_passed_over_where_a_stranger_wrote_it(events: EventService) -> None:
    for name in ("mine", "other"):
        events.cron.create(name, "* * * * *", "a.b", {"n": 1})
    key = events.broker.keys.cron_task("other")
    line = events.broker.link.call("HGET", key, "line").decode()
    events.broker.link.call("HSET", key, "line", line.replace("a.b", "c.d"))
    page = events.cron.lines()
    assert ([one.name for one in page.items], page.total) == (["mine"], 2)


def test_a_dead_message_of_a_plain_actor_is_signed_when_it_is_redriven(events: EventService, quick_work: Work) -> None:
    fails, calls = [True], []

    def run(text: str) -> None:
        calls.append(text)
        if fails[0]:
            raise ValueError(text)

    actor = dramatiq.actor(
        actor_name="plain", queue_name="tests", max_retries=1, min_backoff=1, max_backoff=1, broker=events.broker
    )(run)
    quick_work()
    message = actor.send("x")
    eventually(lambda: events.dead_letters.list().items)
    fails[0] = False
    key = events.broker.keys.letter(message.message_id)
    kept = events.broker.link.call("HGET", key, "m").decode()
    events.dead_letters.redrive(message.message_id)
    eventually(lambda: calls == ["x"] * 3)
    # Edited in the letter it is not signed anew by whoever sends it again.
    fails[0] = True
    message = actor.send("y")
    eventually(lambda: events.dead_letters.list().items)
    events.broker.link.call(
        "HSET", events.broker.keys.letter(message.message_id), "m", kept.replace('["x"]', '["evil"]')
    )
    events.dead_letters.redrive(message.message_id)
    _refused(events, 1)
    assert "evil" not in calls


def test_a_delayed_event_that_the_store_is_given_is_signed(
    events: EventService, quick_work: Work, handled: list[str]
) -> None:
    now = events.broker.clock.now()
    drafted = events.bus.drafter.draft("a.b", {"n": 1}).event
    events.store.store_delayed_event(
        DelayedEvent(**drafted.model_dump(), delay_until=now, created_at=now, updated_at=now)
    )
    quick_work()
    eventually(lambda: handled == [drafted.id])


def test_without_keys_signed_things_are_read_as_they_are(events: EventService, services: Services) -> None:
    got: list[Any] = []
    reader = services.make(name=events.settings.name, signing_keys=None)
    reader.on("a.b", name="h")(got.append)
    actor = dramatiq.actor(actor_name="plain", queue_name="tests", broker=reader.broker)(
        lambda **given: got.append(given)
    )
    reader.bus.prepare()
    event = events.publish("a.b", {"n": 1})
    text = actor.message(n=float("inf")).encode().decode()
    _add(reader, "tests", "m", events.broker.work.seal.signed("message", text))
    services.work(reader, dramatiq.Worker)
    reader.wait(event.id)
    eventually(lambda: len(got) == 2)
    assert {"n": float("inf")} in got


@pytest.mark.parametrize("given", ["", " ", ",\n"])
@pytest.mark.parametrize("setting", ["signing_keys", "encryption_keys"])
def test_a_setting_without_a_key_does_not_switch_keys_off(
    services: Services, monkeypatch: pytest.MonkeyPatch, setting: str, given: str
) -> None:
    """A variable that somebody forgot to fill; the setting of the test itself is given as a keyword, which wins."""
    monkeypatch.setenv(f"EVENTSYS_{setting.upper()}", given)
    with pytest.raises(SettingsError, match=rf"{setting}.*names no key"):
        EventService(redis_url="redis://127.0.0.1:1/0")


def test_keys_that_cannot_be_are_refused_without_being_shown(
    services: Services, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    for given in ({"signing_keys": "k:hush"}, {"signing_keys": "hush-hush-hush-hush"}):
        with pytest.raises(SettingsError, match="signing_keys") as raised:
            services.make(**given)
        assert "hush" not in f"{raised.value}{raised.value.__cause__}"
    path = tmp_path / "keys"
    for content in ("", "hush-hush-hush-hush"):
        path.write_text(content)
        with pytest.raises(SettingsError, match="signing_keys_file") as raised:
            services.make(signing_keys_file=path, signing_keys=None)
        assert "hush" not in f"{raised.value}"
    with pytest.raises(SettingsError, match="No such file"):
        services.make(signing_keys_file=tmp_path / "nothing", signing_keys=None)
