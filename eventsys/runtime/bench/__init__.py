"""Measuring a bus of its own on the user's Redis: `eventsys bench`."""

from eventsys.runtime.bench.measuring import measure

__all__ = ["measure"]
