from datetime import timedelta
from random import Random

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import ValidationError

from eventsys.model import RetryPolicy
from tests.model.strategies import kept_durations

HOUR = timedelta(hours=1)


def test_three_retries_five_seconds_apart_are_the_default():
    waits = [RetryPolicy().wait_before(attempt, random=Random(1)) for attempt in (2, 3, 4, 5)]
    assert waits == [timedelta(seconds=5)] * 3 + [None]


def test_no_retries_means_no_second_attempt():
    assert RetryPolicy(max_retries=0).wait_before(2, random=Random(1)) is None


def test_a_first_attempt_has_no_wait():
    with pytest.raises(ValueError, match="retries begin with attempt 2"):
        RetryPolicy().wait_before(1, random=Random(1))


@given(
    delay=kept_durations(timedelta(days=365)),
    attempt=st.integers(2, 10**6),
    seed=st.integers(0, 2**32),
)
def test_exponential_waits_double_up_to_an_hour_and_are_shortened_by_a_fifth_at_most(delay, attempt, seed):
    policy = RetryPolicy(max_retries=10**6, retry_delay=delay, backoff="exponential")
    wait = policy.wait_before(attempt, random=Random(seed))
    longest = max(delay, HOUR)
    microseconds = (delay // timedelta(microseconds=1)) * 2 ** min(attempt - 2, 100)
    full = timedelta(microseconds=min(microseconds, longest // timedelta(microseconds=1)))
    assert wait is not None
    assert wait <= full
    assert wait >= full * 0.8 - timedelta(microseconds=1)


@given(delay=kept_durations(timedelta(days=365)), retries=st.integers(0, 50), attempt=st.integers(2, 60))
def test_attempts_are_used_up_after_the_first_and_all_retries(delay, retries, attempt):
    policy = RetryPolicy(max_retries=retries, retry_delay=delay)
    wait = policy.wait_before(attempt, random=Random(1))
    assert wait == (delay if attempt <= retries + 1 else None)


def test_the_same_seed_gives_the_same_wait_and_another_seed_another():
    policy = RetryPolicy(backoff="exponential")
    assert policy.wait_before(2, random=Random(1)) == policy.wait_before(2, random=Random(1))
    assert policy.wait_before(2, random=Random(1)) != policy.wait_before(2, random=Random(2))


@pytest.mark.parametrize("wrong", [{"max_retries": -1}, {"retry_delay": "-5s"}, {"backoff": "linear"}, {"jitter": 1}])
def test_a_policy_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        RetryPolicy(**wrong)
