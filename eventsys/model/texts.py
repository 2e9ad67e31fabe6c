"""The texts of an event that its publisher words: source and headers, and how long they may be."""

from __future__ import annotations

from typing import Any

from eventsys.errors import InvalidEventError

LONGEST_SOURCE = 512
"""Characters a source may have, as many as an idempotency key: room for a URI, which CloudEvents wants it to be."""

MOST_HEADERS = 64
"""Headers that travel with an event."""

LONGEST_HEADER_NAME = 128
"""Characters the name of a header may have, as many as a type."""

LONGEST_HEADER = 8_192
"""Characters the value of a header may have: so much the W3C asks everybody to pass on of its longest, `baggage`."""

LONGEST_HEADERS = 16_384
"""Characters all of them may have with their names: at most 64 KiB, which every relay of CloudEvents has to pass on."""

SECRET_HEADER = "eventsys-secret"  # noqa: S105 - the name of a header
"""The header that names the secret fields of a payload: dotted, parted by commas."""

# What is put there by us. Whoever publishes must not be refused only because of a trace, or of where it is done.
_NOT_COUNTED = frozenset({SECRET_HEADER, "traceparent", "tracestate"})


def check_text(name: str, value: Any) -> str:
    """Return `value` if it is text that can be stored.

    Raises:
        InvalidEventError: If it cannot; the message calls it `name`.
    """
    if not isinstance(value, str):
        raise InvalidEventError(f"{name} is text, not {type(value).__name__}; use str(...)")
    if not value.isascii():
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidEventError(f"{name} {value[:80]!a} has a lone surrogate; it must be valid Unicode") from error
    return value


def check_source(value: Any) -> str:
    """Return `value` if it can be a source: text of at most 512 characters.

    Raises:
        InvalidEventError: If it cannot.
    """
    source = check_text("source", value)
    if len(source) > LONGEST_SOURCE:
        raise InvalidEventError(
            f"source has {len(source):,} characters, and may have at most {LONGEST_SOURCE}; name who publishes, and"
            " leave what it is about to the payload"
        )
    return source


def check_headers(headers: Any) -> dict[str, str]:
    """Return a copy of `headers` if they can travel with an event: a dictionary of texts within the limits above.

    Raises:
        InvalidEventError: If they cannot; the message names the header.
    """
    if not isinstance(headers, dict):
        raise InvalidEventError(f"headers are a dictionary of texts, not {type(headers).__name__}")
    counted = length = 0
    for name, value in headers.items():
        _check_header(name, value)
        if name not in _NOT_COUNTED:
            counted += 1
            length += len(name) + len(value)
    if counted > MOST_HEADERS:
        raise InvalidEventError(
            f"an event has {counted:,} headers, and may have at most {MOST_HEADERS}; move some into the payload"
        )
    if length > LONGEST_HEADERS:
        raise InvalidEventError(
            f"the headers of an event have {length:,} characters with their names, and may have at most"
            f" {LONGEST_HEADERS:,}; move the longest into the payload"
        )
    return dict(headers)


def _check_header(name: Any, value: Any) -> None:
    check_text("a header's name", name)
    if not 0 < len(name) <= LONGEST_HEADER_NAME:
        raise InvalidEventError(
            f"a header's name has {len(name):,} characters, and must have 1 to {LONGEST_HEADER_NAME}: {name[:40]!a}"
        )
    check_text(f"header {name!a}", value)
    if len(value) > LONGEST_HEADER:
        raise InvalidEventError(
            f"header {name!a} has {len(value):,} characters, and may have at most {LONGEST_HEADER:,}; move it into the"
            " payload"
        )
