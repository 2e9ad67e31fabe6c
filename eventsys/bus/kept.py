"""Keeping the service of an application while the module that makes it is loaded again."""

from __future__ import annotations

from typing import Any, TypeVar

from eventsys.broker.staging import current_staging, declaring_module
from eventsys.errors import SettingsError
from eventsys.settings import Settings, load_settings

T = TypeVar("T")

#: Arguments of a service that are no settings.
_NOT_SETTINGS = {"middleware", "on_publish_error"}


class Kept(type):
    """Makes services; a module that is loaded again gets the very service it made, which everything else holds.

    The settings must be the same. Its middleware and `on_publish_error` stay those of the first time.
    """

    def __call__(cls: type[T], *args: Any, **given: Any) -> T:
        """Return a service.

        Raises:
            SettingsError: If the module that is loaded again asks for other settings than before.
        """
        staging = current_staging()
        kept = None if staging is None else staging.kept_service()
        if kept is None:
            made: Any = type.__call__(cls, *args, **given)
            made.made_in = declaring_module()
            return made  # type: ignore[no-any-return]
        _refuse_other_settings(kept.settings, *args, **given)
        return kept  # type: ignore[no-any-return]


def _refuse_other_settings(present: Settings, settings: Settings | None = None, **given: Any) -> None:
    wanted = settings or load_settings(**{name: value for name, value in given.items() if name not in _NOT_SETTINGS})
    changed = [name for name in Settings.model_fields if getattr(wanted, name) != getattr(present, name)]
    if changed:
        raise SettingsError(f"the service has other settings now ({', '.join(changed)}): restart to take them over")
