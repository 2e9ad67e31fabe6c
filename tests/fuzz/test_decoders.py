"""Every decoder refuses what it cannot read with an error of its own: the short run."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.fuzz.decoders import DECODERS

_ALL = pytest.mark.parametrize("name", sorted(DECODERS))
_SHORT = settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow])


@_ALL
def test_every_decoder_takes_one_of_its_seeds(name: str) -> None:
    """Else the fuzzer would begin with nothing."""
    assert any(DECODERS[name].survives(seed) for seed in DECODERS[name].seeds)


@_ALL
@_SHORT
@given(data=st.binary(max_size=300))
def test_bytes_of_any_kind_are_taken_or_refused(name: str, data: bytes) -> None:
    DECODERS[name].survives(data)


@_ALL
@_SHORT
@given(chosen=st.data())
def test_what_was_right_before_somebody_edited_it_is_taken_or_refused(name: str, chosen: st.DataObject) -> None:
    decoder = DECODERS[name]
    seed = chosen.draw(st.sampled_from(decoder.seeds))
    start = chosen.draw(st.integers(0, len(seed)))
    end = chosen.draw(st.integers(start, min(len(seed), start + 12)))
    pieces = st.sampled_from([b"null", b"{}", b"[]", b"1e999", b"9" * 400, b'"', b"\\ud800", b"\xff", b"true"])
    decoder.survives(seed[:start] + chosen.draw(pieces | st.binary(max_size=8)) + seed[end:])
