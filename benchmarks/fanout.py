"""One event to three subscribers while publishing: eventsys through its dispatcher, stock Dramatiq by three sends."""

from __future__ import annotations

from collections.abc import Sequence

from benchmarks import own_app
from benchmarks.harness import flow, parse_options, race
from benchmarks.peers.dramatiq_fanout import TITLE, DramatiqFanout
from benchmarks.report import report
from benchmarks.workload import PAYLOAD

#: Events of one `publish_many`, as many as the buffer of `publish_async` sends at once by default.
_BATCH = 50


class EventsysFanout:
    """Publishes events in batches; the dispatcher gives each to three subscriptions, with records and everything on.

    Args:
        name: What the table says.
        command: The worker.
    """

    deliveries_per_message = own_app.SUBSCRIBERS
    pace = 5

    def __init__(self, name: str, command: Sequence[str]) -> None:
        self.name = name
        self._command = command

    def prepare(self, url: str) -> None:
        """Declare the application anew."""
        self._application = own_app.declare(url)

    def enqueue(self, count: int) -> None:
        """Publish."""
        publish_many = self._application.events.publish_many
        for start in range(0, count, _BATCH):
            publish_many([(own_app.EVENT_TYPE, PAYLOAD)] * min(_BATCH, count - start))

    def worker_commands(self) -> Sequence[Sequence[str]]:
        """Return the command of this contestant's worker."""
        return [self._command]

    def done(self) -> int:
        """Return how many deliveries have succeeded."""
        return self._application.deliveries_ended()


def main() -> None:
    """Measure both workers against the peer."""
    options = parse_options(__doc__ or "", messages=3_000)
    contestants = [
        EventsysFanout("eventsys, eventsys worker", own_app.own_worker()),
        EventsysFanout("eventsys, dramatiq command", own_app.stock_worker()),
        DramatiqFanout(),
    ]
    report(TITLE, race(contestants, flow, options), options)


if __name__ == "__main__":
    main()
