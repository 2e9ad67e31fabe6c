"""The first hour of somebody new: a new application, its tests, dev, an edit, a publish, a failure, the doctor."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.processes import wait_for
from tests.acceptance.terminal import Terminal
from tests.quality.tree import ROOT

ORDER = '{"order_id": "7", "customer": "Ada", "amount": 12.5}'


class Shell:
    """A second terminal in a directory, where commands are typed one after the other."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("EVENTSYS_", "REDIS_URL"))}
        self._environ = {**kept, "PYTHONPATH": str(ROOT)}

    def run(self, *arguments: str, code: int = 0) -> str:
        """Run Python with arguments, and return what it printed."""
        ran = subprocess.run(
            [sys.executable, *arguments],
            cwd=self.directory, env=self._environ, capture_output=True, text=True, check=False, timeout=180,
        )  # fmt: skip
        assert ran.returncode == code, ran.stdout + ran.stderr
        return ran.stdout

    def eventsys(self, *arguments: str, code: int = 0) -> str:
        return self.run("-m", "eventsys", *arguments, code=code)


@pytest.fixture
def terminals() -> Iterator[Callable[..., Terminal]]:
    """Start `eventsys` in terminals, which are ended whatever the test does."""
    opened: list[Terminal] = []

    def start(*arguments: str, directory: Path) -> Terminal:
        opened.append(Terminal("-m", "eventsys", *arguments, directory=directory))
        return opened[-1]

    yield start
    for terminal in opened:
        terminal.kill()


def test_new_tests_dev_edit_publish_redrive_doctor(terminals: Callable[..., Terminal], tmp_path: Path) -> None:
    assert "eventsys dev actors" in Shell(tmp_path).eventsys("new", "shop")
    shell = Shell(tmp_path / "shop")
    assert "2 passed" in shell.run("-m", "pytest", "-q", "-p", "no:cacheprovider")
    dev = terminals("dev", "actors", directory=shell.directory)
    dev.sees("handlers of actors; Redis embedded")
    dev.sees("process")
    shell.eventsys("publish", "order.paid", ORDER)
    dev.sees("order 7: 12.50 paid by Ada")
    orders = shell.directory / "actors" / "orders.py"
    written = orders.read_text()
    orders.write_text(written.replace("paid by %s", "came from %s").replace("max_retries=3", "max_retries=0"))
    dev.sees("loaded actors.orders again in")
    shell.eventsys("publish", "order.paid", ORDER)
    dev.sees("order 7: 12.50 came from Ada")
    # What a handler says is seen before what it schedules is committed.
    wait_for(lambda: len(json.loads(shell.eventsys("delayed", "ls", "--json"))["items"]) == 2, "the second follow-up")

    broken = orders.read_text()
    orders.write_text(broken.replace("    order = event.payload\n", "    raise RuntimeError('no customer')\n"))
    dev.sees("loaded actors.orders again in")
    shell.eventsys("publish", "order.paid", ORDER)
    dev.sees("RuntimeError: no customer")
    wait_for(lambda: "no customer" in shell.eventsys("dead", "ls"), "the dead letter")
    assert "1 dead letter waits for a decision" in shell.eventsys("doctor")
    orders.write_text(broken)
    dev.sees("loaded actors.orders again in")
    shell.eventsys("dead", "redrive", "--all", "--yes")
    dev.sees("order 7: 12.50 came from Ada")
    wait_for(lambda: "there are no dead letters" in shell.eventsys("doctor"), "the doctor's word")
    dev.press_ctrl_c()
    assert dev.end() is not None
    wait_for(lambda: not dev.left_processes(), f"the end of {dev.left_processes()}")


def test_top_draws_the_screen_again_and_ctrl_c_gives_the_terminal_back(
    terminals: Callable[..., Terminal], tmp_path: Path
) -> None:
    top = terminals("top", "--every", "0.2", directory=tmp_path)
    top.sees("\x1b[?1049h")  # a screen of its own
    top.sees("\x1b[?25l")  # without a cursor
    for _ in range(3):
        top.sees("deliveries")
    Shell(tmp_path).eventsys("publish", "order.paid", ORDER)
    top.sees("1 events pending")
    top.press_ctrl_c()
    top.sees("\x1b[?25h")
    top.sees("\x1b[?1049l")
    assert top.end() == 0
    wait_for(lambda: not top.left_processes(), f"the end of {top.left_processes()}")
