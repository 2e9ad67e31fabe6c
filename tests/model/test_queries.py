import gc
from datetime import UTC, datetime, timedelta

import pytest
from pydantic import BaseModel, ValidationError

from eventsys.model import EventFilter, EventMetrics, EventStatus, Page, Priority
from eventsys.model.queries import page_of

NOW = datetime(2026, 1, 31, 12, 0, tzinfo=UTC)


def test_a_filter_without_conditions_asks_for_the_newest_twenty():
    everything = EventFilter()
    assert (everything.page, everything.page_size, everything.order) == (1, 20, "newest")
    assert (everything.types, everything.status, everything.start_time, everything.cursor) == ((), None, None, None)


def test_a_filter_takes_lists_patterns_and_numbers():
    asked = EventFilter(types=["user.*", "order.placed"], priority=8, status="pending", start_time=NOW)  # type: ignore[arg-type]
    assert asked.types == ("user.*", "order.placed")
    assert (asked.priority, asked.status) == (Priority.HIGH, EventStatus.PENDING)
    assert EventFilter.model_validate_json(asked.model_dump_json()) == asked


@pytest.mark.parametrize(
    "wrong",
    [
        {"types": ["User"]},
        {"page": 0},
        {"page_size": 0},
        {"page_size": 501},
        {"order": "random"},
        {"start_time": datetime(2026, 1, 31)},  # noqa: DTZ001
        {"start_time": NOW, "end_time": NOW - timedelta(seconds=1)},
        {"type": "user.login"},
    ],
)
def test_a_filter_that_cannot_be_is_refused(wrong):
    with pytest.raises(ValidationError):
        EventFilter(**wrong)


@pytest.mark.parametrize(("total", "pages"), [(0, 0), (1, 1), (20, 1), (21, 2), (400, 20)])
def test_a_page_counts_the_pages(total, pages):
    assert Page[int](items=[], total=total, page=1, page_size=20).pages == pages


class Item(BaseModel):
    name: str


def test_a_page_and_the_counters_survive_json():
    page = Page[Item](items=[Item(name="a")], total=1, total_is_exact=False, next_cursor="c")
    assert Page[Item].model_validate_json(page.model_dump_json()) == page
    assert '"pages":1' in page.model_dump_json()
    metrics = EventMetrics(total_events=3, pending_events=1, delivered_events=2)
    assert EventMetrics.model_validate_json(metrics.model_dump_json()) == metrics


def test_the_class_of_a_page_outlives_a_collection_of_garbage() -> None:
    """Pydantic keeps a class only as long as somebody else does, and makes it anew for 15 ms."""
    first = id(page_of(int))
    gc.collect()
    assert id(page_of(int)) == first
    assert page_of(int)(items=[1], total=1).items == [1]
