from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from eventsys.errors import InvalidPatternError, SubscriptionError
from eventsys.model import RetryPolicy, Subscription, SubscriptionOptions, SubscriptionState
from eventsys.model.subscription import MOST_IN_BATCH

from .strategies import kept_durations
from .test_filters import wheres

options = st.builds(
    SubscriptionOptions,
    async_=st.booleans(),
    max_retries=st.integers(0, 20),
    retry_delay=kept_durations(timedelta(days=7)),
    timeout=st.none() | st.timedeltas(timedelta(milliseconds=1), timedelta(days=1)),
    persistent=st.none() | st.booleans(),
    backoff=st.sampled_from([None, "exponential"]),
    where=st.none() | wheres,
    queue=st.none() | st.sampled_from(["mail", "other-queue"]),
    rate=st.none() | st.sampled_from(["100/s", "5/m", "1/h"]),
    concurrency=st.none() | st.integers(1, 10),
    batch_size=st.none() | st.integers(1, MOST_IN_BATCH),
).filter(lambda one: one.async_ or (one.rate is None and one.concurrency is None and one.batch_size is None))


def declared(given_options: SubscriptionOptions | None = None, **changes) -> Subscription:
    facts = {"name": "mail.send", "pattern": "user.*", "queue": "app", "persistent": True, "created_ms": 5, **changes}
    name, pattern = facts.pop("name"), facts.pop("pattern")
    return Subscription.declare(name, pattern, given_options or SubscriptionOptions(), **facts)


def test_the_defaults_are_those_of_the_documentation():
    subscription = declared()
    assert (subscription.is_async, subscription.persistent, subscription.queue) == (True, True, "app")
    assert (subscription.max_retries, subscription.retry_delay_ms, subscription.timeout_ms) == (3, 5_000, 30_000)
    assert subscription.state is SubscriptionState.ACTIVE
    assert subscription.retry_policy == RetryPolicy()
    assert subscription.timeout == timedelta(seconds=30)
    assert subscription.payload_filter is None


def test_options_win_over_what_the_declaration_assumes():
    subscription = declared(SubscriptionOptions(queue="mail", persistent=False, timeout=None, retry_delay="1m"))
    assert (subscription.queue, subscription.persistent, subscription.timeout) == ("mail", False, None)
    assert subscription.retry_delay_ms == 60_000


@given(options)
def test_every_option_is_in_the_row(given_options):
    row = declared(given_options)
    assert (row.is_async, row.max_retries, row.backoff) == (
        given_options.async_,
        given_options.max_retries,
        given_options.backoff,
    )
    assert (row.where, row.rate, row.concurrency) == (
        given_options.where,
        given_options.rate,
        given_options.concurrency,
    )
    assert row.batch_size == given_options.batch_size
    assert row.batch_wait_ms == (None if given_options.batch_size is None else 50)
    assert (row.timeout is None) == (given_options.timeout is None)


@given(options)
def test_a_row_is_read_back_equal(given_options):
    subscription = declared(given_options)
    assert Subscription.from_row(subscription.to_row()) == subscription
    assert Subscription.from_row(subscription.to_row().encode()) == subscription


@given(options, options)
def test_the_hash_tells_declarations_apart_and_nothing_else(one, other):
    left, right = declared(one), declared(other, created_ms=99, owner="p-1")
    same = {"number", "revision", "declaration_hash", "state", "created_ms", "owner", "declared_by"}
    equal = left.model_dump(exclude=same) == right.model_dump(exclude=same)
    # 1 and 1.0 in a filter are equal to Python and written differently.
    assert (left.declaration_hash == right.declaration_hash) <= equal
    assert declared(one, created_ms=7).declaration_hash == left.declaration_hash


def test_another_name_pattern_or_queue_is_another_declaration():
    hashes = {
        one.declaration_hash for one in (declared(), declared(name="b"), declared(pattern="#"), declared(queue="b"))
    }
    assert len(hashes) == 4


