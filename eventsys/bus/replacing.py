"""Letting handlers that were loaded again take the place of those that run."""

from __future__ import annotations

from typing import Any, NamedTuple

from dramatiq import Actor

from eventsys.broker.actor import HandlerActor
from eventsys.broker.staging import ActorTable, Staging
from eventsys.bus.event_bus import EventBus
from eventsys.bus.payload_types import ApplicationCatalog
from eventsys.errors import SubscriptionError


class Replaced(NamedTuple):
    """What became of the handlers and actors of some modules, by name, sorted.

    Attributes:
        added: They were not there before.
        changed: Their subscription is declared otherwise than before.
        kept: Only their code may have changed.
        removed: They are gone; what is delivered to their subscriptions waits for a process that hosts them.
    """

    added: list[str]
    changed: list[str]
    kept: list[str]
    removed: list[str]


def replace_handlers(bus: EventBus, catalog: ApplicationCatalog, staging: Staging, modules: set[str]) -> Replaced:
    """Let what `modules` declare now take the place of what they declared before.

    Redis is told first; if that fails nothing has changed here. Then each actor is exchanged in one step: a delivery
    that was begun goes on with the old code, one that was not begins with the new.

    Args:
        bus: Whose handlers they are.
        catalog: Whose payload models they are validated with.
        staging: What the modules declared when they were loaded again.
        modules: The modules that were loaded again, and those that are gone.

    Raises:
        SubscriptionError: If a name is taken by another module.
        RedisUnavailableError: If Redis does not answer.
    """
    actors = bus.broker.actors
    assert isinstance(actors, ActorTable)
    own = actors.declared_in(modules)
    before = {name: actor for name, actor in actors.items() if name in own}
    _refuse_taken(actors, staging, set(before))
    handlers = [actor for actor in staging.actors.values() if isinstance(actor, HandlerActor)]
    hashes = {name: _declaration(actor) for name, actor in before.items()}
    bus.declarations.adopt(handlers)
    catalog.adopt(staging, modules)
    actors.adopt(staging)
    removed = sorted(before.keys() - staging.actors.keys())
    for name in removed:
        _remove(bus, actors, before[name])
    bus.inline.look_again()
    bus.broker.presence.stir()  # cron tasks are declared by its rounds, and who hosts what is said there
    again = sorted(before.keys() & staging.actors.keys())
    changed = [name for name in again if _declaration(staging.actors[name]) != hashes[name]]
    return Replaced(
        added=sorted(staging.actors.keys() - before.keys()),
        changed=changed,
        kept=[name for name in again if name not in changed],
        removed=removed,
    )


def _refuse_taken(actors: ActorTable, staging: Staging, own: set[str]) -> None:
    for name in staging.actors:
        if name not in own and name in actors:
            raise SubscriptionError(
                f"two handlers are named {name!r}: one in {actors.homes.get(name)}, one in {staging.homes[name]}; give"
                " one of them another name="
            )


def _remove(bus: EventBus, actors: ActorTable, actor: Actor[..., Any]) -> None:
    """Host an actor no longer. A persistent subscription stays, and what is delivered to it waits for a host."""
    if isinstance(actor, HandlerActor) and not actor.subscription.persistent:
        bus.declarations.leave([actor])
    bus.declarations.drop(actor.actor_name)
    actors.homes.pop(actor.actor_name, None)


def _declaration(actor: object) -> str:
    return actor.subscription.declaration_hash if isinstance(actor, HandlerActor) else ""
