"""The application `shop`."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
import redis

from tests.reload.shop import APP, HANDLER, Shop, use
from tests.support.services import Services


@pytest.fixture
def shop(tmp_path: Path, redis_url: str, redis_client: redis.Redis, monkeypatch: pytest.MonkeyPatch) -> Iterator[Shop]:
    """An application `shop` with one handler `ship`, not loaded yet."""
    services = Services(redis_url)
    use(services.make())
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setattr(sys, "dont_write_bytecode", sys.dont_write_bytecode)
    made = Shop(tmp_path, services)
    made.write("__init__.py", "import eventsys\neventsys.discover(__name__)\n")
    made.write("app.py", APP)
    made.write("orders.py", HANDLER.format(said="old"))
    yield made
    if made.reloader is not None:
        made.reloader.stop()
    services.close()
    for name in [name for name in sys.modules if name.partition(".")[0] in {"shop", "lib"}]:
        del sys.modules[name]
