"""A package that takes a name from a module of its own which is called like that: `from .till import till`."""

from __future__ import annotations

import sys

import pytest

from tests.reload.shop import HANDLER, Shop

TILL = "from tests.reload.shop import current\ntill = current()\n"
PACKAGE = "import eventsys\nfrom .till import till\neventsys.discover(__name__)\n"
ORDERS = HANDLER.replace("from shop.app import events", "from shop import till as events")


@pytest.fixture
def shop(shop: Shop) -> Shop:
    """The application, whose handlers take the service from the package."""
    shop.write("till.py", TILL)
    shop.write("__init__.py", PACKAGE)
    shop.write("orders.py", ORDERS.format(said="old"))
    return shop


@pytest.mark.parametrize(("name", "text"), [("__init__.py", PACKAGE), ("till.py", TILL)], ids=["package", "module"])
def test_the_name_stays_what_the_package_took_whichever_file_is_saved(shop: Shop, name: str, text: str) -> None:
    reloader = shop.load()
    shop.write(name, text + "SAVED = True\n")
    assert reloader.look().problem == ""
    assert sys.modules["shop"].till is shop.events
    shop.write("orders.py", ORDERS.format(said="new"))
    assert reloader.look().problem == ""


@pytest.mark.parametrize("name", ["__init__.py", "till.py"])
def test_it_is_put_back_when_loading_fails(shop: Shop, name: str) -> None:
    reloader = shop.load()
    shop.write(name, "import no_such_module\n")
    assert "no_such_module" in reloader.look().problem
    assert sys.modules["shop"].till is shop.events


def test_a_module_that_is_put_back_is_the_one_its_package_has(shop: Shop) -> None:
    """The first of two was loaded, and bound, before the second could not be."""
    shop.write("words.py", "WORD = 'old'\n")
    shop.write("orders.py", "from shop.words import WORD\n" + ORDERS.format(said="old"))
    reloader = shop.load()
    words = sys.modules["shop.words"]
    shop.write("words.py", "SPELLING = 'new'\n")
    assert "WORD" in reloader.look().problem
    assert sys.modules["shop"].words is sys.modules["shop.words"] is words


def test_a_service_that_moves_from_its_module_into_the_package_is_there(shop: Shop) -> None:
    reloader = shop.load()
    shop.write("__init__.py", TILL + "import eventsys\neventsys.discover(__name__)\n")
    (shop.directory / "shop" / "till.py").unlink()
    assert reloader.look().problem == ""
    assert sys.modules["shop"].till is shop.events


def test_a_module_whose_file_is_gone_is_gone_from_its_package(shop: Shop) -> None:
    shop.write("words.py", "WORD = 'old'\n")
    reloader = shop.load()
    (shop.directory / "shop" / "words.py").unlink()
    assert reloader.look().problem == ""
    assert not hasattr(sys.modules["shop"], "words")
