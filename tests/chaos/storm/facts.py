"""What a run notes of itself while it goes on."""

from __future__ import annotations

import msgspec

from tests.chaos.ledger import Delivery


class Begun(msgspec.Struct, frozen=True, tag=True):
    """The run has begun.

    Attributes:
        command: What repeats it.
        python: The version of Python.
        system: The operating system and the machine.
        monotonic_s: The moment, on the clock of the ledger.
        wall_s: The same on the clock of the logs, in seconds since 1970.
        skews_s: By how many seconds the clocks of worker processes are wrong; which one, their pids decide.
        longest_takeover: Seconds after which a takeover is a fault; None: it never is.
        longest_resuming: The same for work that goes on when Redis is back.
        may_lose_leases: Whether a process that lives may lose what it holds.
    """

    command: str
    python: str
    system: str
    monotonic_s: float
    wall_s: float
    skews_s: list[float]
    longest_takeover: float | None = None
    longest_resuming: float | None = None
    may_lose_leases: bool = True


class Strike(msgspec.Struct, frozen=True, tag=True):
    """A process that was struck: when, how, its pid, the deliveries it held, and how long it or its parent stood still.

    What a supervisor's children held is among what it held, and each of them was struck with it.
    """

    at: float
    kind: str
    victim: str
    pid: int
    held: list[Delivery]
    stood_s: float = 0.0


class Outage(msgspec.Struct, frozen=True, tag=True):
    """When Redis was away, or could not be reached, or did not do what it was told."""

    kind: str
    began_at: float
    ended_at: float


class PowerCut(msgspec.Struct, frozen=True, tag=True):
    """From when to when what Redis had accepted is gone."""

    began_at: float
    ended_at: float


class Done(msgspec.Struct, frozen=True, tag=True):
    """A fault was carried out."""

    fault: str


class Missed(msgspec.Struct, frozen=True, tag=True):
    """A fault found no process to strike."""

    fault: str


class Failed(msgspec.Struct, frozen=True, tag=True):
    """A fault could not be carried out."""

    fault: str
    error: str


class Poisoned(msgspec.Struct, frozen=True, tag=True):
    """An event is about to be published that harms whoever handles it."""

    event_id: str
    deed: str


class Life(msgspec.Struct, frozen=True, tag=True):
    """A worker process that is gone.

    Attributes:
        role: Whose child it was.
        pid: Its pid. Pids come again.
        seen_at: When it was first seen.
        alive_at: When it was last seen alive.
        gone_at: When it was first seen dead.
    """

    role: str
    pid: int
    seen_at: float
    alive_at: float
    gone_at: float


class Ended(msgspec.Struct, frozen=True, tag=True):
    """A process that the run itself had begun has ended, and with which code."""

    role: str
    pid: int
    at: float
    code: int | None


class Stall(msgspec.Struct, frozen=True, tag=True):
    """A time in which the run itself, which does next to nothing, could not go on: the machine was too busy."""

    began_at: float
    ended_at: float


class Rested(msgspec.Struct, frozen=True, tag=True):
    """The run is over.

    Attributes:
        took_s: Seconds from the last fault until nothing was left.
        left: What was left when that took too long; None: nothing.
        codes: With which codes ended who was told to end at last; None: it had to be killed.
        saved: How many versions of the handlers were saved.
        monotonic_s: The moment, on the clock of the ledger.
        wall_s: The same on the clock of the logs.
    """

    took_s: float
    left: str | None
    codes: dict[str, int | None]
    saved: int
    monotonic_s: float
    wall_s: float


Fact = Begun | Strike | Outage | PowerCut | Done | Missed | Failed | Poisoned | Life | Ended | Stall | Rested
