"""Names under which this process held messages, and that are over."""

from __future__ import annotations

import threading
from collections import deque

from eventsys.store.keys import Keys
from eventsys.store.link import Link


class FormerNames:
    """Former names of a process, until Redis was told that what is held under them is to be taken over.

    That may have been done before: what a reader fetches under such a name afterwards would be looked for by nobody.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
    """

    def __init__(self, link: Link, keys: Keys) -> None:
        self._link = link
        self._keys = keys
        self._names: deque[str] = deque()
        self._telling = threading.Lock()

    def add(self, name: str) -> None:
        """Note a name that is over, or under which something came though it is."""
        if name not in self._names:
            self._names.append(name)

    def tell(self, *more: str) -> None:
        """Tell Redis of each, and of some more; where that fails, or is refused, it stays for the next time.

        Raises:
            RedisUnavailableError: If Redis cannot be told.
        """
        for name in more:
            self.add(name)
        with self._telling:
            for _ in range(len(self._names)):
                name, is_told = self._names.popleft(), False
                try:
                    [reply] = self._link.pipeline([("ZADD", self._keys.processes, 0, name)])
                    is_told = not isinstance(reply, Exception)
                finally:
                    if not is_told:
                        self._names.append(name)
