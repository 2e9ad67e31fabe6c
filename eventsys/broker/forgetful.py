"""What this process knows of its Redis, and has to forget when that is another one, or has lost data."""

from __future__ import annotations

from collections.abc import Callable


class Forgetful:
    """Those who remember what Redis told them, or was told by them, so that it need not be asked or told again.

    Args:
        *when_lost: The first of those called when Redis has lost data.

    Attributes:
        when_rebound: Called when another Redis is used: each drops what its owner knows of the one before.
        when_lost: Called then too, and when this Redis has lost data: it may not know any more what it was told.
    """

    def __init__(self, *when_lost: Callable[[], None]) -> None:
        self.when_rebound: list[Callable[[], None]] = []
        self.when_lost = list(when_lost)

    def forget_lost(self) -> None:
        """Tell of everything anew: Redis has lost data."""
        for forget in self.when_lost:
            forget()

    def forget_all(self) -> None:
        """Know nothing: another Redis is used from now on."""
        for forget in self.when_rebound:
            forget()
        self.forget_lost()
