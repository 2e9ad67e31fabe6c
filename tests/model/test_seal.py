"""Signatures: what they hold against, and that they cost nothing where there are none."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import SecretStr

from eventsys.errors import BadSignatureError
from eventsys.model.keyring import SecretKey, keys_of, read_keys
from eventsys.model.seal import CRON_LINE, CRON_TASK, EVENT, MESSAGE, Seal, is_signed, without_signature

NEW, OLD = SecretKey("k2", b"a-new-secret-of-some-length"), SecretKey("k1", b"an-old-secret-of-some-length")
SEAL = Seal([NEW, OLD], "shop")
_JSON = st.dictionaries(st.text(), st.text() | st.integers(), min_size=1).map(lambda one: json.dumps(one))


@given(_JSON)
def test_a_signed_text_is_the_same_object_with_one_field_more(text: str) -> None:
    signed = SEAL.signed(EVENT, text)
    assert json.loads(signed) == {**json.loads(text), "signature": json.loads(signed)["signature"]}
    assert SEAL.body_of(EVENT, signed) == text
    assert without_signature(signed.encode()) == text.encode()
    assert is_signed(signed)
    assert not is_signed(text)


@given(st.data(), _JSON)
def test_one_changed_letter_anywhere_is_noticed(data: st.DataObject, text: str) -> None:
    signed = SEAL.signed(EVENT, text)
    at = data.draw(st.integers(0, len(signed) - 1))
    other = data.draw(st.characters().filter(lambda one: one != signed[at]))
    with pytest.raises(BadSignatureError):
        SEAL.check(EVENT, signed[:at] + other + signed[at + 1 :])


@given(st.text())
def test_no_text_without_a_key_is_believed(text: str) -> None:
    with pytest.raises(BadSignatureError):
        SEAL.check(EVENT, text)


def test_a_key_that_was_is_believed_and_a_foreign_one_is_not() -> None:
    before = Seal([OLD], "shop").signed(EVENT, '{"a":1}')
    assert SEAL.body_of(EVENT, before) == '{"a":1}'
    with pytest.raises(BadSignatureError, match="'k2', which signing_keys does not list"):
        Seal([OLD], "shop").check(EVENT, SEAL.signed(EVENT, '{"a":1}'))
    with pytest.raises(BadSignatureError, match="is not what was signed with the key 'k2'"):
        Seal([SecretKey("k2", b"another-secret-of-some-length")], "shop").check(EVENT, SEAL.signed(EVENT, '{"a":1}'))


def test_what_was_signed_as_one_thing_or_for_one_bus_is_nothing_elsewhere() -> None:
    signed = SEAL.signed(EVENT, '{"a":1}')
    for kind in (MESSAGE, CRON_TASK, CRON_LINE):
        with pytest.raises(BadSignatureError):
            SEAL.check(kind, signed)
    with pytest.raises(BadSignatureError):
        Seal([NEW], "other").check(EVENT, signed)


def test_every_part_of_a_step_is_signed_wherever_it_stands() -> None:
    event = ("event", "1", "a.b", 5, '{"id":"1"}', False, 0, False)
    signed = ("event", "2", "a.b", 5, SEAL.signed(EVENT, '{"id":"2"}'), False, 0, False)
    message = ("message", "q", 5, ["m", '{"args":[]}'])
    delivery = ("message", "q", 5, ["s", "name", "e", signed[4]])
    delayed = ("delayed", "id", 1, 5, "q", ("id", "q", message, {}))
    step = SEAL.signed_step(
        ("cron_tick", {"run": {"publish": event}, "told": [signed], "next": delayed, "x": delivery})
    )
    facts = step[1]
    assert SEAL.body_of(EVENT, facts["run"]["publish"][4]) == '{"id":"1"}'
    assert facts["told"] == [signed]
    assert SEAL.body_of(MESSAGE, facts["next"][5][2][3][1]) == '{"args":[]}'
    assert facts["x"] == delivery


def test_a_key_that_cannot_be_is_refused_without_its_secret() -> None:
    for text in ("hush-hush-hush-hush", "k:hush", "k 1:hush-hush-hush-hush", "k:hush-hush-hush-1,k:hush-hush-hush-2"):
        with pytest.raises(ValueError) as raised:
            read_keys(text)
        assert "hush" not in str(raised.value)
    assert read_keys(" k2:hush-hush-hush-2 ,\n k1:hush-hush-hush-1\n") == [
        SecretKey("k2", b"hush-hush-hush-2"), SecretKey("k1", b"hush-hush-hush-1")
    ]  # fmt: skip
    assert keys_of(SecretStr(""), None) == []
    assert "hush" not in repr(read_keys("k:hush-hush-hush-2"))
