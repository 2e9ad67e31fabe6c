"""What docs/operating.md has to name in full, since somebody looks it up at night."""

from __future__ import annotations

import re

from tests.quality.tree import ROOT


def test_every_reason_of_a_dead_letter_has_its_remedy() -> None:
    """`docs/keys.md` lists what the field may hold."""
    [stored] = re.findall(r"^\| `reason` \| (`failed`.*?)\|$", (ROOT / "docs/keys.md").read_text(), re.MULTILINE)
    reasons = re.findall(r"`([a-z_]+)`", stored)
    rows = [line for line in (ROOT / "docs/operating.md").read_text().splitlines() if line.startswith("| `")]
    told = re.findall(r"`([a-z_]+)`", "".join(line.split("|")[1] for line in rows))
    assert len(reasons) > 8
    assert not set(reasons) - set(told)
