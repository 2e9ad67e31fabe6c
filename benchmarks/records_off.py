"""Switching records and indexes off: the flag behind `benchmarks.recording`, and nowhere else.

Three steps of the scripts are replaced by stand-ins from `benchmarks/unrecorded/`: an event only enters its lane, a
delivery only its queue, and an outcome is only counted. Everything else is the same code.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from eventsys.store import scripts

_STAND_INS = Path(__file__).parent / "unrecorded"

_composed = scripts._composed  # noqa: SLF001 - a flag of the library would be there for all


def switch_off() -> None:
    """Let this process's scripts keep no records, from now on."""
    scripts._composed = _without_records  # noqa: SLF001 - a flag of the library would be there for all
    scripts.script.cache_clear()


@contextmanager
def switched_off() -> Iterator[None]:
    """Let this process's scripts keep no records for a while."""
    switch_off()
    try:
        yield
    finally:
        scripts._composed = _composed  # noqa: SLF001 - a flag of the library would be there for all
        scripts.script.cache_clear()


def _without_records(name: str) -> str:
    text = _composed(name)
    for stand_in in _STAND_INS.glob("*.lua"):
        # A step begins with the comment that names it, and ends where the next one begins or the script goes on.
        recorded = (scripts._FOLDER / "includes" / stand_in.name).read_text()  # noqa: SLF001 - a flag of the library would be there for all
        # What it includes stands where it says so, or earlier in the script.
        *before, body = re.split(r"^-- include: \w+\n", recorded, flags=re.MULTILINE)
        if stand_in.stem not in text:
            continue
        if not all(part in text for part in [*before, body]):
            raise SystemExit(f"{name} does not hold {stand_in.name} as it is; adapt benchmarks/records_off.py")
        for part in filter(None, before):
            text = text.replace(part, "")
        text = text.replace(body, stand_in.read_text())
    return text
