"""The process of `eventsys scheduler`: an application's periodic actors, and their ticks."""

from __future__ import annotations

import logging
import signal
import sys
import threading
from collections.abc import Sequence
from pathlib import Path

from eventsys.errors import EventsysError
from eventsys.runtime.discovery import discover, find_service
from eventsys.runtime.stop_signals import stop_signals
from eventsys.scheduling.ticker import Ticker, named

#: Seconds between two declarations of the cron tasks that this process knows.
_DECLARE_EVERY_S = 60.0

logger = logging.getLogger(__name__)


def run_scheduler(modules: Sequence[str], stop: threading.Event | None = None) -> int:
    """Send ticks until a signal or `stop` asks to end, and return the exit code.

    Args:
        modules: What holds the actors and the service.
        stop: Ends it; None: only signals do.

    Raises:
        ImportError: If a module cannot be imported.
        SettingsError: If there is no service in them, or more than one.
    """
    stop = stop or threading.Event()
    for number in stop_signals():
        signal.signal(number, lambda *_: stop.set())
    if str(Path.cwd()) not in sys.path:
        sys.path.insert(0, str(Path.cwd()))
    for name in modules:
        discover(name)
    service = find_service(modules)
    ticker = Ticker(service.broker)
    logging.getLogger("periodiq").setLevel(logging.WARNING)  # it would tell every tick, those of the sweeps too
    logger.info("sending ticks to %s", named(ticker.actors), extra={"action": "scheduler_started"})
    declaring = threading.Thread(target=_declare, args=(service, stop), name="eventsys-declare", daemon=True)
    declaring.start()
    try:
        ticker.run(stop)
    finally:
        stop.set()
        declaring.join(1.0)
        service.stop()
    return 0


def _declare(service: object, stop: threading.Event) -> None:
    """Declare the application's cron tasks, and again as long as this runs."""
    cron = vars(service)["cron"]
    while not stop.is_set():
        try:
            cron.prepare()
        except EventsysError as error:
            logger.warning("cron tasks are not declared yet: %s", error, extra={"action": "cron_undeclared"})
        stop.wait(_DECLARE_EVERY_S)
