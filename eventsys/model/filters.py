"""Payload filters: which events of the right type a subscription wants, told by their content."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterator, Mapping
from typing import Any, TypeAlias

import msgspec

from eventsys.errors import InvalidPatternError

Where: TypeAlias = Mapping[str, Any]
"""Conditions by dotted path, all of which must hold: `{"payload.amount": {"numeric": [">=", 100]}}`."""

_Test: TypeAlias = Callable[[Any], bool]

WHOLE_FIELDS = (
    "id",
    "type",
    "source",
    "version",
    "priority",
    "correlation_id",
    "causation_id",
    "idempotency_key",
    "depth",
)
"""Fields of an event that a path names as they are; `payload.` and `headers.` lead further."""

_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "<": lambda value, bound: bool(value < bound),
    "<=": lambda value, bound: bool(value <= bound),
    "=": lambda value, bound: bool(value == bound),
    ">=": lambda value, bound: bool(value >= bound),
    ">": lambda value, bound: bool(value > bound),
}


class PayloadFilter:
    """A compiled filter. Every path must meet its condition.

    A condition is a value (equal to it), a list of conditions (any of them), or operators (all of them): `prefix`,
    `suffix`, `equals-ignore-case`, `anything-but`, `numeric`, `exists`. These are the operators of Amazon EventBridge.
    A missing field meets only `{"exists": false}`. A list in the event meets a condition if one of its items does,
    and `anything-but` if none is excluded; a path leads through lists of objects. `true` is not 1.

    Attributes:
        where: The conditions as JSON values, which `compile_filter` takes again.
    """

    __slots__ = ("_tests", "where")

    def __init__(self, where: dict[str, Any], tests: tuple[tuple[tuple[str, ...], _Condition], ...]) -> None:
        self.where = where
        self._tests = tests

    def matches(self, event: Mapping[str, Any]) -> bool:
        """Return whether an event is wanted.

        Args:
            event: Its fields as JSON values with defaults filled in, as `header_fields` gives them.
        """
        return all(condition(list(_values_at(event, path))) for path, condition in self._tests)

    def to_json(self) -> str:
        """Return the conditions as JSON text, the same for equal filters."""
        return msgspec.json.encode(self.where, order="sorted").decode()

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PayloadFilter) and self.to_json() == other.to_json()

    def __hash__(self) -> int:
        return hash(self.to_json())

    def __repr__(self) -> str:
        return f"PayloadFilter({self.where!r})"


_Condition: TypeAlias = Callable[[list[Any]], bool]
"""Judges all values found at a path; none were found where the field is missing."""


def compile_filter(where: Where) -> PayloadFilter:
    """Return the filter that `where` describes.

    Raises:
        InvalidPatternError: If a path, an operator or its argument is not in the language.
    """
    if not isinstance(where, Mapping):
        raise InvalidPatternError(f"where is a dictionary of paths and conditions, not {type(where).__name__}")
    copy = _as_json(where)
    tests = tuple((_path(key), _condition(key, wanted)) for key, wanted in copy.items())
    return PayloadFilter(copy, tests)


def _as_json(where: Where) -> dict[str, Any]:
    """Return a copy as JSON has it, which the caller cannot change afterwards."""
    try:
        copy: dict[str, Any] = msgspec.json.decode(msgspec.json.encode(where), type=dict[str, Any])
    except (msgspec.MsgspecError, TypeError, ValueError, RecursionError) as error:
        raise InvalidPatternError(f"where is stored as JSON, and this is not JSON: {error}") from error
    return copy


def _path(key: str) -> tuple[str, ...]:
    root, dot, rest = key.partition(".")
    if root == "headers" and rest:
        return root, rest  # names of headers may have dots
    if root == "payload" and rest and all(rest.split(".")):
        return root, *rest.split(".")
    if root in WHOLE_FIELDS and not dot:
        return (root,)
    guesses = difflib.get_close_matches(root, (*WHOLE_FIELDS, "payload.", "headers."), n=1)
    hint = f"did you mean {guesses[0]!r}? " if guesses else f"did you mean 'payload.{key}'? "
    raise InvalidPatternError(
        f"where has the path {key!r}; {hint if root not in ('payload', 'headers') else ''}"
        f"paths are 'payload.<name>', 'headers.<name>' or one of {', '.join(WHOLE_FIELDS)}"
    )


def _values_at(found: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Yield every value at `path`; through lists of objects there may be several."""
    if isinstance(found, list):
        for item in found:
            if path or not isinstance(item, list):
                yield from _values_at(item, path)
            else:
                yield item  # a list within a list is there, and equals nothing
        if not path and not found:
            yield found  # an empty list is there, and equals nothing
    elif not path:
        yield found
    elif isinstance(found, Mapping) and path[0] in found:
        yield from _values_at(found[path[0]], path[1:])


