"""How long a process that ends waits until what is over is committed."""

from __future__ import annotations

import time

from .committer import Committer

#: Seconds that committing what is over may take when the process ends.
LAST_COMMIT_S = 10.0


class LastCommits:
    """Waits while the process ends, once for all its queues: Dramatiq closes them one after the other."""

    def __init__(self) -> None:
        self._left_s = 0.0

    def hear(self, signal: str) -> None:
        """Take note that this process's first worker begins or its last one ends, by Dramatiq's name for that."""
        if signal in {"worker_boot", "worker_shutdown"}:
            self._left_s = LAST_COMMIT_S if signal == "worker_shutdown" else 0.0

    def wait(self, committer: Committer) -> None:
        """Wait for what is over to be committed, as long as time is left; not at all if the process goes on."""
        if self._left_s <= 0:
            return
        began_at = time.monotonic()
        committer.join(self._left_s)
        self._left_s -= time.monotonic() - began_at
