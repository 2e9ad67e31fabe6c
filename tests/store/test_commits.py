"""What one commit writes for many attempts is what they would have written one by one."""

from __future__ import annotations

import itertools
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from eventsys.store.keys import GROUP
from tests.store.commit_bench import T0, TARGETS, Bench, ended
from tests.support.histories import PROCESS, Historian

pytestmark = pytest.mark.redis62


_numbers = itertools.count()


def test_the_deliveries_of_an_event_end_together_whatever_their_queues(bench: Bench) -> None:
    held = bench.deliver("e1", "e2")
    assert bench.commit(*[(*held[key], ended(*key)) for key in held if key != ("e2", 2)]) == []
    line = f"s{T0 + 5},500,1"
    assert bench.record("e1") | {"log": ""} == {"log": "", "open": "0", "1": line, "2": line, "3": line}
    assert bench.record("e2")["open"] == "1"
    assert bench.record("e2")["2"].startswith("@first:5:")
    assert (bench.is_pending("e1"), bench.is_pending("e2"), bench.left()) == (False, True, 1)
    assert (bench.count("deliveries_succeeded"), bench.count("delivered_events")) == (5, 1)
    assert bench.link.call("PTTL", bench.keys.record("e1")) > 0
    assert bench.link.call("PTTL", bench.keys.record("e2")) == -1


def test_an_error_told_at_length_costs_the_end_of_its_event_nothing(bench: Bench) -> None:
    """Redis's processor, not time: for 20,000 bytes a pattern that may begin anywhere takes a second and a half."""
    held = bench.deliver("e1")
    bench.link.call("HSET", bench.keys.record("e1"), "trouble", 1, "1", f"f{T0},1,1,{'x' * 20_000}")
    before = _processor_s(bench)
    first = (*ended("e1", 1)[:4], False, "a.b", 3, 500)
    assert bench.commit(*[(*held[key], first if key[1] == 1 else ended(*key)) for key in held]) == []
    assert _processor_s(bench) - before < 0.75
    assert bench.record("e1")["1"].endswith(f"\ns{T0 + 5},500,1")
    assert bench.count("delivered_events") == 1


def _processor_s(bench: Bench) -> float:
    said = dict(line.split(":") for line in bench.link.call("INFO", "cpu").decode().split() if ":" in line)
    return float(said["used_cpu_user"]) + float(said["used_cpu_sys"])


def test_a_delivery_that_had_ended_is_lost_and_takes_no_other_with_it(bench: Bench) -> None:
    held = bench.deliver("e1", "e2")
    assert bench.commit((*held["e1", 2], ended("e1", 2, took_us=7))) == []
    attempts = [(*held[key], ended(*key)) for key in held]
    assert bench.commit(*attempts) == [(list(held).index(("e1", 2)), "lost")]
    assert bench.record("e1")["2"] == f"s{T0 + 5},7,1"
    assert (bench.record("e1")["open"], bench.record("e2")["open"], bench.left()) == ("0", "0", 0)
    assert (bench.count("deliveries_succeeded"), bench.count("delivered_events")) == (6, 2)
    assert sum(bench.times("a.b:2")[2:30]) == 2


def test_a_commit_that_is_sent_again_changes_nothing(bench: Bench) -> None:
    held = bench.deliver("e1")
    attempts = [(*held[key], ended(*key)) for key in held]
    assert bench.commit(*attempts) == []
    before = bench.record("e1"), bench.times("a.b:1"), bench.count("deliveries_succeeded")
    assert sorted(bench.commit(*attempts)) == [(0, "lost"), (1, "lost"), (2, "lost")]
    assert (bench.record("e1"), bench.times("a.b:1"), bench.count("deliveries_succeeded")) == before


def test_a_dispatch_that_is_sent_again_leaves_the_history_alone(bench: Bench, historian: Historian) -> None:
    historian.store("a.b", T0, event_id="e1")
    [(stream, entry, envelope)] = historian.fetch()
    version = (bench.link.call("GET", bench.keys.subscriptions_version) or b"0").decode()
    attempt = (stream, entry, ("dispatched", "e1", version, 5, envelope, TARGETS, "a.b", False))
    assert bench.commit(attempt) == []
    assert bench.commit(attempt) == [(0, "lost")]
    assert (bench.left(), bench.count("deliveries"), bench.link.call("XLEN", stream)) == (3, 3, 1)


