"""Where to go on after the demo."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

_IN_ACTORS = """\
from actors.app import events

@events.on("user.login", name="hello.greet")
def greet(event):
    print("hello", event.payload["user_id"])
"""

_ALONE = """\
from eventsys import EventService

events = EventService()

@events.on("user.login", name="hello.greet")
def greet(event):
    print("hello", event.payload["user_id"])
"""


def first_steps(directory: Path) -> tuple[str, str, list[str]]:
    """Return where to put one's first handler, its text, and the commands that run it and give it something to do.

    Args:
        directory: The working directory: in a clone of the repository the handler goes beside the examples.
    """
    command = _called_as(directory)
    in_actors = (directory / "actors" / "app.py").is_file()
    file, text, module = ("actors/hello.py", _IN_ACTORS, "actors") if in_actors else ("hello.py", _ALONE, "hello")
    publish = f"""{command} publish user.login '{{"user_id": "12345"}}'"""
    return file, text, [f"{command} worker {module}", publish]


def _called_as(directory: Path) -> str:
    """Return how this command is typed here: by its name where the shell finds it, else by its path."""
    here = Path(sys.argv[0])
    if here.name != "eventsys":
        return f"{Path(sys.executable).name} -m eventsys"
    found = shutil.which("eventsys")
    if found is not None and Path(found).absolute() == here.absolute():
        return "eventsys"
    path = here.absolute()
    return str(path.relative_to(directory)) if path.is_relative_to(directory) else str(path)
