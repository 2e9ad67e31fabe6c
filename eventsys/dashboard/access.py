"""Who may come in, and what they may do: tokens, roles, and the policy of one dashboard."""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
from collections.abc import Sequence
from enum import StrEnum
from ipaddress import ip_address
from typing import NamedTuple

from pydantic import SecretStr

from eventsys.errors import SettingsError

#: Letters a token has at least: what can be guessed is none.
SHORTEST_TOKEN = 16

_LONGEST_NAME = 60


class Role(StrEnum):
    """What a caller may do."""

    VIEWER = "viewer"
    """Look."""
    OPERATOR = "operator"
    """Look, and change."""


class Caller(NamedTuple):
    """Who asks.

    Attributes:
        role: What they may do.
        name: What they call themselves; it is on record, and proves nothing.
        address: Where they ask from.
        has_bearer: Whether they gave a token that no browser sends by itself.
    """

    role: Role
    name: str
    address: str
    has_bearer: bool = False

    @property
    def said(self) -> str:
        """Who it was, for the record."""
        return f"{self.role.value} {self.name}@{self.address}"


class Access:
    """The policy of one dashboard.

    Without a token only this very machine may ask, and may do everything. With one, everybody needs it, as a bearer
    token or as the password of basic authentication, whose user name is free.

    Args:
        token: Lets operators in.
        viewer_token: Lets viewers in.
        read_only: Whether nobody may change anything.

    Raises:
        SettingsError: If a token is too short to be one, or both are the same.
    """

    def __init__(
        self, *, token: SecretStr | None = None, viewer_token: SecretStr | None = None, read_only: bool = False
    ) -> None:
        if token is not None and viewer_token is not None and token == viewer_token:
            raise SettingsError("the token of viewers is that of operators too; give viewers one of their own")
        self.read_only = read_only
        self._digests = [
            (role, _digest(_checked(one, role).get_secret_value().encode()))
            for role, one in ((Role.OPERATOR, token), (Role.VIEWER, viewer_token))
            if one is not None
        ]

    @property
    def needs_token(self) -> bool:
        """Whether anybody needs a token."""
        return bool(self._digests)

    def caller_of(self, authorizations: Sequence[bytes], address: str | None) -> Caller | None:
        """Return who asks, or None where they may not.

        Args:
            authorizations: What all `Authorization` headers say; more than one is refused.
            address: Where they ask from; None through a Unix socket, which is this machine.
        """
        where = address or "unix"
        if not self.needs_token:
            return Caller(Role.OPERATOR, "local", where) if is_local(address) else None
        if len(authorizations) != 1:
            return None
        kind, _, rest = authorizations[0].partition(b" ")
        if kind.lower() == b"bearer":
            role = self._role_of(rest.strip())
            return None if role is None else Caller(role, "token", where, has_bearer=True)
        if kind.lower() == b"basic":
            name, password = _basic(rest.strip())
            role = self._role_of(password)
            return None if role is None else Caller(role, name, where)
        return None

    def _role_of(self, token: bytes) -> Role | None:
        given, found = _digest(token), None
        for role, digest in self._digests:  # all of them, so that the time tells nothing
            if hmac.compare_digest(given, digest):
                found = role
        return found


def is_local(address: str | None) -> bool:
    """Say whether an address is this machine's own."""
    if address is None:
        return True
    try:
        found = ip_address(address.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(found, "ipv4_mapped", None)
    return bool((mapped or found).is_loopback)


def _checked(token: SecretStr, role: Role) -> SecretStr:
    if len(token.get_secret_value()) < SHORTEST_TOKEN:
        raise SettingsError(
            f"the token of {role.value}s has fewer than {SHORTEST_TOKEN} letters; make one: openssl rand -hex 24"
        )
    return token


def _digest(token: bytes) -> bytes:
    return hashlib.sha256(token).digest()


def _basic(encoded: bytes) -> tuple[str, bytes]:
    """Return user name and password; an empty password, which is nobody's, for what is not readable."""
    try:
        name, _, password = base64.b64decode(encoded, validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return "", b""
    text = name.decode("utf-8", "replace")
    return "".join(one for one in text if one.isprintable())[:_LONGEST_NAME] or "somebody", password
