"""What commands print: tables that people read in a terminal, text for pipes, JSON for programs."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import typer

from eventsys.readable import many as many
from eventsys.readable import shown as shown
from eventsys.readable import span as span
from eventsys.readable import visible as visible

if TYPE_CHECKING:
    from pydantic import BaseModel
    from rich.table import Table

Model = TypeVar("Model", bound="BaseModel")

#: Colours of the words that say how something stands.
STYLES = {
    "delivered": "green", "succeeded": "green", "active": "green", "ok": "green",
    "pending": "cyan", "waiting": "cyan", "running": "cyan",
    "failed": "red", "dead": "red", "problem": "red", "open": "red", "timeout": "red",
    "expired": "yellow", "cancelled": "yellow", "paused": "yellow", "warning": "yellow", "unhosted": "yellow",
}  # fmt: skip


#: Letters that a column keeps before a table that is too wide for the terminal becomes a list of names and values.
_FOLDED = 22


class Column(NamedTuple):
    """One column of a table.

    Attributes:
        title: What stands above it.
        value: What it shows of a row.
        is_number: Whether it is set to the right.
        is_whole: Whether it is never broken into lines: what people copy.
    """

    title: str
    value: Callable[[Any], object]
    is_number: bool = False
    is_whole: bool = False


def masked(model: Model) -> Model:
    """Return a model as it may be shown: what the events in it call secret is masked."""
    from eventsys.model.masking import shown_model

    return shown_model(model)


def print_model(model: BaseModel, *, indent: int | None = None) -> None:
    """Print a model as JSON, masked, in one line unless indented; it reads back with `model_validate_json`."""
    typer.echo(_writable(masked(model).model_dump_json(indent=indent)))


def print_models(models: Iterable[BaseModel]) -> None:
    """Print models as a JSON array, masked, in one line."""
    typer.echo(_writable(f"[{','.join(masked(model).model_dump_json() for model in models)}]"))


def print_count(count: int, thing: str, done: str, *, of: str = "", dry_run: bool, as_json: bool) -> None:
    """Print how many things, of something, something was done to, or would be; as JSON a `BatchResult`."""
    if as_json:
        from eventsys.model.batch_result import BatchResult

        print_model(BatchResult(matched=count, changed=0 if dry_run else count))
    else:
        typer.echo(done_to(count, thing, done, of=of, dry_run=dry_run))


def done_to(count: int, thing: str, done: str, *, of: str = "", dry_run: bool = False) -> str:
    """Return what was done to so many things, or would be: `1 event was cancelled`, `2 events were cancelled`."""
    verb = "would be" if dry_run else "was" if count == 1 else "were"
    return f"{many(count, thing, f'{thing}s')}{of} {verb} {done}"


def print_table(columns: Sequence[Column], rows: Iterable[Any], *, caption: str = "") -> None:
    """Print rows: a table in a terminal, else lines of values between tabs, which `cut` and `awk` take apart.

    In a terminal, columns without any value are left out, and where the table would be too wide to be read, each row
    is printed as names and values below each other.

    Args:
        columns: What is shown of each row.
        rows: The rows, in order.
        caption: A line below the table; for people only.
    """
    texts = [[shown(column.value(row)) for column in columns] for row in rows]
    if not sys.stdout.isatty():
        typer.echo("\t".join(column.title for column in columns))
        for line in texts:
            typer.echo("\t".join(line))
        return
    _print_rich_table(columns, texts, caption)


def print_facts(facts: Iterable[tuple[str, object]]) -> None:
    """Print names and values below each other; what is None is left out."""
    lines = [(name, _fact(value)) for name, value in facts if value is not None]
    width = max((len(name) for name, _ in lines), default=0)
    for name, value in lines:
        typer.echo(f"{name:<{width}}  {value}")


def _fact(value: object) -> str:
    """Return a value as people read it; a time with its zone, which in a table the heading tells."""
    return f"{shown(value.astimezone(UTC))} UTC" if isinstance(value, datetime) else shown(value)


def _writable(text: str) -> str:
    """Return JSON that says the same, in letters that the output's encoding has."""
    if (sys.stdout.encoding or "utf-8").lower().replace("-", "") == "utf8":
        return text
    return "".join(one if one.isascii() else json.dumps(one)[1:-1] for one in text)


def _print_rich_table(columns: Sequence[Column], texts: list[list[str]], caption: str) -> None:
    from rich.console import Console
    from rich.text import Text

    console = Console()
    filled = [at for at in range(len(columns)) if not texts or any(line[at] not in {"", "-"} for line in texts)]
    columns = [columns[at] for at in filled]
    texts = [[line[at] for at in filled] for line in texts]
    if _least_width(columns, texts) <= console.width:
        console.print(_rich_table(columns, texts, caption))
        return
    width = max(len(column.title) for column in columns)
    for line in texts:
        for column, text in zip(columns, line, strict=True):
            if text not in {"", "-"}:
                told = Text.assemble((f"{column.title:<{width}}  ", "bold"), (text, STYLES.get(text, "")))
                console.print(told)
        console.print()
    if caption:
        console.print(Text(caption, style="dim italic"))


def _least_width(columns: Sequence[Column], texts: list[list[str]]) -> int:
    """Return how wide a table must be to be read: only what is longer than `_FOLDED` is broken into lines."""
    longest = [max(len(column.title), *(len(line[at]) for line in texts), 0) for at, column in enumerate(columns)]
    needed = [size if column.is_whole else min(size, _FOLDED) for column, size in zip(columns, longest, strict=True)]
    return sum(needed) + 3 * len(needed)


def _rich_table(columns: Sequence[Column], texts: list[list[str]], caption: str) -> Table:
    from rich.box import SIMPLE_HEAD
    from rich.console import JustifyMethod
    from rich.table import Table
    from rich.text import Text

    table = Table(box=SIMPLE_HEAD, caption=caption or None, caption_justify="left", pad_edge=False)
    for at, column in enumerate(columns):
        justify: JustifyMethod = "right" if column.is_number else "left"
        least = min(_FOLDED, max(len(column.title), *(len(line[at]) for line in texts), 0))
        table.add_column(
            column.title, justify=justify, overflow="fold", no_wrap=column.is_whole, min_width=least
        )  # fmt: skip
    for line in texts:
        table.add_row(*(Text(text, style=STYLES.get(text, "")) for text in line))
    return table
