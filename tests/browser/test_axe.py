"""axe-core's checks of every page; they run where `EVENTSYS_TEST_AXE` names its file, as in CI."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from tests.browser.test_looks import LINKS, PLACES, open_place


@pytest.mark.parametrize("name", [*PLACES, *LINKS])
def test_axe_finds_nothing(shop_url: str, new_page: Callable[..., Any], name: str) -> None:
    page = new_page(theme="dark" if name < "e" else "light", bypass_csp=True)
    open_place(page, shop_url, name)
    page.evaluate(Path(os.environ["EVENTSYS_TEST_AXE"]).read_text())
    violations = page.evaluate("() => axe.run()")["violations"]
    assert not [f"{one['id']}: {one['help']}: {node['html'][:120]}" for one in violations for node in one["nodes"]]
