"""One attempt at one message, and what it publishes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextvars import ContextVar
from typing import Any
from weakref import ref

from dramatiq import MessageProxy

from eventsys.errors import AttemptEndedError, BackpressureError
from eventsys.store.memory_room import MemoryRoom
from eventsys.store.steps import Step

#: Most messages one attempt may publish: its commit is one script call, which blocks Redis while it runs.
MAX_STEPS = 1_000

#: Most bytes one attempt may publish, for the same reason.
MAX_BYTES = 8 * 1024 * 1024

#: How many forks led to this process.
_forks = 0

HANDLING, FOLLOWING, SEALED = "handling", "following", "sealed"


class Attempt:
    """What an attempt will leave behind when it commits.

    While the handler runs, what it publishes is kept here. When the handler has returned that is kept for good, when it
    has failed it is dropped; then the hooks of the middleware may add theirs: a retry, a callback, the next message of
    a pipeline. When the attempt is over nothing can be added any more.

    Args:
        message: What is attempted.
        takes_sends: Whether messages sent to plain actors commit too, or leave at once.
        owner: The broker whose commit ends it; what is published on another bus cannot commit with it.
        room: What refuses more where Redis is nearly full; None: nothing does.

    Attributes:
        weight: Bytes of what it will leave behind.
    """

    __slots__ = (
        "_forks", "_message", "_of_handler", "_on_commit", "_room", "message_id", "owner", "phase", "retry", "steps",
        "takes_sends", "weight", "when_over",
    )  # fmt: skip

    def __init__(
        self, message: MessageProxy, *, takes_sends: bool, owner: object = None, room: MemoryRoom | None = None
    ) -> None:
        # Weakly, since a message knows its attempt: with a cycle its payload would stay until Python looks for those.
        self._message = ref(message)
        self._forks = _forks
        self.message_id = message.message_id
        self.owner = owner
        self.when_over: Callable[[], None] | None = None
        self.takes_sends = takes_sends
        self.phase = HANDLING
        self.steps: list[Step] = []
        self.retry: Step | None = None
        self.weight = 0
        self._room = room
        self._of_handler = 0
        self._on_commit: list[Callable[[bool], None]] | None = None

    def add(self, step: Step, size: int, *, on_commit: Callable[[bool], None] | None = None) -> None:
        """Keep a step until the attempt commits.

        Args:
            step: What to carry out.
            size: Its bytes.
            on_commit: Called with True when it has been carried out, with False when it never will be.

        Raises:
            AttemptEndedError: If the attempt is over.
            BackpressureError: If the attempt has published as much as one commit may carry, or Redis is nearly full.
        """
        self._check_room(1, size)
        self.weight += size
        self.steps.append(step)
        if on_commit is not None:
            self._on_commit = self._on_commit or []
            self._on_commit.append(on_commit)

    def add_all(self, steps: Sequence[Step], size: int) -> None:
        """Keep many steps until the attempt commits, all of them or none.

        Args:
            steps: What to carry out.
            size: The bytes of all.

        Raises:
            AttemptEndedError: If the attempt is over.
            BackpressureError: If the attempt would publish more than one commit may carry, or Redis is nearly full; it
                keeps none of these.
        """
        self._check_room(len(steps), size)
        self.weight += size
        self.steps += steps

    @property
    def message(self) -> MessageProxy | None:
        """What is attempted; None when that is over, and nobody looks at the message any more."""
        return self._message()

    @property
    def is_anothers(self) -> bool:
        """Whether another process began it, which forked this one."""
        return self._forks != _forks

    @property
    def is_awaited(self) -> bool:
        """Whether somebody waits for the outcome of its commit."""
        return self._on_commit is not None or self.when_over is not None

    def handler_ended(self, *, succeeded: bool) -> None:
        """Close the handler's part: keep what it published, or drop it."""
        self.phase = FOLLOWING
        if not succeeded:
            self.steps.clear()
            self.weight = 0
            self.settle(committed=False)
        self._of_handler = len(self.steps)

    @property
    def published(self) -> list[Step]:
        """What the handler published, once its part is closed."""
        return self.steps[: self._of_handler]

    @property
    def added(self) -> list[Step]:
        """What hooks of the middleware added after it."""
        return self.steps[self._of_handler :]

    def seal(self) -> None:
        """Let nothing in any more."""
        self.phase = SEALED

    def _check_room(self, count: int, size: int) -> None:
        if self.phase == SEALED:
            raise AttemptEndedError(
                f"the attempt at {self.message_id!r} is over, so nothing can commit with it any more; publish"
                " before the handler returns, or from a thread that does not carry its context"
            )
        if self._room is not None and self.phase == HANDLING:
            self._room.check_known()
        if len(self.steps) + count > MAX_STEPS or self.weight + size > MAX_BYTES:
            raise BackpressureError(
                f"the attempt at {self.message_id!r} has published {len(self.steps)} messages of {self.weight} bytes,"
                f" and {count} more of {size} bytes are too many: at most {MAX_STEPS} and {MAX_BYTES} bytes commit at"
                " once; use immediately=True for bulk"
            )

    def settle(self, *, committed: bool) -> None:
        """Tell whoever waits for the outcome of the commit."""
        waiting, self._on_commit = self._on_commit, None
        for tell in waiting or ():
            tell(committed)


_current: ContextVar[Attempt | None] = ContextVar("eventsys_attempt", default=None)


def current_attempt() -> Attempt | None:
    """Return the attempt this code runs in, if it runs in one."""
    return _current.get()


def attempt_of(owner: object) -> Attempt | None:
    """Return the attempt this code runs in, if `owner` is the broker that commits it."""
    attempt = _current.get()
    return attempt if attempt is not None and attempt.owner is owner else None


def enter_attempt(attempt: Attempt | None) -> Any:
    """Make `attempt` the current one, and return the token that ends this."""
    return _current.set(attempt)


def leave_attempt(token: Any) -> None:
    """Make the attempt current again that was before `enter_attempt`."""
    _current.reset(token)


def _forget_attempt() -> None:
    """In a forked child: nobody here would commit what is published into the attempt it was forked in."""
    global _forks
    _forks += 1
    _current.set(None)


os.register_at_fork(after_in_child=_forget_attempt)
