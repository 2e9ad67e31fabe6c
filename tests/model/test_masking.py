"""Secret fields: found in every shape of model, masked wherever they stand."""

from __future__ import annotations

from typing import Annotated, Any

import pytest
from pydantic import BaseModel, Field, SecretStr

from eventsys.errors import InvalidPayloadError
from eventsys.model.catalog import Catalog
from eventsys.model.envelope import decode_event, encode_event
from eventsys.model.masking import MASK, fault_of, masked_payload, secret_fields, shown_payload
from eventsys.model.new_events import new_event
from eventsys.model.payloads import encode_payload


class Card(BaseModel):
    number: str = Field(json_schema_extra={"secret": True})
    holder: str = ""
    backup: Card | None = None


class Order(BaseModel):
    id: int
    token: SecretStr | None = None
    pin: Annotated[int, Field(json_schema_extra={"secret": True}, alias="PIN")] = 0
    card: Card | None = None
    cards: list[Card] = []
    by_name: dict[str, Card] = {}


def test_secret_fields_are_found_in_every_shape_of_model() -> None:
    assert secret_fields(Order) == ("token", "PIN", "card.number", "cards.number", "by_name.number")
    assert secret_fields(Card) == ("number",)


def test_what_is_secret_is_masked_and_nothing_else() -> None:
    payload = {
        "id": 1, "token": "t", "PIN": 2, "card": {"number": "n", "holder": "h"},
        "cards": [{"number": "n"}, {"holder": "h"}], "by_name": {"mine": {"number": "n"}}, "other": ["n"],
    }  # fmt: skip
    before = repr(payload)
    assert masked_payload(Order, payload) == {
        "id": 1, "token": MASK, "PIN": MASK, "card": {"number": MASK, "holder": "h"},
        "cards": [{"number": MASK}, {"holder": "h"}], "by_name": {"mine": {"number": MASK}}, "other": ["n"],
    }  # fmt: skip
    assert repr(payload) == before
    assert masked_payload(None, payload) == payload
    assert masked_payload(Order, {"token": None, "card": "no card"}) == {"token": None, "card": "no card"}


def test_an_event_names_its_secret_fields_itself() -> None:
    event = new_event("a.b", {"card": {"number": "n"}}, now_ms=1, headers={"eventsys-secret": "card.number"})
    assert shown_payload(event) == {"card": {"number": MASK}}
    assert shown_payload(new_event("a.b", Card(number="n"), now_ms=1))["number"] == MASK


def test_no_error_repeats_a_secret() -> None:
    catalog = Catalog()
    catalog.register("a.b", Card)
    wrong: dict[str, Any] = {"number": ["4111"], "holder": 1}
    with pytest.raises(InvalidPayloadError, match="number: Input should be a valid string") as raised:
        catalog.check_payload("a.b", wrong)
    event = new_event("a.b", wrong, now_ms=1)
    with pytest.raises(InvalidPayloadError, match="number: Input should be a valid string") as decoded:
        decode_event(encode_event(event, encode_payload(wrong)), Card)
    for error in (raised.value, decoded.value):
        assert "4111" not in str(error)
        assert error.__cause__ is None
        assert error.__suppress_context__
    assert fault_of.__doc__
