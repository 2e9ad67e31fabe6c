"""Somebody who saves the handlers while they run: works, or does not."""

from __future__ import annotations

import re
import shutil
import time
from pathlib import Path

_SOURCE = Path(__file__).parent / "application"


class Editor:
    """Saves one module of the application again and again, each time with another version in it.

    Attributes:
        version: The one that was saved last, and works.

    Args:
        directory: Where the application is put.
    """

    def __init__(self, directory: Path) -> None:
        shutil.copytree(_SOURCE, directory / "application", ignore=shutil.ignore_patterns("__pycache__"))
        self._path = directory / "application" / "handlers.py"
        self._text = self._path.read_text()
        self.version = 0

    def save(self, kind: str, lasts_s: float) -> None:
        """Save it.

        Args:
            kind: `works`; or `syntax` or `import`, which break it for a while.
            lasts_s: How long that is.
        """
        if kind != "works":
            broken = "def (:" if kind == "syntax" else "import no_such_module_anywhere"
            self._write(self._text.replace("import asyncio\n", f"import asyncio\n{broken}\n"))
            time.sleep(lasts_s)
        self.version += 1
        self._write(re.sub(r"^VERSION = \d+$", f"VERSION = {self.version}", self._text, flags=re.MULTILINE))

    def _write(self, text: str) -> None:
        beside = self._path.with_suffix(".new")
        beside.write_text(text)
        beside.replace(self._path)
