"""What the log of a process says while Redis is away: seldom, and when it is over."""

from __future__ import annotations

import logging
import subprocess
import sys
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from eventsys.broker.silence import Silence
from eventsys.errors import RedisUnavailableError
from eventsys.runtime.plain_log import OutageFilter

_COMMAND = str(Path(sys.executable).with_name("eventsys"))


def _record(action: str, **more: str) -> logging.LogRecord:
    record = logging.LogRecord("any", logging.WARNING, "", 0, "no heartbeat: %s", ("away",), None)
    record.__dict__.update(action=action, **more)
    return record


def _told(seconds: range, action: str) -> list[int]:
    now = [0.0]
    seldom = OutageFilter(lambda: now[0])
    told = []
    for second in seconds:
        now[0] = float(second)
        if seldom.filter(_record(action)):
            told.append(second)
    return told


def test_a_wait_is_told_when_it_begins_as_it_doubles_and_every_minute() -> None:
    assert _told(range(300), "no_heartbeat") == [0, 1, 2, 4, 8, 16, 32, 64, 124, 184, 244]


def test_what_tells_of_a_message_is_never_left_out() -> None:
    assert _told(range(100), "commit_waits") == list(range(100))


def test_each_queue_and_each_thread_counts_for_itself() -> None:
    seldom = OutageFilter(lambda: 0.0)
    others = [_record("consumer_waits", queue="a"), _record("consumer_waits", queue="b"), _record("poller_waits")]
    assert [seldom.filter(one) for one in [*others, *others]] == [True] * 3 + [False] * 3


def test_the_next_outage_is_told_at_once() -> None:
    now = [0.0]
    seldom = OutageFilter(lambda: now[0])
    assert [seldom.filter(_record("poller_waits")) for _ in range(2)] == [True, False]
    seldom.filter(_record("redis_answers"))
    assert [seldom.filter(_record("poller_waits")) for _ in range(2)] == [True, False]
    now[0] = 16.0
    assert seldom.filter(_record("poller_waits")), "nothing was heard of it for a quarter of a minute"


def test_a_heartbeat_that_comes_again_is_told_once(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(caplog.handler, "filters", [])  # a command that another test called may have left one
    silence = Silence()
    with silence.told("me"):
        assert caplog.messages == []
    for _ in range(2):
        with silence.told("me"):
            raise RedisUnavailableError("away")
    for _ in range(2):
        with silence.told("me"):
            pass
    assert [message.partition(",")[0] for message in caplog.messages] == [
        "no heartbeat: away", "no heartbeat: away", "Redis answers again",
    ]  # fmt: skip


def test_a_worker_that_begins_without_redis_says_so_seldom(tmp_path: Path) -> None:
    """It tries twice a second, and its third line comes two seconds after the first."""
    (tmp_path / "shop.py").write_text("from eventsys import EventService\nevents = EventService()\n")
    url = f"unix://{tmp_path / 'no.sock'}"
    command = [_COMMAND, "worker", "shop", "-p", "1", "--redis-url", url]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.PIPE, text=True) as process:
        assert process.stderr is not None
        waits = (line for line in process.stderr if "this worker waits for Redis" in line)
        moments = [datetime.strptime(next(waits)[:23], "%Y-%m-%d %H:%M:%S,%f") for _ in range(3)]  # noqa: DTZ007
        process.terminate()
    assert moments[2] - moments[0] >= timedelta(seconds=1.9)
