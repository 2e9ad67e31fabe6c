"""Errors as answers: a status for each, and problem details (RFC 9457) for programs."""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel, ConfigDict
from starlette.exceptions import HTTPException
from starlette.responses import JSONResponse

from eventsys.errors import (
    AlreadyFiredError,
    BackpressureError,
    BufferFullError,
    EventConflictError,
    EventsysError,
    NotFoundError,
    PartialPublishError,
    RedisUnavailableError,
    RedriveRefusedError,
    SettingsError,
    WaitTimeoutError,
)

MEDIA_TYPE = "application/problem+json"

#: What is said of requests that no route takes.
_ROUTING = {
    "Not Found": "there is nothing at this address; the API is below /api/v1, and /api/v1/openapi.json describes it",
    "Method Not Allowed": "this address is not asked like that; /api/v1/openapi.json tells how",
}

#: The first that fits counts. What the caller gave and cannot be is a ValueError, which comes last.
_STATUSES: tuple[tuple[type[EventsysError], int], ...] = (
    (NotFoundError, 404),
    (AlreadyFiredError, 409),
    (EventConflictError, 409),
    (PartialPublishError, 409),  # a request is one chunk, so it is an id that is taken
    (RedriveRefusedError, 409),
    (SettingsError, 501),
    (WaitTimeoutError, 504),
    (BackpressureError, 503),
    (BufferFullError, 503),
    (RedisUnavailableError, 503),
)


class Problem(BaseModel):
    """What went wrong, by RFC 9457."""

    model_config = ConfigDict(extra="allow")

    type: str = "about:blank"
    title: str
    status: int
    detail: str
    """One sentence, with the next step."""
    error: str | None = None
    """The class of the error, where the library raised it: `NotFoundError` and so on."""


def status_of(error: EventsysError) -> int:
    """Return the status that an error of the library answers with."""
    for kind, status in _STATUSES:
        if isinstance(error, kind):
            return status
    return 422 if isinstance(error, ValueError) else 500


def problem_of(error: Exception) -> tuple[int, str, dict[str, Any], dict[str, str]]:
    """Return status, sentence, facts and headers of the answer to an error."""
    if isinstance(error, EventsysError):
        status = status_of(error)
        facts = {name: _shown(value) for name, value in vars(error).items() if not name.startswith("_")}
        headers = {"retry-after": "2"} if status == 503 else {}
        return status, " ".join(str(error).split()), {"error": type(error).__name__, **facts}, headers
    if isinstance(error, RequestValidationError):
        faults = [
            {"where": ".".join(map(str, one["loc"])), "said": one["msg"].removeprefix("Value error, ")}
            for one in error.errors()
        ]
        said = "; ".join(f"{one['where']}: {one['said']}" for one in faults)
        return 422, f"the request does not fit: {said}", {"faults": faults}, {}
    if isinstance(error, UnicodeEncodeError):
        # JSON can name half of a letter, which no text has that is stored.
        return 422, "a text of the request has a lone surrogate; it must be valid Unicode", {}, {}
    if isinstance(error, HTTPException):
        return error.status_code, _ROUTING.get(str(error.detail), str(error.detail)), {}, dict(error.headers or {})
    return 500, "something went wrong here; the log of this server tells what", {}, {}


def problem_response(
    status: int, detail: str, facts: Mapping[str, Any] | None = None, headers: Mapping[str, str] | None = None
) -> JSONResponse:
    """Return the answer that tells of a problem."""
    content = {"type": "about:blank", "title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    return JSONResponse(
        {**content, **(facts or {})}, status_code=status, headers=dict(headers or {}), media_type=MEDIA_TYPE
    )


def _shown(value: Any) -> Any:
    """Return a fact of an error as JSON: what is no plain value is told by its id, or its number."""
    if isinstance(value, str | int | float | bool | None):
        return value
    if isinstance(value, list):
        return [getattr(one, "id", None) for one in value]
    return getattr(value, "id", None)
