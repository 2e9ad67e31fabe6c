"""Ports of this machine that a command which a test starts may listen on."""

from __future__ import annotations

import random
import socket

#: Below those that systems give to whoever asks for any: no connection made meanwhile is given one of these.
_RANGE = (20_000, 32_000)


def free_port() -> int:
    """Return a port that nobody listens on, and that is not likely to be taken before it is listened on."""
    chance = random.SystemRandom()
    while True:
        port = chance.randrange(*_RANGE)
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                return port
