"""The coloured log of `eventsys dev`."""

from __future__ import annotations

import logging

import pytest

from eventsys.runtime.development.terminal_log import TerminalLog


@pytest.mark.parametrize("exc_info", [False, None, (None, None, None)])
def test_a_record_without_an_error_is_a_line_whatever_says_that_there_is_none(exc_info: object) -> None:
    """Threads that outlast an outage say `exc_info=False`; while Redis was away, each such line was a traceback."""
    record = logging.LogRecord("eventsys", logging.CRITICAL, "", 0, "queue %r lost Redis", ("app",), None)
    record.__dict__["exc_info"] = exc_info
    assert TerminalLog("worker").line_of(record).plain.endswith("queue 'app' lost Redis")
