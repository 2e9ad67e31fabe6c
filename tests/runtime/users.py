"""Users of the embedded Redis, as processes of their own, for its tests."""

from __future__ import annotations

import os
import select
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import redis

from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.server_binary import ServerBinary, candidate_servers, examine_server

ROOT = Path(__file__).parents[2]
# A user of the server: says the server's pid, and stops when its standard input ends.
USER = """
import sys
from pathlib import Path
from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.server_binary import examine_server
embedded = EmbeddedRedis(Path(sys.argv[1]), binary=examine_server(Path(sys.argv[2])))
embedded.start()
print(embedded.pid, flush=True)
sys.stdin.read()
"""
# Comes and goes ten times, and counts each time.
COMER_AND_GOER = """
import sys, redis
from pathlib import Path
from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.server_binary import examine_server
binary = examine_server(Path(sys.argv[2]))
for _ in range(10):
    with EmbeddedRedis(Path(sys.argv[1]), binary=binary) as embedded, redis.Redis.from_url(embedded.url) as client:
        client.incr("visits")
"""


@pytest.fixture(params=list(candidate_servers()), ids=lambda candidate: candidate[1])
def server_binary(request) -> ServerBinary:
    """Every server found on this machine."""
    path, kind = request.param
    return examine_server(path, kind=kind)


@pytest.fixture
def embedded(tmp_path, server_binary):
    embedded = EmbeddedRedis(tmp_path / "data", binary=server_binary)
    yield embedded
    embedded.stop()


class User:
    """Another process that uses the server."""

    def __init__(self, embedded: EmbeddedRedis, binary: ServerBinary, script: str = USER) -> None:
        self.process = subprocess.Popen(
            [sys.executable, "-c", script, str(embedded.directory), str(binary.path)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )

    def server_pid(self) -> int:
        return int(self.process.stdout.readline())

    def end(self) -> None:
        self.process.communicate()
        assert self.process.returncode == 0

    def kill(self) -> None:
        self.process.kill()
        self.process.communicate()


def put(embedded: EmbeddedRedis, name: str, value: str) -> None:
    with redis.Redis.from_url(embedded.url) as client:
        client.set(name, value)


def read(embedded: EmbeddedRedis, name: str) -> str:
    with redis.Redis.from_url(embedded.url, decode_responses=True) as client:
        return client.get(name)


def kill_server(embedded: EmbeddedRedis) -> None:
    with process_of(embedded.pid) as process:
        os.kill(embedded.pid, signal.SIGKILL)
        assert process.ends()


class process_of:  # noqa: N801 - reads as a phrase
    """A process, held by a descriptor that turns readable when it ends."""

    def __init__(self, pid: int) -> None:
        self.descriptor = os.pidfd_open(pid)

    def __enter__(self):
        return self

    def __exit__(self, *error) -> None:
        os.close(self.descriptor)

    def ends(self, within: float = 60) -> bool:
        return bool(select.select([self.descriptor], [], [], within)[0])

    def is_alive(self) -> bool:
        return not self.ends(within=0)
