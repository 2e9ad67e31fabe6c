"""When a worker is at rest, so that an event that comes is a lone one."""

from __future__ import annotations

from eventsys.broker.log_reader import LogReader
from eventsys.broker.worker import Worker
from eventsys.store.keys import LOG_QUEUE
from tests.support.waiting import eventually

#: How long a reader waits at a time: between two waits it is not at rest, and what comes then goes another way.
LONG_WAIT_MS = 10_000


def log_reader(worker: Worker) -> LogReader:
    reader = worker.consumers[LOG_QUEUE]
    assert isinstance(reader, LogReader)
    return reader


def at_rest(worker: Worker) -> None:
    """Wait until nothing is held or waits for its commit, and what reads the log and the queue waits for more."""
    work = worker.broker.work
    eventually(lambda: not work.in_flight.is_busy and not len(work.committer.backlog) and waits_for_events(worker))


def waits_for_events(worker: Worker) -> bool:
    return waits_for_log(worker) and worker.consumers["shop"].room() > 0


def waits_for_log(worker: Worker) -> bool:
    log = log_reader(worker)
    return log.consumer is not None and log.consumer.room() > 0 and led_by(worker) is not None


def led_by(worker: Worker) -> int | None:
    return log_reader(worker)._leader
