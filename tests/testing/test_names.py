"""What `from eventsys.testing import ...` gives."""

from __future__ import annotations

import inspect

import pytest

import eventsys.testing


@pytest.mark.parametrize("name", eventsys.testing.__all__)
def test_every_public_name_is_there_and_says_what_it_is(name: str) -> None:
    value = getattr(eventsys.testing, name)
    assert inspect.getdoc(value)
    if inspect.isclass(value):
        public = [one for one in vars(value) if not one.startswith("_") and callable(getattr(value, one))]
        assert [one for one in public if not inspect.getdoc(getattr(value, one))] == []


def test_an_unknown_name_is_no_attribute() -> None:
    with pytest.raises(AttributeError, match="no attribute 'Harness'"):
        _ = eventsys.testing.Harness
