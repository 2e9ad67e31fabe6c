"""The options that code gives beside a pattern, and those it leaves to the settings."""

from __future__ import annotations

from enum import Enum
from typing import Any

from pydantic import ValidationError

from eventsys.errors import EventsysError, InvalidDurationError, SubscriptionError
from eventsys.model.subscription import SubscriptionOptions


class Open(Enum):
    """Stands where a declaration leaves an option to the settings."""

    AS_SET = "as set"


#: What a declaration that says nothing has the settings decide.
AS_SET = Open.AS_SET


def declared_options(pattern: str, **given: Any) -> SubscriptionOptions:
    """Return the options that code gives beside the pattern.

    Raises:
        SubscriptionError: If one of them will not do. Or if the pattern is no text: a decorator without its parentheses
            gets the handler in its place, and would subscribe nothing.
        InvalidDurationError: If a duration is none, or too short to be kept.
        InvalidPatternError: If the filter is not in the language.
    """
    if not isinstance(pattern, str):
        raise SubscriptionError(
            f"{ascii(pattern)[:80]} stands where the pattern belongs; decorate with it: @events.on('user.login')"
        )
    try:
        return SubscriptionOptions(**{name: value for name, value in given.items() if value is not AS_SET})
    except ValidationError as error:
        faults = error.errors(include_url=False)
        first = faults[0]
        own = first.get("ctx", {}).get("error")
        if isinstance(own, InvalidDurationError):
            raise InvalidDurationError(f"{first['loc'][0]} will not do: {own}") from error
        if isinstance(own, EventsysError):
            raise own from error
        name, what = first["loc"][0], first["msg"].removeprefix("Value error, ")
        raise SubscriptionError(f"{name}={ascii(first['input'])[:80]} will not do: {what}") from error
