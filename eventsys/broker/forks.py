"""Children that a handler forks: they are nobody's worker."""

from __future__ import annotations

import logging
import os
from typing import NoReturn

from dramatiq import MessageProxy

#: Exit code of a child that came back from its handler.
CAME_BACK = 71

logger = logging.getLogger(__name__)


def end_forked_child(message: MessageProxy) -> NoReturn:
    """End a child that a handler forked and that comes back from it, where it would go on as a second worker.

    The attempt, the messages and the threads are its parent's. Nothing is flushed and nobody is told: what the child
    has of files and connections is the parent's too.
    """
    logger.error(
        "the handler of %s forked, and its child came back from it; the child ends", message,
        extra={"action": "forked_child_ended", "message_id": message.message_id},
    )  # fmt: skip
    os._exit(CAME_BACK)
