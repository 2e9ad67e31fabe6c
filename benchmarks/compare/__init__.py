"""eventsys and its peers on the same machine and the same kind of Redis, by turns: `python -m benchmarks.compare`."""
