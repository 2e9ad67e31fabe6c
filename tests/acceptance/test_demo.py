"""`eventsys demo`, as a newcomer runs it."""

from __future__ import annotations

import os
import re
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.acceptance.processes import WITHIN_S, Command, wait_for
from tests.acceptance.terminal import Terminal

Start = Callable[..., Command]

#: What the traceback of an interpreter says that is interrupted before it runs what it was told to run.
PYTHONS_OWN = (
    "Fatal Python error: init", "site", "Could not import runpy", "in _get_module_details",
    "from eventsys.cli.app import main",
)  # fmt: skip


def test_the_demo_shows_every_example_and_leaves_nothing_behind(start: Start) -> None:
    demo = start("-m", "eventsys", "demo")
    code, stdout, stderr = demo.finish()
    assert (code, stderr) == (0, ""), stdout
    for subscription in ("sessions.open", "notifications.login", "notifications.send", "cleanup.delete", "audit.trail"):
        assert re.search(rf"\S {subscription} +after", stdout), subscription
    assert re.findall(r"texts.send +attempt (\d) (\w+)", stdout) == [
        ("1", "failed"),
        ("2", "failed"),
        ("3", "succeeded"),
    ]
    assert re.findall(r"step_id (\w+)", stdout) == ["reserve", "charge", "ship"]
    assert "shortened for the demo: 10 seconds, not 10 minutes" in stdout
    ticks = re.findall(r"cron\.task\.(\w+) +task cleanup\.carts, scheduled_for (\S+)", stdout)
    assert [verb for verb, _ in ticks] == ["executed", "completed"] * 3
    assert len({tick for _, tick in ticks}) == 3
    assert "11 events, 22 deliveries, 2 retries; every delivery succeeded." in stdout
    assert "Put your first handler into" in stdout
    assert_nothing_is_left(demo)


def test_a_file_gets_plain_lines(start: Start) -> None:
    _, stdout, _ = start("-m", "eventsys", "demo").finish()
    assert "\x1b" not in stdout
    assert "…" not in stdout
    assert max(len(line) for line in stdout.splitlines()) <= 100


def test_a_redis_and_an_application_of_the_user_are_not_touched(start: Start) -> None:
    demo = start("-m", "eventsys", "demo", EVENTSYS_REDIS_URL="redis://127.0.0.1:1", EVENTSYS_NAME="theirs")
    actors = demo.temporary.parent / "actors"
    actors.mkdir()
    (actors / "__init__.py").write_text("raise SystemExit('this is not the example application')")
    code, stdout, stderr = demo.finish()
    assert code == 0, stdout + stderr
    assert not (demo.temporary.parent / ".eventsys").exists()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("after_s", [0.1, 0.4, 0.8, 1.2])
def test_a_signal_while_it_starts_leaves_nothing_behind(start: Start, after_s: float, number: signal.Signals) -> None:
    demo = start("-m", "eventsys", "demo")
    time.sleep(after_s)
    assert_it_ends_by(number, demo)


@pytest.mark.parametrize(
    ("line", "number"),
    [
        ("eventsys demo", signal.SIGINT),
        ("private directory", signal.SIGINT),
        ("private directory", signal.SIGTERM),
        ("user.login", signal.SIGHUP),
        ("attempt 1 failed", signal.SIGINT),
        ("data.deleted", signal.SIGTERM),
    ],
)
def test_a_signal_while_it_plays_leaves_nothing_behind(start: Start, line: str, number: signal.Signals) -> None:
    demo = start("-m", "eventsys", "demo")
    demo.read_until(line)
    assert_it_ends_by(number, demo)


def test_ctrl_c_in_a_terminal_also_reaches_its_children_and_leaves_nothing_behind(start: Start) -> None:
    demo = start("-m", "eventsys", "demo")
    demo.read_until("eventsys demo")
    while demo.process.poll() is None:  # an impatient one, up to the very end
        os.killpg(demo.process.pid, signal.SIGINT)
        time.sleep(0.002)
    code, _, stderr = demo.finish()
    assert (code, stderr) == (130, "")
    assert_nothing_is_left(demo)


def test_whoever_closes_the_output_ends_the_demo_and_nothing_is_left(start: Start) -> None:
    demo = start("-m", "eventsys", "demo")
    demo.read_until("user.login")
    demo.stdout.close()
    demo.process.wait(WITHIN_S)
    assert demo.process.stderr is not None
    assert demo.process.stderr.read() == ""
    assert_nothing_is_left(demo)


def assert_it_ends_by(number: signal.Signals, demo: Command) -> None:
    demo.process.send_signal(number)
    code, _, stderr = demo.finish()
    # Before Python itself is ready for signals, the signal ends it as it ends any process; while Python still looks for
    # its site packages, or for what runs a module and for that module, it says so or gives up with 1. None of these is
    # the demo's doing: it has not begun, and no frame of its `main` is there.
    is_pythons_own = any(said in stderr for said in PYTHONS_OWN)
    assert code in {128 + number, -number} or (code == 1 and is_pythons_own), stderr
    assert "Traceback" not in stderr or is_pythons_own, stderr
    assert_nothing_is_left(demo)


def assert_nothing_is_left(command: Command) -> None:
    wait_for(lambda: not command.left_processes(), f"the end of processes {command.left_processes()}")
    assert command.left_files() == []


def test_in_a_terminal_it_plays_to_the_end_and_leaves_the_cursor_as_it_was(tmp_path: Path) -> None:
    demo = Terminal("-m", "eventsys", "demo", directory=tmp_path)
    try:
        demo.sees("eventsys demo")
        for event_type in ("user.login", "user.notification", "data.deleted", "workflow.step.execute"):
            demo.sees(event_type)
        demo.sees("every delivery succeeded")
        assert demo.end() == 0
        screen = demo.read_since()
        assert screen.rfind("\x1b[?25l") <= screen.rfind("\x1b[?25h")
        wait_for(lambda: not demo.left_processes(), f"the end of {demo.left_processes()}")
    finally:
        demo.kill()
