"""What runs beside a worker while its application is developed."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventsys.middleware.witness import Witness
from eventsys.runtime.development.options import Development
from eventsys.runtime.development.terminal_log import tell_attempt
from eventsys.runtime.development.ticking import Ticking
from eventsys.runtime.reload.reloader import Reload, Reloader


class Assistant:
    """Reloads what is saved, sends ticks, and tells of attempts, as far as it is asked to.

    Args:
        service: The service of the process.
        modules: The modules the worker was started with.
        development: What is asked for.
        loaded_at: When the application began to be loaded, in seconds since 1970.
    """

    def __init__(self, service: Any, modules: Sequence[str], development: Development, loaded_at: float) -> None:
        self._ticking = Ticking(service.broker) if development.ticks else None
        self._reloader: Reloader | None = None
        if development.log:
            service.broker.add_middleware(Witness(tell_attempt))
        if development.reloads:
            self._reloader = Reloader(
                service, modules, tell=self._reloaded, polls=development.polls, loaded_at=loaded_at
            )

    def start(self) -> None:
        """Begin."""
        if self._ticking is not None:
            self._ticking.start()
        if self._reloader is not None:
            self._reloader.start()

    def stop(self) -> None:
        """End; a reload that is under way ends first."""
        if self._reloader is not None:
            self._reloader.stop()
        if self._ticking is not None:
            self._ticking.stop()

    def _reloaded(self, reload: Reload) -> None:
        if self._ticking is not None and reload.replaced is not None:
            self._ticking.renew()
