"""A peer's program: `python -m benchmarks.peers MODULE worker PROCESSES` becomes its worker, `MODULE send` sends.

It runs in the interpreter of the peer's own environment. In the variables of the process stand REDIS_URL and
PEER_SETTING, one of the settings that the module's first lines explain; PEER_DELAYS is set where delayed messages are
measured, for those peers that need one more process for them. A module has `worker_command(processes)`, the peer's own
command, whose first word is a program that was installed beside the interpreter, and `SENDER`, the class that sends.
"""

from __future__ import annotations

import importlib
import os
import sys
from pathlib import Path

from benchmarks.peers.sending import serve

module = importlib.import_module(f"benchmarks.peers.{sys.argv[1]}")
if sys.argv[2] == "send":
    serve(module.SENDER())
else:
    program, *arguments = module.worker_command(int(sys.argv[3]))
    path = str(Path(sys.executable).parent / program)
    os.execv(path, [path, *arguments])  # the peer's own command takes this process over
