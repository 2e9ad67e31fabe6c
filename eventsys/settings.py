"""What can be configured, with its defaults.

Each field is a keyword of `EventService` and an environment variable: `EVENTSYS_NAME`, `EVENTSYS_BUS__BATCH_SIZE`
and so on. Keywords win over the environment.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Mapping
from datetime import timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import urlsplit

from pydantic import AliasChoices, BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_settings import BaseSettings, SettingsConfigDict

from .errors import SettingsError
from .model.cipher import Cipher
from .model.durations import Duration, SomeTime
from .model.keyring import SecretKey, keys_of
from .model.misfits import misfits
from .model.seal import Seal
from .model.subscription import SubscriptionOptions

logger = logging.getLogger(__name__)

PositiveInt = Annotated[int, Field(gt=0)]


#: How alike a variable and a setting are, their prefix included, for one to be taken for the other misspelt.
_NEARLY = 0.88


class BusSettings(BaseModel):
    """How events are published, and how many threads handle them."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    buffer_size: PositiveInt = 1000
    """Most events `publish_async` holds before it blocks."""
    worker_count: PositiveInt = Field(default=10, le=10_000)
    """Threads a worker process."""
    batch_size: PositiveInt = Field(default=50, le=500)
    """Most events the flusher sends in one round trip."""
    flush_interval: SomeTime = timedelta(seconds=1)
    """A buffered event is sent at once; while Redis does not answer, this is the longest wait between two tries."""
    publish_timeout: Duration = timedelta(seconds=5)
    """How long `publish_async` waits for room before it raises `BufferFullError`."""
    flush_timeout: Duration = timedelta(seconds=10)
    """How long leaving the process may take to send what is buffered. A signal that ends the process skips this, which
    the SIGTERM of uvicorn does: call `events.stop()` first."""
    unsent_path: Path | None = None
    """Where events that could not be sent by then are written, as JSON Lines; None: only their ids are logged."""


class SchedulerSettings(BaseModel):
    """How delayed events are fired, and for how long they are worth firing."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    poll_interval: SomeTime = timedelta(seconds=30)
    """How often the leading poller subscribes anew to wake-ups, in case that connection died without a word; it does
    not change how promptly events fire."""
    batch_size: PositiveInt = Field(default=50, le=500)
    """Most due entries moved by one script."""
    max_retries: Annotated[int, Field(ge=0)] = 3
    """Retries of a firing that could not be moved."""
    retry_interval: Duration = timedelta(minutes=5)
    """The wait between those retries."""
    cleanup_interval: SomeTime = timedelta(hours=1)
    """How often what is past its time is swept."""
    expire_after: SomeTime = timedelta(hours=24)
    """How long after its due time a delayed event may still start to be handled."""


class SubscriptionSettings(BaseModel):
    """What holds for a handler whose declaration does not say otherwise; the same for all processes of a bus."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    max_retries: Annotated[int, Field(ge=0)] = 3
    """Tries after the first."""
    retry_delay: Duration = timedelta(seconds=5)
    """The wait before a retry."""
    timeout: SomeTime | None = timedelta(seconds=30)
    """The longest an attempt may run; None, in a variable `none`: as long as it takes."""

    @field_validator("timeout", mode="before")
    @classmethod
    def _read_none(cls, limit: Any) -> Any:
        return None if limit == "none" else limit

    def complete(self, options: SubscriptionOptions) -> SubscriptionOptions:
        """Return options with what they leave open."""
        said = options.model_fields_set
        return options.model_copy(update={name: value for name, value in self if name not in said})


