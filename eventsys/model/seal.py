"""Signatures of what is stored, by which a process knows that somebody with a key wrote it.

A signed text is a JSON object with one field more, its last: `"signature":"<name of the key>:<base64url>"`. It is the
HMAC-SHA256 of everything before that field, behind the kind of the text and the name of the bus: what was signed as one
thing, or on one bus, is nothing elsewhere. Whoever does not ask for signatures reads the object as it is.
"""

from __future__ import annotations

import hmac
import re
from base64 import urlsafe_b64encode
from collections.abc import Sequence
from typing import Any, TypeVar

from eventsys.errors import BadSignatureError
from eventsys.model.keyring import SecretKey

EVENT, MESSAGE, CRON_TASK, CRON_LINE = "event", "message", "cron task", "cron task line"

_FIELD = ',"signature":"'
_END = re.compile(r',"signature":"([A-Za-z0-9_-]{1,32}):([A-Za-z0-9_-]{43})"\}\Z')
_END_BYTES = re.compile(_END.pattern.encode())

#: Letters of the longest end that a signed text can have.
_LONGEST_END = len(_FIELD) + 32 + 1 + 43 + 2

T = TypeVar("T")


class Seal:
    """Signs with the first of some keys, and believes all of them.

    Args:
        keys: The keys, at least one.
        bus: The name of the bus.
    """

    def __init__(self, keys: Sequence[SecretKey], bus: str) -> None:
        self._signs = keys[0]
        self._secrets = {key.name: key.secret for key in keys}
        kinds = (EVENT, MESSAGE, CRON_TASK, CRON_LINE)
        self._domains = {kind: f"eventsys 1\0{bus}\0{kind}\0".encode() for kind in kinds}

    def signed(self, kind: str, text: str) -> str:
        """Return a text with its signature.

        Args:
            kind: What it is: a signed event is no message.
            text: A JSON object that is not empty.

        Raises:
            BadSignatureError: If it is no JSON object, as where messages have an encoder of their own.
        """
        if text[-1:] != "}":
            raise BadSignatureError(f"a {kind} cannot be signed, since it is no JSON object; use the JSON encoder")
        body = text[:-1]
        name, secret = self._signs
        return f'{body}{_FIELD}{name}:{self._tag(kind, secret, body)}"}}'

    def body_of(self, kind: str, text: str) -> str:
        """Return a signed text without its signature, as it was before.

        Raises:
            BadSignatureError: As `check`.
        """
        return f"{self.check(kind, text)}}}"

    def check(self, kind: str, text: str) -> str:
        """Return what was signed of a text: all before its signature.

        Raises:
            BadSignatureError: If it is not signed, not by a key known here, or not as it was.
        """
        body, name, tag = _parts(text)
        if name is None or tag is None:
            raise BadSignatureError(f"this {kind} is not signed, and signing_keys asks for that")
        secret = self._secrets.get(name)
        if secret is None:
            raise BadSignatureError(f"this {kind} is signed with the key {name!r}, which signing_keys does not list")
        if not hmac.compare_digest(tag, self._tag(kind, secret, body)):
            raise BadSignatureError(f"this {kind} is not what was signed with the key {name!r}")
        return body

    @property
    def has_older_keys(self) -> bool:
        """Whether there are keys that are believed, and do not sign any more."""
        return len(self._secrets) > 1

    def is_by_older_key(self, text: str) -> bool:
        """Say whether a text names another key than the first as the one that signed it, rightly or not."""
        name = _parts(text)[1]
        return name is not None and name != self._signs.name

    def signed_step(self, step: T) -> T:
        """Return a step with every event and message in it signed, wherever they stand in it.

        It knows those by their form; see `store/steps.py`. What is signed already is left as it is.
        """
        return self._signed_part(step)  # type: ignore[no-any-return]

    def _signed_part(self, part: Any) -> Any:
        if isinstance(part, dict):
            return {name: self._signed_part(one) for name, one in part.items()}
        if isinstance(part, list):
            return [self._signed_part(one) for one in part]
        if not isinstance(part, tuple) or not part:
            return part
        if part[0] == "event" and len(part) >= 8 and isinstance(part[4], str):
            return (*part[:4], self._signed_once(EVENT, part[4]), *part[5:])
        if part[0] == "message" and len(part) == 4 and list(part[3][:1]) == ["m"]:
            return (*part[:3], ["m", self._signed_once(MESSAGE, part[3][1]), *part[3][2:]])
        return tuple(self._signed_part(one) for one in part)

    def _signed_once(self, kind: str, text: str) -> str:
        return text if _parts(text)[1] is not None else self.signed(kind, text)

    def _tag(self, kind: str, secret: bytes, body: str) -> str:
        digest = hmac.digest(secret, self._domains[kind] + body.encode(errors="surrogatepass"), "sha256")
        return urlsafe_b64encode(digest)[:-1].decode()


def is_signed(text: str) -> bool:
    """Say whether a text has a signature, whether that is right or wrong."""
    return _parts(text)[1] is not None


def without_signature(text: bytes) -> bytes:
    """Return a text without its signature, whether that is right or wrong; any other text as it is."""
    found = _END_BYTES.search(text, max(0, len(text) - _LONGEST_END)) if text[-2:] == b'"}' else None
    return text if found is None else text[: found.start()] + b"}"


def _parts(text: str) -> tuple[str, str | None, str | None]:
    """Return body, name of the key and signature; the whole text and None where it has none."""
    start = max(0, len(text) - _LONGEST_END)
    found = _END.search(text, start)
    return (text, None, None) if found is None else (text[: found.start()], found[1], found[2])
