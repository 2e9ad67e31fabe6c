"""What the search form of a page asks for, as a filter of the library."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from eventsys.model.misfits import misfits

T = TypeVar("T", bound=BaseModel)

_TIMES = frozenset({"start_time", "end_time"})
_WITH_ZONE = re.compile(r"(Z|[+-][0-9]{2}:?[0-9]{2})$", re.IGNORECASE)
_LISTS = frozenset({"types", "sources"})


def filter_from(model: type[T], asked: Mapping[str, str], **fixed: Any) -> tuple[T, str]:
    """Return the filter that was asked for, and why it cannot be; then the filter is one that asks for nothing.

    Args:
        model: What kind of filter.
        asked: The fields of the form. What is empty or no field of the filter is left out; several types or sources
            have commas between them; times that name no offset are UTC.
        **fixed: What the page decides.
    """
    given: dict[str, Any] = {}
    for name, value in asked.items():
        text = value.strip()
        if not text or name not in model.model_fields:
            continue
        if name == "ids":
            given[name] = [value]  # an id may have commas in it
        elif name in _LISTS:
            given[name] = [one.strip() for one in text.split(",") if one.strip()]
        elif name in _TIMES:
            given[name] = text if _WITH_ZONE.search(text) else f"{text}Z"
        else:
            given[name] = text
    try:
        return model(**{**given, **fixed}), ""
    except ValidationError as error:
        return model(**fixed), misfits(error)
