"""JSON that a command is given: as an argument, or on standard input where the argument is a dash."""

from __future__ import annotations

import json
import sys
from typing import Any

from eventsys.cli.faults import MISUSED, refuse

#: The argument that stands for standard input.
STDIN = "-"


def json_given(what: str, text: str, example: str) -> Any:
    """Return what an argument gives as JSON; refuse what is none.

    Args:
        what: What it is, as the error names it: `the payload`.
        text: The argument; `-` for what is on standard input.
        example: What might have been typed, in quotes of the shell.
    """
    if text == STDIN:
        text, hint = _piped(what), "it was read from standard input"
    else:
        hint = f"write it in quotes of the shell, such as '{example}'"
    try:
        return json.loads(text)
    except json.JSONDecodeError as error:
        where = f"{error.msg} at line {error.lineno}, column {error.colno}"
        refuse(f"{what} is no JSON: {where}; {hint if text.strip() else 'it is empty'}", MISUSED)
    except RecursionError:
        refuse(f"{what} is nested too deeply", MISUSED)


def _piped(what: str) -> str:
    """Return what is on standard input; refuse a terminal, which would wait without a word for somebody to type."""
    if sys.stdin is None or sys.stdin.isatty():
        refuse(f"{what} is to be read from standard input, and nothing is piped to it; add < FILE", MISUSED)
    try:
        return sys.stdin.read()
    except UnicodeDecodeError as error:
        refuse(f"{what} on standard input is no UTF-8: byte {error.start:,} cannot be read; convert it first", MISUSED)
