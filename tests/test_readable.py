"""Values read well, also where they are about to need one digit more."""

from __future__ import annotations

from datetime import timedelta

import pytest

from eventsys.readable import shown, span


@pytest.mark.parametrize(
    ("microseconds", "told"),
    [(999, "999 µs"), (1_000, "1 ms"), (999_499, "999 ms"), (999_500, "1 s"), (999_700, "1 s"), (-999_700, "-1 s")],
)
def test_a_length_just_below_a_second_is_told_without_an_exponent(microseconds: int, told: str) -> None:
    assert span(timedelta(microseconds=microseconds)) == told


@pytest.mark.parametrize(
    ("value", "told"), [(999.4, "999"), (999.5, "1,000"), (999.7, "1,000"), (-999.7, "-1,000"), (1_234.5, "1,234")]
)
def test_a_number_just_below_a_thousand_is_told_without_an_exponent(value: float, told: str) -> None:
    assert shown(value) == told
