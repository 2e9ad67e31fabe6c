"""`python -m tests.chaos`: break things at random, and see whether eventsys keeps its promises."""

from __future__ import annotations

import sys

from . import later, run

if __name__ == "__main__":
    if sys.argv[1:2] == ["later"]:
        sys.exit(later.run(later.arguments(sys.argv[2:])))
    sys.exit(run.run(run.arguments()))
