"""What type checkers see."""

from __future__ import annotations

from pathlib import Path

import pytest
from mypy import api

SAMPLE = Path(__file__).parent / "sample.py"


def check(path: Path) -> tuple[str, int]:
    """Return what mypy says about a file in strict mode, as one that knows no plugin, and its exit code."""
    said, error, code = api.run(["--strict", "--follow-imports=silent", "--config-file=", str(path)])
    return said + error, code


def test_handlers_keep_their_type_and_payloads_are_their_models() -> None:
    said, code = check(SAMPLE)
    assert code == 0, said


@pytest.mark.parametrize(
    ("right", "wrong"),
    [
        ("assert_type(send(event), int)", "assert_type(send(event), str)"),
        ("assert_type(event.payload, Notification)", "assert_type(event.payload, dict[str, Any])"),
    ],
)
def test_a_wrong_type_is_found(tmp_path: Path, right: str, wrong: str) -> None:
    """That the check can fail."""
    sample = tmp_path / "wrong.py"
    sample.write_text(SAMPLE.read_text().replace(right, wrong))
    said, code = check(sample)
    assert code == 1
    assert 'Expression is of type "' in said
