"""What a command says, and with which code it ends, when something is wrong."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from difflib import get_close_matches
from typing import TYPE_CHECKING, Any, NoReturn, TypeVar

import typer

from eventsys.errors import EmbeddedRedisError, EventsysError, InvalidPayloadError, RedisUnavailableError, SettingsError

if TYPE_CHECKING:
    from pydantic import BaseModel

    from eventsys import EventService

Model = TypeVar("Model", bound="BaseModel")

FAILED = 1
MISUSED = 2

#: An error about settings that says one of these says where to look already.
_SAYS_ENOUGH = ("EVENTSYS", "pip install", "EventService")


@contextmanager
def told_in_a_sentence(*, debug: bool, of_options: bool = False) -> Iterator[None]:
    """Turn an error within into one sentence on stderr and an exit code; with `debug`, let it out as it is.

    What was typed and cannot be done ends with 2, everything else with 1.

    Args:
        debug: Whether `--debug` was given.
        of_options: Whether what is wrong was typed here, and is to be told by its option; of modules that a command
            loads, an error is told as who writes them gave it.
    """
    try:
        yield
    except EventsysError as error:
        if debug:
            raise
        told = _in_options(_sentence(error)) if of_options else _sentence(error)
        refuse(told, MISUSED if isinstance(error, ValueError) else FAILED)
    except BrokenPipeError:
        # Whoever read the output (`| head`) is gone. Nothing more can be written, not even by the interpreter's end.
        sys.stdout = None
        raise typer.Exit(FAILED) from None
    except (typer.Exit, typer.Abort):
        raise
    except Exception as error:
        if debug:
            raise
        refuse(f"{type(error).__name__}: {error}; --debug shows where", FAILED)


def fitting(model: type[Model], **given: Any) -> Model:
    """Return a model of what was typed; where that does not fit, say why, and end with 2."""
    from pydantic import ValidationError

    try:
        return model(**given)
    except ValidationError as error:
        refuse(_in_options("; ".join(one["msg"].removeprefix("Value error, ") for one in error.errors())), MISUSED)


def refuse(sentence: str, code: int) -> NoReturn:
    """Say why the command ends here, and end it."""
    typer.echo(f"error: {sentence}", err=True)
    raise typer.Exit(code)


def note_unknown(service: EventService, subscription: str | None) -> None:
    """Say on stderr that what was found for this subscription is nothing because there is none of that name."""
    if subscription is None:
        return
    names = [one.name for one in service.subscriptions.list()]
    _note("subscription", subscription, names, "eventsys subs ls lists them")


def note_unknown_reason(reason: str | None) -> None:
    """Say on stderr that no dead letter was found for this reason because nothing is given up for it."""
    from eventsys.model.dead_letter import REASONS

    if reason is not None:
        _note("reason", reason, REASONS, f"there are {', '.join(REASONS)}")


def _note(kind: str, given: str, known: Sequence[str], otherwise: str) -> None:
    if given in known:
        return
    near = get_close_matches(given, known, n=1)
    typer.echo(f"note: there is no {kind} {given!r}; {f'did you mean {near[0]!r}?' if near else otherwise}", err=True)


def _in_options(text: str) -> str:
    from eventsys.cli.wording import in_options

    return in_options(text)


def _sentence(error: EventsysError) -> str:
    text = str(error)
    if isinstance(error, InvalidPayloadError):
        return " ".join(text.split())
    if isinstance(error, EmbeddedRedisError):
        return text  # with a line for each platform
    text = " ".join(text.split()).removesuffix(".")
    if isinstance(error, RedisUnavailableError):
        text += "; start it, or name another with --redis-url or EVENTSYS_REDIS_URL"
    if isinstance(error, SettingsError) and not any(word in text for word in _SAYS_ENOUGH):
        text += "; settings come from options and the variables EVENTSYS_*"
    return text
