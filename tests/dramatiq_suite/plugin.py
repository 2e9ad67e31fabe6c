"""The pytest plugin that puts our broker under Dramatiq's tests and writes down what came of each."""

from __future__ import annotations

import json
import os
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from .exclusions import reason_to_exclude
from .plugin_names import RESULTS_VARIABLE
from .shim import install

install()

_results: defaultdict[str, dict[str, str]] = defaultdict(dict)


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `exclusions` names."""
    left_out = [item for item in items if reason_to_exclude(item.nodeid)]
    for item in left_out:
        _results[_file_of(item.nodeid)][item.nodeid] = f"excluded: {reason_to_exclude(item.nodeid)}"
    items[:] = [item for item in items if item not in left_out]
    config.hook.pytest_deselected(items=left_out)


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Write down a result; a failure in any phase is the test's."""
    known = _results[_file_of(report.nodeid)]
    if report.failed:
        known[report.nodeid] = "failed"
    elif report.skipped:
        known[report.nodeid] = "excluded: skipped by the suite itself"
    elif report.when == "call":
        known.setdefault(report.nodeid, "passed")


def pytest_sessionfinish(session: pytest.Session, exitstatus: Any) -> None:
    """Hand the results to the runner."""
    Path(os.environ[RESULTS_VARIABLE]).write_text(json.dumps(_results))


def _file_of(node_id: str) -> str:
    return node_id.partition("::")[0].partition("/")[2]
