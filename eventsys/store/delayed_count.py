"""How many delayed events wait: what Redis is asked, and what its answers come to."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from eventsys.store.keys import Keys
from eventsys.store.oddities import whole_number


def count_commands(keys: Keys) -> list[tuple[str, ...]]:
    """Return the commands whose answers `counted` reads."""
    return [("ZCARD", keys.delayed_due), ("ZCARD", keys.delayed_far_due), ("HVALS", keys.delayed_queues)]


def counted(answers: Sequence[Any]) -> int:
    """Return how many delayed events wait; retries and delayed messages, which wait with them, are none."""
    near, far, messages = answers
    return max(0, int(near) + int(far) - sum(whole_number(one) or 0 for one in messages))
