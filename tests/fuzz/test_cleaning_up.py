"""A fuzzer ends without a word, and leaves no Redis behind."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from tests.fuzz.__main__ import _end_redis
from tests.fuzz.places import DIRECTORY, REDIS
from tests.support.supervised import is_gone

#: What a fuzzer's process comes to: a request, and no end of the interpreter. It prints the process of its Redis.
_ASKS_AND_IS_GONE = """
import os
from tests.fuzz import http
http._asker()
[pid] = [line.split(b":")[1] for line in http._asker()._events.broker.link.call("INFO", "server").splitlines()
         if line.startswith(b"process_id")]
os.write(1, pid)
os._exit(0)
"""


def test_the_redis_of_a_fuzzer_that_is_gone_is_ended(tmp_path: Path) -> None:
    environ = {**os.environ, DIRECTORY: str(tmp_path)}
    command = [sys.executable, "-c", _ASKS_AND_IS_GONE]
    pid = int(subprocess.run(command, env=environ, check=True, timeout=110, stdout=subprocess.PIPE).stdout)
    assert Path(f"/proc/{pid}").exists()
    _end_redis(tmp_path / REDIS)
    assert is_gone(pid)


def test_a_fuzzer_that_began_no_redis_gets_none(tmp_path: Path) -> None:
    _end_redis(tmp_path / REDIS)
    assert list(tmp_path.iterdir()) == []
