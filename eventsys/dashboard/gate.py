"""The gate: what every request passes before any route sees it, and what every answer carries."""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

from starlette.datastructures import MutableHeaders
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from eventsys.dashboard.access import Access, Caller, Role, is_local
from eventsys.dashboard.origins import is_allowed, is_own_page
from eventsys.dashboard.problems import problem_response
from eventsys.dashboard.rate_limit import RateLimit

logger = logging.getLogger(__name__)

#: Bytes that a request may have: four of the largest payloads, as a batch.
MOST_BYTES = 1024 * 1024

#: Digits of a length that is looked at as a number: Python refuses to read one of thousands.
_MOST_DIGITS = 20

#: Seconds in which a request must have arrived whole.
ARRIVES_WITHIN_S = 30.0

#: Requests a second of one role at one address, and at once; wrong credentials a second of one address, and at once.
USUAL_RATE, USUAL_BURST = 100.0, 400
GUESS_RATE, GUESS_BURST = 0.1, 10

#: Lines a second that the log has for the refusals of one status, and at once: whoever has no token must not fill it.
TOLD_RATE, TOLD_BURST = 1.0, 30

#: The key of a request's scope under which its `Caller` is found.
CALLER = "eventsys.caller"

#: What only looks, by the rules of HTTP; all else changes something.
_LOOKING = frozenset({"GET", "HEAD", "OPTIONS"})

_HEADERS = {
    "content-security-policy": (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self';"
        " form-action 'self'; frame-ancestors 'none'; base-uri 'none'"
    ),
    "x-content-type-options": "nosniff",
    "x-frame-options": "DENY",
    # Not `no-referrer`: with that, browsers say `Origin: null` for our own forms.
    "referrer-policy": "same-origin",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
}


class _Refusal(NamedTuple):
    status: int
    detail: str
    headers: dict[str, str] = {}  # noqa: RUF012 - never changed


