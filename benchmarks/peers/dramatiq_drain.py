"""Stock Dramatiq emptying a full queue: RedisBroker, one process of 8 threads, an actor that does nothing."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import drain, parse_options, race
from benchmarks.peers import dramatiq_app
from benchmarks.report import report
from benchmarks.workload import PAYLOAD

TITLE = "Draining a queue, one worker process of 8 threads"


class DramatiqDrain:
    """Sends every message to one actor."""

    name = "dramatiq RedisBroker"
    deliveries_per_message = 1
    pace = 1

    def prepare(self, url: str) -> None:
        """Declare the application anew."""
        self._application = dramatiq_app.declare(url)
        self._sent = 0

    def enqueue(self, count: int) -> None:
        """Send to the first actor."""
        actor = self._application.actors[0]
        for _ in range(count):
            actor.send(PAYLOAD)
        self._sent += count

    def worker_commands(self) -> Sequence[Sequence[str]]:
        """Return Dramatiq's own command."""
        return [dramatiq_app.worker_command()]

    def done(self) -> int:
        """Return how many messages are acknowledged."""
        return self._sent - self._application.unfinished()


def main() -> None:
    """Measure it alone."""
    options = parse_options(__doc__ or "", messages=10_000)
    report(TITLE, race([DramatiqDrain()], drain, options), options)


if __name__ == "__main__":
    main()
