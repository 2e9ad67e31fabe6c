"""The payload models that an application registers, and those of modules that are being loaded again."""

from __future__ import annotations

from collections.abc import Callable

from pydantic import BaseModel

from eventsys.broker.staging import Staging, current_staging, declaring_module
from eventsys.model.catalog import Catalog


class ApplicationCatalog(Catalog):
    """A catalog that knows which module registers which type.

    What a module registers while it is loaded again counts when all that is loaded with it has loaded.
    """

    def __init__(self) -> None:
        self._homes: dict[str, str | None] = {}
        self._is_made = False
        super().__init__()
        self._is_made = True

    def register(self, event_type: str, model: type[BaseModel], version: int = 1) -> None:
        """Let `model` be the payload of `event_type`; see `Catalog`.

        Raises:
            InvalidEventError: If the type is no type name, `model` is no pydantic model, or the version is below 1.
        """
        staging = current_staging()
        if staging is not None and self._is_made:
            self.check(event_type, model, version)
            staging.types[event_type] = (model, version, declaring_module())
            return
        super().register(event_type, model, version)
        if self._is_made:
            self._homes[event_type] = declaring_module()

    def adopt(self, staging: Staging, modules: set[str]) -> None:
        """Let what these modules register now take the place of what they registered before."""
        gone = [one for one, home in self._homes.items() if home in modules and one not in staging.types]
        self.replace({one: (model, version) for one, (model, version, _) in staging.types.items()}, gone)
        for event_type in gone:
            self._homes.pop(event_type)
        self._homes |= {one: home for one, (_, _, home) in staging.types.items()}

    def remember(self) -> Callable[[], None]:
        """Return what takes back every registration that comes after this."""
        put_back, homes = super().remember(), dict(self._homes)

        def put_all_back() -> None:
            put_back()
            self._homes = homes

        return put_all_back
