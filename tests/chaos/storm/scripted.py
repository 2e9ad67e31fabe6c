"""The storm with the faults of one promise: kills of Redis, or a Redis that is away for a minute."""

from __future__ import annotations

import argparse
import random

from .plan import Fault
from .run import add_common, carry_out

BEFORE_S = 4.0
"""Seconds before the first fault."""

GAP_S = 4.0
"""Seconds between two kills of Redis, on average."""


def redis(given: list[str]) -> int:
    """Kill Redis again and again; with everysec, as if the power were cut: what was not on disk is gone."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos redis", description=redis.__doc__)
    parser.add_argument("--kills", type=int, default=20, help="how often")
    add_common(parser)
    options = parser.parse_args(given)
    options.command = f"python -m tests.chaos redis --kills {options.kills}"
    chance = random.Random(options.seed)
    ats = [BEFORE_S + GAP_S * (number + chance.random()) for number in range(options.kills)]
    faults = [Fault(at, "power", "", chance.random(), chance.random()) for at in ats]
    return carry_out(options, {"redis": faults}, ats[-1] + GAP_S)


def away(given: list[str]) -> int:
    """Let Redis be away for a minute, while events are published; nobody may lose what it is at work on."""
    parser = argparse.ArgumentParser(prog="python -m tests.chaos away", description=away.__doc__)
    parser.add_argument("--seconds", type=float, default=60.0, help="how long")
    add_common(parser)
    options = parser.parse_args(given)
    options.command = f"python -m tests.chaos away --seconds {options.seconds:g}"
    options.may_lose_leases = False
    fault = Fault(BEFORE_S, "kill", "", options.seconds, 0.0)
    return carry_out(options, {"redis": [fault]}, BEFORE_S + options.seconds + 10.0)
