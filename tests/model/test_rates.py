"""A rate is a text or a number, and means the same wherever it is given."""

from __future__ import annotations

from typing import Any

import pytest

from eventsys import SubscriptionError
from eventsys.model.rates import interval_of_rate


@pytest.mark.parametrize(
    ("rate", "interval_ms"),
    [("100/s", 10), ("100", 10), (100, 10), (0.5, 2_000), ("0.5/s", 2_000), ("30/m", 2_000), ("1/h", 3_600_000)],
)
def test_a_rate_tells_how_far_apart_two_starts_are(rate: Any, interval_ms: float) -> None:
    assert interval_of_rate(rate) == interval_ms


@pytest.mark.parametrize(
    "rate",
    ["", "0", "0/s", "0.0/m", "-1/s", "100/d", "100 a day", "1e3/s", "inf", 0, -1, float("inf"), float("nan")],
)
def test_what_is_no_rate_is_refused_with_what_one_looks_like(rate: Any) -> None:
    with pytest.raises(SubscriptionError, match=r"is no rate; give one above 0, such as '100/s'"):
        interval_of_rate(rate)
