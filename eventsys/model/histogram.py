"""How long things took, counted in buckets: what percentiles are made of."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import timedelta
from fractions import Fraction

from pydantic import BaseModel, ConfigDict


@dataclass(frozen=True)
class Histogram:
    """Counts in buckets whose upper bounds are powers of two of a unit; exact, and so is the sum.

    Attributes:
        unit: What 2^0 is.
        counts: How many there were, by the exponent of their bucket's upper bound.
        total: The sum of all, in units.
        longest: The exponent of the last bucket, which has no upper bound.
    """

    unit: timedelta
    counts: Mapping[int, int] = field(default_factory=dict)
    total: int = 0
    longest: int = 63

    @property
    def count(self) -> int:
        """How many there were."""
        return sum(self.counts.values())

    def __add__(self, other: Histogram) -> Histogram:
        """Return both together; they must be of one unit."""
        exponents = {*self.counts, *other.counts}
        counts = {one: self.counts.get(one, 0) + other.counts.get(one, 0) for one in exponents}
        return Histogram(self.unit, counts, self.total + other.total, self.longest)

    def __sub__(self, former: Histogram) -> Histogram:
        """Return what came since it stood as `former`; what there are fewer of than then was counted anew."""
        since = {one: count - former.counts.get(one, 0) for one, count in self.counts.items()}
        counts = {one: count for one, count in since.items() if count > 0}
        return Histogram(self.unit, counts, max(0, self.total - former.total), self.longest)

    def mean(self) -> timedelta | None:
        """Return the mean, None when there were none."""
        count = self.count
        return self.total * self.unit / count if count else None

    def percentile(self, share: float) -> timedelta | None:
        """Return what `share` (0 to 1) of them did not exceed, None when there were none.

        It is interpolated inside its bucket, so it may be wrong by half the truth; of what lies in the last bucket only
        the lower bound is known.
        """
        wanted, seen = share * self.count, 0
        for exponent in sorted(self.counts):
            held = self.counts[exponent]
            if held and seen + held >= wanted:
                lower = 0 if exponent == 0 else 2 ** (exponent - 1)
                if exponent == self.longest:
                    return lower * self.unit
                inside = Fraction(wanted - seen) / held
                return self.unit * float(lower + (2**exponent - lower) * inside)
            seen += held
        return None

    def cumulated(self) -> Iterator[tuple[float, int]]:
        """Yield each bound in seconds with how many did not exceed it; infinity last."""
        seen = 0
        for exponent in range(self.longest):
            seen += self.counts.get(exponent, 0)
            yield 2**exponent * self.unit.total_seconds(), seen
        yield float("inf"), self.count


class Timings(BaseModel):
    """A histogram as people ask for it."""

    model_config = ConfigDict(frozen=True)

    count: int = 0
    mean: timedelta | None = None
    p50: timedelta | None = None
    """The median; a percentile is interpolated between powers of two, and may be wrong by half the truth."""
    p90: timedelta | None = None
    p95: timedelta | None = None
    p99: timedelta | None = None

    @classmethod
    def of(cls, histogram: Histogram) -> Timings:
        """Return the timings of a histogram."""
        return cls(
            count=histogram.count,
            mean=histogram.mean(),
            p50=histogram.percentile(0.50),
            p90=histogram.percentile(0.90),
            p95=histogram.percentile(0.95),
            p99=histogram.percentile(0.99),
        )
