"""Arithmetic with times that may overlap."""

from __future__ import annotations


def covered_s(began_at: float, ended_at: float, spans: list[tuple[float, float]]) -> float:
    """Return how much of a time lies in any of the spans."""
    covered_s, reached = 0.0, began_at
    for start, end in sorted(spans):
        covered_s += max(0.0, min(end, ended_at) - max(start, reached))
        reached = max(reached, end)
    return covered_s
