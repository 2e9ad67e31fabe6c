"""`eventsys worker`."""

from __future__ import annotations

import os
import sys
from importlib.machinery import PathFinder
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import typer

from eventsys.cli.faults import MISUSED, refuse, told_in_a_sentence
from eventsys.cli.options import Debug, LivenessPath, RedisUrl, use_redis
from eventsys.processors import usable_processors

Modules = Annotated[
    list[str], typer.Argument(metavar="MODULE...", help="Packages or modules with handlers; packages are searched.")
]
Processes = Annotated[
    int | None,
    typer.Option("--processes", "-p", min=1, max=1_000, help="Worker processes.", show_default="one for each CPU"),
]
Threads = Annotated[
    int | None,
    typer.Option(
        "--threads",
        "-t",
        min=1,
        max=10_000,
        help="Threads in each process.",
        show_default="EVENTSYS_BUS__WORKER_COUNT, 10",
    ),
]
Queues = Annotated[
    list[str] | None,
    typer.Option(
        "--queues",
        "-q",
        metavar="QUEUE",
        help="A queue to read, also one that handlers used before; may be repeated.",
        show_default="all that handlers use",
    ),
]

Reload = Annotated[
    bool, typer.Option("--reload", help="Let saved modules take effect in the running processes; for development.")
]
Poll = Annotated[
    bool, typer.Option("--poll", help="Look at files again and again, where the file system tells of no changes.")
]


def worker(
    modules: Modules,
    processes: Processes = None,
    threads: Threads = None,
    queues: Queues = None,
    reload: Reload = False,
    poll: Poll = False,
    liveness_file: LivenessPath = None,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Run the handlers of MODULE in worker processes, until Ctrl-C or SIGTERM.

    A process that dies is replaced, and what it held is handled by another. At the end running handlers may finish.

    Dramatiq middleware with processes of its own, as Prometheus has one, needs the dramatiq command: none are run here.
    """
    with told_in_a_sentence(debug=debug):
        use_redis(redis_url)
        refuse_unknown(modules)
        from eventsys.runtime.development.options import Development
        from eventsys.runtime.plain_log import log_plainly
        from eventsys.runtime.supervisor import supervise

        log_plainly()
        count = processes or usable_processors()
        raise typer.Exit(
            supervise(
                modules,
                processes=count,
                threads=threads,
                queues=queues,
                liveness_file=liveness_file,
                development=Development(reloads=reload or poll, polls=poll, whole_traces=debug),
            )
        )


def refuse_unknown(modules: list[str]) -> None:
    """Look for the top packages without importing them, which is left to the processes that need them."""
    for module in modules:
        if module.endswith(".py") or os.sep in module:
            name = module.removesuffix(".py").strip(os.sep).replace(os.sep, ".")
            refuse(f"{module!r} is a path; give the name that Python imports: {name}", MISUSED)
        if not _is_known(module.partition(".")[0]):
            refuse(
                f"there is no module {module!r} here or among the installed packages; start this in the directory"
                " that holds it",
                MISUSED,
            )


def _is_known(package: str) -> bool:
    """Look where the processes will, in the working directory too; then ask finders, as `pip install -e` adds one."""
    if PathFinder.find_spec(package, [str(Path.cwd()), *sys.path]) is not None or package in sys.modules:
        return True
    return bool(package) and find_spec(package) is not None  # finders of others need not expect an empty name
