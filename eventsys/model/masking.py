"""Which fields of a payload are secret, and how a payload is shown without them.

A field is secret when its type is `SecretStr` or `SecretBytes`, or when it is declared with
`Field(json_schema_extra={"secret": True})`. An event whose payload has such fields names them in a header, so that
whoever shows it masks them without knowing the model. What a plain actor is given has no model: a cron task names what
of it is secret, and so does the message that it sends, in an option.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import lru_cache
from typing import Any, TypeVar

from pydantic import AliasChoices, AliasPath, BaseModel, RootModel, SecretBytes, SecretStr
from pydantic.fields import FieldInfo

from eventsys.errors import InvalidPayloadError
from eventsys.model.cron_task import CronDefinition
from eventsys.model.dead_letter import DeadLetter
from eventsys.model.declared_types import fields_of, parts_of, types_in
from eventsys.model.event import Event
from eventsys.model.texts import LONGEST_HEADER, SECRET_HEADER

Model = TypeVar("Model", bound=BaseModel)

#: What stands in place of a secret.
MASK = "**********"

#: The option of a plain message that names which of its arguments are secret.
SECRET_OPTION = "secret_fields"  # noqa: S105 - the name of an option

#: The way to a field: its name, behind those of the fields that its model stands in.
_Path = tuple[str, ...]

# The header has room for the names of two models: the one of the payload, and the one registered for its type.
_LONGEST_NAMES = LONGEST_HEADER // 2

#: Letters of a place in a payload that a complaint tells, the last ones.
_LONGEST_PLACE = 100


@lru_cache(maxsize=1024)
def secret_fields(model: type[BaseModel]) -> tuple[str, ...]:
    """Return the secret fields of a model by all names they may be stored under: dotted, those of what it holds too,
    which may be models, dataclasses and typed dictionaries.

    Lists and dictionaries in between are not named: `cards.number` is the number of each of the cards. Nor is what a
    model holds of its own class, since a name means whatever lies deeper too. Names too long for a header are left with
    their last part, which means that field wherever it stands.
    """
    names: dict[str, None] = {}
    length = 0
    for path in filter(None, _fields(model, (model,))):
        name = ".".join(path)
        length += 0 if name in names else len(name) + 1
        names[name] = None
        if length > _LONGEST_NAMES:
            return tuple(dict.fromkeys(path[-1] for path in filter(None, _last_parts(model, set()))))
    return tuple(names)


def masked_payload(secrets: type[BaseModel] | Iterable[str] | None, payload: Any) -> Any:
    """Return a payload as it may be shown: with asterisks in place of what is secret.

    Args:
        secrets: The model of the payload, or the names of its secret fields; None: nothing is.
        payload: The payload, as JSON values.
    """
    if secrets is None:
        return payload
    names = secret_fields(secrets) if isinstance(secrets, type) else secrets
    paths = frozenset(tuple(name.split(".")) for name in names)
    return _masked(payload, paths) if paths else payload


def masked_arguments(secrets: Iterable[str] | None, arguments: Sequence[Any]) -> tuple[Any, ...]:
    """Return what is given by place as it may be shown; names are its places, `0` for the first, or within them."""
    by_place = {str(place): one for place, one in enumerate(arguments)}
    return tuple(masked_payload(secrets, by_place).values())


def shown_payload(event: Event[Any], model: type[BaseModel] | None = None) -> Any:
    """Return the payload of an event as it may be shown: without what its header, or its model, calls secret."""
    payload = event.payload
    if isinstance(payload, BaseModel):
        model, payload = type(payload), payload.model_dump(mode="json", by_alias=True)
    named = tuple(filter(None, event.headers.get(SECRET_HEADER, "").split(",")))
    return masked_payload(model, masked_payload(named, payload))


def shown_model(model: Model) -> Model:
    """Return a model as it may be shown: events, cron tasks and messages in it, however deep, without secrets."""
    if isinstance(model, Event):
        return model.model_copy(update={"payload": shown_payload(model)})
    if isinstance(model, CronDefinition):
        return model.model_copy(update=_shown_arguments(model))
    if isinstance(model, DeadLetter) and model.content:
        shown_content = {name: _SHOWN_PARTS.get(name, str)(value) for name, value in model.content.items()}
        model = model.model_copy(update={"content": shown_content})
    changed: dict[str, Any] = {}
    for name in type(model).model_fields:
        value = getattr(model, name)
        shown = _shown_value(value)
        if shown is not value:
            changed[name] = shown
    return model.model_copy(update=changed) if changed else model


def _shown_arguments(task: CronDefinition) -> dict[str, Any]:
    secrets = task.secret_fields
    return {
        "payload": masked_payload(secrets, task.payload),
        "actor_args": masked_arguments(secrets, task.actor_args),
        "actor_kwargs": masked_payload(secrets, task.actor_kwargs),
    }


def _shown_message(text: str) -> str:
    """Return a plain message as it may be shown; what is no message, or names nothing as secret, as it is."""
    if SECRET_OPTION not in text:
        return text
    try:
        message = json.loads(text)
        secrets = message["options"][SECRET_OPTION]
        args, kwargs = masked_arguments(secrets, message["args"]), masked_payload(secrets, message["kwargs"])
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return text
    return json.dumps({**message, "args": args, "kwargs": kwargs}, separators=(",", ":"))


def _shown_envelope(text: str) -> str:
    """Return an event that could not be read as it may be shown; nothing of it where its secrets cannot be found."""
    if SECRET_HEADER not in text:
        return text
    try:
        envelope = json.loads(text)
        names = envelope["headers"][SECRET_HEADER].split(",")
        payload = masked_payload(names, envelope["payload"])
    except (ValueError, RecursionError, LookupError, TypeError, AttributeError):
        return MASK
    return json.dumps({**envelope, "payload": payload}, separators=(",", ":"))


#: How the parts of a dead letter are shown that may hold a secret.
_SHOWN_PARTS: Mapping[str, Callable[[str], str]] = {"m": _shown_message, "e": _shown_envelope}


def _shown_value(value: Any) -> Any:
    if isinstance(value, BaseModel):
        return shown_model(value)
    if isinstance(value, list | tuple) and value and isinstance(value[0], BaseModel):
        return type(value)(shown_model(one) for one in value)
    return value


def has_mask(value: Any) -> bool:
    """Say whether asterisks stand somewhere in a payload where a secret is shown."""
    if isinstance(value, dict | list):
        return any(has_mask(one) for one in (value.values() if isinstance(value, dict) else value))
    return bool(value == MASK)


def unmasked(sent: Any, kept: Any, shown: Any, place: str) -> Any:
    """Return a payload that was sent as it is to be kept: for asterisks, what stood there.

    Who looks at a payload, changes something else of it and sends it back must not make asterisks of its secrets. In a
    list only the place tells one secret from another, so there what holds asterisks has to be as it was shown, and the
    list as long as it was. Asterisks in place of nothing stay what they are.

    Args:
        sent: The payload.
        kept: What stood there.
        shown: That, as it was shown.
        place: What a complaint calls it: `payload`.

    Raises:
        InvalidPayloadError: If a list is not as it was shown, so that its asterisks may be those of another secret.
    """
    if isinstance(sent, dict) and isinstance(kept, dict) and isinstance(shown, dict):
        return {
            name: unmasked(value, kept[name], shown[name], f"{place}.{name}") if name in kept else value
            for name, value in sent.items()
        }
    if isinstance(sent, list) and isinstance(kept, list) and isinstance(shown, list):
        for at, value in enumerate(sent):
            if has_mask(value) and (len(sent) != len(kept) or value != shown[at]):
                raise InvalidPayloadError(
                    f"write the secret again: {f'{place}[{at}]'[-_LONGEST_PLACE:]!r} has asterisks in place of one, and"
                    " that list is not as it was shown, so they may be those of another secret"
                )
        return [kept[at] if has_mask(value) else value for at, value in enumerate(sent)]
    return kept if sent == MASK else sent


@lru_cache(maxsize=1024)
def declared_names(payload_type: Any) -> frozenset[str]:
    """Return what the fields that a type declares, and the classes it is made of, are called, however deep they lie."""
    names: set[str] = set()
    seen: set[type] = set()
    kinds = list(types_in(payload_type))
    while kinds:
        kind = kinds.pop()
        if kind in seen:
            continue
        seen.add(kind)
        names.add(kind.__name__)
        for name, field in fields_of(kind).items():
            names.update(_names(name, field))
            kinds += types_in(field.annotation)
    return frozenset(names)


def _fields(model: type, seen: tuple[type, ...]) -> Iterable[_Path]:
    for name, field in fields_of(model).items():
        # What a root model holds is stored in its place.
        ways: list[_Path] = [()] if issubclass(model, RootModel) else [(one,) for one in _names(name, field)]
        is_marked = _is_secret(field) or _holds_mark(field.annotation)
        kinds = list(types_in(field.annotation))
        if is_marked or any(issubclass(kind, SecretStr | SecretBytes) for kind in kinds):
            yield from ways
            continue
        for kind in kinds:
            if kind not in seen:
                yield from ((*way, *inner) for inner in _fields(kind, (*seen, kind)) for way in ways)


def _last_parts(model: type, seen: set[type]) -> Iterable[_Path]:
    """Give the secret fields of a model and of those in it, each model once: where there are more ways than fit."""
    seen.add(model)
    inner = [kind for field in fields_of(model).values() for kind in types_in(field.annotation)]
    yield from _fields(model, (model, *(kind for kind in inner if not issubclass(kind, RootModel))))
    for kind in inner:
        if kind not in seen:
            yield from _last_parts(kind, seen)


def _is_secret(field: FieldInfo) -> bool:
    extra = field.json_schema_extra
    return isinstance(extra, Mapping) and extra.get("secret") is True


def _holds_mark(annotation: Any) -> bool:
    """Say whether a part of a type is marked: `Annotated[str, Field(json_schema_extra={"secret": True})] | None`."""
    marks = (mark for part in parts_of(annotation) for mark in getattr(part, "__metadata__", ()))
    return any(isinstance(mark, FieldInfo) and _is_secret(mark) for mark in marks)


def _names(name: str, field: FieldInfo) -> list[str]:
    """Return every key that may hold a field, the one that a model is written by first.

    A dictionary is stored as it was given, by any name that is accepted; what is ignored of it is stored, too.
    """
    accepted = field.validation_alias
    choices: Sequence[str | AliasPath | None] = accepted.choices if isinstance(accepted, AliasChoices) else [accepted]
    firsts = [str(one.path[0]) if isinstance(one, AliasPath) else one for one in choices]
    written = field.serialization_alias or field.alias or name
    return [one for one in dict.fromkeys((written, name, field.alias, *firsts)) if one]


def _masked(value: Any, paths: frozenset[_Path]) -> Any:
    """Put asterisks at the end of paths, whatever lies between two parts of one: a model may hold another of its class.

    Between them are keys of dictionaries too, which no field names.
    """
    if isinstance(value, list):
        return [_masked(item, paths) if isinstance(item, dict | list) else item for item in value]
    if not isinstance(value, dict):
        return value
    firsts = {path[0] for path in paths}
    shown = {}
    for key, item in value.items():
        parts = tuple(str(key).split("."))  # a key may have dots itself
        if parts[0] not in firsts:
            shown[key] = _masked(item, paths) if isinstance(item, dict | list) else item
            continue
        behind = {path[len(parts) :] for path in paths if path[: len(parts)] == parts}
        shown[key] = (None if item is None else MASK) if () in behind else _masked(item, paths | behind)
    return shown
