"""The audit of dependencies: what makes it fail, and that silence is never taken for health."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Any

import pytest

from tests.quality import advisories
from tests.quality.advisories import verdict_of


def _package(*fixes: list[str]) -> dict[str, Any]:
    return {"name": "p", "version": "1", "vulns": [{"id": "CVE-1", "fix_versions": one} for one in fixes]}


def test_a_mended_hole_fails_and_others_are_told() -> None:
    assert verdict_of({"dependencies": [_package(["2"])]}).fails
    open_one = verdict_of({"dependencies": [_package([]), _package()]})
    assert not open_one.fails
    assert open_one.lines == ["p 1 has CVE-1, not mended yet", "2 packages audited, 1 known vulnerabilities"]


def test_what_could_not_be_looked_up_is_not_called_well() -> None:
    verdict = verdict_of({"dependencies": [{"name": "q", "skip_reason": "not found"}]})
    assert (verdict.audited, verdict.fails) == (0, False)
    assert "NOT AUDITED" in verdict.lines[0]


@pytest.mark.parametrize(
    ("said", "code", "told"),
    [
        ('{"dependencies": [{"name": "q", "skip_reason": "no"}]}', 0, "NOTHING WAS AUDITED"),
        ("", 0, "cannot be asked: no way there"),
        (
            '{"dependencies": [{"name": "p", "version": "1", "vulns": [{"id": "X", "fix_versions": ["2"]}]}]}',
            1,
            "upgrade",
        ),
    ],
)
def test_the_command_fails_for_a_mended_hole_only(
    said: str, code: int, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any
) -> None:
    program = tmp_path / "pip-audit"
    program.write_text(f"#!{sys.executable}\nimport sys\nprint({said!r})\nsys.exit('no way there')\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "argv", ["advisories", str(program)])
    ended = 0
    try:
        advisories.main()
    except SystemExit as exit_:
        ended = int(exit_.code or 0)
    assert ended == code
    assert told in capsys.readouterr().out
