"""The grammar of event type names: dotted lower-case segments."""

from __future__ import annotations

import re
from functools import lru_cache

from eventsys.errors import InvalidEventError

LONGEST_TYPE = 128
"""Letters a type name may have."""

_TYPE = re.compile(r"[a-z][a-z0-9_-]*(?:\.[a-z0-9_-]+)*")
_FORM = "types are dotted lower-case segments such as 'user.profile.updated'"


def check_event_type(text: str) -> str:
    """Return `text` if it is an event type name: `service.entity.action`, at most 128 characters.

    Segments consist of lower-case letters, digits, `_` and `-`; the first begins with a letter.

    Raises:
        InvalidEventError: If it is not; the message names the rule it breaks and a name that would do.
    """
    if not isinstance(text, str):
        raise InvalidEventError(f"an event type is text, not {type(text).__name__}; {_FORM}")
    return _checked(text)


# Only good names are remembered (an exception is not cached), so hostile input cannot fill the memory.
@lru_cache(maxsize=4096)
def _checked(text: str) -> str:
    if len(text) <= LONGEST_TYPE and _TYPE.fullmatch(text):
        return str(text)
    raise InvalidEventError(f"event type {text[:140]!r} {_fault(text)}; {_FORM}{_suggestion(text)}")


def _fault(text: str) -> str:
    if not text:
        return "is empty"
    if len(text) > LONGEST_TYPE:
        return f"has {len(text)} characters, more than {LONGEST_TYPE}"
    if "*" in text or "#" in text:
        return "is a pattern; wildcards are for subscriptions, an event has one exact type"
    if any(letter.isspace() for letter in text):
        return "has whitespace"
    if text.lower() != text:
        return "has upper-case letters"
    if ".." in text or text.startswith(".") or text.endswith("."):
        return "has an empty segment"
    if not ("a" <= text[0] <= "z"):
        return "does not begin with a letter"
    return "has characters other than a-z, 0-9, '_', '-' and '.'"


def _suggestion(text: str) -> str:
    words = re.sub(r"([a-z0-9])([A-Z])", r"\1_\2", text.strip()).lower()
    words = re.sub(r"[\s:/]+", ".", words)
    likely = ".".join(part for part in re.sub(r"[^a-z0-9_.-]", "", words).split(".") if part)
    if likely != text and len(likely) <= LONGEST_TYPE and _TYPE.fullmatch(likely):
        return f"; did you mean {likely!r}?"
    return ""


def is_system_type(event_type: str) -> bool:
    """Say whether events of a type tell of the system itself: `system`, or `system.` and more."""
    return event_type.partition(".")[0] == "system"
