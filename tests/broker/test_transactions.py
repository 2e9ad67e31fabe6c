"""What an attempt leaves behind happens with its end, or not at all."""

from __future__ import annotations

import threading

import dramatiq
import pytest

from eventsys.broker.attempt import current_attempt
from eventsys.errors import AttemptEndedError, BackpressureError
from eventsys.store.steps import message_step
from tests.broker.letters import letters_of


def _declare(**options):
    handled = []

    @dramatiq.actor
    def note(word):
        handled.append(word)

    @dramatiq.actor(max_retries=0, **options)
    def send_and_fail(word):
        note.send(word)
        raise ValueError(word)

    return note, send_and_fail, handled


def test_a_failed_transactional_actor_sends_nothing(broker, start_worker) -> None:
    _, send_and_fail, handled = _declare(transactional=True)
    start_worker(broker)
    send_and_fail.send("no")
    broker.join("default", timeout=60_000)
    assert handled == []


def test_a_failed_plain_actor_has_sent_already(broker, start_worker) -> None:
    _, send_and_fail, handled = _declare()
    start_worker(broker)
    send_and_fail.send("yes")
    broker.join("default", timeout=60_000)
    assert handled == ["yes"]


@pytest.mark.redis62
def test_a_transactional_actor_sends_when_it_has_ended(broker, start_worker) -> None:
    waiting_inside = []

    @dramatiq.actor(queue_name="later")
    def note():
        pass

    @dramatiq.actor(transactional=True)
    def send():
        note.send()
        note.send_with_options(delay=1)
        waiting_inside.append(broker.link.call("EXISTS", broker.keys.delayed_due))
        waiting_inside.append(broker.link.call("XINFO", "STREAM", broker.keys.lane("later", 5))[1])

    start_worker(broker)
    send.send()
    broker.join("default", timeout=60_000)
    broker.join("later", timeout=60_000)
    assert waiting_inside == [0, 0]
    assert letters_of(broker) == []


def test_what_hooks_enqueue_goes_out_although_the_handler_failed(broker, start_worker) -> None:
    """A failure callback of a transactional actor: its own sends are dropped, the callback's message is not."""
    reported = []
    _, send_and_fail, handled = _declare(transactional=True)

    @dramatiq.actor
    def report(message, error):
        reported.append(error["message"])

    start_worker(broker)
    send_and_fail.send_with_options(args=("why",), on_failure=report)
    broker.join("default", timeout=60_000)
    assert reported == ["why"]
    assert handled == []


def test_nothing_can_be_added_to_an_attempt_that_is_over(broker, start_worker) -> None:
    kept = []

    @dramatiq.actor(transactional=True)
    def keep():
        kept.append(current_attempt())

    start_worker(broker)
    keep.send()
    broker.join("default", timeout=60_000)
    with pytest.raises(AttemptEndedError):
        kept[0].add(message_step("default", 5, {"m": "x"}), 1)


def test_an_attempt_may_publish_1000_messages_and_not_one_more(broker, start_worker) -> None:
    errors = []

    @dramatiq.actor(queue_name="elsewhere")
    def note(number):
        pass

    @dramatiq.actor(transactional=True, max_retries=0)
    def send(count):
        try:
            for number in range(count):
                note.send(number)
        except BackpressureError as error:
            errors.append(error)
            raise

    start_worker(broker, queues={"default"})
    send.send(1_000)
    send.send(1_001)
    broker.join("default", timeout=60_000)
    assert broker.link.call("XLEN", broker.keys.lane("elsewhere", 5)) == 1_000
    assert len(errors) == 1


def test_a_thread_without_the_context_sends_at_once(broker, start_worker) -> None:
    lengths = []

    @dramatiq.actor(queue_name="elsewhere")
    def note():
        pass

    @dramatiq.actor(transactional=True)
    def send():
        thread = threading.Thread(target=note.send)
        thread.start()
        thread.join()
        lengths.append(broker.link.call("XLEN", broker.keys.lane("elsewhere", 5)))

    start_worker(broker, queues={"default"})
    send.send()
    broker.join("default", timeout=60_000)
    assert lengths == [1]
