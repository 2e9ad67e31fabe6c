"""Encrypted payloads: opened by the right key, for the right event, and by nothing else."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsys.errors import InvalidEventError, InvalidPayloadError, PayloadEncryptedError
from eventsys.model.cipher import Cipher
from eventsys.model.envelope import decode_event, decode_header, encode_event, header_fields, payload_of, shown_event
from eventsys.model.keyring import read_keys
from eventsys.model.new_events import new_event
from eventsys.model.payloads import encode_payload

NEW = "k2:a-new-secret-of-some-length"
OLD = "k1:an-old-secret-of-some-length"


def _stored(cipher: Cipher, payload: dict[str, Any]) -> bytes:
    event = new_event("card.charged", payload, now_ms=1_800_000_000_000)
    return encode_event(event, encode_payload(payload), cipher=cipher)


@given(st.dictionaries(st.text(max_size=5), st.text() | st.integers(0, 9) | st.none(), max_size=3))
def test_a_payload_comes_back_as_it_was(payload: dict[str, Any]) -> None:
    cipher = Cipher(read_keys(NEW)).lend()
    stored = _stored(cipher, payload)
    assert decode_event(stored, dict[str, Any]).payload == payload
    assert header_fields(decode_header(stored))["payload"] == payload
    assert stored != _stored(cipher, payload)


def test_nothing_of_a_payload_can_be_read_without_its_key() -> None:
    stored = _stored(Cipher(read_keys(NEW)), {"number": "4111"})
    assert b"4111" not in stored
    assert b"card.charged" in stored
    header = decode_header(stored)
    with pytest.raises(PayloadEncryptedError, match=r"encrypted with the key 'k2'.*encryption_keys"):
        payload_of(header)
    with pytest.raises(PayloadEncryptedError):
        decode_event(stored, dict[str, Any])
    shown = shown_event(header)
    assert list(shown.payload) == ["$encrypted"]
    assert "encryption_keys" in shown.payload["$encrypted"]


def test_another_secret_of_the_same_name_does_not_open_it() -> None:
    _other = Cipher(read_keys("k2:a-foreign-secret-of-length")).lend()
    with pytest.raises(PayloadEncryptedError):
        payload_of(decode_header(_stored(Cipher(read_keys(NEW)), {"n": 1})))


def test_keys_are_rotated() -> None:
    before = _stored(Cipher(read_keys(OLD)), {"n": 1})
    rotated = Cipher(read_keys(f"{NEW},{OLD}")).lend()
    assert decode_event(before, dict[str, Any]).payload == {"n": 1}
    assert decode_header(_stored(rotated, {"n": 2})).encrypted == "k2"


def test_a_payload_cannot_be_moved_to_another_event() -> None:
    cipher = Cipher(read_keys(NEW)).lend()
    first, second = _stored(cipher, {"n": 1}), _stored(cipher, {"n": 2})
    moved = second.replace(bytes(decode_header(second).payload), bytes(decode_header(first).payload))
    with pytest.raises(PayloadEncryptedError):
        payload_of(decode_header(moved))
    renamed = first.replace(b"card.charged", b"card.refused")
    with pytest.raises(PayloadEncryptedError):
        payload_of(decode_header(renamed))


@given(st.binary(max_size=60))
def test_damaged_text_is_an_error_of_ours(text: bytes) -> None:
    cipher = Cipher(read_keys(NEW)).lend()
    stored = _stored(cipher, {"n": 1})
    header = decode_header(stored)
    for damaged in (text, b'"' + text.hex().encode() + b'"'):
        try:
            changed = decode_header(stored.replace(bytes(header.payload), damaged))
        except InvalidEventError:
            continue
        if changed.encrypted is not None:
            with pytest.raises((PayloadEncryptedError, InvalidEventError, InvalidPayloadError)):
                payload_of(changed)
