from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsys.errors import InvalidPatternError
from eventsys.model import compile_filter

EVENT: dict[str, Any] = {
    "type": "order.placed",
    "source": "web-shop",
    "priority": 5,
    "headers": {"traceparent": "00-1", "x.region": "eu-west"},
    "causation_id": None,
    "payload": {
        "amount": 150,
        "paid": True,
        "note": None,
        "city": "Berlin",
        "tags": ["new", "gift"],
        "empty": [],
        "outline": [[[7.4, 46.9], [7.5, 46.9]], []],
        "buyer": {"name": "Ada"},
        "lines": [{"sku": "a-1", "count": 1}, {"sku": "b-2", "count": 20}],
    },
}


@pytest.mark.parametrize(
    "where",
    [
        {},
        {"type": "order.placed", "source": ["app", "web-shop"], "priority": 5},
        {"payload.amount": 150.0},
        {"payload.amount": {"numeric": [">=", 100]}},
        {"payload.amount": {"numeric": [">", 100, "<=", 150]}},
        {"payload.amount": [{"numeric": ["<", 10]}, {"numeric": ["=", 150]}]},
        {"payload.city": {"prefix": "Ber"}},
        {"payload.city": {"suffix": "lin", "prefix": "B"}},
        {"payload.city": {"equals-ignore-case": "bERLIN"}},
        {"payload.city": {"anything-but": "Paris"}},
        {"payload.city": {"anything-but": ["Paris", "Rome"]}},
        {"payload.city": {"anything-but": {"prefix": "Par"}}},
        {"payload.paid": True},
        {"payload.note": None},
        {"causation_id": None},
        {"payload.note": {"exists": True}},
        {"payload.missing": {"exists": False}},
        {"payload.missing": [{"exists": False}, "x"]},
        {"payload.buyer.name": "Ada"},
        {"payload.buyer.name.first": {"exists": False}},
        {"payload.tags": "gift"},
        {"payload.tags": {"anything-but": "old"}},
        {"payload.empty": {"exists": True}},
        {"payload.outline": {"exists": True}},
        {"payload.outline": {"anything-but": 7.4}},
        {"payload.lines.sku": "b-2"},
        {"payload.lines.count": {"numeric": [">", 10]}},
        {"headers.traceparent": {"exists": True}},
        {"headers.x.region": {"prefix": "eu-"}},
    ],
)
def test_these_filters_want_the_event(where):
    assert compile_filter(where).matches(EVENT)


@pytest.mark.parametrize(
    "where",
    [
        {"type": "order.placed", "source": "app"},
        {"payload.amount": "150"},
        {"payload.amount": True},
        {"payload.paid": 1},
        {"payload.paid": {"numeric": ["=", 1]}},
        {"payload.amount": {"numeric": [">", 100, "<", 150]}},
        {"payload.amount": {"prefix": "1"}},
        {"payload.city": {"prefix": "ber"}},
        {"payload.city": {"prefix": "B", "suffix": "x"}},
        {"payload.city": {"anything-but": ["Berlin", "Rome"]}},
        {"payload.city": {"anything-but": {"suffix": "lin"}}},
        {"payload.missing": {"anything-but": "x"}},
        {"payload.missing": None},
        {"payload.missing": {"exists": True}},
        {"payload.note": {"exists": False}},
        {"payload.tags": "old"},
        {"payload.tags": {"anything-but": "new"}},
        {"payload.empty": "x"},
        {"payload.buyer": "Ada"},
        {"payload.lines.sku": "c-3"},
        {"headers.x": {"exists": True}},
    ],
)
def test_these_filters_do_not_want_the_event(where):
    assert not compile_filter(where).matches(EVENT)


@pytest.mark.parametrize(
    ("where", "reason"),
    [
        ([], "where is a dictionary"),
        ({"amount": 1}, "did you mean 'payload.amount'"),
        ({"sorce": 1}, "did you mean 'source'"),
        ({"payload": 1}, "paths are 'payload.<name>'"),
        ({"payload.": 1}, "paths are"),
        ({"payload..a": 1}, "paths are"),
        ({"source.x": 1}, "paths are"),
        ({"payload.a": {"prefx": "x"}}, "unknown operator 'prefx'; did you mean 'prefix'"),
        ({"payload.a": {"regex-like": "x"}}, "operators are prefix"),
        ({"payload.a": {}}, "has no operator"),
        ({"payload.a": []}, "empty list"),
        ({"payload.a": {"prefix": 5}}, "must be text"),
        ({"payload.a": {"exists": "yes"}}, "must be true or false"),
        ({"payload.a": {"numeric": 5}}, "must be pairs"),
        ({"payload.a": {"numeric": [">"]}}, "must be pairs"),
        ({"payload.a": {"numeric": ["=>", 5]}}, "a sign is"),
        ({"payload.a": {"numeric": [">", "5"]}}, "a sign is"),
        ({"payload.a": {"numeric": [">", True]}}, "a sign is"),
        ({"payload.a": {"anything-but": []}}, "must be a value"),
        ({"payload.a": object()}, "not JSON"),
    ],
)
def test_what_is_no_filter_is_refused_with_the_reason(where, reason):
    with pytest.raises(InvalidPatternError) as caught:
        compile_filter(where)
    assert reason in str(caught.value)


numbers = st.integers(-5, 5) | st.floats(-5, 5)
values = st.none() | st.booleans() | numbers | st.text("ab", max_size=2)
operators = st.one_of(
    st.builds(lambda one: {"prefix": one}, st.text("ab", max_size=2)),
    st.builds(lambda one: {"suffix": one}, st.text("ab", max_size=2)),
    st.builds(lambda one: {"exists": one}, st.booleans()),
    st.builds(lambda one: {"anything-but": one}, values | st.lists(values, min_size=1, max_size=3)),
    st.builds(lambda sign, bound: {"numeric": [sign, bound]}, st.sampled_from(["<", "<=", "=", ">=", ">"]), numbers),
)
conditions = values | operators | st.lists(values | operators, min_size=1, max_size=3)
wheres = st.dictionaries(st.sampled_from(["payload.a", "payload.b.c", "source"]), conditions, max_size=3)
candidates = st.fixed_dictionaries(
    {
        "payload": st.fixed_dictionaries(
            {}, optional={"a": values | st.lists(values, max_size=2), "b": st.just({"c": 1})}
        )
    },
    optional={"source": st.text("ab", max_size=2)},
)


@given(wheres, candidates)
def test_a_filter_stored_as_json_decides_the_same(where, event):
    compiled = compile_filter(where)
    restored = compile_filter(msgspec.json.decode(compiled.to_json()))
    assert restored == compiled
    assert hash(restored) == hash(compiled)
    assert restored.matches(event) == compiled.matches(event)


@given(values, candidates)
def test_anything_but_is_the_opposite_of_equal_where_something_is_there(value, event):
    equal = compile_filter({"payload.a": [value]}).matches(event)
    other = compile_filter({"payload.a": {"anything-but": [value]}}).matches(event)
    there = compile_filter({"payload.a": {"exists": True}}).matches(event)
    assert other == (there and not equal)


def test_changing_the_dictionary_afterwards_changes_nothing():
    where = {"payload.a": ["x"]}
    compiled = compile_filter(where)
    where["payload.a"].append("y")
    assert compiled == compile_filter({"payload.a": ["x"]})
