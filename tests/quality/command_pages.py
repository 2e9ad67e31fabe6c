"""The pages of docs/commands, one a command or family: `python -m tests.quality.command_pages` writes them.

They are what Typer itself says of the commands, so they are never out of date: a test compares them.
"""

from __future__ import annotations

import typer
from typer.cli import get_docs_for_click
from typer.main import get_command

from eventsys.cli.commands import app
from eventsys.cli.examples import EXAMPLES
from tests.quality.tree import ROOT

FOLDER = ROOT / "docs" / "commands"


def pages() -> dict[str, str]:
    """Return the text of every page by the name of its file."""
    root = get_command(app)
    found = {}
    for name, command in root.commands.items():  # type: ignore[attr-defined]
        text = get_docs_for_click(obj=command, ctx=typer.Context(root), name=name, call_prefix="eventsys")
        found[f"{name}.md"] = _fenced(text).strip() + "\n"
    lines = [f"- [`eventsys {name}`]({name}.md): {_first(command.help)}" for name, command in root.commands.items()]  # type: ignore[attr-defined]
    found["README.md"] = "# Commands\n\nEach page is made from the command itself.\n\n" + "\n".join(lines) + "\n"
    return found


def _fenced(text: str) -> str:
    """Return a page whose examples stand together, as what is typed."""
    for examples in EXAMPLES.values():
        paragraphs = "\n\n".join(examples)
        for word in ("Example", "Examples"):
            fenced = "\n".join(f"$ {one}" for one in examples)
            text = text.replace(f"{word}:\n\n{paragraphs}\n\n", f"**{word}**:\n\n```console\n{fenced}\n```\n\n")
    return text


def _first(text: str | None) -> str:
    return (text or "").strip().splitlines()[0]


if __name__ == "__main__":
    FOLDER.mkdir(exist_ok=True)
    for stale in FOLDER.glob("*.md"):
        stale.unlink()
    for name, text in pages().items():
        (FOLDER / name).write_text(text)
