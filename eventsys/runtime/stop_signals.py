"""Which signals ask a command to end."""

from __future__ import annotations

import signal


def stop_signals() -> tuple[signal.Signals, ...]:
    """Return the signals that a command takes as requests to end in order.

    Without a handler SIGHUP ends a process at once, in the middle of what it does: a terminal that is closed and a
    connection of ssh that drops send it. Where it is ignored already it stays so, since `nohup` means that.
    """
    is_ignored = signal.getsignal(signal.SIGHUP) is signal.SIG_IGN
    return (signal.SIGTERM, signal.SIGINT) if is_ignored else (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
