"""Emptying a full queue of plain messages: eventsys and stock Dramatiq, the same actor, one process of 8 threads."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import own_app
from benchmarks.harness import drain, parse_options, race
from benchmarks.peers.dramatiq_drain import TITLE, DramatiqDrain
from benchmarks.report import report
from benchmarks.workload import PAYLOAD


class EventsysDrain:
    """Sends every message to one plain actor.

    Args:
        name: What the table says.
        command: The worker.
    """

    deliveries_per_message = 1
    pace = 8

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._command = command

    def prepare(self, url: str) -> None:
        """Declare the application anew."""
        self._application = own_app.declare(url)
        self._sent = 0

    def enqueue(self, count: int) -> None:
        """Send to the plain actor."""
        actor = self._application.actor
        for _ in range(count):
            actor.send(PAYLOAD)
        self._sent += count

    def worker_commands(self) -> Sequence[Sequence[str]]:
        """Return the command of this contestant's worker."""
        return [self._command]

    def done(self) -> int:
        """Return how many messages are committed."""
        return self._sent - self._application.waiting()


def main() -> None:
    """Measure both workers against the peer."""
    options = parse_options(__doc__ or "", messages=10_000)
    contestants = [
        EventsysDrain("eventsys, eventsys worker", own_app.own_worker()),
        EventsysDrain("eventsys, dramatiq command", own_app.stock_worker()),
        DramatiqDrain(),
    ]
    report(TITLE, race(contestants, drain, options), options)


if __name__ == "__main__":
    main()