def test_of_a_dispatch_in_part_sent_again_only_the_rest_is_new(bench: Bench, historian: Historian) -> None:
    for event_id in ("e1", "e2"):
        historian.store("a.b", T0, event_id=event_id)
    version = (bench.link.call("GET", bench.keys.subscriptions_version) or b"0").decode()
    attempts = [
        (stream, entry, ("dispatched", envelope.split('"')[3], version, 5, envelope, TARGETS, "a.b", False))
        for stream, entry, envelope in historian.fetch()
    ]
    assert bench.commit(attempts[0]) == []
    bench.commit(*attempts)
    assert (bench.left(), bench.count("deliveries"), bench.link.call("XLEN", attempts[0][0])) == (6, 6, 2)
    assert bench.link.call("XPENDING", attempts[0][0], GROUP)[0] == 0


def test_deliveries_are_counted_by_the_types_of_their_events_though_some_had_gone_before(
    bench: Bench, historian: Historian
) -> None:
    """Where all go, they are counted by what the process had ready; else one by one."""
    for event_id, event_type in (("e1", "a.b"), ("e2", "a.c"), ("e3", "a.c"), ("e4", "a.d"), ("e5", "a.b")):
        historian.store(event_type, T0, event_id=event_id)
    version = (bench.link.call("GET", bench.keys.subscriptions_version) or b"0").decode()
    attempts = [
        (stream, entry, ("dispatched", words[3], version, 5, envelope, targets, words[7], False))
        for stream, entry, envelope in historian.fetch()
        for words in [envelope.split('"')]
        for targets in [[] if words[3] == "e4" else TARGETS]
    ]
    assert bench.commit(*attempts[:3]) == []
    assert [bench.counted(f"{name}:2") for name in ("a.b", "a.c")] == [{"opened": 1}, {"opened": 2}]
    bench.commit(*attempts[1:])
    assert [bench.counted(f"{name}:2") for name in ("a.b", "a.c", "a.d")] == [{"opened": 2}, {"opened": 2}, {}]
    assert (bench.count("deliveries"), bench.count("unrouted_events")) == (12, 1)


ONE = TARGETS[:4]
GATED = [1, "one", "", 0]
URGENT = [1, "one", "first", 10, *TARGETS[4:]]


@pytest.mark.parametrize(
    ("event_type", "targets", "changes"),
    [
        ("a.b", ONE, {}), ("a.b", TARGETS, {}), ("a.b", URGENT, {}), ("a.b", [], {}), ("a.b", GATED, {}),
        ("system.startup", TARGETS, {}), ("a.b", TARGETS, {2: "of long ago"}), ("a.b", TARGETS, {7: T0 + 500}),
        ("a.b", TARGETS, {1: "e9"}),
    ],
    ids=str,
)  # fmt: skip
@pytest.mark.parametrize("goes_wrong", [None, "lost", "dispatched", "record", "queue"])
def test_an_event_that_comes_alone_leaves_behind_what_it_would_among_others(
    bench: Bench, historian: Historian, event_type: str, targets: list[Any], changes: dict[int, Any],
    goes_wrong: str | None,
) -> None:  # fmt: skip
    """One that is plain is dispatched by a shorter way, which is not taken while any delivery has crashed."""
    crashes = f"{bench.keys.prefix}:crashes"

    def kept(*, is_alone: bool) -> tuple[list[tuple[int, str]], dict[str, Any]]:
        historian.wipe()
        historian.begin()
        historian.store("a.b", T0, event_id="e0")
        historian.dispatch(T0, targets=ONE)
        historian.store(event_type, T0, event_id="e1", priority=8)
        [(stream, entry, envelope)] = historian.fetch()
        ending: list[Any] = ["dispatched", "e1", "0", 8, envelope, targets, event_type, False]
        for place, value in changes.items():
            ending[place] = value
        if goes_wrong == "lost":
            bench.link.call("XACK", stream, GROUP, entry)
        elif goes_wrong == "dispatched":
            bench.link.call("HSET", bench.keys.record("e1"), "open", 3)
        elif goes_wrong:
            broken = bench.keys.record("e1") if goes_wrong == "record" else bench.keys.lane("second", 8)
            bench.link.call("DEL", broken)
            bench.link.call("RPUSH", broken, "no such thing")
        if not is_alone:
            bench.link.call("HSET", crashes, "of another", 1)
        told = bench.commit((stream, entry, tuple(ending)))
        bench.link.call("HDEL", crashes, "of another")
        held = {**historian.kept(), "pending": bench.link.call("XPENDING", stream, GROUP)}
        for value in held.values():
            if b"error" in value:  # where in the script it came differs
                value[b"error"] = value[b"error"].partition(b" script:")[0]
        return told, held

    assert kept(is_alone=True) == kept(is_alone=False)


