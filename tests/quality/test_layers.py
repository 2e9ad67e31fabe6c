"""The direction of imports, as the contracts in pyproject.toml state it."""

from __future__ import annotations

import subprocess
import sys

from tests.quality.tree import ROOT

_LINT = "import sys; from importlinter.cli import lint_imports; sys.exit(lint_imports(no_cache=True))"


def test_every_import_contract_is_kept() -> None:
    """A package imports only downwards, and a foreign library is known only where the contracts allow it."""
    lint = subprocess.run([sys.executable, "-c", _LINT], cwd=ROOT, capture_output=True, text=True, check=False)
    assert lint.returncode == 0, lint.stdout + lint.stderr