def test_a_filter_is_kept_as_json_and_compiled_on_demand():
    where = {"payload.amount": {"numeric": [">=", 100]}}
    subscription = Subscription.from_row(declared(SubscriptionOptions(where=where)).to_row())
    assert subscription.payload_filter is not None
    assert subscription.payload_filter.matches({"payload": {"amount": 100}})


def test_a_row_of_a_newer_version_may_say_more():
    row = declared().to_row()
    assert Subscription.from_row(row[:-1] + ',"color":"red"}') == declared()


@pytest.mark.parametrize("row", ["", "{}", "[]", '{"name":"a"}'])
def test_a_row_that_cannot_be_read_is_refused(row):
    with pytest.raises(SubscriptionError, match="cannot be read"):
        Subscription.from_row(row)


@pytest.mark.parametrize("name", ["", "a" * 201, "a b", "a\nb", "\x00", "\ud800", None])
def test_a_name_that_cannot_be_is_refused(name):
    with pytest.raises(SubscriptionError, match="name"):
        declared(name=name)


@pytest.mark.parametrize("queue", ["", "a b", "1a", "ä", "a/b", "a" * 129])
def test_a_queue_that_cannot_be_is_refused(queue):
    with pytest.raises(SubscriptionError, match="queue"):
        declared(queue=queue)


def test_a_pattern_that_cannot_be_is_refused():
    with pytest.raises(InvalidPatternError):
        declared(pattern="user.lo*")


@pytest.mark.parametrize(
    "wrong",
    [
        {"max_retries": -1},
        {"retry_delay": "soon"},
        {"backoff": "linear"},
        {"where": {"amount": 1}},
        {"queue": "a b"},
        {"rate": "fast"},
        {"rate": "0/s"},
        {"concurrency": 0},
        {"retries": 3},
    ],
)
def test_options_that_cannot_be_are_refused(wrong):
    with pytest.raises(ValidationError):
        SubscriptionOptions(**wrong)


@pytest.mark.parametrize("limit", [{"rate": "5/m"}, {"concurrency": 1}])
def test_a_handler_inside_publish_takes_no_limit(limit):
    with pytest.raises(SubscriptionError, match="inside publish nothing can hold it back"):
        declared(SubscriptionOptions(async_=False, **limit))


def test_a_batch_waits_as_long_as_said_else_50_ms() -> None:
    assert declared(SubscriptionOptions(batch_size=10)).batch_wait == timedelta(milliseconds=50)
    assert declared(SubscriptionOptions(batch_size=10, batch_wait="0s")).batch_wait == timedelta(0)
    assert declared(SubscriptionOptions(batch_size=10, batch_wait="1m")).batch_wait == timedelta(minutes=1)
    assert declared().batch_wait is None


@pytest.mark.parametrize("size", [0, -1, MOST_IN_BATCH + 1, 1.5, "many"])
def test_a_batch_has_from_one_to_500_deliveries(size) -> None:
    with pytest.raises(ValidationError, match="batch_size"):
        SubscriptionOptions(batch_size=size)


@pytest.mark.parametrize(("wait", "why"), [("61s", "at most 1m"), (-1, "negative"), ("soon", "is not a duration")])
def test_a_batch_waits_a_minute_at_most(wait, why) -> None:
    with pytest.raises(ValidationError, match=why):
        SubscriptionOptions(batch_size=10, batch_wait=wait)


def test_a_wait_for_a_batch_needs_the_size_of_one() -> None:
    with pytest.raises(SubscriptionError, match=r"'mail.send' has batch_wait and no batch_size"):
        declared(SubscriptionOptions(batch_wait="1s"))


def test_inside_publish_there_is_no_batch() -> None:
    with pytest.raises(SubscriptionError, match="async_=False and batch_size"):
        declared(SubscriptionOptions(async_=False, batch_size=2))
