"""Where a run is kept is known to do before the run begins."""

from __future__ import annotations

from pathlib import Path

import pytest

from . import run
from .storm import run as storm


@pytest.mark.parametrize("arguments", [run.arguments, storm.arguments], ids=["kills", "storm"])
def test_a_directory_that_holds_something_is_refused_in_a_sentence(
    arguments: object, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "ledger").touch()
    (tmp_path / "file").touch()
    for where, why in ((tmp_path, "holds something already"), (tmp_path / "file", "cannot be a directory")):
        with pytest.raises(SystemExit) as ended:
            arguments(["--keep", str(where)])  # type: ignore[operator]
        assert ended.value.code == 2
        assert why in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [run.arguments, storm.arguments], ids=["kills", "storm"])
def test_a_new_or_empty_directory_will_do(arguments: object, tmp_path: Path) -> None:
    for _ in range(2):
        assert arguments(["--keep", str(tmp_path / "a" / "b")]).keep == tmp_path / "a" / "b"  # type: ignore[operator]
    assert (tmp_path / "a" / "b").is_dir()


def test_a_report_that_cannot_be_written_is_refused_before_the_run(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        storm.arguments(["--report", str(tmp_path / "nowhere" / "report.md")])
    assert ended.value.code == 2
    assert "cannot be written" in capsys.readouterr().err
