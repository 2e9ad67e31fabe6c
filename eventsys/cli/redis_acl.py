"""`eventsys redis-acl`."""

from __future__ import annotations

from typing import Annotated

import typer

from eventsys.cli.faults import told_in_a_sentence
from eventsys.cli.options import Debug

User = Annotated[str, typer.Option("--user", help="The name of the Redis user.")]


def redis_acl(user: User = "eventsys", debug: Debug = False) -> None:
    """Print the least that a Redis user must be allowed for this bus, as one command for redis-cli.

    Put a password in the place of PASSWORD. In a file of users (aclfile) the same line begins with `user` instead of
    ACL SETUSER. The bus is the one that EVENTSYS_NAME names.
    """
    with told_in_a_sentence(debug=debug):
        from eventsys.settings import load_settings
        from eventsys.store.keys import Keys
        from eventsys.store.permissions import acl_rule

        typer.echo(f"ACL SETUSER {acl_rule(Keys(load_settings().name), user)}")
