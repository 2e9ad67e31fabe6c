"""`python -m tests.chaos`: break things at random, and see whether eventsys keeps its promises."""

from __future__ import annotations

import sys

from .run import arguments, run

if __name__ == "__main__":
    sys.exit(run(arguments()))
