"""What a batch handler raises to fail some of its events."""

from __future__ import annotations

import pytest

from eventsys import BatchError


def test_an_error_that_is_no_exception_is_refused_where_it_is_made() -> None:
    with pytest.raises(TypeError, match=r"gives each event id its exception; 'x' has 'wrong'"):
        BatchError({"x": "wrong"})  # type: ignore[dict-item]


def test_a_batch_error_names_the_first_few() -> None:
    error = BatchError({str(n): ValueError(n) for n in range(5)})
    assert str(error) == "5 events failed: 0: ValueError: 0; 1: ValueError: 1; 2: ValueError: 2; and 2 more"
    assert str(BatchError({})) == "no event failed"
