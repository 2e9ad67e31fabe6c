"""`eventsys top`: what it sees, and how that is drawn."""

from __future__ import annotations

import io
import re
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from rich.console import Console

from eventsys import Event, EventMetrics, EventService, SubscriptionState
from eventsys.cli.top.fitting import shares
from eventsys.cli.top.samples import LONGEST, History, Sample
from eventsys.cli.top.screen import draw, sparkline
from eventsys.model.histogram import Histogram
from eventsys.model.machinery import InHand, QueueState, WorkerProcess
from eventsys.model.metrics import Rates, SubscriptionMetrics
from eventsys.model.standing import SubscriptionStanding
from eventsys.model.subscription import Subscription

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


def test_the_curve_of_latency_is_of_what_ended_between_two_looks_and_not_of_all_time() -> None:
    history = History()
    assert history.latency() == []
    for at, counts in enumerate([{3: 10_000}, {3: 10_000}, {3: 10_000, 10: 50}, {3: 10_100, 10: 50}, {}]):
        waits = Histogram(timedelta(milliseconds=1), counts)
        history.add(sample(float(at))._replace(waits=waits))
    idle, slow, quick, emptied = history.latency()
    assert (idle, emptied) == (0.0, 0.0)  # nothing ended; Redis was emptied
    assert 0.5 < slow <= 1.024
    assert quick <= 0.008
    lines = io.StringIO()
    Console(width=72, file=lines, legacy_windows=False).print(draw(history, 72))
    [line] = [one for one in lines.getvalue().splitlines() if one.startswith("latency")]
    assert line.rstrip().endswith("▁█▁▁")


def test_a_process_whose_lease_has_ended_is_no_worker() -> None:
    """After all were killed they were shown as if they worked, until others took over from them."""
    started = datetime(2026, 11, 25, tzinfo=UTC)
    processes = [
        WorkerProcess(
            name=f"p{number}", host="a", pid=number, number=number, queues=[], started_at=started,
            lease_ends_in=timedelta(seconds=ends_in_s),
        )
        for number, ends_in_s in enumerate((8, -1, -1))
    ]  # fmt: skip
    history, lines = History(), io.StringIO()
    history.add(sample(1.0)._replace(processes=processes))
    Console(width=72, file=lines, legacy_windows=False).print(draw(history, 72))
    [line] = [one for one in lines.getvalue().splitlines() if one.startswith("workers")]
    assert line.split()[1] == "1"


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


def crowded(subscriptions: int = 40) -> History:
    """A look at a bus with many subscriptions of long names and large figures."""
    standings = [
        SubscriptionStanding(
            name=f"notifications.send_by_mail_{number}", state=SubscriptionState.UNHOSTED, backlog=1_234_567,
            waiting=1_234_567, dead_letters=98_765,
            subscription=Subscription(name=f"n{number}", pattern="order.paid", queue="default"),
        )
        for number in range(subscriptions)
    ]  # fmt: skip
    figures = {
        one.name: SubscriptionMetrics(subscription=one.name, backlog=1_234_567, rate=Rates(one_minute=1234.5))
        for one in standings
    }
    queues = [QueueState(name=f"reports-{number}", waiting=1_234_567, running=10) for number in range(3)]
    held = [InHand(handler="ship", queue="default", process="host:4711", since=timedelta(seconds=5))]
    history = History()
    for at in range(90):
        history.add(Sample(float(at), EventMetrics(total_events=at * at), figures, standings, queues, [], held))
    return history


@pytest.mark.parametrize("width", [60, 66, 72, 80, 100, 200])
@pytest.mark.parametrize("height", [20, 24, 50])
def test_the_screen_fits_the_terminal_and_no_title_or_figure_is_cut(width: int, height: int) -> None:
    console = Console(width=width, height=height, file=io.StringIO(), legacy_windows=False)
    console.print(draw(crowded(), width, height))
    said = console.file.getvalue()  # type: ignore[attr-defined]
    lines = said.splitlines()
    assert max(len(line) for line in lines) <= width
    assert len(lines) <= height
    assert {"SUBSCRIPTION", "STATE", "BACKLOG", "QUEUE", "WAITING", "IN HAND", "SINCE"} <= set(
        re.split(r"\s{2,}", said)
    )
    assert "…" not in "".join(line.partition("  ")[2] for line in lines)
    assert "notifications.se" in said
    assert re.search(r"and \d+ more", said)


def test_rows_are_shared_by_need() -> None:
    assert shares([40, 3, 1], 20) == [16, 3, 1]
    assert shares([40, 40, 40], 10) == [4, 3, 3]
    assert shares([0, 2, 0], 50) == [0, 2, 0]
    assert shares([5, 5, 5], -4) == [1, 1, 1]


def test_one_look_shows_what_is_in_hand_and_how_subscriptions_stand(
    events: EventService, work: Callable[[], Any], run: Run
) -> None:
    running, go_on = threading.Event(), threading.Event()

    @events.on("order.paid", name="ship")
    def ship(event: Event) -> None:
        running.set()
        go_on.wait(60)

    events.publish("order.paid", {})
    work()
    assert running.wait(60)
    [held] = events.machinery.in_hand()
    assert (held.handler, held.queue) == ("ship", "tests")
    said = run("top", "--once")
    go_on.set()
    assert held.process in said
    assert "ship" in said
    assert "eventsys.log" in said
