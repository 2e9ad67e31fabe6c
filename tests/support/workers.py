"""The workers that tests run in their own process."""

from __future__ import annotations

import importlib
import importlib.util
from typing import Any

import dramatiq


def worker_classes() -> list[Any]:
    """Return Dramatiq's worker, and ours where it exists."""
    found: list[Any] = [dramatiq.Worker]
    if importlib.util.find_spec("eventsys.broker.worker") is not None:
        found.append(importlib.import_module("eventsys.broker.worker").Worker)
    return found
