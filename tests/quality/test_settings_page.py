"""docs/settings.md says what the settings say."""

from __future__ import annotations

from tests.quality import settings_page


def test_the_page_of_settings_is_up_to_date() -> None:
    assert settings_page.PAGE.read_text() == settings_page.page()
