"""The first word on every new connection: whether the bus there is one that this version reads."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from eventsys.errors import SettingsError

from .keys import FORMAT, Keys


class BusFormatError(SettingsError):
    """A bus is stored as this version cannot read it."""


def greeting(keys: Keys) -> Callable[[Any], None]:
    """Return what introduces a new connection, and asks for the stored format of a bus.

    It has Redis answer once in any case: the kernel connects to a Redis that hangs, too. It is asked with each
    connection, since the bus may have been upgraded while this process ran.

    Args:
        keys: The keys of the bus.
    """

    def greet(connection: Any) -> None:
        connection.on_connect()
        connection.send_command("GET", keys.format)
        try:
            check_bus_format(connection.read_response())
        except BusFormatError:
            connection.disconnect()
            raise

    return greet


#: More digits than any number of a format will have.
_MOST_DIGITS = 9


def check_bus_format(stored: bytes | None) -> None:
    """Refuse a bus that a newer version wrote; one without a number is new.

    Raises:
        BusFormatError: If its number is newer than this version knows, or is none.
    """
    if stored is None:
        return
    if not stored.isdigit() or len(stored) > _MOST_DIGITS:
        raise BusFormatError("the stored format of this bus is no number; name another bus with EVENTSYS_NAME")
    if int(stored) > FORMAT:
        raise BusFormatError(
            f"this bus is stored in format {int(stored)} and this version reads up to {FORMAT}; upgrade eventsys in"
            " this process"
        )
