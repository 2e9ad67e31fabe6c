"""What Redis held is kept as it was: each entry of the log, with what became of it."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis

from eventsys import Event
from eventsys.testing import EventHarness

from . import stored
from .stored import StoredDelivery, StoredEvent, keep_stored, read_stored


def test_what_was_stored_is_read_back_with_its_cause_its_ends_and_its_reasons(
    harness: EventHarness, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stored, "_PAGE", 2)  # more than one page
    events = harness.events

    @events.on("a.made", name="follow")
    def follow(event: Event) -> None:
        events.publish("a.followed", {}, id=f"{event.id}-next")

    @events.on("a.made", name="give_up", max_retries=0)
    def give_up(event: Event) -> None:
        raise ValueError("no")

    for number in range(3):
        harness.publish("a.made", {}, id=f"made-{number}")
    harness.run(raise_errors=False)
    path = tmp_path / "stored.jsonl"
    with redis.Redis.from_url(harness._url, decode_responses=True) as client:
        keep_stored(events, client, path)
    found = read_stored(path)
    assert found is not None
    followed, given_up = found[0].deliveries
    assert found[0] == StoredEvent("made-0", "a.made", None, "failed", [followed, given_up])
    assert followed == StoredDelivery("follow", "succeeded")
    assert given_up == StoredDelivery("give_up", "dead", given_up.error, "failed")
    assert "no" in str(given_up.error)
    assert {(one.id, one.cause, one.status) for one in found if one.type == "a.followed"} == {
        (f"made-{number}-next", f"made-{number}", "delivered") for number in range(3)
    }
    assert len(found) == 6


def test_without_a_file_nothing_was_kept(tmp_path: Path) -> None:
    assert read_stored(tmp_path / "stored.jsonl") is None
