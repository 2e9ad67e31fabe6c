"""What the demo shows, on terminals of every kind."""

from __future__ import annotations

import os
import re
import subprocess
import sys

import pytest

PROGRAM = """
from datetime import timedelta
from rich.text import Text
from eventsys.cli.demo.screen import Screen
from eventsys.cli.demo.summary import Row, Summary

screen = Screen()
screen.title()
with screen.live():
    screen.waits_for("something")
    screen.say(Text("a line that is longer than any narrow terminal is wide"), cut=True)
row = Row("workflow.step.execute", "critical", "delivered", 3, 6, 12, timedelta(seconds=2))
screen.summary(Summary((row,), (timedelta(milliseconds=4),), True))
"""


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
@pytest.mark.parametrize("columns", [30, 80])
def test_it_can_be_shown_in_every_encoding_and_width(encoding: str, columns: int) -> None:
    environ = os.environ | {"PYTHONIOENCODING": encoding, "COLUMNS": str(columns), "FORCE_COLOR": "1"}
    done = subprocess.run([sys.executable, "-c", PROGRAM], env=environ, capture_output=True, timeout=110, check=False)
    assert (done.returncode, done.stderr) == (0, b"")
    assert b"every delivery succeeded" in done.stdout


@pytest.mark.parametrize("took", ["microseconds=1", "milliseconds=999", "seconds=12"])
def test_the_table_fits_into_eighty_columns_whatever_was_measured(took: str) -> None:
    program = PROGRAM.replace("seconds=2", took).replace("milliseconds=4", took)
    environ = os.environ | {"PYTHONIOENCODING": "utf-8", "COLUMNS": "80"}
    done = subprocess.run([sys.executable, "-c", program], env=environ, capture_output=True, timeout=110, check=False)
    table = done.stdout.decode().split("What the history tells")[1]
    assert "…" not in table
    row = r"^workflow.step.execute +critical +delivered +3 +6 +12 +\S+ m?s$"
    assert re.search(row, table, re.MULTILINE), table
