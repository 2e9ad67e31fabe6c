"""The coloured log of `eventsys dev`."""

from __future__ import annotations

import logging
import os
import subprocess
import sys

import pytest

from eventsys.runtime.development.terminal_log import TerminalLog


@pytest.mark.parametrize("exc_info", [False, None, (None, None, None)])
def test_a_record_without_an_error_is_a_line_whatever_says_that_there_is_none(exc_info: object) -> None:
    """Threads that outlast an outage say `exc_info=False`; while Redis was away, each such line was a traceback."""
    record = logging.LogRecord("eventsys", logging.CRITICAL, "", 0, "queue %r lost Redis", ("app",), None)
    record.__dict__["exc_info"] = exc_info
    assert TerminalLog("worker").line_of(record).plain.endswith("queue 'app' lost Redis")


def test_a_reader_that_is_gone_ends_nobody_who_logs() -> None:
    """`eventsys dev shop | head`: the first line after that failed the attempt, or ended the thread, that logged it."""
    program = """
import logging
from eventsys.runtime.development.terminal_log import log_to_terminal

log_to_terminal("worker")
for _ in range(2):
    logging.getLogger("shop").info("paid")
raise SystemExit(7)
"""
    read, write = os.pipe()
    os.close(read)
    with os.fdopen(write, "wb") as nobody:
        done = subprocess.run([sys.executable, "-c", program], stdout=nobody, stderr=subprocess.PIPE, check=False)
    assert (done.returncode, done.stderr) == (7, b"")
