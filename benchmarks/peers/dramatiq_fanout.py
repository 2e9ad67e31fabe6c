"""Stock Dramatiq giving each event to three actors by three sends, while one worker process of 8 threads runs."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks.harness import flow, parse_options, race
from benchmarks.peers import dramatiq_app
from benchmarks.report import report
from benchmarks.workload import PAYLOAD

TITLE = "Fan-out to three subscribers while publishing, one worker process of 8 threads"


class DramatiqFanout:
    """Sends every event to three actors: what an application does that has no dispatcher."""

    name = "dramatiq, three sends"
    deliveries_per_message = dramatiq_app.SUBSCRIBERS
    pace = 1

    def prepare(self, url: str) -> None:
        """Declare the application anew."""
        self._application = dramatiq_app.declare(url)
        self._sent = 0

    def enqueue(self, count: int) -> None:
        """Send each event once to each actor."""
        for _ in range(count):
            for actor in self._application.actors:
                actor.send(PAYLOAD)
        self._sent += count * self.deliveries_per_message

    def worker_commands(self) -> Sequence[Sequence[str]]:
        """Return Dramatiq's own command."""
        return [dramatiq_app.worker_command()]

    def done(self) -> int:
        """Return how many messages are acknowledged."""
        return self._sent - self._application.unfinished()


def main() -> None:
    """Measure it alone."""
    options = parse_options(__doc__ or "", messages=3_000)
    report(TITLE, race([DramatiqFanout()], flow, options), options)


if __name__ == "__main__":
    main()
