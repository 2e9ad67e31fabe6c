"""Ctrl-C and other signals that ask the demo to end."""

from __future__ import annotations

import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType, TracebackType
from typing import Any, Self

from eventsys.clock import Clock

#: Seconds between two looks for a signal while nothing else happens.
_LOOK_S = 0.02

_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class InterruptionError(Exception):
    """The demo was told to end.

    Attributes:
        exit_code: 128 and the signal's number, as shells count.
    """

    def __init__(self, number: int) -> None:
        super().__init__(f"ended by {signal.Signals(number).name}")
        self.exit_code = 128 + number


class Interruption:
    """Notes a signal, and raises it where the demo waits.

    A signal that raised at once could strike between the start of a process and the line that remembers it. So it is
    heeded at every wait, a fiftieth of a second apart, and never while something is being started or ended.

    After one, the others are ignored until the process has ended: whoever is impatient, or signals the whole group
    twice, must not strike what says how it ended.
    """

    def __init__(self) -> None:
        self._number: int | None = None
        self._before: dict[int, Any] = {}
        self._clock = Clock()

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            if signal.getsignal(number) is not signal.SIG_IGN:  # `nohup` means it
                self._before[number] = signal.signal(number, self._note)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for number, handler in self._before.items():
            # The interpreter takes its handlers back before it ends, but leaves alone what is ignored.
            signal.signal(number, handler if self._number is None else signal.SIG_IGN)

    def check(self) -> None:
        """Go on if no signal has come.

        Raises:
            InterruptionError: If one has.
        """
        if self._number is not None:
            raise InterruptionError(self._number)

    def pause(self, seconds: float) -> None:
        """Wait, at most until a signal comes.

        Raises:
            InterruptionError: If one has come.
        """
        until = self._clock.monotonic() + seconds
        self.check()
        while (left := until - self._clock.monotonic()) > 0:
            time.sleep(min(left, _LOOK_S))
            self.check()

    @contextmanager
    def explains_errors(self) -> Iterator[None]:
        """Let an error within count as the interruption, if a signal has come: it went to our child processes too.

        Raises:
            InterruptionError: In place of such an error.
        """
        try:
            yield
        except Exception:
            self.check()
            raise

    def _note(self, number: int, _: FrameType | None) -> None:
        self._number = number
