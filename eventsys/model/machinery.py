"""What runs a bus: its queues, and the processes that read them."""

from __future__ import annotations

from datetime import timedelta

from pydantic import BaseModel, ConfigDict, Field

from eventsys.model.event import UtcTime


class QueueState(BaseModel):
    """How one queue stands. The queue `eventsys.log` is the event log: what waits there is not dispatched yet."""

    model_config = ConfigDict(frozen=True)

    name: str
    waiting: int = Field(ge=0)
    """Messages that no process has fetched, or that were handed back; at least so many where `is_exact` is false."""
    running: int = Field(ge=0)
    """Messages that a process holds: fetched, handled now, or not committed yet."""
    suspects: int = Field(default=0, ge=0)
    """Messages that a dead process held, and that wait to be handed out one by one."""
    delayed: int = Field(default=0, ge=0)
    """Its messages in the delayed store: retries, and what was sent with a delay."""
    oldest_waiting: timedelta | None = None
    """How long ago the oldest message that waits was added, suspects among them; None when none waits."""
    readers: list[str] = Field(default_factory=list)
    """The living processes that read it."""
    is_paused: bool = False
    is_exact: bool = True

    @property
    def unclaimed(self) -> int:
        """Messages that wait for a process, suspects among them."""
        return self.waiting + self.suspects


class Displaced(BaseModel):
    """A declaration of a process that does not hold: its subscription was declared otherwise after it."""

    model_config = ConfigDict(frozen=True)

    subscription: str
    declared_by: str = ""
    """The application of the process; empty for what was made at run time."""
    differ: list[str] = Field(default_factory=list)
    """What it says otherwise than the declaration that holds: `pattern`, `queue` and so on."""


class WorkerProcess(BaseModel):
    """One process that handles messages."""

    model_config = ConfigDict(frozen=True)

    name: str
    """Of its lease; another one after it was away for too long."""
    host: str
    pid: int
    number: int
    """What records call it."""
    queues: list[str]
    started_at: UtcTime
    lease_ends_in: timedelta
    """Until it counts as dead, unless it beats before; negative when it is overdue."""
    beat_ago: timedelta | None = None
    """How long ago it last said that it is alive."""
    reloaded_at: UtcTime | None = None
    """When the application's code was last loaded again in it, or could not be; only where `--reload` runs."""
    reload_problem: str = ""
    """Why it could not be, and the old code goes on."""
    running: int = Field(default=0, ge=0)
    """Messages it holds now."""
    displaced: list[Displaced] = Field(default_factory=list)
    """What it declares and does not hold, so that its handler may get nothing."""
    is_leader: bool = False
    """Whether its poller lets go what is due."""

    @property
    def is_alive(self) -> bool:
        """Whether it has beaten in time; one that has not is taken over."""
        return self.lease_ends_in > timedelta(0)


class InHand(BaseModel):
    """One message that a process holds: it is being handled, or about to be."""

    model_config = ConfigDict(frozen=True)

    handler: str
    """The subscription, or the plain actor; `the dispatcher` for an event to dispatch."""
    queue: str
    process: str
    since: timedelta
    """For how long it is held."""
