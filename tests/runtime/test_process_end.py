"""What is buffered is sent, and the embedded Redis stops, before a process ends by itself."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from eventsys.runtime.embedded import EmbeddedRedis

PROGRAM = """
import multiprocessing, sys
from eventsys import EventService

events = EventService()

def publish():
    for number in range(300):
        events.publish_async("a.b", {"number": number})

if __name__ == "__main__":
    if sys.argv[1] == "here":
        publish()
    else:
        child = multiprocessing.get_context(sys.argv[1]).Process(target=publish)
        child.start()
        child.join()
"""


@pytest.mark.parametrize("where", ["here", "fork", "spawn"])
def test_a_process_that_ends_sends_its_buffer_and_leaves_no_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """In `multiprocessing`'s children too, as the workers of the `dramatiq` command are: they skip `atexit`."""
    for name in ("REDIS_URL", "EVENTSYS_REDIS_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("PYTHONPATH", str(Path(__file__).parents[2]))
    program = tmp_path / "program.py"
    program.write_text(PROGRAM)
    subprocess.run([sys.executable, str(program), where], cwd=tmp_path, check=True, timeout=110)
    assert not (tmp_path / ".eventsys" / "redis.sock").exists()
    with EmbeddedRedis(tmp_path / ".eventsys"):
        code = "from eventsys import EventService; print(EventService().get_metrics().total_events)"
        total = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=110, capture_output=True)
    assert total.stdout.strip() == b"300"
