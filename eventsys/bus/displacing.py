"""Telling of subscriptions that processes declare differently: the last declaration holds, and other handlers wait."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping

from eventsys.model.machinery import Displaced
from eventsys.model.subscription import Subscription
from eventsys.store.subscriptions import differing

logger = logging.getLogger(__name__)


def tell_of_replaced(before: Subscription, declared: Subscription) -> None:
    """Warn where a declaration of this process took the place of somebody else's.

    Of the same application it is what a deploy does, and nothing is said.

    Args:
        before: What held until now.
        declared: What holds from now on.
    """
    if before.declared_by == declared.declared_by:
        return
    logger.warning(
        "%s was declared by %s with another %s, and %s has declared it anew: its deliveries go to the queue %s from now"
        " on, and the handler there may get none; give one of the two another name=, or, if both are one application,"
        " all its processes the same EVENTSYS_APP",
        declared.name, _whose(before), ", ".join(differing(declared, before)), _whose(declared), declared.queue,
        extra={"action": "subscription_replaced", "subscription": declared.name},
    )  # fmt: skip


def tell_of_renamed(name: str, successor: str) -> None:
    """Warn that older code, as this process has it, declared a name which newer code has given up for another.

    Args:
        name: The name in this code.
        successor: What the subscription is called now.
    """
    logger.warning(
        "%s is called %s now, and a living process hosts it, so this process, whose code is older, hosts nothing of it;"
        " to go back to the older code stop what has the new name, and some two minutes later %s is subscribed anew; a"
        " handler that is another one needs another name=",
        name, successor, name,
        extra={"action": "subscription_renamed", "subscription": name},
    )  # fmt: skip


def tell_of_both(name: str, successor: str) -> None:
    """Warn that a former name has become a subscription of its own, beside the one that it had led to.

    Args:
        name: The former name, which this process declares.
        successor: The one that was renamed, and that stays.
    """
    logger.warning(
        "%s was renamed to %s, which no living process hosts, and is a subscription of its own from now on: what both"
        " want goes to both; delete the one that is not wanted (eventsys subs delete), or rename %s back with was=",
        name, successor, successor,
        extra={"action": "subscription_doubled", "subscription": name},
    )  # fmt: skip


class Displacements:
    """What of the declarations of this process does not hold, because others came after them."""

    def __init__(self) -> None:
        self._told: dict[str, str] = {}

    def among(self, own: Iterable[Subscription], rows: Mapping[str, Subscription]) -> list[Displaced]:
        """Return which of this process's declarations are not those that hold; warn, once, of what is somebody else's.

        Args:
            own: What this process has declared, and would handle.
            rows: What holds, by name.
        """
        found = []
        for one in own:
            row = rows.get(one.name)
            if row is None or row.declaration_hash == one.declaration_hash:
                self._told.pop(one.name, None)
                continue
            differ = differing(one, row)
            found.append(Displaced(subscription=one.name, declared_by=one.declared_by, differ=differ))
            if row.declared_by != one.declared_by and self._told.get(one.name) != row.declaration_hash:
                self._told[one.name] = row.declaration_hash
                _warn_of_loss(one, row, differ)
        return found


def _warn_of_loss(own: Subscription, row: Subscription, differ: list[str]) -> None:
    logger.warning(
        "%s, as this process declares it, holds no longer: %s has declared it with another %s, its deliveries go to the"
        " queue %s, and the handler here may get none; give one of the two another name=",
        own.name, _whose(row), ", ".join(differ), row.queue,
        extra={"action": "subscription_displaced", "subscription": own.name},
    )  # fmt: skip


def _whose(declaration: Subscription) -> str:
    if declaration.owner is not None:
        return f"the process {declaration.owner}, at run time,"
    return f"the application {declaration.declared_by}"
