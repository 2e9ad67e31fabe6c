"""Where Redis is, when nobody says."""

from __future__ import annotations

from collections.abc import Callable

from eventsys.errors import SettingsError
from eventsys.settings import Settings

_fallbacks: list[Callable[[], str]] = []


def when_no_url_is_given(fallback: Callable[[], str]) -> None:
    """Have `fallback` asked for the URL of a Redis when none is configured; the last one given counts."""
    _fallbacks.append(fallback)


def redis_url_of(settings: Settings) -> str:
    """Return the URL that is configured, else that of the fallback.

    Raises:
        SettingsError: If there is neither.
    """
    if settings.redis_url is not None:
        return settings.redis_url.get_secret_value()
    if not _fallbacks:
        raise SettingsError("no Redis is configured; set EVENTSYS_REDIS_URL, or give redis_url=")
    return _fallbacks[-1]()
