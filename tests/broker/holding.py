"""Entries of lanes, held in the name of whomever."""

from __future__ import annotations

import redis

from eventsys.store.keys import GROUP, RETURNED


def hold(client: redis.Redis, lane: str, holder: str) -> None:
    """Have an entry put on a lane and held under a name."""
    client.xgroup_create(lane, GROUP, "0", mkstream=True)
    client.xadd(lane, {"m": "{}"})
    client.xreadgroup(GROUP, holder, {lane: ">"})


def hand_back(client: redis.Redis, lane: str) -> None:
    """Have an entry put on a lane that waits there as one that somebody had and handed back."""
    hold(client, lane, RETURNED)
