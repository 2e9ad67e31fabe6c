"""What tests of processes share: supervised workers that tell what they do over Redis, and an empty Redis."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis

from tests.support.services import Services
from tests.support.supervised import PROGRAM, Supervised


@pytest.fixture
def supervise_application(
    redis_url: str, redis_client: redis.Redis, tmp_path: Path
) -> Iterator[Callable[..., Supervised]]:
    """Start supervisors: `supervise_application(2, application)` for two processes of this module, as `shop`.

    What they kill is a process that has not ended itself `kill_after_s` after its hard limit, or that has been silent
    for `silent_s`: none in these tests, unless they say so, since a busy process may take its time. So may one that has
    not begun to work after `begins_within_s`, of which they tell.
    """
    running: list[Supervised] = []
    patient = redis.Redis.from_url(redis_url, socket_timeout=None)

    def start(
        processes: int,
        application: str,
        url: str | None = redis_url,
        kill_after_s: float = 300.0,
        silent_s: float = 300.0,
        begins_within_s: float = 300.0,
        program: str = PROGRAM,
    ) -> Supervised:
        (tmp_path / "shop.py").write_text(application)
        errors = tmp_path / "errors"
        environ = {**os.environ, "PYTHONPATH": str(Path.cwd())}
        environ |= {"EVENTSYS_REDIS_URL": url} if url is not None else {}
        with errors.open("wb") as file:
            times = [str(kill_after_s), str(silent_s), str(begins_within_s)]
            command = [sys.executable, "-c", program, str(processes), *times]
            process = subprocess.Popen(command, cwd=tmp_path, env=environ, stdout=file, stderr=file)
        running.append(Supervised(process, patient, errors))
        return running[-1]

    yield start
    for one in running:
        one.process.kill()
        one.process.wait()
    patient.close()


@pytest.fixture
def services(redis_client: redis.Redis, services: Services) -> Services:
    """Services on an empty Redis: the doctor looks at all of it, and tells of what others left there."""
    return services
