"""What waits is written alike by the process that schedules it and by the scripts."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from hypothesis.strategies import DrawFn

import eventsys.store
from eventsys.model.envelope import encode_event
from eventsys.model.new_events import new_event
from eventsys.store.delayed_bodies import event_body, read_body
from eventsys.store.steps import Step, event_step, packed

_LUA = Path(eventsys.store.__file__).parent / "lua" / "includes" / "delayed_body.lua"
_texts = st.text(st.characters(exclude_categories=["Cs"]), max_size=20)


@st.composite
def _entries(draw: DrawFn) -> tuple[Step, dict[str, int]]:
    event_id = draw(st.none() | st.text("abc-0189_\u00e9\u6f22", min_size=1, max_size=40))
    event_type = draw(st.sampled_from(["step.taken", "a", "user.login.failed"]))
    source, headers = draw(_texts), draw(st.dictionaries(_texts.filter(bool), _texts, max_size=2))
    event = new_event(event_type, {}, now_ms=1_800_000_000_000, event_id=event_id, source=source, headers=headers)
    envelope = encode_event(event, b'{"a":"b"}').decode()
    key = draw(st.none() | st.text("ky", min_size=1, max_size=9))
    step = event_step(
        event.id, event.type, int(draw(st.sampled_from([1, 5, 8, 10]))), envelope,
        key=key, window_ms=draw(st.integers(0, 10**10)) if key else 0,
        chain=draw(st.none() | st.just("c-1")), expire_after_ms=draw(st.sampled_from([0, 1, 86_400_000, 2**40])),
    )  # fmt: skip
    return step, draw(st.sampled_from([{}, {"created_ms": 1_800_000_000_000}]))


def test_a_process_and_a_script_write_the_same_body(events) -> None:
    text = f"{_LUA.read_text()}\nreturn pack_entry(cmsgpack.unpack(ARGV[1]))"

    @hypothesis_settings(max_examples=300)
    @given(_entries())
    def check(entry: tuple[Step, dict[str, int]]) -> None:
        step, facts = entry
        written = event_body(step, facts)
        by_script = events.broker.link.call("EVAL", text, 0, packed((step[1], "", step, facts)))
        assert written is not None
        assert read_body(written) == read_body(by_script) == (step[1], "", list(step), facts)
        assert len(written) == len(by_script)

    check()


def test_an_envelope_that_begins_otherwise_is_kept_as_it_is() -> None:
    step = event_step("e1", "step.taken", 5, '{"type":"step.taken","id":"e1"}')
    assert event_body(step, {}) is None
    assert event_body(event_step("e1", "step.taken", 5, '{"id":"e1","type":"other"}'), {}) is None
