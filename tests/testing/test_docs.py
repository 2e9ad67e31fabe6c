"""The examples of docs/testing.md, as a reader would try them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from eventsys.runtime.server_binary import ServerBinary
from tests.quality.tree import ROOT

_PAGE = (ROOT / "docs" / "testing.md").read_text()
_FILES = re.compile(r"<!-- (?P<kind>file|fails): (?P<name>\S+) -->\n```\w+\n(?P<text>.*?)```", re.DOTALL)
_STORY = re.compile(r"<!-- the story of \S+ -->\n```\n(.*?)```", re.DOTALL)


def _run(where: Path, server_binary: ServerBinary, *kinds: str) -> tuple[str, int]:
    """Run the examples of some kinds, and return what pytest said, and how many tests there are."""
    found = [one for one in _FILES.finditer(_PAGE) if one["kind"] in kinds or not one["name"].startswith("test_")]
    for one in found:
        path = where / one["name"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(one["text"])
    environment = {**os.environ, "EVENTSYS_TEST_REDIS": str(server_binary.path), "PYTEST_ADDOPTS": ""}
    environment.pop("REDIS_URL", None)
    plugin = ["-p", "eventsys.testing.plugin"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin], cwd=where, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    return ended.stdout + ended.stderr, sum(one["text"].count("\ndef test_") for one in found)


def test_the_examples_of_the_page_on_testing_pass(tmp_path: Path, server_binary: ServerBinary) -> None:
    said, tests = _run(tmp_path, server_binary, "file")
    assert tests >= 5
    assert f"{tests} passed" in said, said
    assert not (tmp_path / ".eventsys").exists()


def test_the_example_that_fails_does_and_its_report_ends_with_the_story_on_the_page(
    tmp_path: Path, server_binary: ServerBinary
) -> None:
    said, _ = _run(tmp_path, server_binary, "fails")
    [story] = _STORY.findall(_PAGE)
    assert story in said, said
    assert "1 failed" in said
