"""The Lua scripts: their text, composed once, and their names in Redis."""

from __future__ import annotations

import hashlib
import re
from functools import cache
from pathlib import Path

_FOLDER = Path(__file__).parent / "lua"
_INCLUDE = re.compile(r"^-- include: (\w+)$", re.MULTILINE)


class Script:
    """One atomic command.

    Attributes:
        name: The name of its file.
        text: What Redis runs: the file with its includes in place.
        sha: What Redis calls it.
        size: Bytes of `text`.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self.text = _composed(name)
        self.sha = hashlib.sha1(self.text.encode(), usedforsecurity=False).hexdigest()
        self.size = len(self.text)

    def __repr__(self) -> str:
        return f"Script({self.name})"


@cache
def script(name: str) -> Script:
    """Return the script in `lua/<name>.lua`."""
    return Script(name)


def script_names() -> list[str]:
    """Return the names of all scripts, in order."""
    return sorted(path.stem for path in _FOLDER.glob("*.lua"))


def _composed(name: str) -> str:
    placed: set[str] = set()

    def place(found: re.Match[str]) -> str:
        part = found.group(1)
        if part in placed:
            return ""
        placed.add(part)
        return _INCLUDE.sub(place, (_FOLDER / "includes" / f"{part}.lua").read_text())

    return _INCLUDE.sub(place, (_FOLDER / f"{name}.lua").read_text())
