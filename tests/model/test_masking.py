"""Secret fields: found in every shape of model, masked wherever they stand."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Generic, NewType, TypeVar

import pydantic
import pytest
from pydantic import AliasChoices, AliasPath, BaseModel, ConfigDict, Field, RootModel, SecretStr, create_model
from pydantic.alias_generators import to_camel
from typing_extensions import TypeAliasType, TypedDict

from eventsys.errors import InvalidPayloadError
from eventsys.model.catalog import Catalog
from eventsys.model.envelope import decode_event, encode_event
from eventsys.model.masking import MASK, masked_payload, secret_fields, shown_payload
from eventsys.model.new_events import new_event
from eventsys.model.payloads import encode_payload
from eventsys.model.texts import LONGEST_HEADER, SECRET_HEADER

SECRET: dict[str, Any] = {"secret": True}


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


class Payment(BaseModel):
    model_config = ConfigDict(populate_by_name=True)

    card_number: str = Field("", alias="cardNumber", json_schema_extra=SECRET)
    pin: str = Field("", validation_alias="PIN", json_schema_extra=SECRET)
    token: str = Field("", validation_alias=AliasChoices("key", AliasPath("login", "token")), json_schema_extra=SECRET)
    code: str = Field("", serialization_alias="CODE", json_schema_extra=SECRET)
    dotted: str = Field("", alias="card.code", json_schema_extra=SECRET)
    used_card: Card | None = Field(None, alias="usedCard")


class Login(BaseModel):
    password: Annotated[str, Field(json_schema_extra=SECRET)] | None = None
    codes: list[Annotated[str, Field(json_schema_extra=SECRET)]] = []
    user: str = ""


Marked = Annotated[str, Field(json_schema_extra=SECRET)]


@dataclass
class Door:
    code: Marked
    floor: int = 0


@pydantic.dataclasses.dataclass
class Safe:
    code: str = Field(json_schema_extra=SECRET)


class Gate(TypedDict, total=False):
    code: Marked


class Cards(RootModel[dict[str, Card]]):
    """Cards by name."""


class Word(RootModel[SecretStr]):
    """A word that opens something."""


class House(BaseModel):
    door: Door
    safe: Safe | None = None
    gates: list[Gate] = []
    cards: Cards | None = None
    word: Word | None = None


class Company(BaseModel):
    name: str = ""
    account: str = Field("", json_schema_extra=SECRET)
    owners: list[Person] = []


class Person(BaseModel):
    name: str = ""
    password: str = Field("", json_schema_extra=SECRET)
    company: Company | None = None


def test_secret_fields_are_found_in_every_shape_of_model() -> None:
    assert secret_fields(Order) == ("token", "PIN", "pin", "card.number", "cards.number", "by_name.number")
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


@pytest.mark.parametrize(
    "payload",
    [
        {"cardNumber": "4111"},
        {"card_number": "4111"},
        {"PIN": "4111"},
        {"pin": "4111"},
        {"key": "4111"},
        {"login": {"token": "4111"}},
        {"token": "4111"},
        {"code": "4111"},
        {"CODE": "4111"},
        {"card.code": "4111"},
        {"dotted": "4111"},
        {"usedCard": {"number": "4111"}},
        {"used_card": {"number": "4111"}},
    ],
)
def test_a_secret_is_masked_by_whichever_name_it_was_given(payload: dict[str, Any]) -> None:
    Payment.model_validate(payload)
    event = new_event("a.b", payload, now_ms=1, headers={SECRET_HEADER: ",".join(secret_fields(Payment))})
    for shown in (masked_payload(Payment, payload), shown_payload(event)):
        assert "4111" not in str(shown)
        assert MASK in str(shown)


def test_a_model_that_holds_itself_is_masked_however_deep() -> None:
    payload = {"id": 1, "card": {"number": "n1", "backup": {"number": "n2", "backup": {"number": "n3", "holder": "h"}}}}
    assert masked_payload(Order, payload) == {
        "id": 1,
        "card": {"number": MASK, "backup": {"number": MASK, "backup": {"number": MASK, "holder": "h"}}},
    }


def test_models_that_hold_each_other_are_masked_however_deep() -> None:
    assert secret_fields(Person) == ("password", "company.account")
    assert secret_fields(Company) == ("account", "owners.password")
    inner = {"name": "c", "account": "a", "owners": [{"name": "n", "password": "p", "company": None}]}
    payload = {"password": "p", "company": {"account": "a", "owners": [{"password": "p", "company": inner}]}}
    shown = {"name": "c", "account": MASK, "owners": [{"name": "n", "password": MASK, "company": None}]}
    assert masked_payload(Person, payload) == {
        "password": MASK,
        "company": {"account": MASK, "owners": [{"password": MASK, "company": shown}]},
    }


def test_the_names_of_many_secrets_fit_a_header_and_still_mask_them_all() -> None:
    config = ConfigDict(alias_generator=to_camel, populate_by_name=True)
    secrets: dict[str, Any] = {f"secret_number_{at}": (str, Field("", json_schema_extra=SECRET)) for at in range(20)}
    model = create_model("Innermost", __config__=config, **secrets)
    payload: dict[str, Any] = dict.fromkeys(secrets, "4111") | {to_camel(name): "4111" for name in secrets}
    for level in range(6):
        name = f"holder_of_level_{level}"
        model = create_model(f"Level{level}", __config__=config, **{name: (model, ...)})
        payload = {name if level % 2 else to_camel(name): payload}
    names = secret_fields(model)
    assert len(",".join(names)) <= LONGEST_HEADER / 2
    assert "4111" not in str(masked_payload(model, payload))


def test_a_mark_within_a_type_counts_too() -> None:
    assert secret_fields(Login) == ("password", "codes")
    shown = masked_payload(Login, {"password": "p", "codes": ["1", "2"], "user": "ada"})
    assert shown == {"password": MASK, "codes": MASK, "user": "ada"}


def test_what_is_no_plain_model_tells_its_secrets_too() -> None:
    assert secret_fields(House) == ("door.code", "safe.code", "gates.code", "cards.number", "word")
    assert masked_payload(Cards, {"mine": {"number": "n", "holder": "h"}}) == {"mine": {"number": MASK, "holder": "h"}}


def test_what_is_no_plain_model_is_masked_by_its_last_names_where_all_do_not_fit() -> None:
    houses: dict[str, Any] = {f"house_number_{at:0100}": (House, ...) for at in range(40)}
    names = secret_fields(create_model("Street", **houses))
    assert {"code", "number", "word"} <= set(names)
    assert not any("." in name for name in names)


T = TypeVar("T")


@dataclass
class Box(Generic[T]):
    item: T
    key: str = Field(json_schema_extra=SECRET)


@dataclass
class Chest(Box[int]):
    lock: str = field(default="", metadata={"json_schema_extra": SECRET})


@pydantic.dataclasses.dataclass
class Early:
    card: LaterCard
    lid: Annotated[str, Field(json_schema_extra=SECRET)] = ""


class LaterCard(BaseModel):
    number: str = Field(json_schema_extra=SECRET)


def test_what_is_said_by_a_default_and_what_is_of_some_type_counts_too() -> None:
    assert secret_fields(create_model("Attic", box=(Box[Card], ...))) == ("box.key", "box.number", "box.item")[:2]
    assert secret_fields(create_model("Cellar", chest=(Chest, ...))) == ("chest.key", "chest.lock")


def test_a_dataclass_that_names_a_class_behind_it_tells_the_secrets_of_that() -> None:
    assert secret_fields(create_model("Letter", early=(Early, ...))) == ("early.card.number", "early.lid")


Pin = TypeAliasType("Pin", Marked)
Token = NewType("Token", SecretStr)
Wallet = TypeAliasType("Wallet", "dict[str, Wallet] | list[LaterCard]")


class Pocket(BaseModel):
    pin: Pin
    token: Token
    wallet: Wallet


def test_what_stands_behind_the_name_of_a_type_counts_too() -> None:
    """`TypeAliasType` is the `type` statement of newer Pythons, and may stand in itself."""
    Pocket.model_validate({"pin": "1", "token": "t", "wallet": {"mine": [{"number": "n"}]}})
    assert secret_fields(Pocket) == ("pin", "token", "wallet.number")
    assert secret_fields(create_model("Coat", pockets=(dict[str, Token], ...))) == ("pockets",)
