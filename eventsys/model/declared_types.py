"""What a type declares: the fields of a class, and the classes that an annotation is made of."""

from __future__ import annotations

import dataclasses
import inspect
import typing
from collections.abc import Iterable, Mapping
from contextlib import suppress
from typing import Any

from pydantic import BaseModel
from pydantic.dataclasses import is_pydantic_dataclass, rebuild_dataclass
from pydantic.fields import FieldInfo


def fields_of(kind: type) -> Mapping[str, FieldInfo]:
    """Return the fields of a class: a model, a dataclass, or a dictionary whose keys are typed; none of any other."""
    if issubclass(kind, BaseModel):
        kind.model_rebuild(raise_errors=False)  # it may name classes that were not known yet when it was made
        return kind.model_fields
    if is_pydantic_dataclass(kind):
        rebuild_dataclass(kind, raise_errors=False)
        return kind.__pydantic_fields__
    if dataclasses.is_dataclass(kind):
        hints = _hints_of(kind)
        return {
            one.name: FieldInfo.from_annotated_attribute(
                hints.get(one.name, Any), one.default if isinstance(one.default, FieldInfo) else one
            )
            for one in dataclasses.fields(kind)
        }
    if _is_typed_dict(kind):
        return {name: FieldInfo.from_annotation(hint) for name, hint in _hints_of(kind).items()}
    return {}


def _is_typed_dict(kind: type) -> bool:
    return issubclass(kind, dict) and hasattr(kind, "__required_keys__")


def _hints_of(kind: type) -> dict[str, Any]:
    """Return the types of a class's fields, but for those that name a class within a function."""
    try:
        return typing.get_type_hints(kind, include_extras=True)
    except NameError:
        hints: dict[str, Any] = {}
        for base in reversed(kind.__mro__):
            for name, written in inspect.get_annotations(base).items():
                alone = type(name, (), {"__annotations__": {name: written}, "__module__": base.__module__})
                with suppress(NameError):
                    hints |= typing.get_type_hints(alone, include_extras=True)
        return hints


def types_in(annotation: Any) -> Iterable[type]:
    """Give the classes that an annotation is made of: those in a union, a list, a dictionary."""
    for part in parts_of(annotation):
        made_of = typing.get_origin(part)
        if isinstance(part, type) and not typing.get_args(part):
            yield part
        elif isinstance(made_of, type) and (dataclasses.is_dataclass(made_of) or _is_typed_dict(made_of)):
            yield made_of  # of some type, which is among the parts


def parts_of(annotation: Any, names: tuple[Any, ...] = ()) -> Iterable[Any]:
    """Give an annotation and all that it is made of, what stands behind names too, which may be named in themselves."""
    yield annotation
    inner = list(typing.get_args(annotation))
    name = typing.get_origin(annotation) or annotation
    behind = None if any(name is one for one in names) else _behind(name)
    if behind is not None:
        inner, names = [*inner, behind], (*names, name)
    for part in inner:
        yield from parts_of(part, names)


def _behind(name: Any) -> Any:
    """Return what the name of a type stands for, `type Card = ...` or `NewType("Card", ...)`; None of anything else."""
    if isinstance(name, type):
        return None
    with suppress(NameError):  # `type` looks its names up when it is asked
        written = getattr(name, "__value__", None) or getattr(name, "__supertype__", None)
        if written is not None:
            alone = type("Alone", (), {"__annotations__": {"type": written}, "__module__": name.__module__})
            return _hints_of(alone).get("type")
    return None
