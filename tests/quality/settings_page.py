"""The page docs/settings.md, made from the settings themselves: `python -m tests.quality.settings_page` writes it."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

from pydantic import BaseModel

from eventsys.model.durations import format_duration
from eventsys.settings import Settings
from tests.quality.tree import ROOT

PAGE = ROOT / "docs" / "settings.md"

_HEAD = """# Settings

Every setting is a keyword of `EventService` and a variable: `EventService(retention="7d")` and `EVENTSYS_RETENTION=7d`;
those of a group are `EventService(bus={"batch_size": 100})` and `EVENTSYS_BUS__BATCH_SIZE=100`. Keywords win over
variables. `eventsys settings` shows what is in force here, and where it comes from. Durations are written `500ms`,
`30s`, `10m`, `24h`, `7d`, or as a `timedelta`. What does not fit is refused with a sentence that names the setting; a
variable that is nearly one of these is warned of. `REDIS_URL` is read where `EVENTSYS_REDIS_URL` is not set.

This page is made from the settings themselves.
"""


def page() -> str:
    """Return the page."""
    meanings = _meanings()
    lines = [_HEAD, "| variable | default | |", "|---|---|---|"]
    groups = []
    for name, field in Settings.model_fields.items():
        if isinstance(field.default, BaseModel):
            groups.append((name, type(field.default)))
        else:
            lines.append(_row(f"EVENTSYS_{name.upper()}", field.default, meanings["Settings", name]))
    for group, kind in groups:
        lines += ["", f"## `{group}`", "", _doc(kind), "", "| variable | default | |", "|---|---|---|"]
        for name, field in kind.model_fields.items():
            variable = f"EVENTSYS_{group.upper()}__{name.upper()}"
            lines.append(_row(variable, field.default, meanings[kind.__name__, name]))
    return "\n".join(lines) + "\n"


def _row(variable: str, default: Any, meaning: str) -> str:
    return f"| `{variable}` | {_shown(default)} | {meaning} |"


def _shown(default: Any) -> str:
    if default is None:
        return "none"
    if isinstance(default, timedelta):
        return format_duration(default)
    return f"{default:,}" if type(default) is int else str(default).lower() if type(default) is bool else str(default)


def _doc(kind: type[BaseModel]) -> str:
    return " ".join((kind.__doc__ or "").split())


def _meanings() -> dict[tuple[str, str], str]:
    """Return what stands below each field, by the names of class and field."""
    found: dict[tuple[str, str], str] = {}
    tree = ast.parse((ROOT / "eventsys" / "settings.py").read_text())
    for kind in tree.body:
        if isinstance(kind, ast.ClassDef):
            found.update(((kind.name, name), text) for name, text in _meanings_of(kind))
    return found


def _meanings_of(kind: ast.ClassDef) -> Iterator[tuple[str, str]]:
    name = ""
    for line in kind.body:
        if isinstance(line, ast.AnnAssign) and isinstance(line.target, ast.Name):
            name = line.target.id
        elif isinstance(line, ast.Expr) and isinstance(line.value, ast.Constant) and name:
            yield name, " ".join(str(line.value.value).split())


if __name__ == "__main__":
    PAGE.write_text(page())
