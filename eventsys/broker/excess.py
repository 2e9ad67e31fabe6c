"""What a process gives up of what it has fetched, when its handlers turn out to be slow."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from .messages import Received

#: Has at most so many messages of a queue handed back that nothing has begun.
GiveUp = Callable[[str, int], None]


def give_up_nothing(queue: str, most: int) -> None:
    """Give up nothing: what this reader fetches is seen to at once."""


def split_last(messages: Sequence[Received], queue: str, most: int) -> tuple[list[Received], list[Received]]:
    """Return the last of some messages that are of a queue, at most so many, and all others, in order.

    A batch is among the others: it takes one thread, and would have to gather anew.
    """
    last: list[Received] = []
    others: list[Received] = []
    for message in reversed(messages):
        if message.queue_name == queue and most > 0 and len(message.places) == 1:
            most -= 1
            last.append(message)
        else:
            others.append(message)
    return last[::-1], others[::-1]
