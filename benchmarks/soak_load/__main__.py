"""`python -m benchmarks.soak_load RATE`: publish until SIGTERM."""

from __future__ import annotations

import sys

from benchmarks.soak_load import main

main(float(sys.argv[1]))
