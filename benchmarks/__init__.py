"""Measurements of eventsys and of its peers, each on a Redis of its own; run one with `python -m benchmarks.NAME`."""
