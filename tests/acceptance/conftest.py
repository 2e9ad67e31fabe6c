"""Commands for acceptance tests, ended whatever the test does."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.acceptance.processes import Command


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Give these tests time: each starts several interpreters, on a machine that may have other things to do."""
    for item in items:
        if item.path.is_relative_to(Path(__file__).parent):
            item.add_marker(pytest.mark.timeout(600))


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Callable[..., Command]]:
    """Start commands: `start("-m", "eventsys", "demo")`, in a directory that `prepare` may put something into."""
    commands: list[Command] = []

    def start_one(*arguments: str, prepare: Callable[[Path], object] = lambda _: None, **environ: str) -> Command:
        directory = tmp_path / str(len(commands))
        directory.mkdir()
        prepare(directory)
        commands.append(Command(*arguments, directory=directory, **environ))
        return commands[-1]

    yield start_one
    for command in commands:
        command.kill()
