"""Who a token makes somebody, and what the time of an answer tells of it."""

from __future__ import annotations

import hmac

import pytest
from pydantic import SecretStr

from eventsys.dashboard import access
from eventsys.dashboard.access import Access, Role

OPERATOR, VIEWER = "operators-have-this-token", "viewers-have-another-token"


@pytest.mark.parametrize(
    ("given", "role"),
    [(OPERATOR, Role.OPERATOR), (VIEWER, Role.VIEWER), ("x", None), (OPERATOR[:-1], None), (OPERATOR + "x", None)],
)
def test_every_token_is_compared_with_all_in_the_same_time(
    monkeypatch: pytest.MonkeyPatch, given: str, role: Role | None
) -> None:
    compared: list[tuple[int, int]] = []

    def compare(one: bytes, other: bytes) -> bool:
        compared.append((len(one), len(other)))
        return hmac.compare_digest(one, other)

    doors = Access(token=SecretStr(OPERATOR), viewer_token=SecretStr(VIEWER))
    monkeypatch.setattr(access, "hmac", type("Recorded", (), {"compare_digest": staticmethod(compare)}))
    caller = doors.caller_of([b"Bearer " + given.encode()], "127.0.0.1")
    # Digests of one length each, so that neither how long a guess is nor how much of it is right tells anything.
    assert (caller and caller.role, compared) == (role, [(32, 32), (32, 32)])
