"""The files of this repository that its own tests read."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]


def files(pattern: str, *folders: str) -> Iterator[Path]:
    """Yield the files under `folders` whose name fits `pattern`, in a steady order; a missing folder has none."""
    for folder in folders:
        for path in sorted((ROOT / folder).rglob(pattern)):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path


def shown(path: Path) -> str:
    """Return a path as a person names it: from the root of the repository."""
    return path.relative_to(ROOT).as_posix()
