"""The number of a stored form: what a newer version wrote is refused, with what to do, before it is misread."""

from __future__ import annotations

from typing import Any

import msgspec

from eventsys.errors import SettingsError

FORMAT = 1
"""The format that rows without a number have, and the newest that this version reads."""


class _Numbered(msgspec.Struct):
    format: Any = FORMAT


_decode = msgspec.json.Decoder(_Numbered).decode


def check_format(text: str | bytes, what: str) -> None:
    """Refuse a stored row that a newer version wrote; what is no JSON object is left to whoever reads it.

    Args:
        text: The row, as JSON.
        what: What it is, for the error.

    Raises:
        SettingsError: If its `format` is newer than this version knows.
    """
    try:
        number = _decode(text).format
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return
    if type(number) is int and number > FORMAT:
        raise SettingsError(
            f"{what} is stored in format {number}, and this version of eventsys reads format {FORMAT} only; upgrade"
            " eventsys in this process to the version that wrote it"
        )
