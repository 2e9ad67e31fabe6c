"""`python -m tests.chaos`: break things at random, and see whether eventsys keeps its promises."""

from __future__ import annotations

import signal
import sys

from . import later, run
from .storm import run as storm
from .storm import scripted


def main(given: list[str]) -> int:
    """Carry out the run that is asked for: one of the kinds by its name, kills of workers, or else the storm."""
    kind, rest = (given[0], given[1:]) if given[:1] and not given[0].startswith("-") else ("", given)
    if kind == "later":
        return later.run(later.arguments(rest))
    if kind == "redis":
        return scripted.redis(rest)
    if kind == "away":
        return scripted.away(rest)
    if kind == "kills" or any(one.startswith(("--kills", "--faults")) for one in rest):
        return run.run(run.arguments(rest))
    return storm.run(storm.arguments(given))


if __name__ == "__main__":
    # Told to end, it still ends what it has begun.
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    sys.exit(main(sys.argv[1:]))
