"""Values as people read them: in a terminal, and on a page."""

from __future__ import annotations

from datetime import datetime, timedelta

#: From here on three digits round to a thousand, which they would write as 1e+03.
_ROUNDED_UP = 999.5


def shown(value: object) -> str:
    """Return a value as people read it; nothing in it can move the cursor, colour the screen or begin a new line."""
    if value is None:
        return "-"
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    if isinstance(value, timedelta):
        return span(value)
    if isinstance(value, float):
        return f"{value:,.3g}" if abs(value) < _ROUNDED_UP else f"{value:,.0f}"
    if isinstance(value, int) and not isinstance(value, bool):
        return f"{value:,}"
    return visible(str(value))


def many(count: int, one: str, more: str) -> str:
    """Return a count with what it counts: `1 message waits`, `12 messages wait`."""
    return f"{count:,} {one if count == 1 else more}"


def visible(text: str) -> str:
    """Return `text` with everything that is not printable written as an escape."""
    if text.isprintable():
        return text  # nearly all there is, in a hundredth of the time
    return "".join(one if one.isprintable() else one.encode("unicode_escape").decode() for one in text)


def span(length: timedelta) -> str:
    """Return a length of time in its two largest units: `3 d 4 h`, `1.2 s`, `640 ms`."""
    seconds = length.total_seconds()
    sign, seconds = ("-", -seconds) if seconds < 0 else ("", seconds)
    if not seconds:
        return "0 s"
    if seconds < 0.001:
        return f"{sign}{seconds * 1e6:.0f} µs"
    if seconds * 1e3 < _ROUNDED_UP:
        return f"{sign}{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{sign}{seconds:.3g} s"
    units = (("d", 86_400), ("h", 3_600), ("m", 60), ("s", 1))
    left = round(seconds)
    parts: list[str] = []
    for unit, size in units:
        count, left = divmod(left, size)
        if count or parts:
            parts.append(f"{count} {unit}")
    return sign + " ".join(part for part in parts[:2] if not part.startswith("0 "))
