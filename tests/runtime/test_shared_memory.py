"""Where the boards of worker processes lie: a full disk neither ends one nor keeps one from starting."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Callable
from pathlib import Path

import pytest

from eventsys.broker.begun_board import BegunBoard
from eventsys.runtime.limit_board import LimitBoard

Board = BegunBoard | LimitBoard

BOARDS = pytest.mark.parametrize("make", [BegunBoard, LimitBoard])


@BOARDS
@pytest.mark.skipif(not hasattr(os, "memfd_create"), reason="this system has no memory without a file")
def test_a_board_needs_no_directory_for_temporary_files(
    make: Callable[[], Board], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "missing"))
    make().close()


@BOARDS
def test_where_a_board_is_a_file_all_of_it_is_on_the_disk_before_it_is_used(
    make: Callable[[], Board], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A page without a block behind it ends whoever touches it, once the disk is full."""
    monkeypatch.delattr(os, "memfd_create", raising=False)
    board = make()
    file = os.fstat(board.descriptor)
    assert file.st_blocks * 512 >= file.st_size > 0
    board.close()
