"""What many processes cost their supervisor, and a supervisor that has many files open."""

from __future__ import annotations

import os
import resource
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import pytest

from eventsys.runtime.child import Child
from eventsys.runtime.supervisor import Supervisor
from tests.support.supervised import is_gone


@pytest.fixture
def taken_descriptors() -> Iterator[None]:
    """Take the first 1024 descriptors, beyond which `select.select` knows none."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < 2048:
        pytest.skip(f"this process may open {hard} files")
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(soft, 2048), hard))
    try:
        with ExitStack() as taken:
            while (descriptor := os.open(os.devnull, os.O_RDONLY)) < 1024:
                taken.callback(os.close, descriptor)
            os.close(descriptor)
            yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))


@pytest.mark.usefixtures("taken_descriptors")
def test_a_process_is_heard_however_many_files_are_open(
    redis_url: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("eventsys.runtime.supervisor.MOST_FAILED_STARTS", 1)
    supervisor = Supervisor(["no_such_module"], processes=1, environ={**os.environ, "EVENTSYS_REDIS_URL": redis_url})
    assert supervisor.run() == 1
    assert "No module named 'no_such_module'" in capsys.readouterr().err


def test_a_process_costs_its_supervisor_four_descriptors() -> None:
    """Two pipes and two boards: as many as allow 250 processes where a process may open 1024 files."""
    open_before = len(list(Path("/proc/self/fd").iterdir()))
    child = Child(["no_such_module"], os.environ)
    try:
        assert len(list(Path("/proc/self/fd").iterdir())) == open_before + 4
    finally:
        child.kill()
        assert is_gone(child.pid)
        child.exit_code()
        child.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == open_before
