"""`eventsys top` in a terminal, while Redis comes and goes."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

from tests.acceptance.terminal import Terminal
from tests.conftest import FreshRedis


def test_it_shows_an_outage_and_what_comes_after(fresh_redis: Callable[[], FreshRedis], tmp_path: Path) -> None:
    server = fresh_redis()
    top = Terminal("-m", "eventsys", "top", "--every", "0.3", "--redis-url", server.url, directory=tmp_path)
    try:
        top.sees("0 dead letters")
        server.kill()
        top.sees("no answer")
        top.sees("s ago; Redis does not answer")
        server.start()
        top.sees("0 dead letters")
        top.press_ctrl_c()
        assert top.end() == 0
    finally:
        top.kill()
