"""Who waits in a Redis, told from those of other tests that wait there still."""

from __future__ import annotations

import redis

from tests.support.waiting import eventually


class Newcomers:
    """The connections that are opened to a Redis from now on.

    Args:
        client: Any connection to it.
    """

    def __init__(self, client: redis.Redis) -> None:
        self._client = client
        self._others = {one["id"] for one in client.client_list()}

    def wait_until_one_waits(self) -> None:
        """Return as soon as one of them waits in Redis for what comes."""
        eventually(self.waiting)

    def waiting(self) -> list[dict[str, str]]:
        """Return those that wait in Redis now."""
        return [one for one in self.all() if "b" in one["flags"]]

    def all(self) -> list[dict[str, str]]:
        """Return those that are open now."""
        found: list[dict[str, str]] = self._client.client_list()
        return [one for one in found if one["id"] not in self._others]
