"""eventsys: durable typed events on Redis.

>>> from eventsys import Event, EventService
>>> events = EventService()
>>> @events.on("user.login")
... def greet(event: Event) -> None:
...     print("hello", event.payload["user_id"])
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from eventsys.public import *  # noqa: F403 - the names are listed there
    from eventsys.public import __all__ as __all__


def __getattr__(name: str) -> object:
    """Load the public names at the first use of one.

    The command line is a part of this package, and `eventsys --help` shall not wait for what it does not need.
    """
    if name == "__all__" or not name.startswith("__") or name == "__version__":
        public = import_module("eventsys.public")
        globals().update({one: getattr(public, one) for one in public.__all__}, __all__=public.__all__)
        if name in globals():
            value: object = globals()[name]
            return value
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
