"""A process that ends because a handler of it does not: what it hands back, it ends no more."""

from __future__ import annotations

import os
from contextvars import copy_context

import dramatiq

from eventsys.broker.recycling import RECYCLE_EXIT, recycle
from eventsys.store.keys import RETURNED


def test_what_is_handed_back_is_not_committed_any_more(broker, monkeypatch) -> None:
    """Whoever takes it runs it again; it must not have ended meanwhile, in a process that gave it away."""
    # The attempts end with their process, so nobody would leave them here.
    copy_context().run(_hand_back_and_end_late, broker, monkeypatch)


def _hand_back_and_end_late(broker, monkeypatch) -> None:
    ended = []
    monkeypatch.setattr(os, "_exit", ended.append)

    @dramatiq.actor(max_retries=0)
    def stick():
        pass

    @dramatiq.actor
    def run_beside():
        pass

    stick.send()
    run_beside.send()
    consumer = broker.consume("default", prefetch=8, timeout=60_000)
    stuck, beside = next(consumer), next(consumer)
    for message in (stuck, beside):
        broker.work.begin(message)

    def end_late(_: str) -> None:
        broker.work.end(beside, succeeded=True)
        broker.work.committer.join(0.3)

    broker.when_stuck = end_late
    recycle(broker, stuck, dramatiq.middleware.TimeLimitExceeded())
    assert ended == [RECYCLE_EXIT]
    pending = broker.link.call("XPENDING", broker.keys.lane("default", 5), "workers", "-", "+", 100)
    assert [(one[0].decode(), one[1].decode()) for one in pending] == [(beside.place.entry, RETURNED)]
