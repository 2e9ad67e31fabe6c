"""What docs/commands says of the commands."""

from __future__ import annotations

from tests.quality.command_pages import FOLDER, pages


def test_every_page_says_what_its_command_says() -> None:
    written = {path.name: path.read_text() for path in FOLDER.glob("*.md")}
    assert written == pages(), "run python -m tests.quality.command_pages"
