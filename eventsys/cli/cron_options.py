"""The options that say what a cron task is to do, as `create` and `update` have them."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable
from enum import StrEnum
from typing import Annotated, Any, NoReturn, TypeVar

import typer

from eventsys.cli.faults import MISUSED, refuse
from eventsys.cli.json_given import STDIN, json_given
from eventsys.cli.options import date_of
from eventsys.cli.publish import Urgency

Command = TypeVar("Command", bound=Callable[..., Any])


class OverlapOption(StrEnum):
    """What becomes of a tick that comes while an earlier run is on."""

    SKIP = "skip"
    BUFFER_ONE = "buffer_one"
    ALLOW = "allow"


class ClearOption(StrEnum):
    """What a task can be without."""

    PUBLISH = "publish"
    ACTOR = "actor"
    QUEUE = "queue"
    ENDS_AT = "ends-at"
    MAX_RUNS = "max-runs"
    MAX_RETRIES = "max-retries"
    RETRY_DELAY = "retry-delay"


#: Each by the name that `CronService.create` and `update` have for it; None is what was not given.
_OPTIONS: dict[str, Any] = {
    "schedule": Annotated[
        str | None,
        typer.Option("--schedule", metavar="CRON", help="Five fields, six with seconds in front, or @hourly."),
    ],
    "event_type": Annotated[
        str | None, typer.Option("--publish", metavar="TYPE", help="The type of event a tick publishes.")
    ],
    "payload": Annotated[
        str | None,
        typer.Option("--payload", metavar="JSON", help="Its payload, a JSON object; - reads it from stdin."),
    ],
    "secret_fields": Annotated[
        list[str] | None,
        typer.Option(
            "--secret",
            metavar="FIELD",
            help="A field of it, dotted, or an argument, by name or place, that nobody is shown; may be repeated.",
        ),
    ],
    "source": Annotated[str | None, typer.Option("--source", help="Who publishes it.")],
    "priority": Annotated[Urgency | None, typer.Option("--priority", help="How urgent the event or message is.")],
    "actor": Annotated[
        str | None, typer.Option("--actor", metavar="NAME", help="The actor that a tick sends a message.")
    ],
    "queue": Annotated[str | None, typer.Option("--queue", metavar="NAME", help="The actor's queue; else default.")],
    "actor_args": Annotated[
        str | None, typer.Option("--actor-args", metavar="JSON", help="What the actor is given, a JSON list; or -.")
    ],
    "actor_kwargs": Annotated[
        str | None, typer.Option("--actor-kwargs", metavar="JSON", help="What it is given by name, an object; or -.")
    ],
    "timezone": Annotated[
        str | None, typer.Option("--timezone", metavar="ZONE", help="Such as Europe/Berlin; else UTC.")
    ],
    "overlap": Annotated[
        OverlapOption | None, typer.Option("--overlap", help="What becomes of a tick while an earlier run is on.")
    ],
    "catch_up": Annotated[
        str | None, typer.Option("--catch-up", metavar="DURATION", help="How late a tick may be and still run.")
    ],
    "catch_up_all": Annotated[
        bool | None,
        typer.Option("--catch-up-all/--catch-up-latest", help="Which of several missed ticks run; else the latest."),
    ],
    "jitter": Annotated[
        str | None, typer.Option("--jitter", metavar="DURATION", help="The most that chance puts a tick off.")
    ],
    "max_runs": Annotated[int | None, typer.Option("--max-runs", min=1, help="After how many runs it ends.")],
    "ends_at": Annotated[
        str | None,
        typer.Option(
            "--ends-at",
            metavar="TIME",
            help="The last moment a tick may be due: a date and time, in this machine's zone if it has none.",
        ),
    ],
    "run_timeout": Annotated[
        str | None,
        typer.Option("--run-timeout", metavar="DURATION", help="How long a run may take until it counts as failed."),
    ],
    "max_retries": Annotated[
        int | None,
        typer.Option("--max-retries", min=0, help="Tries after the first, instead of what the handlers or actor say."),
    ],
    "retry_delay": Annotated[
        str | None, typer.Option("--retry-delay", metavar="DURATION", help="The wait before each of them, likewise.")
    ],
}

#: Of these one may be on standard input.
_MAY_BE_PIPED = ("payload", "actor_args", "actor_kwargs")


def takes_task_options(command: Command) -> Command:
    """Give a command all of these options, behind its argument; what was given comes to it as keywords."""
    own = inspect.signature(command, eval_str=True)
    first, *rest = (one for one in own.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD)
    kind = inspect.Parameter.KEYWORD_ONLY
    options = [inspect.Parameter(name, kind, default=None, annotation=each) for name, each in _OPTIONS.items()]
    behind = [one.replace(kind=kind) for one in rest]
    command.__signature__ = own.replace(parameters=[first, *options, *behind])  # type: ignore[attr-defined]
    return command


def said(given: dict[str, Any]) -> dict[str, Any]:
    """Return what was given, in the form the service takes; refuse what cannot be read."""
    from eventsys import Priority

    read: dict[str, Callable[[Any], Any]] = {
        "payload": lambda text: _object("the payload", text),
        "actor_args": _list,
        "actor_kwargs": lambda text: _object("what the actor is given by name", text),
        "priority": lambda urgency: Priority[urgency.name],
        "overlap": lambda overlap: overlap.value,
        "ends_at": date_of,
    }
    piped = [f"--{name.replace('_', '-')}" for name in _MAY_BE_PIPED if given.get(name) == STDIN]
    if len(piped) > 1:
        refuse(f"standard input has one thing, and {' and '.join(piped)} ask for it; give all but one as JSON", MISUSED)
    return {name: read.get(name, _as_it_is)(value) for name, value in given.items() if value not in (None, [])}


def cleared(options: Iterable[ClearOption]) -> list[str]:
    """Return the service's names for what is to be there no longer."""
    return ["event_type" if one is ClearOption.PUBLISH else one.name.lower() for one in options]


def _as_it_is(value: Any) -> Any:
    return value


def _object(what: str, text: str) -> dict[str, Any]:
    example = '{"days": 7}'
    content = json_given(what, text, example)
    return content if isinstance(content, dict) else _refuse(what, "object", example)


def _list(text: str) -> list[Any]:
    what, example = "what the actor is given", '["north", 7]'
    content = json_given(what, text, example)
    return content if isinstance(content, list) else _refuse(what, "list", example)


def _refuse(what: str, kind: str, example: str) -> NoReturn:
    refuse(f"{what} is a JSON {kind}, such as '{example}'", MISUSED)
