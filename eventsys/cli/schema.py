"""`eventsys schema`: the event types of an application, and what changed about them."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventsys.cli.faults import FAILED, MISUSED, refuse, told_in_a_sentence
from eventsys.cli.options import AsJson, Debug
from eventsys.cli.printing import Column, print_model, print_table, visible
from eventsys.cli.worker import refuse_unknown

if TYPE_CHECKING:
    from eventsys.model.schema_changes import SchemaSet

schema = typer.Typer(help="Event types, and the schemas of their payloads.", no_args_is_help=True)

Modules = Annotated[
    list[str] | None,
    typer.Argument(metavar="MODULE...", help="Modules that register types; none: only built-in types."),
]
Older = Annotated[Path, typer.Argument(metavar="FILE", help="What `eventsys schema export` wrote before.")]

_COLUMNS = (
    Column("TYPE", lambda row: row[0], is_whole=True),
    Column("VERSION", lambda row: row[1].version, is_number=True),
    Column("MODEL", lambda row: row[1].payload.get("title", "")),
    Column("FIELDS", lambda row: ", ".join(row[1].payload.get("properties", {}))),
)


@schema.command("ls")
def list_types(modules: Modules = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """List the registered event types with the fields of their payloads."""
    with told_in_a_sentence(debug=debug):
        found = _schemas(modules or [])
        if as_json:
            print_model(found)
        else:
            print_table(_COLUMNS, found.types.items())


@schema.command("export")
def export_types(modules: Modules = None, debug: Debug = False) -> None:
    """Print all types with their JSON Schema, as a file to keep beside the code.

    For example: eventsys schema export actors > schemas.json
    """
    with told_in_a_sentence(debug=debug):
        print_model(_schemas(modules or []), indent=2)


@schema.command("diff")
def compare_types(older: Older, modules: Modules = None, as_json: AsJson = False, debug: Debug = False) -> None:
    """Say what changed since FILE was exported; end with 1 if something of it breaks publishers or handlers.

    What breaks is a type or field that is gone, a new required field, another kind of value, less that is allowed, or a
    difference that cannot be judged; so it is for what lies deeper, in lists, dictionaries and unions.

    A type whose version grew has announced that it breaks, and does not count.
    """
    with told_in_a_sentence(debug=debug):
        from eventsys.model.schema_changes import compare

        changes = compare(_read(older), _schemas(modules or []))
        if as_json:
            print_model(changes)
        else:
            for change in changes.changes:
                word = "breaks " if change.is_breaking else "changes"
                typer.echo(f"{word} {visible(change.type)} {visible(change.where)} {visible(change.said)}")
            if not changes.changes:
                typer.echo("nothing changed")
        if changes.is_breaking:
            raise typer.Exit(FAILED)


def _read(path: Path) -> SchemaSet:
    from pydantic import ValidationError

    from eventsys.model.schema_changes import SchemaSet

    try:
        return SchemaSet.model_validate_json(path.read_bytes())
    except OSError as error:
        refuse(f"{path} cannot be read: {error.strerror}; make one: eventsys schema export", MISUSED)
    except ValidationError as error:
        refuse(f"{path} is no export of schemas: {error.errors()[0]['msg']}; make one: eventsys schema export", MISUSED)


def _schemas(modules: list[str]) -> SchemaSet:
    from eventsys.model.catalog import Catalog
    from eventsys.model.schema_changes import SchemaSet, TypeSchema
    from eventsys.runtime.discovery import discover, find_service

    catalog = Catalog()
    if modules:
        refuse_unknown(modules)
        sys.path.insert(0, str(Path.cwd()))
        try:
            for module in modules:
                discover(module)
        except ModuleNotFoundError as error:
            refuse(f"there is no module {error.name!r} here or among the installed packages", MISUSED)
        catalog = find_service(modules).catalog
    types = {
        event_type: TypeSchema(version=catalog.version_for(event_type), payload=model.model_json_schema())
        for event_type, model in sorted(catalog.registered().items())
    }
    return SchemaSet(types=types)
