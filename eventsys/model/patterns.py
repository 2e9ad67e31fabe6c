"""Subscription patterns: which event types a subscription wants, and finding all that want one."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Generic, TypeVar

from eventsys.errors import InvalidEventError, InvalidPatternError
from eventsys.model.event_types import LONGEST_TYPE, check_event_type

T = TypeVar("T")

ANY_ONE = "*"
ANY_TAIL = "#"
GUARDED = frozenset({"system", "cron"})
"""First segments that wildcards do not match: what the system says about itself is asked for by name or prefix,
or a handler of `#` would be fed by its own failures."""

_SEGMENT = re.compile(r"[a-z0-9_-]+")
_FORM = "patterns are 'user.login', 'user.*' (one segment), 'order.#' (any tail, also none) or '#'"


@dataclass(frozen=True, slots=True)
class Pattern:
    """A checked pattern: dotted segments, where `*` is exactly one and a last `#` is zero or more.

    `order.#` matches `order`, `order.placed` and `order.item.added`. A pattern that begins with a wildcard does not
    match `system...` and `cron...`.
    """

    text: str
    segments: tuple[str, ...]

    @classmethod
    def parse(cls, text: str) -> Pattern:
        """Return the pattern that `text` writes.

        Raises:
            InvalidPatternError: If it is not in the language; the message names the segment.
        """
        return _parse(check_pattern(text))

    @property
    def is_exact(self) -> bool:
        """Whether it is the name of one type."""
        return ANY_ONE not in self.segments and self.segments[-1] != ANY_TAIL

    def matches(self, event_type: str) -> bool:
        """Return whether an event of this type is wanted."""
        wanted = self.segments
        given = event_type.split(".")
        if given[0] in GUARDED and wanted[0] != given[0]:
            return False
        if wanted[-1] == ANY_TAIL:
            wanted = wanted[:-1]
            if len(given) < len(wanted):
                return False
        elif len(given) != len(wanted):
            return False
        return all(one in (ANY_ONE, other) for one, other in zip(wanted, given, strict=False))


def check_pattern(text: str) -> str:
    """Return `text` if it is a pattern.

    Raises:
        InvalidPatternError: If it is not; the message says what is wrong and shows the forms.
    """
    if not isinstance(text, str):
        raise InvalidPatternError(f"a pattern is text, not {type(text).__name__}; {_FORM}")
    if not 0 < len(text) <= LONGEST_TYPE:
        raise InvalidPatternError(f"a pattern has 1 to {LONGEST_TYPE} characters, this one has {len(text)}; {_FORM}")
    segments = text.split(".")
    for position, segment in enumerate(segments):
        _check_segment(text, segment, is_last=position == len(segments) - 1)
    if ANY_ONE not in segments and segments[-1] != ANY_TAIL:
        _check_exact(text)
    elif segments[0] not in (ANY_ONE, ANY_TAIL) and not segments[0][0].isalpha():
        raise InvalidPatternError(f"pattern {text!r} begins with {segments[0][0]!r}, and event types with a letter")
    return text


def pattern_matches(pattern: str, event_type: str) -> bool:
    """Return whether `pattern` wants events of `event_type`.

    Raises:
        InvalidPatternError: If `pattern` is none.
    """
    return Pattern.parse(pattern).matches(event_type)


@lru_cache(maxsize=4096)
def _parse(text: str) -> Pattern:
    return Pattern(text, tuple(text.split(".")))


def _check_segment(text: str, segment: str, *, is_last: bool) -> None:
    if segment == ANY_ONE or (segment == ANY_TAIL and is_last) or _SEGMENT.fullmatch(segment):
        return
    if segment == ANY_TAIL:
        raise InvalidPatternError(f"pattern {text!r} has '#' before its end; use '*' for one segment there; {_FORM}")
    if not segment:
        raise InvalidPatternError(f"pattern {text!r} has an empty segment; {_FORM}")
    if ANY_ONE in segment or ANY_TAIL in segment:
        raise InvalidPatternError(
            f"pattern {text!r} has a wildcard within {segment!r}, and a wildcard is a whole segment; {_FORM}"
        )
    raise InvalidPatternError(
        f"pattern {text!r} has the segment {segment!r}; segments are lower-case letters, digits, '_' and '-'; {_FORM}"
    )


def _check_exact(text: str) -> None:
    try:
        check_event_type(text)
    except InvalidEventError as error:
        raise InvalidPatternError(str(error)) from error


@dataclass(slots=True)
class _Node(Generic[T]):
    """One place in the tree of wildcard patterns: what ends here, what takes any tail from here, and the ways on."""

    ends: list[tuple[int, T]] = field(default_factory=list)
    tails: list[tuple[int, T]] = field(default_factory=list)
    children: dict[str, _Node[T]] = field(default_factory=dict)

    def add(self, segments: tuple[str, ...], entry: tuple[int, T]) -> None:
        node = self
        for segment in segments:
            if segment == ANY_TAIL:
                node.tails.append(entry)
                return
            node = node.children.setdefault(segment, _Node())
        node.ends.append(entry)

    def find(self, segments: list[str]) -> list[tuple[int, T]]:
        found: list[tuple[int, T]] = []
        nodes: list[_Node[T]] = [self]
        guarded = segments[0] in GUARDED
        for position, segment in enumerate(segments):
            wild = position > 0 or not guarded
            following = []
            for node in nodes:
                if wild:
                    found += node.tails
                    if any_one := node.children.get(ANY_ONE):
                        following.append(any_one)
                if child := node.children.get(segment):
                    following.append(child)
            nodes = following
        for node in nodes:
            found += node.ends
            found += node.tails
        return found


class PatternIndex(Generic[T]):
    """All values whose pattern matches a type, found without trying each pattern.

    Built once; a change of subscriptions makes a new index. Threads may share it.
    """

    # Types remembered with their answer. The names come from publishers, so the memory must have an end.
    _MOST_REMEMBERED = 8192

    def __init__(self, entries: Iterable[tuple[str, T]]) -> None:
        """Build the index.

        Args:
            entries: Pairs of a pattern and the value it leads to; the order is kept in answers.

        Raises:
            InvalidPatternError: If a pattern is none.
        """
        self._exact: dict[str, list[tuple[int, T]]] = {}
        self._wild: _Node[T] = _Node()
        self._remembered: dict[str, tuple[T, ...]] = {}
        self._size = 0
        for order, (text, value) in enumerate(entries):
            pattern = Pattern.parse(text)
            if pattern.is_exact:
                self._exact.setdefault(text, []).append((order, value))
            else:
                self._wild.add(pattern.segments, (order, value))
            self._size = order + 1

    def __len__(self) -> int:
        return self._size

    def match(self, event_type: str) -> tuple[T, ...]:
        """Return every value whose pattern wants `event_type`, in the order in which they were given."""
        answer = self._remembered.get(event_type)
        if answer is None:
            answer = self._find(event_type)
            if len(self._remembered) >= self._MOST_REMEMBERED:
                self._remembered.clear()
            self._remembered[event_type] = answer
        return answer

    def _find(self, event_type: str) -> tuple[T, ...]:
        found = self._wild.find(event_type.split("."))
        found += self._exact.get(event_type, ())
        found.sort(key=lambda entry: entry[0])
        return tuple(value for _, value in found)
