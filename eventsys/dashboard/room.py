"""How much of what came from outside a page has room for, so that it stays small whatever is stored."""

from __future__ import annotations

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
        size = _size(fits)
        if size > most:
            fits, size = _beginning(fits, most)
        self._left -= size
        return fits


def brief(text: str, most: int = MOST_IN_A_ROW) -> str:
    """Return the beginning of a text for a row, with three dots where that is not all."""
    return text if len(text) <= most else f"{text[: most - 1]}…"


def _size(text: str) -> int:
    return len(str(escape(text)).encode("utf-8", "backslashreplace"))


def _beginning(text: str, most: int) -> tuple[str, int]:
    size = 0
    for at, letter in enumerate(text):
        grown = size + _size(letter)
        if grown > most:
            return text[:at], size
        size = grown
    return text, size
