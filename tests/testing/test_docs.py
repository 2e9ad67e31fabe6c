"""The examples of docs/testing.md, as a reader would try them."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from pathlib import Path

from eventsys.runtime.server_binary import ServerBinary
from tests.quality.tree import ROOT

_FILES = re.compile(r"<!-- file: (?P<name>\S+) -->\n```\w+\n(?P<text>.*?)```", re.DOTALL)


def test_the_examples_of_the_page_on_testing_pass(tmp_path: Path, server_binary: ServerBinary) -> None:
    found = list(_FILES.finditer((ROOT / "docs" / "testing.md").read_text()))
    for one in found:
        path = tmp_path / one["name"]
        path.parent.mkdir(exist_ok=True)
        path.write_text(one["text"])
    environment = {**os.environ, "EVENTSYS_TEST_REDIS": str(server_binary.path), "PYTEST_ADDOPTS": ""}
    environment.pop("REDIS_URL", None)
    plugin = ["-p", "eventsys.testing.plugin"]
    ended = subprocess.run(
        [sys.executable, "-m", "pytest", "-q", *plugin], cwd=tmp_path, env=environment, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    tests = sum(one["text"].count("\ndef test_") for one in found)
    assert tests >= 5
    assert f"{tests} passed" in ended.stdout, ended.stdout + ended.stderr
    assert not (tmp_path / ".eventsys").exists()
