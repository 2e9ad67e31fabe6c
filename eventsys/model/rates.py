"""Rates: how often something may begin, as text such as `100/s`, or as a number a second."""

from __future__ import annotations

import re
from typing import TypeAlias

from eventsys.errors import SubscriptionError

#: A text such as `100/s`, `10/m`, `0.5/h`; or a number, which is so many a second.
RateLike: TypeAlias = str | float

_PERIODS_MS = {"s": 1_000, "m": 60_000, "h": 3_600_000}
_RATE = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,9})?)(?:/(s|m|h))?")


def interval_of_rate(rate: RateLike) -> float:
    """Return the milliseconds between two starts at a rate.

    Raises:
        SubscriptionError: If that is no rate, or one at which nothing would ever begin.
    """
    if isinstance(rate, str):
        read = _RATE.fullmatch(rate.strip())
        count, period_ms = (float(read[1]), _PERIODS_MS[read[2] or "s"]) if read else (0.0, 1)
    else:
        count, period_ms = float(rate), _PERIODS_MS["s"]
    if not 0 < count < float("inf"):
        raise SubscriptionError(
            f"{str(rate)[:40]!r} is no rate; give one above 0, such as '100/s', '10/m' or '1/h', or a number a second"
        )
    return period_ms / count
