"""Charts of the last hour: a bar for each minute, in parts that stand on one another."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

from eventsys.store.metrics_look import Minute

#: Units of the drawing: the width of a minute, and the height of the highest bar.
WIDTH, HEIGHT = 10, 100


class Part(NamedTuple):
    """One kind of thing that a chart counts.

    Attributes:
        name: Its name, as a class of the style sheet.
        counts: How many there were in each minute.
    """

    name: str
    counts: list[int]


class Chart(NamedTuple):
    """A chart.

    Attributes:
        name: What it is known by.
        title: What stands above it.
        parts: The lowest first.
    """

    name: str
    title: str
    parts: list[Part]

    @property
    def most(self) -> int:
        """The sum of the highest bar."""
        return max((sum(counts) for counts in zip(*(part.counts for part in self.parts), strict=True)), default=0)

    @property
    def said(self) -> list[str]:
        """What each minute's bar says, the oldest first."""
        columns = list(zip(*(part.counts for part in self.parts), strict=True))
        return [
            f"{len(columns) - at - 1} min ago: "
            + ", ".join(f"{count:,} {part.name}" for part, count in zip(self.parts, counts, strict=True))
            for at, counts in enumerate(columns)
        ]

    @property
    def bars(self) -> list[list[tuple[float, float]]]:
        """Top and height of each minute's bar, for each part."""
        most = self.most
        floors = [float(HEIGHT)] * len(self.parts[0].counts)
        drawn: list[list[tuple[float, float]]] = []
        for part in self.parts:
            heights = [HEIGHT * count / most if most else 0.0 for count in part.counts]
            floors = [floor - height for floor, height in zip(floors, heights, strict=True)]
            drawn.append([(round(top, 1), round(height, 1)) for top, height in zip(floors, heights, strict=True)])
        return drawn


def charts_of(minutes: Sequence[Minute]) -> list[Chart]:
    """Return the charts of the overview."""
    return [
        Chart("published", "Published", [Part("published", [one.published for one in minutes])]),
        Chart(
            "attempts", "Attempts",
            [Part("succeeded", [one.succeeded for one in minutes]), Part("failed", [one.failed for one in minutes])],
        ),
    ]  # fmt: skip
