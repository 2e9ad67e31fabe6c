"""Where a run keeps its files; it is known to do before the run begins, so that no hour is in vain."""

from __future__ import annotations

import argparse
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def new_directory(text: str) -> Path:
    """Return a directory that is not there yet, or is empty, as an option names it: it is made now.

    Raises:
        ArgumentTypeError: If it holds something: a ledger in it would be read as one of this run; or cannot be made.
    """
    path = Path(text)
    try:
        path.mkdir(parents=True, exist_ok=True)
        if any(path.iterdir()):
            raise argparse.ArgumentTypeError(f"{text} holds something already; name a directory that is new, or empty")
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be a directory: {error.strerror}") from error
    return path.resolve()


def new_file(text: str) -> Path:
    """Return a file as an option names it, which is to be written at the end.

    Raises:
        ArgumentTypeError: If it could not be written.
    """
    path = Path(text)
    try:
        path.open("a").close()
    except OSError as error:
        raise argparse.ArgumentTypeError(f"{text} cannot be written: {error.strerror}") from error
    return path


@contextmanager
def kept_or_temporary(keep: Path | None, prefix: str) -> Iterator[Path]:
    """Give the directory that is to be kept, or one that is removed at the end."""
    if keep is not None:
        yield keep
        return
    with tempfile.TemporaryDirectory(prefix=prefix) as name:
        yield Path(name)
