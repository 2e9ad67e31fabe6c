"""The code of docs/handlers.md, as a reader would put it together."""

from __future__ import annotations

import importlib
import re
from pathlib import Path

import pytest

from eventsys import EventService
from tests.quality.tree import ROOT

_CODE = re.compile(r"```python\n(.*?)```", re.DOTALL)


def test_the_application_of_the_page_on_handlers_declares_what_it_says(
    redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    page = (ROOT / "docs" / "handlers.md").read_text()
    (tmp_path / "handlers_of_the_page.py").write_text("\n".join(_CODE.findall(page)))
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("REDIS_URL", redis_url)
    application = importlib.import_module("handlers_of_the_page")
    events = application.events
    assert isinstance(events, EventService)
    assert {"review-large-orders", "charge"} <= set(events.broker.actors)
    assert events.publish(application.Order(id="o-1", amount=99.5, country="CH")).type == "order.placed"
