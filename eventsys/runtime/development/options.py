"""What a worker process is told to do besides, in development."""

from __future__ import annotations

import argparse
from typing import NamedTuple


class Development(NamedTuple):
    """What development adds to a worker process.

    Attributes:
        reloads: Whether saved modules take effect in the running process.
        polls: Whether files are looked at again and again, where the file system tells nothing.
        log: The name of the process in a log for people; empty: a log for machines.
        whole_traces: Whether tracebacks show the machinery too.
        ticks: Whether it sends periodic actors their ticks.
    """

    reloads: bool = False
    polls: bool = False
    log: str = ""
    whole_traces: bool = False
    ticks: bool = False

    def arguments(self) -> list[str]:
        """Return the arguments that `read` reads back."""
        flags = [name for name, value in self._asdict().items() if value is True]
        return [f"--{name.replace('_', '-')}" for name in flags] + (["--log", self.log] if self.log else [])


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Have a parser understand what `Development.arguments` returns."""
    parser.add_argument("--log", default="")
    for name in ("reloads", "polls", "whole-traces", "ticks"):
        parser.add_argument(f"--{name}", action="store_true")


def read(given: argparse.Namespace) -> Development:
    """Return what was given."""
    return Development(*(getattr(given, name) for name in Development._fields))