def _condition(key: str, wanted: Any) -> _Condition:
    if isinstance(wanted, list):
        if not wanted:
            raise InvalidPatternError(
                f"where[{key!r}] is an empty list, which nothing can match; name the alternatives"
            )
        alternatives = [_condition(key, one) for one in wanted]
        return lambda values: any(one(values) for one in alternatives)
    if isinstance(wanted, dict):
        if not wanted:
            raise InvalidPatternError(f"where[{key!r}] has no operator; use one of {', '.join(_OPERATORS)}")
        operators = [_operator(key, name, argument) for name, argument in wanted.items()]
        return lambda values: all(one(values) for one in operators)
    return _any_value(_equal_to(wanted))


def _operator(key: str, name: str, argument: Any) -> _Condition:
    if name not in _OPERATORS:
        guesses = difflib.get_close_matches(name, _OPERATORS, n=1)
        hint = f"did you mean {guesses[0]!r}?" if guesses else f"operators are {', '.join(_OPERATORS)}"
        raise InvalidPatternError(f"where[{key!r}] has the unknown operator {name!r}; {hint}")
    return _OPERATORS[name](f"where[{key!r}][{name!r}]", argument)


def _any_value(test: _Test) -> _Condition:
    return lambda values: any(test(value) for value in values)


def _equal_to(wanted: Any) -> _Test:
    # In Python True equals 1; in JSON it does not.
    is_bool = isinstance(wanted, bool)
    return lambda value: isinstance(value, bool) is is_bool and bool(value == wanted)


def _text_test(place: str, wanted: Any, test: Callable[[str, str], bool]) -> _Test:
    if not isinstance(wanted, str):
        raise InvalidPatternError(f"{place} is {wanted!r}, and must be text")
    return lambda value: isinstance(value, str) and test(value, wanted)


def _has_prefix(place: str, wanted: Any) -> _Condition:
    return _any_value(_text_test(place, wanted, str.startswith))


def _has_suffix(place: str, wanted: Any) -> _Condition:
    return _any_value(_text_test(place, wanted, str.endswith))


def _equals_ignoring_case(place: str, wanted: Any) -> _Condition:
    return _any_value(_text_test(place, wanted, lambda value, text: value.casefold() == text.casefold()))


def _exists(place: str, wanted: Any) -> _Condition:
    if not isinstance(wanted, bool):
        raise InvalidPatternError(f"{place} is {wanted!r}, and must be true or false")
    return lambda values: bool(values) is wanted


def _anything_but(place: str, wanted: Any) -> _Condition:
    """Hold for values that are there and all differ from what is excluded: values, or a prefix or suffix."""
    excluded = wanted if isinstance(wanted, list) else [wanted]
    if not excluded or any(isinstance(one, list) for one in excluded):
        raise InvalidPatternError(
            f"{place} is {wanted!r}, and must be a value, a list of values, or {{'prefix': text}}"
        )
    tests = [_condition(place, one) for one in excluded]
    return lambda values: bool(values) and not any(test(values) for test in tests)


def _numeric(place: str, wanted: Any) -> _Condition:
    if not isinstance(wanted, list) or not wanted or len(wanted) % 2:
        raise InvalidPatternError(f"{place} is {wanted!r}, and must be pairs such as ['>=', 100, '<', 200]")
    comparisons = []
    for sign, bound in zip(wanted[::2], wanted[1::2], strict=True):
        if not isinstance(sign, str) or sign not in _COMPARISONS or not _is_number(bound):
            raise InvalidPatternError(f"{place} has {sign!r}, {bound!r}; a sign is <, <=, =, >= or >, then a number")
        comparisons.append((_COMPARISONS[sign], bound))
    return _any_value(lambda value: _is_number(value) and all(compare(value, bound) for compare, bound in comparisons))


def _is_number(value: Any) -> bool:
    return (
        isinstance(value, int | float)
        and not isinstance(value, bool)
        and (isinstance(value, int) or math.isfinite(value))
    )


_OPERATORS: dict[str, Callable[[str, Any], _Condition]] = {
    "prefix": _has_prefix,
    "suffix": _has_suffix,
    "equals-ignore-case": _equals_ignoring_case,
    "anything-but": _anything_but,
    "numeric": _numeric,
    "exists": _exists,
}
