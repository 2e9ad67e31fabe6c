from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel, ValidationError

from eventsys.errors import InvalidDurationError
from eventsys.model import Duration, format_duration, parse_duration, to_milliseconds
from eventsys.model.durations import kept_milliseconds

durations = st.timedeltas(min_value=timedelta(0))


@pytest.mark.parametrize(
    ("written", "seconds"),
    [
        ("5s", 5),
        ("10m", 600),
        ("24h", 86_400),
        ("7d", 604_800),
        ("2w", 1_209_600),
        ("250ms", 0.25),
        ("15us", 0.000015),
        ("1h30m", 5400),
        (" 1h 30m ", 5400),
        ("1.5h", 5400),
        ("90", 90),
        ("0.5", 0.5),
        ("0s", 0),
        (3, 3),
        (0.25, 0.25),
        (0, 0),
        (timedelta(minutes=2), 120),
    ],
)
def test_every_way_to_write_a_duration_is_understood(written, seconds):
    assert parse_duration(written) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "nonsense",
    [
        *(-1, -0.5, timedelta(seconds=-1), "-5s", "-1"),
        *(float("nan"), float("inf"), 1e300, 10**30, pytest.param(10**5000, id="long"), "999999999999d", "9" * 5000),
        *(True, False, None, [], b"5s"),
        *("", " ", "s", "5 sec", "5S", "5minutes", "s5", "1h-30m", "1e3", "٣s", "1h,30m", "5s!"),
    ],
)
def test_what_is_no_length_of_time_is_refused_with_advice(nonsense):
    with pytest.raises(InvalidDurationError, match=r"give a|longest"):
        parse_duration(nonsense)


@given(durations)
def test_written_durations_read_back_exactly(duration):
    assert parse_duration(format_duration(duration)) == duration


@pytest.mark.parametrize(
    ("duration", "written"),
    [
        (timedelta(0), "0s"),
        (timedelta(seconds=5), "5s"),
        (timedelta(hours=1, minutes=30), "1h30m"),
        (timedelta(milliseconds=250), "250ms"),
        (timedelta(days=7), "7d"),
        (timedelta(seconds=1, microseconds=5), "1s5us"),
    ],
)
def test_a_duration_is_written_shortly(duration, written):
    assert format_duration(duration) == written


@given(durations)
def test_something_is_at_least_one_millisecond_and_never_rounded_up_beyond(duration):
    milliseconds = to_milliseconds(duration)
    assert (milliseconds > 0) == (duration > timedelta(0))
    assert milliseconds in (1, duration // timedelta(milliseconds=1))


@pytest.mark.parametrize(("written", "milliseconds"), [("0s", 0), ("1us", 1), ("999us", 1), ("1999us", 1), (5, 5_000)])
def test_less_than_a_millisecond_is_not_nothing(written, milliseconds):
    assert to_milliseconds(written) == milliseconds


@pytest.mark.parametrize("written", ["1us", "999us", 0.0005, timedelta(microseconds=1), "0.5ms"])
def test_what_is_kept_in_milliseconds_is_refused_when_it_is_shorter(written):
    """Rounded to 0 or to 1 it would mean something that nobody said."""
    with pytest.raises(InvalidDurationError, match=r"wait will not do: '.*us' is shorter than a millisecond.*give 1ms"):
        kept_milliseconds(written, "wait")
    with pytest.raises(ValidationError, match="shorter than a millisecond"):
        Options(wait=written)


@pytest.mark.parametrize(("written", "milliseconds"), [(0, 0), ("0s", 0), ("1ms", 1), (0.001, 1), ("1999us", 1)])
def test_nothing_and_a_millisecond_are_kept(written, milliseconds):
    assert kept_milliseconds(written, "wait") == milliseconds
    assert to_milliseconds(Options(wait=written).wait) == milliseconds


@pytest.mark.parametrize("written", [1e-7, "0.1us", "0.0000001", 1e-300])
def test_something_is_never_read_as_nothing(written):
    with pytest.raises(InvalidDurationError, match="shorter than a microsecond"):
        parse_duration(written)


class Options(BaseModel):
    wait: Duration


def test_a_pydantic_field_takes_all_forms_and_is_text_in_json():
    assert Options(wait="1h30m").wait == timedelta(minutes=90)  # type: ignore[arg-type]
    assert Options(wait=5).model_dump_json() == '{"wait":"5s"}'  # type: ignore[arg-type]
    assert Options.model_validate_json('{"wait":"5s"}') == Options(wait=timedelta(seconds=5))
    assert Options.model_json_schema()["properties"]["wait"]["type"] == "string"


def test_a_pydantic_field_refuses_with_the_same_advice():
    with pytest.raises(ValidationError, match="give a timedelta"):
        Options(wait="soon")  # type: ignore[arg-type]
