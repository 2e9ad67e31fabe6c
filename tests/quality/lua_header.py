"""What the header of a Lua script promises, and what its body takes."""

from __future__ import annotations

import re
from dataclasses import dataclass

_HEADER = re.compile(r"\A--\[\[\n(?P<header>.*?)\n\]\]", re.DOTALL)
_COMMENT = re.compile(r"--\[\[.*?\]\]|--[^\n]*", re.DOTALL)
_ENTRY = re.compile(r"\s+(?P<first>\d+)(?P<rest>\.\.|\+)?(?P<last>\d+)?\s+\S")


@dataclass(frozen=True)
class Arguments:
    """The places of one section, KEYS or ARGV: the single ones, and where an open-ended rest begins."""

    places: frozenset[int]
    rest_from: int | None

    def has(self, place: int) -> bool:
        """Say whether the section describes this place."""
        return place in self.places or (self.rest_from is not None and place >= self.rest_from)


def faults(name: str, source: str) -> list[str]:
    """Return what is wrong with the header of the script `name` (without `.lua`); empty when nothing is.

    A header is a block comment at the very start: `name: purpose`, prose, then the sections KEYS, ARGV and RETURNS.
    An entry of KEYS or ARGV begins with its place: `2`, a range `2..5`, or an open end `2..` (also `2+`).
    """
    found = _HEADER.match(source)
    if found is None:
        return ["does not begin with a header comment"]
    header, body = found["header"], _COMMENT.sub("", source[found.end() :])
    wrong = [] if header.startswith(f"{name}: ") else [f"does not begin with '{name}: purpose'"]
    sections = _sections(header)
    wrong += [f"has no section {title}" for title in ("KEYS", "ARGV", "RETURNS") if title not in sections]
    for title in ("KEYS", "ARGV"):
        wrong += _undescribed(title, _arguments(sections.get(title, "")), body)
    return wrong


def include_faults(name: str, source: str) -> list[str]:
    """Return what is wrong with a step under `includes/`: it needs a purpose, and gets everything by parameter."""
    found = _HEADER.match(source)
    if found is None or not found["header"].startswith(f"{name}: "):
        return [f"does not begin with a header comment '{name}: purpose'"]
    body = _COMMENT.sub("", source[found.end() :])
    return [f"reads {title}; a step takes parameters" for title in ("KEYS", "ARGV") if re.search(rf"\b{title}\b", body)]


def _sections(header: str) -> dict[str, str]:
    """Cut a header at its titles: lines that begin with a word in capitals at the left edge."""
    parts = re.split(r"^([A-Z]{4,})\b", header, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def _arguments(section: str) -> Arguments:
    places: set[int] = set()
    rest_from = None
    for line in section.splitlines():
        entry = _ENTRY.match(line)
        if entry is None:
            continue
        first = int(entry["first"])
        places.update(range(first, int(entry["last"] or first) + 1))
        if entry["rest"] and not entry["last"]:
            rest_from = first
    return Arguments(frozenset(places), rest_from)


def _undescribed(title: str, described: Arguments, body: str) -> list[str]:
    taken = re.findall(rf"\b{title}\[([^\]]+)\]", body)
    wrong = [
        f"takes {title}[{place}], which the header does not describe"
        for place in sorted({int(place) for place in taken if place.strip().isdigit()})
        if not described.has(place)
    ]
    by_index = [place for place in taken if not place.strip().isdigit()]
    if by_index and described.rest_from is None:
        wrong.append(f"takes {title}[{by_index[0]}], but no entry of the header is open-ended, such as '3..'")
    return wrong