@pytest.mark.parametrize("is_first", [True, False])
@pytest.mark.parametrize("queue", ["first", "log"])
def test_plain_messages_that_end_with_the_dispatch_of_one_event_end_too(
    bench: Bench, historian: Historian, queue: str, is_first: bool
) -> None:
    historian.store("a.b", T0, event_id="e1")
    [(log, entry, envelope)] = historian.fetch()
    stream = log if queue == "log" else bench.keys.lane("first", 5)
    bench.link.call("XADD", stream, f"{T0 + 7}-0", "m", "{}")
    bench.link.call("XREADGROUP", "GROUP", GROUP, PROCESS, "STREAMS", stream, ">")
    attempts = [
        (stream, f"{T0 + 7}-0", ("done",)),
        (log, entry, ("dispatched", "e1", "0", 5, envelope, ONE, "a.b", False)),
    ]
    assert bench.commit(*attempts[:: 1 if is_first else -1]) == []
    assert [bench.link.call("XPENDING", one, GROUP)[0] for one in (stream, log)] == [0, 0]
    assert (bench.left(), bench.link.call("XLEN", log), bench.count("deliveries")) == (1, 1, 1)


def test_more_kinds_of_deliveries_than_a_piece_of_the_journal_holds_are_all_counted(
    bench: Bench, historian: Historian
) -> None:
    targets = [part for number in range(1, 301) for part in (number, f"s{number}", "first", 0)]
    historian.store("a.b", T0, event_id="e1")
    historian.commit_dispatched(historian.fetch(), T0, targets)
    assert bench.link.call("LLEN", f"{bench.keys.prefix}:metrics:journal") == 1 + 2
    assert [bench.counted(f"a.b:{number}") for number in (1, 250, 251, 300)] == [{"opened": 1}] * 4


@pytest.mark.parametrize("many", [1, 2])
def test_an_event_goes_to_more_targets_than_a_call_takes_values(bench: Bench, historian: Historian, many: int) -> None:
    targets = [part for number in range(1, 5001) for part in (number, f"s{number}", "first", 0)]
    for number in range(many):
        historian.store("a.b", T0, event_id=f"e{number}")
    historian.commit_dispatched(historian.fetch(), T0, targets)
    assert (bench.left(), bench.count("deliveries")) == (5000 * many, 5000 * many)
    assert (bench.record("e0")["open"], len(bench.record("e0"))) == ("5000", 5002)


def test_an_entry_that_comes_twice_in_a_batch_ends_once(bench: Bench) -> None:
    held = bench.deliver("e1")
    attempt = (*held["e1", 1], ended("e1", 1))
    assert bench.commit(attempt, attempt) == [(1, "lost")]
    assert (bench.record("e1")["open"], bench.count("deliveries_succeeded")) == ("2", 1)


def test_a_record_that_cannot_be_written_spoils_no_other(bench: Bench) -> None:
    held = bench.deliver("e1", "e2")
    bench.link.call("SET", bench.keys.record("e1"), "no hash")
    attempts = [(*held[key], ended(*key)) for key in held]
    refused = [(at, "refused") for at, key in enumerate(held) if key[0] == "e1"]
    assert sorted(bench.commit(*attempts)) == refused
    assert (bench.record("e2")["open"], bench.left(), bench.count("dead_letters_commit_failed")) == ("0", 0, 3)


def test_an_ending_that_fails_before_its_line_is_written_ends_its_delivery(bench: Bench) -> None:
    """As a dead letter whose key is taken: the event must not stay pending for ever."""
    held = bench.deliver("e1")
    bench.link.call("SET", bench.keys.dead, "no sorted set")
    facts = ["reason", "failed", "owner", "subscription:one"]
    ending = ("dead", "e1", 1, f"d{T0},1,1", True, "e1:one", facts, "a.b", 1, 1)
    assert bench.commit((*held["e1", 1], ending)) == [(0, "refused")]
    assert bench.record("e1")["1"].startswith("d")
    assert bench.record("e1")["open"] == "2"


