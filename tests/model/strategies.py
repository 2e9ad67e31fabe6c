"""What hypothesis makes for the tests of the model."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import strategies as st

from eventsys.model import Event, Priority

segments = st.text("abz09_-", min_size=1, max_size=6)
event_types = st.builds(
    lambda first, rest: ".".join([first, *rest]),
    st.from_regex(r"[a-z][a-z0-9_-]{0,5}", fullmatch=True) | st.sampled_from(["system", "cron", "user", "order"]),
    st.lists(segments, max_size=4),
)

# Text as Python has it, lone surrogates left out; NUL and the rare planes are in.
text = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)
json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | text,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(text, inner, max_size=4),
    max_leaves=20,
)
payloads = st.dictionaries(text, json_values, max_size=5)
ids = st.text(st.characters(min_codepoint=33, max_codepoint=0x1F6FF), min_size=1, max_size=40).filter(
    lambda text: text.isprintable() and text not in {".", ".."}
)
times = st.datetimes(timezones=st.just(UTC), min_value=datetime(1970, 1, 1), max_value=datetime(2200, 1, 1))  # noqa: DTZ001


def kept_durations(longest: timedelta) -> st.SearchStrategy[timedelta]:
    """Make durations that an option may have: nothing, or a millisecond and more."""
    return st.just(timedelta(0)) | st.timedeltas(timedelta(milliseconds=1), longest)


@st.composite
def events(draw: st.DrawFn) -> Event:
    """An event with any of its fields set or left to its default."""
    optional = {
        "source": text,
        "version": st.integers(1, 2**40),
        "priority": st.sampled_from(Priority),
        "correlation_id": ids,
        "causation_id": ids,
        "headers": st.dictionaries(
            st.sampled_from(["traceparent", "subject", "dataschema", "datacontenttype", "id", "priority", "X-Y"])
            | text.filter(bool),
            st.sampled_from(["", "application/json", "text/json", "https://a.example/b"]) | text,
            max_size=4,
        ),
        "idempotency_key": text.filter(bool),
        "depth": st.integers(0, 100),
    }
    chosen = draw(st.sets(st.sampled_from(sorted(optional))))
    fields = {name: draw(optional[name]) for name in sorted(chosen)}
    return Event(id=draw(ids), type=draw(event_types), payload=draw(payloads), time=draw(times), **fields)
