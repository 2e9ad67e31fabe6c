"""Real Redis servers for the tests."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import redis
from hypothesis import settings

from eventsys import EventService
from eventsys.broker.attempt import current_attempt, enter_attempt, leave_attempt
from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.file_lock import FileLock
from eventsys.runtime.server_binary import ServerBinary
from eventsys.store import delayed_listing, history
from eventsys.testing import EventHarness, SessionRedis, server_for_tests
from tests.browser.serving import chromium

#: The URL of a service that must not reach any Redis but that of its harness.
NOWHERE = "redis://127.0.0.1:1/0"

pytest_plugins = ["tests.support.fixtures"]

# How long an example takes says how busy the machine is, and nothing of what is tested.
settings.register_profile("eventsys", deadline=None)
settings.load_profile("eventsys")
EventService.wait.__defaults__ = ("120s",)  # nor does how long a delivery takes


def pytest_report_header() -> str | None:
    """Say what this machine cannot run."""
    if chromium() or os.environ.get("CI"):
        return None
    return "left out: tests/browser, which need Debian's chromium on the PATH"


class FreshRedis:
    """A test's own server, which it may kill and start again."""

    def __init__(self, directory: Path, binary: ServerBinary) -> None:
        # With everysec Redis holds back what it has accepted while the disk is behind, and a kill loses it.
        self.embedded = EmbeddedRedis(directory, binary=binary, appendfsync="always")

    @property
    def url(self) -> str:
        return self.embedded.url

    @property
    def pid(self) -> int:
        return self.embedded.pid

    def start(self) -> str:
        """Start it, or start it again with the data it had."""
        return self.embedded.ensure()

    def kill(self) -> None:
        """End it with SIGKILL, and return when it is dead."""
        os.kill(self.pid, signal.SIGKILL)
        with FileLock(self.embedded.directory / "server.lock").taken():
            pass

    def stop(self) -> None:
        self.embedded.stop()


@pytest.fixture(scope="session", autouse=True)
def signals_are_heard() -> None:
    """Hear SIGINT and SIGHUP, in the commands that tests start too: background jobs and `nohup` ignore them."""
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.fixture(autouse=True)
def scans_take_their_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let no look through events be cut short because the machine is busy; tests of that say when."""
    monkeypatch.setattr(history, "LONGEST_SCAN_MS", 60_000)
    monkeypatch.setattr(delayed_listing, "LONGEST_SCAN_S", 60.0)


@pytest.fixture(autouse=True)
def no_attempt_is_left_open() -> Iterator[None]:
    """Fail the test that leaves an attempt open: what the tests after it publish would wait for that to commit."""
    token = enter_attempt(None)
    yield
    left = current_attempt()
    leave_attempt(token)
    assert left is None, f"the test left the attempt at {left.message_id!r} open"


@pytest.fixture(scope="session")
def server_binary() -> ServerBinary:
    """The server the tests run on: EVENTSYS_TEST_REDIS if set to a path, else the one eventsys finds."""
    return server_for_tests()


@pytest.fixture(scope="session")
def redis_url(server_binary: ServerBinary, tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The URL of one server for the whole session."""
    with EmbeddedRedis(tmp_path_factory.mktemp("redis") / "data", binary=server_binary) as embedded:
        yield embedded.url


@pytest.fixture(scope="session")
def harness_redis(server_binary: ServerBinary) -> Iterator[SessionRedis]:
    """The server of all harnesses of the session."""
    with SessionRedis(server_binary) as redis_of_harnesses:
        yield redis_of_harnesses


@pytest.fixture
def harness(harness_redis: SessionRedis) -> Iterator[EventHarness]:
    """A service of the test's own, `harness.events`, under a clock the test turns."""
    with EventHarness(EventService(redis_url=NOWHERE, app="tests"), redis=harness_redis) as made:
        yield made


@pytest.fixture
def redis_client(redis_url: str) -> Iterator[redis.Redis]:
    """A client of the session's server, emptied before the test."""
    # It waits for as long as a test says, and not for the client's own five seconds.
    with redis.Redis.from_url(redis_url, socket_timeout=None) as client:
        client.flushall()
        yield client


@pytest.fixture
def fresh_redis(server_binary: ServerBinary, tmp_path: Path) -> Iterator[Callable[[], FreshRedis]]:
    """Start servers of the test's own: `fresh_redis()` returns a running one."""
    servers: list[FreshRedis] = []

    def start() -> FreshRedis:
        server = FreshRedis(tmp_path / f"redis-{len(servers)}", server_binary)
        servers.append(server)
        server.start()
        return server

    yield start
    for server in servers:
        server.stop()
