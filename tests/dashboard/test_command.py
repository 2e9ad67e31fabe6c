"""`eventsys web`: it listens for this machine, and for others with a token only."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from typer.main import get_command

from eventsys.cli.commands import app
from eventsys.dashboard import Access
from eventsys.dashboard.serving import serve
from eventsys.dashboard.web_settings import load_web_settings, refuse_open_door
from eventsys.errors import SettingsError
from tests.support.ports import free_port
from tests.support.waiting import eventually

TOKEN = "operator-token-of-tests"


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.1", "example.com", ""])
def test_an_address_of_other_machines_needs_a_token(host: str) -> None:
    with pytest.raises(SettingsError, match="EVENTSYS_WEB_TOKEN"):
        refuse_open_door(host, Access())
    refuse_open_door(host, Access(token=SecretStr(TOKEN)))


@pytest.mark.parametrize("host", ["127.0.0.1", "127.0.0.2", "::1", "localhost"])
def test_this_machine_needs_none(host: str) -> None:
    refuse_open_door(host, Access())


def test_the_server_itself_refuses_an_open_door(events: object) -> None:
    with pytest.raises(SettingsError, match="can be reached from other machines"):
        serve(events, Access(), host="0.0.0.0", port=1)  # type: ignore[arg-type]


def test_tokens_come_from_the_environment_or_from_files(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    secret = tmp_path / "token"
    secret.write_text(f"{TOKEN}\n")
    monkeypatch.setenv("EVENTSYS_WEB_TOKEN_FILE", str(secret))
    access = load_web_settings().access()
    assert access.caller_of([f"Bearer {TOKEN}".encode()], "192.0.2.1") is not None
    assert access.caller_of([f"Bearer {TOKEN}\n x".encode()], "192.0.2.1") is None
    monkeypatch.setenv("EVENTSYS_WEB_TOKEN", TOKEN)
    with pytest.raises(SettingsError, match="both set"):
        load_web_settings().access()
    monkeypatch.delenv("EVENTSYS_WEB_TOKEN")
    monkeypatch.setenv("EVENTSYS_WEB_TOKEN_FILE", str(tmp_path / "absent"))
    with pytest.raises(SettingsError, match="cannot be read"):
        load_web_settings().access()


@pytest.mark.parametrize("command", ["web", "dev"])
def test_no_option_takes_a_token(command: str) -> None:
    """Every user of a machine can read the command lines of all processes."""
    found: Any = get_command(app)
    options = {option for one in found.commands[command].params for option in one.opts}
    assert "--port" in options
    assert not [one for one in options if re.search("token|password|secret|credential", one)]


def test_a_token_that_can_be_guessed_is_refused_and_never_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTSYS_WEB_TOKEN", "hunter2hunter2")
    settings = load_web_settings()
    assert "hunter2" not in repr(settings)
    with pytest.raises(SettingsError, match="fewer than 16") as failed:
        settings.access()
    assert "hunter2" not in str(failed.value)


def test_one_token_for_both_roles_is_refused() -> None:
    with pytest.raises(SettingsError, match="viewers"):
        Access(token=SecretStr(TOKEN), viewer_token=SecretStr(TOKEN))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGHUP])
def test_the_command_serves_until_it_is_told_to_end(redis_url: str, number: signal.Signals) -> None:
    with _serving(redis_url) as (port, process):
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=60) as answer:
            assert answer.status == 200
            assert "server" not in {name.lower() for name in answer.headers}
        with pytest.raises(urllib.error.HTTPError) as refused:
            urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=60)
        assert refused.value.code == 401
        asked = urllib.request.Request(f"http://127.0.0.1:{port}/live", headers={"Authorization": f"Bearer {TOKEN}"})
        with urllib.request.urlopen(asked, timeout=60) as stream:
            assert stream.headers["content-type"].startswith("text/event-stream")
            assert "default-src 'none'" in stream.headers["content-security-policy"]
            assert stream.readline() == b"event: figures\n"
        process.send_signal(number)
        assert process.wait(60) == 0


def test_the_command_refuses_an_open_door(redis_url: str) -> None:
    ended = subprocess.run(
        [sys.executable, "-c", "from eventsys.cli.app import main; main()", "web", "--host", "0.0.0.0"],
        env={**_environment(redis_url), "EVENTSYS_WEB_TOKEN": ""}, capture_output=True, text=True, timeout=110,
        check=False,
    )  # fmt: skip
    assert ended.returncode == 2
    assert "EVENTSYS_WEB_TOKEN" in ended.stderr


@contextmanager
def _serving(redis_url: str) -> Iterator[tuple[int, subprocess.Popen[bytes]]]:
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, "-c", "from eventsys.cli.app import main; main()", "web"],
        env={**_environment(redis_url), "PORT": str(port), "EVENTSYS_WEB_TOKEN": TOKEN},
    )
    try:
        eventually(lambda: _answers(port))
        yield port, process
    finally:
        process.kill()
        process.wait()


def _answers(port: int) -> bool:
    with socket.socket() as client:
        return client.connect_ex(("127.0.0.1", port)) == 0


def _environment(redis_url: str) -> dict[str, str]:
    return {**os.environ, "EVENTSYS_REDIS_URL": redis_url}
