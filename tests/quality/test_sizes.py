"""Modules, scripts and functions short enough to be read at night."""

from __future__ import annotations

import ast
import statistics
from collections.abc import Iterator

from tests.quality.tree import files, shown

LONGEST_MODULE = 350
LONGEST_FUNCTION = 50
# Nine functions in ten fit on half a screen; the tenth may need more, up to LONGEST_FUNCTION.
USUAL_FUNCTION = 25

_FOLDERS = ("eventsys", "actors", "benchmarks", "tests")


def test_no_module_is_longer_than_350_lines() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in files("*.py", *_FOLDERS)}
    assert not {name: length for name, length in lengths.items() if length > LONGEST_MODULE}


def test_no_script_and_no_step_of_one_is_longer_than_350_lines() -> None:
    lengths = {shown(path): len(path.read_text().splitlines()) for path in files("*.lua", "eventsys/store/lua")}
    assert len(lengths) > 50
    assert not {name: length for name, length in lengths.items() if length > LONGEST_MODULE}


def test_no_function_is_longer_than_50_lines() -> None:
    """Counted from `def` to the last line, without the docstring: how much there is to follow."""
    too_long = [
        f"{shown(path)}:{line} {name} has {length} lines"
        for path in files("*.py", *_FOLDERS)
        for name, line, length in _functions(path.read_text())
        if length > LONGEST_FUNCTION
    ]
    assert not too_long


def test_nine_functions_of_the_library_in_ten_have_at_most_25_lines() -> None:
    lengths = [length for path in files("*.py", "eventsys") for _, _, length in _functions(path.read_text())]
    assert statistics.quantiles(lengths, n=10)[-1] <= USUAL_FUNCTION


def test_the_length_of_a_function_is_counted_from_def_to_its_last_line_without_its_docstring() -> None:
    source = "@decorated\ndef outer():\n    '''Doc.'''\n    async def inner():\n        pass\n    return inner\n"
    assert list(_functions(source)) == [("outer", 2, 4), ("inner", 4, 2)]


def _functions(source: str) -> Iterator[tuple[str, int, int]]:
    """Yield name, line and length of every function, methods and inner ones included."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            docstring = ast.get_docstring(node, clean=False)
            length = (node.end_lineno or node.lineno) - node.lineno + 1
            yield node.name, node.lineno, length - (docstring.count("\n") + 1 if docstring else 0)
