"""The embedded server's socket lies where its path is short enough for an address."""

from __future__ import annotations

import os
import shutil
import tempfile
from pathlib import Path

import pytest

from eventsys.runtime.server_socket import LONGEST_PATH, choose_socket, remove_socket


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """A directory whose path is too long for a socket."""
    deep = tmp_path / ("d" * 120)
    deep.mkdir()
    return deep


def test_it_lies_beside_the_data_where_that_is_short_enough() -> None:
    with tempfile.TemporaryDirectory(dir="/tmp") as short:
        assert choose_socket(Path(short)) == Path(short, "redis.sock")


def test_else_it_lies_in_a_private_directory_that_every_process_finds(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("XDG_RUNTIME_DIR", raising=False)
    chosen = choose_socket(data)
    assert chosen == choose_socket(data)
    assert chosen.parent.stat().st_mode & 0o777 == 0o700
    remove_socket(data, chosen)
    assert not chosen.parent.exists()


def test_a_directory_for_temporary_files_that_is_too_long_is_passed_over(
    data: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_RUNTIME_DIR", str(data))
    monkeypatch.setattr(tempfile, "tempdir", str(data))
    chosen = choose_socket(data)
    assert len(os.fsencode(chosen)) <= LONGEST_PATH
    assert chosen.parent.parent == Path("/tmp")
    shutil.rmtree(chosen.parent)
