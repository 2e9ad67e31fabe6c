"""What type checkers see."""

from __future__ import annotations

from pathlib import Path

from mypy import api

SAMPLE = Path(__file__).parent / "sample.py"


def check(path: Path) -> tuple[str, int]:
    """Return what mypy says about a file in strict mode, and its exit code."""
    said, error, code = api.run(["--strict", "--follow-imports=silent", "--config-file=pyproject.toml", str(path)])
    return said + error, code


def test_handlers_keep_their_type_and_payloads_are_their_models() -> None:
    said, code = check(SAMPLE)
    assert code == 0, said


def test_a_wrong_type_is_found(tmp_path: Path) -> None:
    """That the check can fail."""
    wrong = tmp_path / "wrong.py"
    wrong.write_text(SAMPLE.read_text().replace("assert_type(send(event), int)", "assert_type(send(event), str)"))
    said, code = check(wrong)
    assert code == 1
    assert 'Expression is of type "int", not "str"' in said
