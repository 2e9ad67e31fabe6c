"""The table of modules in docs/architecture.md names each, and says of it what its own first line says."""

from __future__ import annotations

import ast
import re

from tests.quality.tree import ROOT, files

_PACKAGE = re.compile(r"\| \*\*(\w+)\*\* \| \| (.+) \|")
_MODULE = re.compile(r"\| \| `(\w+)` \| (.+) \|")


def rows() -> dict[tuple[str, ...], str]:
    """Return what the page says of each module, by its path; what folders within a package hold stands in one row."""
    found: dict[tuple[str, ...], str] = {}
    package = ""
    for line in (ROOT / "docs" / "architecture.md").read_text().splitlines():
        if named := _PACKAGE.fullmatch(line):
            package = named[1]
            found[(package,)] = named[2]
        elif named := _MODULE.fullmatch(line):
            found[package, named[1]] = named[2]
    return found


def first_lines() -> dict[tuple[str, ...], str]:
    """Return the first line of each module, by its path."""
    found: dict[tuple[str, ...], str] = {}
    for path in files("*.py", "eventsys"):
        *folders, name = path.relative_to(ROOT / "eventsys").with_suffix("").parts
        if len(folders) < 2 and name not in {"__init__", "__main__"}:
            text = ast.get_docstring(ast.parse(path.read_text())) or ""
            found[*folders, name] = text.partition("\n")[0].removesuffix(".")
    return found


def test_every_module_has_a_row_that_says_what_it_says_itself() -> None:
    said, own = rows(), first_lines()
    assert {path: said.get(path) for path in own} == own


def test_no_row_is_left_of_a_module_that_is_gone() -> None:
    packages = {path.parent.name for path in files("__init__.py", "eventsys")}
    known = first_lines()
    assert [path for path in rows() if path not in known and path[-1] not in packages] == []
