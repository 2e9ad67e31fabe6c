"""What `from eventsys import ...` gives."""

from __future__ import annotations

import inspect

import eventsys


def test_every_public_name_can_be_imported() -> None:
    missing = [name for name in eventsys.__all__ if not hasattr(eventsys, name)]
    assert not missing


def test_no_public_name_is_listed_twice() -> None:
    assert len(set(eventsys.__all__)) == len(eventsys.__all__)


def test_every_public_class_and_function_says_what_it_is() -> None:
    public = {name: getattr(eventsys, name) for name in eventsys.__all__}
    named = {name: value for name, value in public.items() if inspect.isclass(value) or inspect.isroutine(value)}
    silent = [name for name, value in named.items() if not (value.__doc__ or "").strip()]
    assert not silent
