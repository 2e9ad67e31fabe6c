"""Which payload belongs to which event type: the built-in types, and those an application registers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from types import MappingProxyType
from typing import Any

from pydantic import BaseModel, ValidationError

from eventsys.errors import InvalidEventError, InvalidPayloadError
from eventsys.model.builtin_payloads import (
    CronTaskChanged,
    CronTaskCompleted,
    CronTaskExecuted,
    CronTaskFailed,
    DataChanged,
    SystemChange,
    SystemReplay,
    SystemStarted,
    SystemStopped,
    SystemTrouble,
    UserRegistered,
    UserSession,
)
from eventsys.model.event_types import check_event_type
from eventsys.model.masking import declared_names
from eventsys.model.misfits import payload_misfits

CRON_TASK_CREATED = "cron.task.created"
CRON_TASK_UPDATED = "cron.task.updated"
CRON_TASK_DELETED = "cron.task.deleted"
CRON_TASK_EXECUTED = "cron.task.executed"
CRON_TASK_FAILED = "cron.task.failed"
CRON_TASK_COMPLETED = "cron.task.completed"

SYSTEM_STARTUP = "system.startup"
SYSTEM_SHUTDOWN = "system.shutdown"
SYSTEM_ERROR = "system.error"
SYSTEM_WARNING = "system.warning"

SYSTEM_REPLAY_STARTED = "system.replay.started"
SYSTEM_REPLAY_COMPLETED = "system.replay.completed"
SYSTEM_REPLAY_CANCELLED = "system.replay.cancelled"
SYSTEM_REPLAY_FAILED = "system.replay.failed"

SYSTEM_CHANGE = "system.change"

USER_LOGIN = "user.login"
USER_LOGOUT = "user.logout"
USER_REGISTERED = "user.registered"

DATA_CREATED = "data.created"
DATA_UPDATED = "data.updated"
DATA_DELETED = "data.deleted"

BUILTIN_TYPES: MappingProxyType[str, type[BaseModel]] = MappingProxyType(
    {
        CRON_TASK_CREATED: CronTaskChanged,
        CRON_TASK_UPDATED: CronTaskChanged,
        CRON_TASK_DELETED: CronTaskChanged,
        CRON_TASK_EXECUTED: CronTaskExecuted,
        CRON_TASK_FAILED: CronTaskFailed,
        CRON_TASK_COMPLETED: CronTaskCompleted,
        SYSTEM_STARTUP: SystemStarted,
        SYSTEM_SHUTDOWN: SystemStopped,
        SYSTEM_ERROR: SystemTrouble,
        SYSTEM_WARNING: SystemTrouble,
        USER_LOGIN: UserSession,
        USER_LOGOUT: UserSession,
        USER_REGISTERED: UserRegistered,
        DATA_CREATED: DataChanged,
        DATA_UPDATED: DataChanged,
        DATA_DELETED: DataChanged,
    }
)

#: The types that tell who replayed or changed what, beside the built-in ones.
RECORD_TYPES: MappingProxyType[str, type[BaseModel]] = MappingProxyType(
    {
        **dict.fromkeys(
            (SYSTEM_REPLAY_STARTED, SYSTEM_REPLAY_COMPLETED, SYSTEM_REPLAY_CANCELLED, SYSTEM_REPLAY_FAILED),
            SystemReplay,
        ),
        SYSTEM_CHANGE: SystemChange,
    }
)


class Catalog:
    """The payload models of event types. A new one knows the built-in types.

    Registering is for start-up; reading is safe from every thread at any time.
    """

    def __init__(self) -> None:
        self._models: dict[str, type[BaseModel]] = {}
        self._versions: dict[str, int] = {}
        self._types: dict[type[BaseModel], list[str]] = {}
        for event_type, model in {**BUILTIN_TYPES, **RECORD_TYPES}.items():
            self.register(event_type, model)

    def register(self, event_type: str, model: type[BaseModel], version: int = 1) -> None:
        """Let `model` be the payload of `event_type`, from now on; it takes the place of an earlier one.

        Args:
            event_type: An exact type name.
            model: What publishing validates payloads against.
            version: The version of the payload's shape, which events then carry.

        Raises:
            InvalidEventError: If the type is no type name, `model` is no pydantic model, or the version is below 1.
        """
        self.check(event_type, model, version)
        earlier = self._models.get(event_type)
        if earlier is not None:
            self._types[earlier] = [known for known in self._types[earlier] if known != event_type]
        self._models[event_type] = model
        self._versions[event_type] = version
        self._types.setdefault(model, []).append(event_type)

    def check(self, event_type: str, model: type[BaseModel], version: int) -> None:
        """Refuse what `register` would.

        Raises:
            InvalidEventError: If the type is no type name, `model` is no pydantic model, or the version is below 1.
        """
        check_event_type(event_type)
        if not (isinstance(model, type) and issubclass(model, BaseModel)):
            raise InvalidEventError(f"the payload of {event_type!r} must be a pydantic model class, not {model!r}")
        if version < 1:
            raise InvalidEventError(f"version {version} of {event_type!r} is below 1; versions count from 1")

    def replace(self, registered: Mapping[str, tuple[type[BaseModel], int]], gone: Iterable[str]) -> None:
        """Let classes that were loaded again take the place of those of the same name; forget what is gone.

        A handler that runs on the old code still publishes instances of the old class: they find their type as before,
        and are validated by the new.

        Args:
            registered: Models and versions by event type.
            gone: Types that are not registered any more; a built-in one has its own model again.
        """
        earlier = {event_type: self._models.get(event_type) for event_type in registered}
        for event_type in gone:
            model = self._models.pop(event_type)
            self._versions.pop(event_type)
            self._types[model] = [known for known in self._types[model] if known != event_type]
            if event_type in BUILTIN_TYPES:
                self.register(event_type, BUILTIN_TYPES[event_type])
        for event_type, (model, version) in registered.items():
            self.register(event_type, model, version)
            old = earlier[event_type]
            if old is not None and old is not model and _full_name(old) == _full_name(model):
                self._types[old].append(event_type)

    def model_for(self, event_type: str) -> type[BaseModel] | None:
        """Return the payload model of `event_type`, or None where any object will do."""
        return self._models.get(event_type)

    def version_for(self, event_type: str) -> int:
        """Return the version of the payload's shape; 1 for a type that is not registered."""
        return self._versions.get(event_type, 1)

    def type_for(self, model: type[BaseModel]) -> str:
        """Return the one event type whose payload is `model`.

        Raises:
            InvalidEventError: If there is none, or more than one.
        """
        types = self._types.get(model, [])
        if len(types) == 1:
            return types[0]
        if types:
            raise InvalidEventError(
                f"{model.__name__} is the payload of {', '.join(types)}; name the type: publish({types[0]!r}, ...)"
            )
        raise InvalidEventError(
            f"{model.__name__} is the payload of no registered type; register one: events.type('...', {model.__name__})"
        )

    def remember(self) -> Callable[[], None]:
        """Return what takes back every registration that comes after this."""
        models, versions = dict(self._models), dict(self._versions)
        types = {model: list(names) for model, names in self._types.items()}

        def put_back() -> None:
            self._models, self._versions, self._types = models, versions, types

        return put_back

    def registered(self) -> dict[str, type[BaseModel]]:
        """Return every registered type with its payload model."""
        return dict(self._models)

    def check_payload(self, event_type: str, payload: Any) -> Any:
        """Return `payload` as the registered model, or as it is where none is registered.

        Raises:
            InvalidPayloadError: If it does not fit; the message names each field, what was expected and the kind of
                what came, and shows no value.
        """
        model = self._models.get(event_type)
        if model is None or type(payload) is model:
            return payload
        given = payload.model_dump(by_alias=True) if isinstance(payload, BaseModel) else payload
        try:
            return model.model_validate(given)
        except ValidationError as error:
            said = f"the payload of {event_type!r} does not fit {model.__name__}, which is registered for it: "
            # Pydantic's error shows what was given, and who publishes may be a handler, whose errors are recorded.
            raise InvalidPayloadError(said + payload_misfits(error, declared_names(model))) from None


def _full_name(model: type[BaseModel]) -> tuple[str, str]:
    return model.__module__, model.__qualname__
