"""A process that carries replays on until it is killed: `python -m tests.support.replayer REDIS_URL BUS`."""

from __future__ import annotations

import sys

from eventsys import EventService


def main() -> None:
    """Take one step after the other."""
    events = EventService(redis_url=sys.argv[1], name=sys.argv[2], app="tests")
    while True:
        events.replays.step()


if __name__ == "__main__":
    main()
