"""How much of what came from outside a page has room for, so that it stays small whatever is stored."""

from __future__ import annotations

from collections.abc import Mapping

from markupsafe import escape

#: Bytes of one payload or traceback that a page shows, as they are sent: a `<` has four.
MOST_OF_ONE = 20_000

#: Bytes of all of them on one page; what else is on it has room for somewhat more, and 150 KiB are promised.
MOST_OF_ALL = 60_000

#: Letters of an error in a row of a table.
MOST_IN_A_ROW = 160


class Room:
    """What is left of the room on one page."""

    def __init__(self) -> None:
        self._left = MOST_OF_ALL

    def cut(self, text: str) -> str:
        """Return the beginning of a text that there is room for; the room is then taken."""
        most = min(MOST_OF_ONE, self._left)
        # No letter takes less than a byte, so what is behind cannot be shown in any case.
        fits = text[:most]
        size = size_of(fits)
        if size > most:
            fits, size = _beginning(fits, most)
        self._left -= size
        return fits

    def holds(self, text: str) -> bool:
        """Say whether there is room for the whole of a text; if so, the room is then taken."""
        size = size_of(text)
        if size > self._left:
            return False
        self._left -= size
        return True


def fitting(filled: Mapping[str, str]) -> tuple[dict[str, str], set[str]]:
    """Return what a form is filled in with, and which of its fields are left out because a page has no room for them.

    What is to be edited cannot be cut: whoever saved the beginning would lose the rest. The longest are left out first.

    Args:
        filled: What its fields would have.
    """
    room = Room()
    by_length = sorted(filled, key=lambda name: len(filled[name]))
    left_out = {name for name in by_length if not room.holds(filled[name])}
    return {name: text for name, text in filled.items() if name not in left_out}, left_out


def brief(text: str, most: int = MOST_IN_A_ROW) -> str:
    """Return the beginning of a text for a row, with three dots where that is not all."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def size_of(text: str) -> int:
    """Return how many bytes a text has on a page, as it is sent."""
    return len(str(escape(text)).encode("utf-8", "backslashreplace"))


def _beginning(text: str, most: int) -> tuple[str, int]:
    size = 0
    for at, letter in enumerate(text):
        grown = size + size_of(letter)
        if grown > most:
            return text[:at], size
        size = grown
    return text, size
