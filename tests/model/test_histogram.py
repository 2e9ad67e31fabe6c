"""Percentiles out of buckets."""

from __future__ import annotations

from datetime import timedelta

from hypothesis import given
from hypothesis import strategies as st

from eventsys.model.histogram import Histogram, Timings

MS = timedelta(milliseconds=1)


def of(values: list[int], longest: int = 27) -> Histogram:
    counts: dict[int, int] = {}
    for value in values:
        exponent = min(longest, max(0, (value - 1).bit_length()) if value > 1 else 0)
        counts[exponent] = counts.get(exponent, 0) + 1
    return Histogram(MS, counts, sum(values), longest)


@given(st.lists(st.integers(0, 10**7), min_size=1, max_size=200), st.sampled_from([0.5, 0.9, 0.99]))
def test_a_percentile_lies_in_the_bucket_of_the_true_one(values: list[int], share: float) -> None:
    found = of(values).percentile(share)
    true = sorted(values)[max(0, -(-int(share * 1000) * len(values) // 1000) - 1)]
    assert found is not None
    assert found <= max(1, 2 * true) * MS
    assert found >= true / 2 * MS


@given(st.lists(st.integers(0, 10**6)), st.lists(st.integers(0, 10**6)))
def test_two_histograms_together_are_that_of_all_values(one: list[int], other: list[int]) -> None:
    assert of(one) + of(other) == of(one + other)


def test_the_mean_is_exact() -> None:
    assert of([1, 2, 6]).mean() == 3 * MS


def test_there_is_nothing_to_say_of_nothing() -> None:
    assert Timings.of(of([])) == Timings()
    assert of([]).percentile(0.5) is None


def test_of_what_is_beyond_all_bounds_the_lower_bound_is_said() -> None:
    assert of([10**9], longest=10).percentile(0.99) == 512 * MS


def test_cumulated_counts_end_with_all_of_them() -> None:
    found = list(of([1, 2, 3, 2000], longest=3).cumulated())
    assert found == [(0.001, 1), (0.002, 2), (0.004, 3), (float("inf"), 4)]
