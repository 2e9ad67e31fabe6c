"""The Procfiles as they stand: the repository's own, and the one of a new application."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import urllib.request
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from eventsys.cli.commands import app
from tests.acceptance.processes import Command, wait_for
from tests.quality.tree import ROOT
from tests.support.ports import free_port

#: Seconds that a graceful stop may take: what is promised.
ENDS_WITHIN_S = 30.0

#: Honcho, with a patience of as much: its own five seconds may not be enough to end an interpreter on a busy machine.
HONCHO = f"""
import sys
from honcho import command, manager
manager.KILL_WAIT = {ENDS_WITHIN_S}
sys.argv[0] = "honcho"
command.main()
"""

ORDER = '{"order_id": "7", "customer": "Ada", "amount": 12.5}'
LOGIN = '{"user_id": "1", "ip": "10.0.0.1"}'

#: What is found where Python is: `eventsys`, as a Procfile calls it.
PATH = f"{Path(sys.executable).parent}:{os.environ['PATH']}"


class Site:
    """An application with its Procfile, run by honcho, and asked by the commands of somebody beside it."""

    def __init__(self, start: Callable[..., Command], prepare: Callable[[Path], None]) -> None:
        self.port = free_port()
        self.command: Command
        self._start, self._prepare = start, prepare

    def begin(self, **environ: str) -> None:
        """Start everything that the Procfile names."""
        self.command = self._start(
            "-c", HONCHO, "start", "--port", str(self.port), prepare=self._prepare, PATH=PATH, **environ
        )  # fmt: skip

    def eventsys(self, *arguments: str) -> Any:
        """Run a command in the same directory, and return what its --json says."""
        kept = {name: value for name, value in os.environ.items() if not name.startswith(("EVENTSYS_", "REDIS_URL"))}
        ran = subprocess.run(
            [sys.executable, "-m", "eventsys", *arguments, "--json"],
            cwd=self.command.directory, env={**kept, "PYTHONPATH": str(ROOT)}, capture_output=True, text=True,
            check=False, timeout=180,
        )  # fmt: skip
        assert ran.stdout, ran.stderr
        return json.loads(ran.stdout)

    def is_handled(self, event_type: str, payload: str) -> bool:
        """Publish an event, and say whether all its deliveries succeed."""
        event = self.eventsys("publish", event_type, payload)
        wait_for(lambda: self._status(event["id"]) != "pending", "the end of the event")
        record = self.eventsys("events", "show", event["id"])
        return bool(record["deliveries"]) and record["status"] == "delivered"

    def _status(self, event_id: str) -> str:
        if self.command.process.poll() is not None:
            raise AssertionError("\n".join(self.command.process.communicate()))
        return str(self.eventsys("events", "show", event_id)["status"])

    def answers(self) -> bool:
        """Say whether the dashboard is there."""
        try:
            with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/healthz", timeout=5) as answer:
                return bool(answer.status == 200)
        except OSError:
            return False


def own_procfile(directory: Path) -> None:
    shutil.copy(ROOT / "Procfile", directory)


def new_application(directory: Path) -> None:
    made = CliRunner().invoke(app, ["new", str(directory / "made"), "--package", "shop"])
    assert made.exit_code == 0, made.output
    for path in (directory / "made").iterdir():
        path.rename(directory / path.name)


@pytest.fixture(params=[own_procfile, new_application], ids=["of the repository", "of a new application"])
def site(start: Callable[..., Command], request: pytest.FixtureRequest) -> Site:
    return Site(start, request.param)


def test_honcho_runs_it_as_it_stands_and_all_ends_in_time(site: Site, request: pytest.FixtureRequest) -> None:
    site.begin()
    event_type, payload = ("order.paid", ORDER) if "new" in request.node.name else ("user.login", LOGIN)
    assert site.is_handled(event_type, payload)
    wait_for(site.answers, "an answer of the dashboard")
    wait_for(lambda: _found(site, "scheduler").startswith("it sends its ticks"), "the first ticks")
    began = time.monotonic()
    site.command.process.send_signal(signal.SIGTERM)
    _, stdout, stderr = site.command.finish()
    assert time.monotonic() - began < ENDS_WITHIN_S
    assert "SIGKILL" not in stdout, stdout
    assert "Traceback" not in stdout + stderr
    wait_for(lambda: not site.command.left_processes(), f"the end of {site.command.left_processes()}")


def test_a_release_that_finds_no_fit_redis_ends_everything(start: Callable[..., Command]) -> None:
    """As a platform runs it: alone, and with an exit code. Elsewhere it takes the others with it."""
    release = next(line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("release:"))
    shell = ["/bin/sh", "-c", release.removeprefix("release:").replace("--wait-for-redis", "")]
    environ = {**os.environ, "PATH": PATH, "PYTHONPATH": str(ROOT), "EVENTSYS_REDIS_URL": "redis://127.0.0.1:1"}
    for started_by in ({}, {"HONCHO_PROCESS_NAME": "release.1"}):
        ended = subprocess.run(
            shell, env={**environ, **started_by}, capture_output=True, text=True, check=False, timeout=110
        )
        assert (ended.returncode, "redis.reached" in ended.stdout) == (1, True)


def test_a_release_that_finds_its_redis_ends_well_where_it_runs_alone(redis_url: str) -> None:
    release = next(line for line in (ROOT / "Procfile").read_text().splitlines() if line.startswith("release:"))
    environ = {name: value for name, value in os.environ.items() if name != "HONCHO_PROCESS_NAME"}
    ended = subprocess.run(
        ["/bin/sh", "-c", release.removeprefix("release:")],
        env={**environ, "PATH": PATH, "PYTHONPATH": str(ROOT), "EVENTSYS_REDIS_URL": redis_url},
        capture_output=True, text=True, check=False, timeout=110,
    )  # fmt: skip
    assert ended.returncode == 0, ended.stdout


def _found(site: Site, check: str) -> str:
    findings = site.eventsys("doctor")["findings"]
    return next((str(one["said"]) for one in findings if one["check"] == check), "")
