"""The command `eventsys new`."""

from __future__ import annotations

import shlex
from pathlib import Path
from typing import Annotated

import typer

from eventsys.cli.faults import told_in_a_sentence
from eventsys.cli.options import Debug

Directory = Annotated[Path, typer.Argument(metavar="DIR", help="Where to; it must be empty or not there yet.")]
Package = Annotated[str, typer.Option("--package", metavar="NAME", help="The package of handlers.")]


def new(directory: Directory, package: Package = "actors", debug: Debug = False) -> None:
    """Write a small working application into DIR: handlers, tests, Procfile, README.

    It runs as it is with `eventsys dev`, and its tests pass.
    """
    with told_in_a_sentence(debug=debug):
        from eventsys.cli.new.skeleton import write_application

        for path in write_application(directory, package):
            typer.echo(f"  {directory / path}")
        typer.echo(f"\nNext:\n  cd {shlex.quote(str(directory))}\n  eventsys dev {package}")
