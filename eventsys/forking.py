"""What begins anew in a forked child."""

from __future__ import annotations

import os
import weakref
from typing import Protocol


class _Forgetful(Protocol):
    def forget_process(self) -> None:
        """Be as in a process that has not begun: in a child the threads are the parent's, and so is who has a lock."""


_all: weakref.WeakSet[_Forgetful] = weakref.WeakSet()


def begins_anew_in_children(one: _Forgetful) -> None:
    """Have the `forget_process` of an object called in every child that is forked while the object is there.

    A lock that a thread held at that moment stays taken in the child for ever, since the thread is not there: whoever
    holds one over a call to Redis makes a new one here.
    """
    _all.add(one)


def _forget_all() -> None:
    for one in list(_all):
        one.forget_process()


os.register_at_fork(after_in_child=_forget_all)
