"""Errors as whoever wrote a handler wants to read them."""

from __future__ import annotations

import logging
import traceback
from pathlib import Path

import dramatiq

#: Where frames lie that tell such a person nothing: this library's, Dramatiq's, and Python's own.
_MACHINERY = (
    str(Path(__file__).parents[1]),
    str(Path(dramatiq.__file__).parent),
    str(Path(logging.__file__).parents[1]),
    "<frozen importlib",
)
_LIBRARIES = ("site-packages", "dist-packages")


def readable_trace(error: BaseException) -> str:
    """Return an error, and those that led to it, with the frames of the application and of the libraries it uses."""
    told = traceback.TracebackException.from_exception(error)
    part: traceback.TracebackException | None = told
    while part is not None:
        part.stack = traceback.StackSummary.from_list([one for one in part.stack if _tells(one.filename)])
        part = part.__cause__ or part.__context__
    return "".join(told.format()).strip()


def _tells(filename: str) -> bool:
    if filename.startswith(_MACHINERY[:2]):
        return False
    return not filename.startswith(_MACHINERY) or any(place in filename for place in _LIBRARIES)
