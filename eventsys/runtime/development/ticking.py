"""Sending ticks beside a worker, for periodic actors that come and go with the modules that declare them."""

from __future__ import annotations

import logging
import threading

from eventsys.broker.broker import EventBroker
from eventsys.scheduling.ticker import Ticker

logger = logging.getLogger(__name__)


class Ticking:
    """Runs a ticker in a thread. Each tick takes effect once, however many processes send it.

    Args:
        broker: Where the periodic actors are declared.
    """

    def __init__(self, broker: EventBroker) -> None:
        self._broker = broker
        self._stop = threading.Event()
        self._thread: threading.Thread | None = None

    def start(self) -> None:
        """Send ticks from now on; those of the last minutes that nobody sent too."""
        self._stop = threading.Event()
        ticker = Ticker(self._broker)
        if ticker.actors:
            self._thread = threading.Thread(target=ticker.run, args=(self._stop,), name="eventsys-ticks", daemon=True)
            self._thread.start()

    def renew(self) -> None:
        """Look again which actors are periodic."""
        self.stop()
        self.start()

    def stop(self) -> None:
        """Send no more."""
        self._stop.set()
        if self._thread is not None:
            self._thread.join(2.0)
            self._thread = None
