"""The broker's fixtures, for what works beside it."""

from __future__ import annotations

from tests.broker.conftest import broker, make_broker, start_worker

__all__ = ["broker", "make_broker", "start_worker"]
