"""A pytest plugin that makes a skipped test a failed run.

A skip on a developer's machine is a courtesy; in CI it is a hole nobody looks at. CI enables the plugin with
`PYTEST_ADDOPTS="-p tests.plugins.no_skips"`, so that the test command itself stays the one of the README.
"""

from __future__ import annotations

import pytest

_skipped: list[str] = []


def pytest_runtest_logreport(report: pytest.TestReport) -> None:
    """Remember each test that was skipped; an expected failure is reported as skipped too, but it did run."""
    if report.skipped and not hasattr(report, "wasxfail"):
        _skipped.append(report.nodeid)


def pytest_collectreport(report: pytest.CollectReport) -> None:
    """Remember each file that was skipped as a whole."""
    if report.skipped:
        _skipped.append(report.nodeid)


def pytest_sessionfinish(session: pytest.Session, exitstatus: int) -> None:
    """Fail the run that would have passed, if anything was skipped."""
    if _skipped and exitstatus == pytest.ExitCode.OK:
        session.exitstatus = pytest.ExitCode.TESTS_FAILED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Name what was skipped, as the reason of the failure."""
    for nodeid in _skipped:
        terminalreporter.write_line(f"SKIPPED, and CI allows no skips: {nodeid}", red=True)