class AlertSettings(BaseModel):
    """When `system.warning` and `system.error` are published; None, in a variable `none`, switches a rule off."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    window: Duration = timedelta(minutes=5)
    """How far back failures and unrouted events are counted: whole minutes, at most an hour."""
    failure_ratio: Annotated[float, Field(gt=0, le=1)] | None = 0.5
    """Share of a subscription's attempts that failed within the window."""
    failure_attempts: PositiveInt = 20
    """Fewer attempts than these are not judged."""
    backlog_age: Duration | None = timedelta(minutes=15)
    """How long a subscription's oldest delivery may be open, waiting retries among them."""
    lateness: Duration | None = timedelta(seconds=30)
    """How late the first of what is due may be."""
    dead_letters: PositiveInt | None = 100
    """How many dead letters there may be."""
    no_worker: Duration | None = timedelta(minutes=1)
    """How long messages may wait in a queue that no living worker reads."""
    unrouted: PositiveInt | None = None
    """How many events of one type nobody may want within the window."""
    webhook_url: SecretStr | None = None
    """Where alerts are posted as JSON when they begin and end: http or https."""
    webhook_timeout: SomeTime = timedelta(seconds=5)
    """How long it may take to answer; an alert it does not take is posted again later."""

    @field_validator("failure_ratio", "backlog_age", "lateness", "dead_letters", "no_worker", "unrouted", mode="before")
    @classmethod
    def _read_none(cls, limit: Any) -> Any:
        return None if limit == "none" else limit

    @field_validator("webhook_url")
    @classmethod
    def _check_url(cls, url: SecretStr | None) -> SecretStr | None:
        if url is not None and not _is_web_address(url.get_secret_value()):
            raise ValueError(
                "a webhook URL is http://host/path or https://host/path, with a port or without, and has no blanks"
            )
        return url

    @field_validator("window")
    @classmethod
    def _check_window(cls, window: timedelta) -> timedelta:
        if not timedelta(minutes=1) <= window <= timedelta(hours=1):
            raise ValueError("the window is a minute to an hour")
        return window


def _is_web_address(url: str) -> bool:
    """Say whether a URL can be posted to; what cannot would be told of in errors that show it."""
    try:
        parts = urlsplit(url)
        has_host = bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False
    return parts.scheme in {"http", "https"} and has_host and url.isascii() and url.isprintable() and " " not in url


class Settings(BaseSettings):
    """Everything that can be configured for one bus."""

    model_config = SettingsConfigDict(
        env_prefix="EVENTSYS_",
        env_nested_delimiter="__",
        frozen=True,
        extra="ignore",
        populate_by_name=True,
        hide_input_in_errors=True,
    )

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.-]{1,64}$")] = "default"
    """The bus: all its keys share this name as their hash tag."""
    app: Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9._-]{0,99}$")] | None = None
    """The application, which names its queue; None: the top package of the module that declares a handler."""
    redis_url: SecretStr | None = Field(
        default=None, validation_alias=AliasChoices("redis_url", "EVENTSYS_REDIS_URL", "REDIS_URL")
    )
    """`redis://`, `rediss://`, `unix://` or `redis+sentinel://`; None: the embedded Redis of this directory."""
    signing_keys: SecretStr | None = None
    """`name:secret,name:secret`: everything that is to run is signed with the first and must be signed with one."""
    signing_keys_file: Path | None = None
    """A file with more of them, parted by commas or lines."""
    encryption_keys: SecretStr | None = None
    """The same for payloads: what is stored is encrypted with the first, and can be read with any."""
    encryption_keys_file: Path | None = None
    """A file with more of them."""
    connect_timeout: SomeTime = timedelta(seconds=2)
    """How long opening a connection may take before Redis counts as away."""
    max_payload_bytes: PositiveInt = 256 * 1024
    """Largest payload, as JSON."""
    max_payload_levels: PositiveInt = Field(default=64, le=64)
    """Deepest nesting of a payload."""
    max_depth: PositiveInt = 64
    """Longest chain of events that publish events."""
    idempotency_window: SomeTime = timedelta(hours=24)
    """How long an `idempotency_key` is remembered."""
    retention: SomeTime = timedelta(hours=24)
    """How long the history of a finished event is kept."""
    retention_count: PositiveInt = 1_000_000
    """How many events the history keeps; beyond, the oldest go, though they are younger than `retention`."""
    retention_bytes: PositiveInt | None = None
    """The most bytes of stored events the history keeps; None: no limit. When as many wait to be dispatched, `publish`
    is refused."""
    announce: bool = True
    """Whether every worker process publishes `system.startup` and `system.shutdown`."""
    tracing: bool = False
    """Whether events and attempts are traced with OpenTelemetry; needs the extra `otel`."""
    async_concurrency: PositiveInt = 100
    """Coroutine handlers that run at once in one worker process."""
    bus: BusSettings = BusSettings()
    scheduler: SchedulerSettings = SchedulerSettings()
    subscription: SubscriptionSettings = SubscriptionSettings()
    alerts: AlertSettings = AlertSettings()

    @field_validator("signing_keys", "encryption_keys")
    @classmethod
    def _check_keys(cls, keys: SecretStr | None) -> SecretStr | None:
        if keys is not None and not keys_of(keys, None):
            # A variable that somebody forgot to fill must not switch off what it was to switch on.
            raise ValueError("it is set and names no key; leave it out, or give name:secret")
        return keys

    @property
    def seal(self) -> Seal | None:
        """What signs and checks; None where no keys are set.

        Raises:
            SettingsError: If the file of the keys cannot be read, or a key in it cannot be.
        """
        keys = _keys("signing_keys_file", self.signing_keys, self.signing_keys_file)
        return Seal(keys, self.name) if keys else None

    @property
    def cipher(self) -> Cipher | None:
        """What encrypts payloads; None where no keys are set.

        Raises:
            SettingsError: As `seal`, or if the package `cryptography` is not installed.
        """
        keys = _keys("encryption_keys_file", self.encryption_keys, self.encryption_keys_file)
        return Cipher(keys) if keys else None


