"""The commands of a family, made ready when one of them is asked for."""

from __future__ import annotations

from collections.abc import MutableMapping
from typing import Any

import typer
from typer.core import TyperGroup
from typer.main import get_group


class Group(TyperGroup):
    """A group of commands whose own options are flags: help, and at the top those of completion."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        """Read what stands before the command.

        The flags have no default. For a None typer loads pydantic, to find that it is none: a tenth of a second before
        any help. False needs no looking at.
        """
        for param in self.get_params(ctx):
            if param.default is None:
                param.default = False
        return super().parse_args(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run the command; a value that cannot be is told as the shell would, and not as pydantic does for typer."""
        try:
            return super().invoke(ctx)
        except typer.BadParameter as error:
            from eventsys.cli.wording import without_pydantic

            error.message = without_pydantic(error.message)
            raise


class Family(Group):
    """A family of commands.

    Typer makes every command ready before it looks at what was typed: it reads the types of some four hundred options,
    to show the help of one command. A family knows its name and what it is for, and leaves the rest until then.

    Args:
        name: What is typed for it.
        members: Holds its commands.
    """

    def __init__(self, name: str, members: typer.Typer) -> None:
        self._members = members
        self._ready: dict[str, Any] | None = None
        super().__init__(name=name, help=members.info.help, no_args_is_help=True)

    @property
    def commands(self) -> MutableMapping[str, Any]:
        """The commands by name."""
        if self._ready is None:
            self._ready = dict(get_group(self._members).commands)
        return self._ready

    @commands.setter
    def commands(self, empty: MutableMapping[str, Any]) -> None:
        """Take nothing: what the base class begins with is an empty family."""


def with_families(families: dict[str, typer.Typer]) -> type[TyperGroup]:
    """Return the class of a `typer.Typer` that has these families beside the commands registered with it."""

    class Root(Group):
        def __init__(self, **given: Any) -> None:
            super().__init__(**given)
            for name, members in families.items():
                self.add_command(Family(name, members))

    return Root
