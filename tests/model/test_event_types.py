import pytest
from hypothesis import given

from eventsys.errors import InvalidEventError
from eventsys.model import check_event_type

from .strategies import event_types


@given(event_types)
def test_dotted_lower_case_names_are_types(name):
    assert check_event_type(name) == name


@pytest.mark.parametrize(
    ("wrong", "reason"),
    [
        ("", "is empty"),
        ("User.Login", "upper-case letters.*did you mean 'user.login'"),
        ("userLogin", "did you mean 'user_login'"),
        ("user login", "whitespace.*did you mean 'user.login'"),
        ("user.login\n", "whitespace"),
        ("user..login", "empty segment.*did you mean 'user.login'"),
        (".user", "empty segment"),
        ("user.", "empty segment"),
        ("1user", "does not begin with a letter"),
        ("user.*", "is a pattern"),
        ("order.#", "is a pattern"),
        ("user/login", "did you mean 'user.login'"),
        ("user.é", "characters other than"),
        ("a" * 129, "has 129 characters"),
        (None, "is text, not NoneType"),
        (["a"], "is text, not list"),
        (b"a", "is text, not bytes"),
    ],
)
def test_a_near_miss_is_named(wrong, reason):
    with pytest.raises(InvalidEventError, match=f"(?s){reason}"):
        check_event_type(wrong)


def test_a_name_of_128_letters_is_accepted():
    assert check_event_type("a" * 128)
