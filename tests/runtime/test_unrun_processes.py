"""Processes that middleware wants beside the workers: only the `dramatiq` command runs them."""

from __future__ import annotations

import dramatiq
import pytest
from dramatiq.middleware.prometheus import Prometheus

from eventsys.middleware import default_middleware
from eventsys.runtime.worker_process import tell_of_unrun


class Own(dramatiq.Middleware):
    """Middleware of the application that wants none."""


def test_a_worker_warns_of_middleware_whose_processes_nobody_runs(caplog: pytest.LogCaptureFixture) -> None:
    tell_of_unrun([*default_middleware(), Own(), Prometheus()])
    [record] = caplog.records
    assert (record.levelname, record.action) == ("WARNING", "processes_not_run")  # type: ignore[attr-defined]
    assert "Prometheus" in record.getMessage()
    assert "docs/metrics.md" in record.getMessage()