class Gate:
    """Lets requests in by one policy, whatever route they are for: unknown routes and static files too.

    In this order: the name it asks for, who asks, how often they do, whether they may change something, and whether
    what they send is small and here in time.

    Behind a proxy all have one address, so nothing that anybody can do without credentials may keep those out who have
    them. Who proves nothing is refused, at no more cost by 401 than by 429, and takes from nobody's count; wrong
    credentials are limited by address, and right ones are let in whatever was guessed before. What protects a token is
    therefore that it is long and random (`access.SHORTEST_TOKEN`), and not how often somebody may guess.

    Args:
        app: What is behind it.
        access: Who may come in.
        names: What a `Host` header may name.
        monotonic: Seconds that only grow.
    """

    def __init__(self, app: ASGIApp, access: Access, names: frozenset[str], monotonic: Callable[[], float]) -> None:
        self._app = app
        self._access = access
        self._names = names
        # By what was proved, None for probes: as they prove nothing, anybody behind a proxy here could ask like one.
        self._rates = {proved: RateLimit(USUAL_RATE, USUAL_BURST, monotonic) for proved in (*Role, None)}
        self._guesses = RateLimit(GUESS_RATE, GUESS_BURST, monotonic)
        self._told = RateLimit(TOLD_RATE, TOLD_BURST, monotonic)
        self._untold: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request."""
        if scope["type"] == "lifespan":
            await self._app(scope, receive, send)
            return
        if scope["type"] != "http":
            await send({"type": "websocket.close", "code": 1008})
            return
        guarded = _with_headers(send)
        caller = self._judge(scope)
        if isinstance(caller, Caller):
            scope = {**scope, CALLER: caller}
            body = await _body(scope, receive)
            if isinstance(body, bytes):
                await self._app(scope, _replayed(body, receive), guarded)
                return
            caller = body
        self._tell(caller)
        response = problem_response(caller.status, caller.detail, headers=caller.headers)
        await response(scope, receive, guarded)

    def _tell(self, refusal: _Refusal) -> None:
        status = refusal.status
        if not self._told.allows(str(status)):
            self._untold[status] += 1
            return
        untold = self._untold.pop(status, 0)
        before = f" (and before it {untold} more by {status})" if untold else ""
        logger.warning(
            "a request was refused: %s%s", refusal.detail, before, extra={"action": "refused", "status": status}
        )

    def _judge(self, scope: Scope) -> Caller | _Refusal:
        if not scope["query_string"].isascii():
            # Whoever reads the address of a request later expects what a URL may have, as RFC 3986 says.
            return _Refusal(400, "an address has ASCII characters only; others are percent-encoded")
        hosts = _values(scope, b"host")
        if not is_allowed(hosts, self._names):
            return _Refusal(421, "this server does not answer to that name; whoever starts it can allow it")
        caller = self._caller(scope, _address(scope))
        if isinstance(caller, _Refusal) or scope["method"] in _LOOKING:
            return caller
        if not is_own_page(_values(scope, b"origin"), _values(scope, b"sec-fetch-site"), hosts[0]):
            return _Refusal(403, "the page that sent this is none of this server")
        if self._access.read_only:
            return _Refusal(403, "this dashboard is read-only")
        if caller.role is not Role.OPERATOR:
            return _Refusal(403, f"a {caller.role.value} may look, and not change anything")
        return caller

    def _caller(self, scope: Scope, address: str | None) -> Caller | _Refusal:
        if is_local(address) and scope["method"] in _LOOKING and _path(scope) == "/healthz":
            return self._paced(Caller(Role.VIEWER, "probe", address or "unix"), proved=None)
        authorizations = _values(scope, b"authorization")
        caller = self._access.caller_of(authorizations, address)
        if caller is not None:
            return self._paced(caller, proved=caller.role)
        if not self._access.needs_token:
            return _Refusal(403, "without a token only the machine that runs this may ask; set EVENTSYS_WEB_TOKEN")
        # A browser that has no token yet asks without one first: 429 would keep it from asking its user.
        if authorizations and not self._guesses.allows(address or "unix"):
            return _Refusal(429, "too many wrong credentials from this address; wait a minute", {"retry-after": "60"})
        challenge = {"www-authenticate": 'Basic realm="eventsys", charset="UTF-8"'}
        return _Refusal(401, "a token is needed, as a bearer token or as a password", challenge)

    def _paced(self, caller: Caller, proved: Role | None) -> Caller | _Refusal:
        if self._rates[proved].allows(caller.address):
            return caller
        return _Refusal(429, "too many requests from this address; wait a second", {"retry-after": "1"})


def _with_headers(send: Send) -> Send:
    async def send_with_headers(message: Message) -> None:
        if message["type"] == "http.response.start":
            headers = MutableHeaders(scope=message)
            for name, value in _HEADERS.items():
                headers[name] = value
            headers.setdefault("cache-control", "no-store")
        await send(message)

    return send_with_headers


async def _body(scope: Scope, receive: Receive) -> bytes | _Refusal:
    """Return the whole body, or why it is refused."""
    length = _values(scope, b"content-length")
    if any(not one.isdigit() or len(one) > _MOST_DIGITS or int(one) > MOST_BYTES for one in length):
        return _too_large()
    if any(one.lower() != b"identity" for one in _values(scope, b"content-encoding")):
        return _Refusal(415, "what is sent must not be compressed")
    body = bytearray()
    try:
        async with asyncio.timeout(ARRIVES_WITHIN_S):
            more = True
            while more:
                message = await receive()
                if message["type"] != "http.request":
                    return _Refusal(400, "the request broke off")
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > MOST_BYTES:
                    return _too_large()
    except TimeoutError:
        return _Refusal(408, f"the request did not arrive within {ARRIVES_WITHIN_S:.0f} s")
    return bytes(body)


def _too_large() -> _Refusal:
    return _Refusal(413, f"a request has at most {MOST_BYTES:,} bytes")


def _replayed(body: bytes, receive: Receive) -> Receive:
    """Return a channel that gives the body that was read, and then what comes after it."""
    given = False

    async def receive_again() -> Message:
        nonlocal given
        if given:
            return await receive()
        given = True
        return {"type": "http.request", "body": body, "more_body": False}

    return receive_again


def _values(scope: Scope, name: bytes) -> Sequence[bytes]:
    return [value for key, value in scope["headers"] if key.lower() == name]


def _address(scope: Scope) -> str | None:
    client: Any = scope.get("client")
    return str(client[0]) if client else None


def _path(scope: Scope) -> str:
    """Return the path below the one where this is mounted."""
    path, root = str(scope["path"]), str(scope.get("root_path", ""))
    return path[len(root) :] if root and path.startswith(f"{root}/") else path
