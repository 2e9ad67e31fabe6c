"""`eventsys version`."""

from __future__ import annotations

import json
import platform

import typer

from eventsys.cli.options import AsJson
from eventsys.version import __version__


def version(as_json: AsJson = False) -> None:
    """Print the version of eventsys, and of what it stands on."""
    from importlib.metadata import version as version_of

    versions = {
        "eventsys": __version__,
        "python": platform.python_version(),
        **{name: version_of(name) for name in ("dramatiq", "redis", "pydantic")},
    }
    if as_json:
        typer.echo(json.dumps(versions))
        return
    first, *others = [f"{name} {number}" for name, number in versions.items()]
    typer.echo(f"{first} ({', '.join(others)})")
