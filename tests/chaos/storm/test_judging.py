"""A run that was kept is judged again from its files, and one that broke off as far as it went."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from .facts import Begun, Done, Life, Poisoned, Rested, Strike
from .journal import Journal, read_record
from .judging import JOURNAL, LEDGER, STORED, judge
from .lives import Lives
from .logs import read_logs
from .names import DUE, SUBSCRIBERS
from .stored import StoredDelivery, StoredEvent

PID = 7
BEGUN = Begun("python -m tests.chaos --seed 1", "3.11", "Linux", 100.0, 1_000_100.0, [0.0, 300.0, -300.0, 61.0])
KILL, LIFE = Strike(150.0, "kill", "worker", PID, []), Life("worker", PID, 120.0, 150.1, 150.2)
LEDGER_LINES = """\
try 130.0 5 ev1 storm.due
accepted 130.1 5 ev1 - 0.10
start 149.0 7 ev1 see_due 3
end 149.9 7 ev1 see_due 3
start 152.0 8 ev1 see_due 3
end 152.1 8 ev1 see_due 3
committed 152.2 8 ev1 see_due
"""


@pytest.fixture
def kept(tmp_path: Path) -> Path:
    """A run in which one delivery was handled twice, because its process was killed."""
    journal = Journal(tmp_path / JOURNAL)
    for fact in (BEGUN, KILL, Done("kill worker"), LIFE, Rested(3.0, None, {"worker": 0}, 4, 200.0, 1_000_200.0)):
        journal.note(fact)
    (tmp_path / LEDGER).write_text(LEDGER_LINES)
    deliveries = [StoredDelivery(name, "succeeded") for name in SUBSCRIBERS[DUE]]
    (tmp_path / STORED).write_bytes(msgspec.json.encode(StoredEvent("ev1", DUE, None, "delivered", deliveries)) + b"\n")
    return tmp_path


def test_a_kept_run_is_judged_again_by_one_command(kept: Path) -> None:
    report = kept / "report.md"
    command = [sys.executable, "-m", "tests.chaos", "--judge", str(kept), "--report", str(report)]
    run = subprocess.run(command, capture_output=True, text=True, timeout=110, check=False)
    assert run.returncode == 0, run.stdout + run.stderr
    assert "**Kept: nothing lost" in report.read_text()
    assert "| handled twice: its process was killed before the commit | 1 |" in report.read_text()
    assert "Judged again on 20" in report.read_text()
    assert BEGUN.command in report.read_text()


@pytest.mark.parametrize(
    ("line", "fault"),
    [
        ("committed 149.95 7 ev1 see_due\n", "nothing explains it (1)"),
        ("committed 149.95 7 ev1 see_due\n", "deliveries succeeded twice (1)"),
        ("try 160.0 5 ev2 storm.due\naccepted 160.1 5 ev2 - 0.10\n", "accepted events are not stored (1): ev2"),
    ],
)
def test_what_the_ledger_says_against_the_promises_is_found(
    kept: Path, capsys: pytest.CaptureFixture[str], line: str, fault: str
) -> None:
    with (kept / LEDGER).open("a") as ledger:
        ledger.write(line)
    assert judge(kept) == 1
    assert fault in capsys.readouterr().out


def test_what_was_refused_and_tried_again_by_a_publisher_that_died_may_be_stored(kept: Path) -> None:
    """Whether it is stored is not known: the refusal was the answer to the try before."""
    text = LEDGER_LINES.replace("accepted 130.1 5 ev1 - 0.10", "refused 130.1 5 ev1 RedisUnavailableError 0.01")
    (kept / LEDGER).write_text(text)
    assert judge(kept) == 1
    (kept / LEDGER).write_text(text.replace("0.01\n", "0.01\ntry 130.2 5 ev1 storm.due\n"))
    assert judge(kept) == 0


def test_a_run_that_broke_off_is_judged_as_far_as_it_went(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (kept / STORED).unlink()
    text = (kept / JOURNAL).read_text()
    (kept / JOURNAL).write_text("".join(text.splitlines(keepends=True)[:-1]) + '{"type":"Str')
    assert judge(kept) == 1
    said = capsys.readouterr().out
    assert "it broke off before Redis was looked at" in said
    assert "| handled twice: its process was killed before the commit | 1 |" in said


def test_an_end_that_needed_force_is_a_fault(kept: Path, capsys: pytest.CaptureFixture[str]) -> None:
    Journal(kept / JOURNAL).note(Rested(3.0, None, {"worker": None}, 4, 200.0, 1_000_200.0))
    assert judge(kept) == 1
    assert "processes that were told to end, ended with {'worker': None}" in capsys.readouterr().out


def test_a_directory_without_a_run_is_refused_in_a_sentence(tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match=r"holds no run: journal\.jsonl and ledger are not there"):
        judge(tmp_path)


def test_a_journal_gives_back_what_was_noted(kept: Path) -> None:
    Journal(kept / JOURNAL).note(Poisoned("ev9", "loop"))
    record = read_record(kept / JOURNAL)
    assert (record.begun, record.strikes, record.lives) == (BEGUN, [KILL], [LIFE])
    assert (record.done, record.poisons) == ({"kill worker": 1}, {"ev9": "loop"})


def _said(wall_s: float) -> str:
    return datetime.fromtimestamp(wall_s, UTC).astimezone().strftime("%Y-%m-%d %H:%M:%S,%f")[:-3]


def test_moments_in_logs_are_put_on_the_clock_of_the_ledger(tmp_path: Path) -> None:
    """A worker's clock is as wrong as its pid says, that of its supervisor is right."""
    said_at = _said(1_000_150.5)
    wrong = _said(1_000_160.0 + 300.0)
    (tmp_path / "worker.log").write_text(
        f"{said_at} 1 ERROR eventsys.runtime.supervisor: process {PID} ended with signal SIGKILL and is replaced\n"
        f"{wrong} 9 WARNING eventsys.broker.presence: this process was away for longer than its lease; ...\n"
        f"{wrong} 9 ERROR dramatiq.broker.EventBroker: a could not be ended; ...\n"
        f"{wrong} 9 WARNING eventsys.broker.committer: commit waits for Redis: Redis does not answer: ...\n"
        f"{wrong} 13 WARNING dramatiq.broker.EventBroker: The end of a(1:a) waits for Redis: ...\n"
        "Traceback (most recent call last):\n"
        "RuntimeError: can't start new thread\n"
    )
    logs = read_logs(tmp_path, ahead_s=1_000_000.0, skews_s=BEGUN.skews_s)
    assert logs.died[PID] == [(pytest.approx(150.5), "signal SIGKILL")]
    assert logs.lost_leases[9] == [pytest.approx(160.0)]
    assert logs.waits == {9: [pytest.approx(160.0)], 13: [pytest.approx(160.0)]}
    assert [(error.at, error.pid, error.text) for error in logs.errors] == [
        (pytest.approx(160.0), 13, "RuntimeError: can't start new thread")
    ]


def test_a_process_counts_as_gone_before_anybody_asks_for_its_exit_code() -> None:
    child = subprocess.Popen([sys.executable, "-c", "input()"], stdin=subprocess.PIPE)
    lives = Lives()
    assert lives.look([("worker", child.pid)]) == []
    assert lives.look([]) == [], "it lives, whoever its parent is"
    began_at = time.monotonic()
    child.kill()
    os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
    (life,) = lives.look([("worker", child.pid)])
    assert (life.role, life.pid) == ("worker", child.pid)
    assert life.alive_at <= began_at <= life.gone_at
    child.communicate()
    assert lives.look([]) == []
