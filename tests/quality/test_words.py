"""Words that do not belong in this repository."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.quality.tree import ROOT, files, shown

# This file spells out what it forbids.
_THIS_FILE = Path(__file__).resolve()

_DANGEROUS = {
    r"\bpickle\.loads?\b|\bmarshal\.loads?\b|\bshelve\.open\b": "runs what the bytes say",
    r"\byaml\.(unsafe_)?load\(": "runs what the text says",
    r"(?<![\w.])(eval|exec)\(": "runs what the text says",
    r"\bos\.system\(|\bshell=True\b": "hands text to a shell",
    r"\bverify=False\b|\bssl\.CERT_NONE\b": "trusts any server",
}
_UNFINISHED = {
    r"\b(TODO|FIXME|XXX|HACK)\b": "is unfinished",
    r"\bbreakpoint\(|\bpdb\.set_trace\(": "stops in a debugger",
    r"^(<{7}|={7}|>{7})( |$)": "is a merge that was not finished",
}
_PRIVATE = {
    r"(?<![\w.{}])/(home|Users|root|work|opt)/\w": "is a path of one person's machine",
    r"://[^/\s:@'\"{}<>]+:(?!secret@|password@|hunter2@|\*)[^/\s:@'\"{}<>]+@": "looks like a credential",
}
_CODE = ("eventsys", "actors", "benchmarks", "tests", ".ci")
_TEXT = (*_CODE, "docs")
_TOP = tuple(ROOT.glob("*.md")) + tuple(ROOT.glob("*.toml"))


def test_no_code_trusts_bytes_text_or_servers_blindly() -> None:
    assert not _offences(_DANGEROUS, _paths(*_CODE))


def test_nothing_is_left_unfinished() -> None:
    assert not _offences(_UNFINISHED, [*_paths(*_TEXT), *_TOP])


def test_no_private_path_or_credential_is_written_down() -> None:
    assert not _offences(_PRIVATE, [*_paths(*_TEXT), *_TOP])


def test_no_test_waits_for_time() -> None:
    """A test waits for a signal. Chaos and acceptance tests watch real processes and may pause between two looks."""
    waiting = {r"\bsleep\(": "waits for time, not for a signal"}
    tests = [path for path in _paths("tests") if not {"chaos", "acceptance"} & set(path.relative_to(ROOT).parts)]
    assert not _offences(waiting, tests)


@pytest.mark.parametrize(
    "line",
    ["x = eval(text)", "pickle.loads(b)", "yaml.load(s)", "run(c, shell=True)", "# TODO: later", "redis://u:pw@host/0"],
)
def test_an_offence_is_found(line: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(f"fine = 1\n{line}\n")
    rules = _DANGEROUS | _UNFINISHED | _PRIVATE
    assert len(_offences(rules, [tmp_path / "module.py"])) == 1


@pytest.mark.parametrize("line", ["client.eval(script)", "model.model_eval()", "redis://user:secret@host/0"])
def test_what_only_looks_like_an_offence_is_not_one(line: str, tmp_path: Path) -> None:
    (tmp_path / "module.py").write_text(line)
    assert not _offences(_DANGEROUS | _UNFINISHED | _PRIVATE, [tmp_path / "module.py"])


def _paths(*folders: str) -> list[Path]:
    return [path for path in files("*", *folders) if path != _THIS_FILE]


def _offences(rules: dict[str, str], paths: list[Path]) -> list[str]:
    return [
        f"{shown(path) if path.is_relative_to(ROOT) else path}:{number} {match.group()!r} {why}"
        for path in paths
        for number, line in enumerate(path.read_text(errors="replace").splitlines(), start=1)
        for rule, why in rules.items()
        if (match := re.search(rule, line))
    ]