def test_a_lane_that_is_none_loses_its_attempts_and_spoils_no_other(bench: Bench) -> None:
    held = bench.deliver("e1")
    second = held["e1", 3][0]
    bench.link.call("DEL", second)
    bench.link.call("SET", second, "no stream")
    attempts = [(*held[key], ended(*key)) for key in held]
    assert bench.commit(*attempts) == [(2, "lost")]
    assert bench.record("e1")["open"] == "1"


def test_plain_messages_end_with_their_entries(bench: Bench) -> None:
    held = bench.deliver("e1")
    assert bench.commit(*[(*held[key], ("done",)) for key in held]) == []
    assert bench.left() == 0
    assert bench.link.call("XPENDING", held["e1", 1][0], GROUP)[0] == 0


def test_a_record_that_is_gone_stays_gone(bench: Bench) -> None:
    held = bench.deliver("e1")
    bench.link.call("DEL", bench.keys.record("e1"))
    assert bench.commit(*[(*held[key], ended(*key)) for key in held]) == []
    assert (bench.record("e1"), bench.left()) == ({}, 0)


def test_an_event_that_comes_and_ends_in_one_commit_is_not_pending(bench: Bench) -> None:
    held = bench.deliver("e1")
    attempts = [(*held[key], ended(*key)) for key in held]
    step = ("event", "e9", "a.c", 5, '{"id":"e9","type":"a.c","payload":{}}', False, 0, False, 0)
    assert bench.commit((*attempts[0], [step]), *attempts[1:]) == []
    assert (bench.is_pending("e1"), bench.is_pending("e9")) == (False, True)
    assert (bench.record("e1")["open"], bench.count("total_events")) == ("0", 2)


def test_a_dispatch_by_an_older_set_of_subscriptions_is_stale_and_spoils_no_other(
    bench: Bench, historian: Historian
) -> None:
    held = bench.deliver("e1")
    historian.store("a.b", T0, event_id="e2")
    historian.store("a.b", T0, event_id="e3")
    (stream, second, envelope), (_, third, other) = historian.fetch()
    version = (bench.link.call("GET", bench.keys.subscriptions_version) or b"0").decode()
    assert bench.commit(
        (stream, second, ("dispatched", "e2", "of long ago", 5, envelope, TARGETS, "a.b", False)),
        (*held["e1", 1], ended("e1", 1)),
        (stream, third, ("dispatched", "e3", version, 5, other, TARGETS, "a.b", False)),
    ) == [(0, "stale")]
    assert "open" not in bench.record("e2")
    assert (bench.record("e1")["open"], bench.record("e3")["open"]) == ("2", "3")
    [[waiting, *_]] = bench.link.call("XPENDING", stream, GROUP, "-", "+", 10)
    assert waiting.decode() == second
    assert bench.count("deliveries") == 6


@given(
    waits_ms=st.lists(st.integers(0, 2**29) | st.integers(0, 5), min_size=1, max_size=5),
    took_us=st.lists(st.integers(0, 2**37) | st.integers(0, 5), min_size=5, max_size=5),
)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_what_is_measured_before_is_what_the_script_would_measure(
    bench: Bench, waits_ms: list[int], took_us: list[int]
) -> None:
    """A batch in which something is lost is measured by the script, one delivery after the other."""
    lost_id = f"lost-{next(_numbers)}"
    event_type = f"a.type{next(_numbers)}"
    names = [f"{event_type}.{at}" for at in range(len(waits_ms))]
    held = bench.deliver(lost_id, *names, event_type=event_type)
    gone = (*held[lost_id, 3], ended(lost_id, 3))
    assert bench.commit(gone) == []

    def attempts(number: int) -> list[tuple[Any, ...]]:
        return [
            (*held[name, number], ended(name, number, event_type=event_type, waited_ms=waited_ms, took_us=took))
            for name, waited_ms, took in zip(names, waits_ms, took_us, strict=False)
        ]

    assert bench.commit(*attempts(1)) == []
    assert bench.commit(gone, *attempts(2)) == [(0, "lost")]
    assert bench.times(f"{event_type}:1") == bench.times(f"{event_type}:2")
    assert sum(bench.times(f"{event_type}:1")[2:30]) == len(waits_ms)
