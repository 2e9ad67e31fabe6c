"""How the API answers, and what it refuses to read."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel
from pydantic_core import to_json
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

from eventsys.dashboard.context import caller_of
from eventsys.model.masking import shown_model

#: What the form of a page can send; a fetch of another site can send it without asking first.
_FORM_TYPES = frozenset({"", "application/x-www-form-urlencoded", "multipart/form-data", "text/plain"})


def answer(model: BaseModel, status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """Return a model of the library as the answer, as it is written elsewhere, with secret fields masked."""
    return Response(shown_model(model).model_dump_json(), status, headers, "application/json")


def answer_all(models: Sequence[BaseModel] | Mapping[str, BaseModel], status: int = 200) -> Response:
    """Return several models as the answer: a list, or an object by name."""
    shown: Any
    if isinstance(models, Mapping):
        shown = {name: shown_model(one).model_dump(mode="json") for name, one in models.items()}
    else:
        shown = [shown_model(one).model_dump(mode="json") for one in models]
    return Response(to_json(shown), status, media_type="application/json")


def refuse_forms(request: Request) -> None:
    """Refuse a change that the form of any page could have sent.

    A browser adds the password of basic authentication by itself, also for a page of another site. What such a page
    cannot do is send a content type that forms do not have, or a bearer token.

    Raises:
        HTTPException: 415, if it is such a change.
    """
    if request.method in {"GET", "HEAD"} or caller_of(request).has_bearer:
        return
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind in _FORM_TYPES:
        raise HTTPException(415, "say Content-Type: application/json, also where there is nothing to send")