def _keys(setting: str, given: SecretStr | None, path: Path | None) -> list[SecretKey]:
    try:
        keys = keys_of(given, path)
    except (ValueError, OSError) as error:
        why = error.strerror if isinstance(error, OSError) else str(error)
        raise SettingsError(f"{setting}: {path} gives no keys: {why}") from None
    if path is not None and not keys:
        raise SettingsError(f"{setting}: {path} holds no key; each line is name:secret")
    return keys


def load_settings(whole: Settings | None = None, /, **given: Any) -> Settings:
    """Return `whole`, or else the settings made of `given`, the environment and the defaults, in this order.

    A variable of the environment that looks like a setting and is none is warned of.

    Raises:
        SettingsError: If a value is out of range, or there is no such setting; the sentence names the field, the value
            and the rule. Or if `whole` is no `Settings`, or stands beside single ones.
    """
    if whole is not None:
        return _check_whole(whole, given)
    _check_names(given)
    try:
        settings = Settings(**given)
    except ValidationError as error:
        _check_unknown(error)
        raise SettingsError(f"these settings do not fit: {misfits(error)}") from error
    _warn_of_misspelt()
    return settings


def _check_whole(whole: Any, given: Mapping[str, Any]) -> Settings:
    if not isinstance(whole, Settings):
        raise SettingsError(
            f"settings are given as Settings(...), not as {type(whole).__name__}; single ones have names:"
            " EventService(redis_url=..., name=...)"
        )
    if given:
        raise SettingsError(f"{', '.join(given)} would not count beside whole settings; put all into Settings(...)")
    return whole


def _check_names(given: Mapping[str, Any]) -> None:
    """Refuse what is no setting: the environment is full of other things, but whoever gives one means something."""
    known = [*Settings.model_fields, "REDIS_URL", "EVENTSYS_REDIS_URL"]
    for name in given:
        if name not in known:
            raise _no_setting(name, known)


def _check_unknown(error: ValidationError) -> None:
    """Refuse what is no setting within a group of them, by the same words."""
    for one in error.errors():
        if one["type"] == "extra_forbidden":
            raise _no_setting(".".join(map(str, one["loc"])), list(_all_names())) from error


def _no_setting(name: str, known: list[str]) -> SettingsError:
    near = get_close_matches(name, known, n=1)
    advice = f"did you mean {near[0]!r}?" if near else "eventsys settings shows all there are"
    return SettingsError(f"there is no setting {name!r}; {advice}")


def _all_names() -> Iterator[str]:
    """Yield the name of every setting, those of a group behind its name and a dot."""
    for name, field in Settings.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from (f"{name}.{inner}" for inner in field.annotation.model_fields)
        else:
            yield name


def _warn_of_misspelt() -> None:
    """Warn of variables that are nearly a setting. Others with our prefix may be anybody's, Kubernetes' for one."""
    known = {f"EVENTSYS_{name.replace('.', '__').upper()}" for name in _all_names()}
    groups = tuple(f"{one.rpartition('__')[0]}__" for one in known if "__" in one)
    for name in os.environ:
        if not name.startswith("EVENTSYS_") or name in known or name.startswith(groups):
            continue  # a group itself has refused what it does not know
        if near := get_close_matches(name, known, n=1, cutoff=_NEARLY):
            logger.warning("%s is no setting and does nothing; did you mean %s?", name, near[0])
