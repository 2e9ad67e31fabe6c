"""Keys of log records that logging keeps for itself."""

from __future__ import annotations

import ast
import logging
from collections.abc import Iterator

from tests.quality.tree import files, shown

_TAKEN = {*vars(logging.makeLogRecord({})), "message", "asctime"}


def test_no_log_record_uses_a_key_that_logging_keeps_for_itself() -> None:
    """`logger.warning(..., extra={"process": ...})` raises KeyError in the thread that wanted to warn."""
    taken = [
        f"{shown(path)}:{line} {key}"
        for path in files("*.py", "eventsys", "actors")
        for line, key in _extra_keys(path.read_text())
        if key in _TAKEN
    ]
    assert not taken


def test_a_key_of_a_log_record_is_found() -> None:
    assert list(_extra_keys('log.info("x", extra={"action": 1, "process": 2})')) == [(1, "action"), (1, "process")]


def _extra_keys(source: str) -> Iterator[tuple[int, str]]:
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.keyword) and node.arg == "extra" and isinstance(node.value, ast.Dict):
            for key in node.value.keys:
                if isinstance(key, ast.Constant):
                    yield node.value.lineno, str(key.value)
