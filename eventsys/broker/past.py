"""What an entry says of the attempts at its delivery before: counts and times, and nothing else."""

from __future__ import annotations

from typing import Any

import msgspec

#: The largest count that is believed.
_MOST = 2**31

#: The last millisecond that is a date.
LATEST_MS = 253_402_300_799_999

_LIMITS = {"retries": _MOST, "redrives": _MOST, "before": _MOST, "replay": _MOST, "first_ms": LATEST_MS}

_decode = msgspec.json.Decoder(dict[str, Any]).decode


def read_past(data: bytes) -> dict[str, Any]:
    """Return what an entry says of the attempts before.

    It is not signed, so whoever can write to Redis chooses it; and middleware takes some options of a message for
    messages to send. Whatever else stands there is left out.

    Raises:
        ValueError: If it is no JSON object, or one of them is no count or time.
    """
    said = _decode(data)
    past = {name: said[name] for name in _LIMITS if name in said}
    for name, value in past.items():
        if type(value) is not int or not 0 <= value <= _LIMITS[name]:
            raise ValueError(f"{name} of the attempts before is no number from 0 to {_LIMITS[name]}")
    return past
