"""Forms: what a page sends, with the token that only our own pages have."""

from __future__ import annotations

import hashlib
import hmac
import secrets
from typing import Annotated, NamedTuple
from urllib.parse import parse_qsl

from fastapi import Depends
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response

COOKIE = "eventsys_form"
FIELD = "form_token"

#: Fields that a form has at most.
_MOST_FIELDS = 1_000

_COOKIE_KEY = "eventsys.form_cookie"


class FormTokens:
    """Makes and checks the tokens of forms: each belongs to the cookie of one browser, and is signed by this process.

    A page of another site can have a browser send the cookie, and cannot know the token.
    """

    def __init__(self) -> None:
        self._secret = secrets.token_bytes(32)

    def token_of(self, cookie: str) -> str:
        """Return the token that belongs to a cookie."""
        return hmac.new(self._secret, cookie.encode(), hashlib.sha256).hexdigest()

    def fits(self, cookie: str | None, token: str | None) -> bool:
        """Say whether a token belongs to a cookie."""
        return bool(cookie) and hmac.compare_digest(self.token_of(cookie or "").encode(), (token or "").encode())


def token_for(request: Request) -> str:
    """Return the token for the forms of a page; `keep_cookie` gives the browser the cookie it belongs to."""
    cookie = request.cookies.get(COOKIE)
    if not cookie:
        cookie = request.scope.setdefault(_COOKIE_KEY, secrets.token_urlsafe(24))
    tokens: FormTokens = request.app.state.form_tokens
    return tokens.token_of(cookie)


def keep_cookie(request: Request, response: Response) -> None:
    """Have the browser keep the cookie of its forms, if it has none; no other site can have it sent."""
    made = request.scope.get(_COOKIE_KEY)
    if made:
        response.set_cookie(
            COOKIE, made, path=request.scope.get("root_path") or "/", httponly=True, samesite="strict",
            secure=request.url.scheme == "https",
        )  # fmt: skip


class Form(NamedTuple):
    """What a form of ours sent: its fields, of several of one name the last; and all of them in order."""

    fields: dict[str, str]
    pairs: list[tuple[str, str]]

    def text(self, name: str) -> str:
        """Return a field without the space around it; empty where it was not sent."""
        return self.fields.get(name, "").strip()

    def given(self, *names: str) -> dict[str, str]:
        """Return those of some fields that are not empty."""
        return {name: self.text(name) for name in names if self.text(name)}


async def form_of(request: Request) -> Form:
    """Return the form that was sent, if it was one of ours.

    Raises:
        HTTPException: 415 if it is no form, 403 if its token is not ours.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/x-www-form-urlencoded":
        raise HTTPException(415, "a page's form was expected; programs use the API below /api/v1")
    try:
        pairs = parse_qsl((await request.body()).decode(), keep_blank_values=True, max_num_fields=_MOST_FIELDS)
    except ValueError as error:
        raise HTTPException(422, "the form cannot be read") from error
    fields = dict(pairs)
    tokens: FormTokens = request.app.state.form_tokens
    if not tokens.fits(request.cookies.get(COOKIE), fields.pop(FIELD, None)):
        raise HTTPException(403, "this form is not, or no longer, one of this server; go back and load the page anew")
    return Form(fields, [pair for pair in pairs if pair[0] != FIELD])


OurForm = Annotated[Form, Depends(form_of)]
