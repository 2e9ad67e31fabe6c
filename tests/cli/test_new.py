"""`eventsys new`."""

from __future__ import annotations

import ast
import os
import subprocess
import sys
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eventsys import EventService, SettingsError
from eventsys.cli.commands import app
from tests.quality.tree import ROOT


def new(*arguments: object) -> tuple[int, str]:
    result = CliRunner().invoke(app, ["new", *map(str, arguments)])
    return result.exit_code, result.output


@pytest.mark.parametrize("package", ["actors", "shop"])
def test_a_new_application_passes_its_own_tests(tmp_path: Path, package: str) -> None:
    code, output = new(tmp_path / "my shop", "--package", package)
    assert code == 0, output
    assert output.endswith(f"Next:\n  cd '{tmp_path / 'my shop'}'\n  eventsys dev {package}\n")
    environ = {**os.environ, "PYTHONPATH": str(ROOT), "EVENTSYS_REDIS_URL": "redis://127.0.0.1:1"}
    tests = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
    ran = subprocess.run(tests, cwd=tmp_path / "my shop", env=environ, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert "2 passed" in ran.stdout


def test_every_file_of_it_is_whole_and_none_is_left_a_template(tmp_path: Path) -> None:
    new(tmp_path, "--package", "shop")
    files = [path for path in tmp_path.rglob("*") if path.is_file()]
    assert {path.name for path in files} >= {
        "Procfile",
        "README.md",
        "pyproject.toml",
        ".gitignore",
        "requirements.txt",
    }
    for path in files:
        text = path.read_text().replace("${HONCHO_PROCESS_NAME:", "")
        assert "$" not in text, path
        assert not path.name.endswith(".txt") or path.name == "requirements.txt"
        if path.suffix == ".py":
            ast.parse(text)


def test_a_directory_that_holds_something_is_refused_and_left_alone(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text("mine")
    code, output = new(tmp_path)
    assert code == 2
    assert "is not empty (notes); name a directory that is empty" in " ".join(output.split())
    assert [path.name for path in tmp_path.iterdir()] == ["notes"]


def test_a_fresh_clone_with_an_environment_is_welcome(tmp_path: Path) -> None:
    (tmp_path / ".git").mkdir()
    (tmp_path / ".venv").mkdir()
    assert new(tmp_path)[0] == 0


def test_a_file_in_its_place_is_refused(tmp_path: Path) -> None:
    (tmp_path / "shop").write_text("mine")
    assert new(tmp_path / "shop")[0] == 2
    assert (tmp_path / "shop").read_text() == "mine"


@pytest.mark.parametrize("package", ["my-shop", "class", "json", "eventsys", "tests", "a.b", ""])
def test_a_package_that_could_not_be_imported_is_refused(tmp_path: Path, package: str) -> None:
    assert new(tmp_path / "shop", "--package", package)[0] == 2
    assert not (tmp_path / "shop").exists()


@pytest.mark.parametrize("package", ["bücher", "s" * 101])
def test_a_package_that_no_application_can_be_named_after_is_refused(tmp_path: Path, package: str) -> None:
    """It was written, and its service refused the name at every start."""
    with pytest.raises(SettingsError):
        EventService(app=package)
    code, output = new(tmp_path / "shop", "--package", package)
    assert (code, (tmp_path / "shop").exists()) == (2, False)
    assert "at most 100 ASCII letters, digits and _" in " ".join(output.split())


def test_the_longest_name_of_an_application_will_do(tmp_path: Path) -> None:
    assert new(tmp_path / "shop", "--package", "s" * 100)[0] == 0
    assert EventService(app="s" * 100).settings.app == "s" * 100
