"""Rates as requests tell them: what the library takes, and within bounds."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, Field

from eventsys.model.rates import RateLike, interval_of_rate

#: Starts a second: slower than one a day nothing would ever end, and none is faster than the second.
SLOWEST, FASTEST = 1 / 86_400, 1_000_000.0


def starts_a_second(rate: RateLike) -> float:
    """Return how many starts a second a rate means.

    Raises:
        ValueError: If it is none, or out of bounds.
    """
    a_second = 1_000 / interval_of_rate(rate)
    if not SLOWEST <= a_second <= FASTEST:
        raise ValueError(f"a rate is from one a day to {FASTEST:,.0f} a second, and {str(rate)[:40]!r} is not")
    return a_second


def _check(rate: RateLike) -> RateLike:
    starts_a_second(rate)
    return rate


_Number = Annotated[float, Field(strict=True, ge=SLOWEST, le=FASTEST, allow_inf_nan=False)]
_Text = Annotated[str, Field(pattern=r"^[0-9]{1,9}(\.[0-9]{1,9})?(/[smh])?$", examples=["100/s", "10/m"])]

Rate = Annotated[_Number | _Text, AfterValidator(_check)]
"""A field of a request: so many a second, or text such as `100/s`, `10/m`, `1/h`."""
