import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsys.errors import InvalidPatternError
from eventsys.model import Pattern, PatternIndex, check_pattern, pattern_matches

from .strategies import event_types

few_segments = st.sampled_from(["user", "order", "system", "cron", "a"])
few_types = st.lists(few_segments, min_size=1, max_size=4).map(".".join)
few_patterns = st.tuples(st.lists(few_segments | st.just("*"), max_size=4), st.booleans()).map(
    lambda parts: ".".join([*parts[0], *(["#"] if parts[1] or not parts[0] else [])])
)


def naive_match(pattern: list[str], event_type: list[str]) -> bool:
    """The words of the contract, as a recursion."""
    if not pattern:
        return not event_type
    if pattern == ["#"]:
        return True
    return bool(event_type) and pattern[0] in ("*", event_type[0]) and naive_match(pattern[1:], event_type[1:])


def contract(pattern: str, event_type: str) -> bool:
    if event_type.split(".")[0] in ("system", "cron") and pattern.split(".")[0] != event_type.split(".")[0]:
        return False
    return naive_match(pattern.split("."), event_type.split("."))


@pytest.mark.parametrize(
    ("pattern", "matching", "others"),
    [
        ("user.login", ["user.login"], ["user", "user.login.failed", "user.logout"]),
        ("user.*", ["user.login"], ["user", "user.a.b", "users.a"]),
        ("*.created", ["data.created"], ["created", "system.created", "cron.created", "a.b.created"]),
        ("cron.*.created", ["cron.task.created"], ["cron.created"]),
        ("order.#", ["order", "order.placed", "order.item.added"], ["orders", "orders.placed"]),
        ("order.*.#", ["order.placed", "order.item.added"], ["order"]),
        ("#", ["user", "user.login", "a.b.c.d"], ["system", "system.error", "cron.task.created"]),
        ("*", ["user"], ["user.login", "system", "cron"]),
        ("system.#", ["system", "system.error"], ["cron.task.created", "systems.error"]),
        ("system.*", ["system.warning"], ["system"]),
    ],
)
def test_patterns_mean_what_the_documentation_says(pattern, matching, others):
    assert [one for one in matching + others if pattern_matches(pattern, one)] == matching


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("", "has 1 to 128 characters"),
        ("a" * 129, "has 129"),
        ("order.#.x", "'#' before its end"),
        ("#.x", "'#' before its end"),
        ("user.lo*", "wildcard within 'lo*'"),
        ("user.**", "wildcard within"),
        ("user..*", "empty segment"),
        ("User.*", "segment 'User'"),
        ("User.Login", "segment 'User'"),
        ("user login", "segment 'user login'"),
        ("1user", "does not begin with a letter"),
        ("1user.*", "begins with '1'"),
        ("-.#", "begins with '-'"),
        (None, "is text, not NoneType"),
    ],
)
def test_what_is_no_pattern_is_refused_with_the_reason(wrong, reason):
    with pytest.raises(InvalidPatternError) as caught:
        check_pattern(wrong)
    assert reason in str(caught.value)


@given(event_types)
def test_every_type_is_a_pattern_that_matches_itself(name):
    assert Pattern.parse(name).is_exact
    assert pattern_matches(name, name)


@given(few_patterns, few_types)
def test_a_pattern_agrees_with_the_contract(pattern, event_type):
    assert pattern_matches(pattern, event_type) == contract(pattern, event_type)


@given(st.lists(few_patterns, max_size=12), st.lists(few_types, max_size=6))
def test_the_index_agrees_with_trying_each_pattern_and_keeps_the_order(patterns, types):
    index = PatternIndex((pattern, number) for number, pattern in enumerate(patterns))
    assert len(index) == len(patterns)
    for event_type in types * 2:  # the second time from memory
        wanted = tuple(number for number, pattern in enumerate(patterns) if contract(pattern, event_type))
        assert index.match(event_type) == wanted


def test_the_index_forgets_rather_than_grows_without_end():
    index = PatternIndex([("user.*", "a")])
    for number in range(20_000):
        assert index.match(f"user.n{number}") == ("a",)
    assert len(index._remembered) <= index._MOST_REMEMBERED
