"""`eventsys settings`."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from typing import Any, NamedTuple

from eventsys.cli.faults import told_in_a_sentence
from eventsys.cli.options import AsJson, Debug, RedisUrl, use_redis
from eventsys.cli.printing import Column, print_model, print_table


class Setting(NamedTuple):
    """One setting as it is in force here."""

    name: str
    value: object
    origin: str
    variable: str


_COLUMNS = (
    Column("SETTING", lambda setting: setting.name),
    Column("VALUE", lambda setting: setting.value),
    Column("FROM", lambda setting: setting.origin),
    Column("VARIABLE", lambda setting: setting.variable, is_whole=True),
)


def settings(as_json: AsJson = False, redis_url: RedisUrl = None, debug: Debug = False) -> None:
    """Show every setting as it is in force here, where it comes from, and the variable that sets it.

    Passwords are never shown. Redis is not asked.
    """
    with told_in_a_sentence(debug=debug):
        use_redis(redis_url)
        from eventsys.settings import load_settings
        from eventsys.store.urls import shown_url

        given = load_settings()
        if as_json:
            print_model(given)
            return
        shown = shown_url(given.redis_url.get_secret_value()) if given.redis_url else "embedded in .eventsys/"
        print_table(_COLUMNS, _flat({**given.model_dump(), "redis_url": shown}))


def _flat(values: Mapping[str, Any], above: tuple[str, ...] = ()) -> Iterator[Setting]:
    for name, value in values.items():
        path = (*above, name)
        if isinstance(value, Mapping) and value:
            yield from _flat(value, path)
        else:
            variable = f"EVENTSYS_{'__'.join(path).upper()}"
            yield Setting(".".join(path), value, _origin(variable), variable)


def _origin(variable: str) -> str:
    if variable in os.environ:
        return variable
    if variable == "EVENTSYS_REDIS_URL" and "REDIS_URL" in os.environ:
        return "REDIS_URL"
    return "default"
