"""Carrying an attempt into another thread."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager

from eventsys.broker.attempt import Attempt, current_attempt, enter_attempt, leave_attempt

from .correlation import Chain, current_chain, enter_chain, leave_chain


def carried_attempt() -> AbstractContextManager[None]:
    """Return what makes the attempt this code runs in current elsewhere, with its place in the chain of events."""
    return _carried(current_attempt(), current_chain())


@contextmanager
def _carried(attempt: Attempt | None, chain: Chain | None) -> Iterator[None]:
    attempt_token, chain_token = enter_attempt(attempt), enter_chain(chain)
    try:
        yield
    finally:
        leave_chain(chain_token)
        leave_attempt(attempt_token)
