"""`python -m benchmarks.soak_load RATE`: publish until SIGTERM; `--fill NUMBER`: fill the log of cron events first."""

from __future__ import annotations

import sys

from benchmarks.soak_load import fill, main

if sys.argv[1] == "--fill":
    fill(int(sys.argv[2]))
else:
    main(float(sys.argv[1]))
