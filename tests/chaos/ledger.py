"""The ledger: what really happened, written outside the Redis under test."""

from __future__ import annotations

import os
import time
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

Delivery = tuple[str, str]
"""The id of an event and the name of a subscription."""


class Ledger:
    """A file to which many processes append lines; a line is whole or, when its writer was killed before, not there.

    Args:
        path: The file.
    """

    def __init__(self, path: Path) -> None:
        self._file = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)

    def note(self, what: str, *facts: object) -> None:
        """Append one line: what happened, when, in which process, and to what."""
        words = [what, f"{time.monotonic():.6f}", str(os.getpid()), *map(str, facts)]
        os.write(self._file, (" ".join(words) + "\n").encode())


@dataclass
class History:
    """What a ledger says.

    Attributes:
        starts: For each delivery when it was started, in seconds of the monotonic clock, and by which process.
        ends: How often each delivery was handled to its end.
    """

    starts: dict[Delivery, list[tuple[float, int]]] = field(default_factory=lambda: defaultdict(list))
    ends: dict[Delivery, int] = field(default_factory=lambda: defaultdict(int))


def read_history(path: Path) -> History:
    """Return what the handlers wrote into the ledger at `path`."""
    history = History()
    for line in path.read_text().splitlines():
        what, at, pid, event_id, subscription = line.split(" ")
        if what == "start":
            history.starts[event_id, subscription].append((float(at), int(pid)))
        else:
            history.ends[event_id, subscription] += 1
    return history
