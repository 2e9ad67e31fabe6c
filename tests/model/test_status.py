import pytest
from hypothesis import given
from hypothesis import strategies as st

from eventsys.model import LANES, DeliveryStatus, EventStatus, Priority, event_status

PENDING, WAITING, SUCCEEDED, DEAD, EXPIRED, CANCELLED = DeliveryStatus


@pytest.mark.parametrize(
    ("deliveries", "status"),
    [
        ([], EventStatus.DELIVERED),
        ([SUCCEEDED, SUCCEEDED], EventStatus.DELIVERED),
        ([SUCCEEDED, CANCELLED], EventStatus.DELIVERED),
        ([CANCELLED, CANCELLED], EventStatus.CANCELLED),
        ([EXPIRED, CANCELLED], EventStatus.EXPIRED),
        ([EXPIRED, SUCCEEDED], EventStatus.EXPIRED),
        ([DEAD, EXPIRED, SUCCEEDED, CANCELLED], EventStatus.FAILED),
        ([DEAD, PENDING], EventStatus.PENDING),
        ([SUCCEEDED, WAITING], EventStatus.PENDING),
    ],
)
def test_the_deliveries_tell_the_status_of_the_event(deliveries, status):
    assert event_status(deliveries) is status
    assert event_status(iter(deliveries)) is status


@given(st.lists(st.sampled_from(DeliveryStatus)))
def test_an_event_is_pending_exactly_while_a_delivery_is_open(deliveries):
    assert (not event_status(deliveries).is_final) == any(one.is_open for one in deliveries)


def test_lanes_are_the_priorities_most_urgent_first():
    assert LANES == (10, 8, 5, 1)
    assert set(LANES) == set(Priority)
