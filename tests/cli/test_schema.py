"""`eventsys schema` and `eventsys settings`."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from typer.testing import CliRunner

from eventsys.cli.commands import app
from eventsys.model.schema_changes import SchemaChanges, SchemaSet
from tests.quality.tree import ROOT

Run = Callable[..., str]

SHOP = """
from pydantic import BaseModel
from eventsys import EventService

events = EventService()

class Order(BaseModel):
    id: int
    {more}

events.type("order.paid", Order)
"""


#: What setuptools leaves for `pip install -e` of a package beside others: a finder, and no directory to look in.
EDITABLE = """
import sys
from importlib.util import spec_from_file_location

class Editable:
    @staticmethod
    def find_spec(name, path=None, target=None):
        return spec_from_file_location(name, {file!r}) if name == "shop" else None

sys.meta_path.append(Editable)
"""


def run_in(directory: Path, *arguments: str, site: Path = ROOT) -> subprocess.CompletedProcess[str]:
    """Run the command in a process of its own: it imports the modules of the directory, and those of a site."""
    command = [sys.executable, "-m", "eventsys", *arguments]
    path = os.pathsep.join(map(str, (site, ROOT)))
    environment = {"PYTHONPATH": path, "EVENTSYS_REDIS_URL": "redis://127.0.0.1:1", "PATH": ""}
    return subprocess.run(command, cwd=directory, env=environment, capture_output=True, text=True, check=False)


def test_the_types_of_an_application_are_exported_and_a_later_break_ends_with_1(tmp_path: Path) -> None:
    shop = tmp_path / "shop.py"
    shop.write_text(SHOP.format(more="note: str = ''"))
    exported = run_in(tmp_path, "schema", "export", "shop")
    assert "order.paid" in SchemaSet.model_validate_json(exported.stdout).types
    (tmp_path / "schemas.json").write_text(exported.stdout)
    assert run_in(tmp_path, "schema", "diff", "schemas.json", "shop").returncode == 0

    shop.write_text(SHOP.format(more="currency: str"))
    compared = run_in(tmp_path, "schema", "diff", "schemas.json", "shop", "--json")
    assert compared.returncode == 1
    changes = SchemaChanges.model_validate_json(compared.stdout).changes
    assert {(one.where, one.is_breaking) for one in changes} == {("payload.currency", True), ("payload.note", True)}


def test_an_application_that_is_installed_editable_is_found_from_anywhere(tmp_path: Path) -> None:
    """It was refused as missing by every command that takes modules: only directories were looked in."""
    service, elsewhere, site = (tmp_path / name for name in ("services", "elsewhere", "site"))
    for directory in (service, elsewhere, site):
        directory.mkdir()
    (service / "shop.py").write_text(SHOP.format(more=""))
    (site / "sitecustomize.py").write_text(EDITABLE.format(file=str(service / "shop.py")))
    exported = run_in(elsewhere, "schema", "export", "shop", site=site)
    assert "order.paid" in exported.stdout, exported.stderr
    assert "there is no module 'shops'" in run_in(elsewhere, "schema", "export", "shops", site=site).stderr


def test_a_file_that_is_no_export_and_a_module_that_is_not_there_are_told(tmp_path: Path) -> None:
    bad = tmp_path / "bad.json"
    bad.write_text("{}")
    result = CliRunner().invoke(app, ["schema", "diff", str(bad)])
    assert (result.exit_code, result.stdout) == (2, "")
    assert "is no export of schemas" in result.stderr
    missing = run_in(tmp_path, "schema", "ls", "no_such_module")
    assert missing.returncode == 2
    assert "there is no module 'no_such_module'" in missing.stderr


def test_the_built_in_types_are_listed(run: Run) -> None:
    types = SchemaSet.model_validate_json(run("schema", "ls", "--json")).types
    assert len(types) >= 16
    assert "user.login" in run("schema", "ls")


def test_settings_show_where_each_comes_from_and_never_a_password(run: Run, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("EVENTSYS_REDIS_URL", "redis://me:hunter2@example:6379/0")
    monkeypatch.setenv("EVENTSYS_BUS__WORKER_COUNT", "3")
    lines = {line.split("\t")[0]: line.split("\t")[1:] for line in run("settings").splitlines()}
    assert lines["redis_url"] == ["redis://me:***@example:6379/0", "EVENTSYS_REDIS_URL", "EVENTSYS_REDIS_URL"]
    assert lines["bus.worker_count"] == ["3", "EVENTSYS_BUS__WORKER_COUNT", "EVENTSYS_BUS__WORKER_COUNT"]
    assert lines["bus.batch_size"] == ["50", "default", "EVENTSYS_BUS__BATCH_SIZE"]
    as_json = run("settings", "--json")
    assert "hunter2" not in as_json
    assert json.loads(as_json)["bus"]["worker_count"] == 3
