"""Judging a run from what it kept: at its end, while it goes on, after it broke off, and again."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

from .explaining import Explainer
from .history import read_history
from .journal import read_record
from .logs import read_logs
from .report import Report
from .stored import read_stored
from .verdict import Verdict

JOURNAL, LEDGER, STORED = "journal.jsonl", "ledger", "stored.jsonl"
"""What a run keeps in its directory, besides the logs."""


def judge(directory: Path, *, report: Path | None = None, is_again: bool = False) -> int:
    """Print the report of a run, and return 1 when a promise was broken, else 0.

    Args:
        directory: Where the run keeps its files.
        report: Where the report is written besides.
        is_again: Whether the run was over before; the report says so.

    Raises:
        SystemExit: If no run was kept there.
    """
    if not (directory / JOURNAL).is_file() or not (directory / LEDGER).is_file():
        raise SystemExit(f"{directory} holds no run: {JOURNAL} and {LEDGER} are not there; --keep names where they go")
    record, history = read_record(directory / JOURNAL), read_history(directory / LEDGER)
    begun = record.begun
    logs = read_logs(directory, ahead_s=begun.wall_s - begun.monotonic_s, skews_s=begun.skews_s)
    explainer = Explainer(record, logs, history.handled)
    verdict = Verdict(record, history, explainer, read_stored(directory / STORED))
    said = f"{datetime.now(UTC):%Y-%m-%d at %H:%M} UTC" if is_again else None
    found = Report(record, history, logs, explainer, verdict, said)
    print(found.text, flush=True)
    if report is not None:
        report.write_text(found.text)
    return 1 if found.faults else 0
