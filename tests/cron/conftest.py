"""Services and workers for the tests of what runs again and again."""

from __future__ import annotations

from tests.service.conftest import events, quick_work, services

__all__ = ["events", "quick_work", "services"]
