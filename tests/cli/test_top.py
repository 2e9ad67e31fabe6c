"""`eventsys top`: what it sees, and how that is drawn."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

import pytest

from eventsys import Event, EventMetrics, EventService
from eventsys.cli.top.samples import LONGEST, History, Sample
from eventsys.cli.top.screen import sparkline

Run = Callable[..., str]


def sample(at: float, **figures: int) -> Sample:
    return Sample(at, EventMetrics(**figures), {}, [], [], [], [])


def test_rates_are_differences_of_exact_counts_over_the_time_between_two_looks() -> None:
    history = History()
    history.add(sample(10.0, total_events=100, succeeded=50, backlog=7))
    history.add(sample(12.0, total_events=300, succeeded=60, dead=10, backlog=3))
    assert history.events_a_second() == [100.0]
    assert history.deliveries_a_second() == [10.0]
    assert history.backlog() == [7.0, 3.0]


def test_no_more_is_kept_than_the_curves_show() -> None:
    history = History()
    for at in range(10 * LONGEST):
        history.add(sample(float(at)))
    assert len(history.events_a_second()) == LONGEST


@pytest.mark.parametrize(
    ("values", "curve"),
    [([], ""), ([0, 0], "▁▁"), ([0, 1, 2, 7], "▁▂▃█"), ([5], "█")],
)
def test_a_curve_is_as_high_as_its_largest_value(values: list[float], curve: str) -> None:
    assert sparkline(values) == curve


def test_one_look_shows_what_is_in_hand_and_how_subscriptions_stand(
    events: EventService, work: Callable[[], Any], run: Run
) -> None:
    running, go_on = threading.Event(), threading.Event()

    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        running.set()
        go_on.wait(10)

    events.publish("order.paid", {})
    work()
    assert running.wait(10)
    [held] = events.machinery.in_hand()
    assert (held.handler, held.queue) == ("ship", "tests")
    said = run("top", "--once")
    go_on.set()
    assert held.process in said
    assert "ship" in said
    assert "eventsys.log" in said
