"""Cron tasks that code declares: told to Redis when they are new, and watched for as long as they are declared."""

from __future__ import annotations

import hashlib
import inspect
import logging
import re
import threading
from collections.abc import Callable, Sequence
from datetime import timedelta
from typing import Any, NamedTuple

from dramatiq import Broker, Middleware

from eventsys.broker.actor import HandlerActor
from eventsys.broker.broker import EventBroker
from eventsys.bus.event_bus import EventBus
from eventsys.bus.handlers import STANDS_FOR, name_of, refuse_generator
from eventsys.bus.system_events import SystemEvents
from eventsys.clock import from_ms
from eventsys.errors import EventsysError, RedisUnavailableError
from eventsys.forking import begins_anew_in_children
from eventsys.model.cron_task import CronDefinition, TaskState, check_task_name
from eventsys.model.declared_options import Open, declared_options
from eventsys.model.durations import DurationLike
from eventsys.model.event import Event
from eventsys.model.event_types import LONGEST_TYPE
from eventsys.scheduling.cron_changes import UNDECLARED, paused, repaired, signed_anew
from eventsys.scheduling.cron_editor import CronEditor
from eventsys.scheduling.sweeps import Sweeps
from eventsys.store.cron_declared import DeclaredTasks
from eventsys.store.cron_tasks import CronRow, CronTaskStore

#: After how long without a process that declares it a task is paused, in real time.
UNDECLARED_MS = 3_600_000

#: How often a process says again what it declares; several times an hour, so that a lost one does no harm.
_DECLARED_AGAIN_MS = 300_000

#: How long the message of a tick may be on its way before the task counts as one that lost it.
_ON_ITS_WAY_MS = 60_000

#: Tasks that a sweep reads at a time.
_AT_ONCE = 200

#: How the types of the events begin that functions decorated with `@events.cron` are run by.
RUN_TYPE = "cron.run."

logger = logging.getLogger(__name__)


class _Told(NamedTuple):
    """What Redis was told of a task first by this process, at a moment on the clock of the bus, in milliseconds."""

    definition: CronDefinition
    since_ms: int


class CronDeclarations:
    """The tasks that this process declares, and what has to be seen to about all tasks.

    Args:
        broker: Whose workers declare them, and whose clock counts.
        system: What warns of tasks that nobody declares any more.
        tasks: Where tasks are stored.
        editor: What changes them.
    """

    def __init__(self, broker: EventBroker, system: SystemEvents, tasks: CronTaskStore, editor: CronEditor) -> None:
        self._broker = broker
        self._system = system
        self._tasks = tasks
        self._said = DeclaredTasks(broker.link, broker.keys)
        self._editor = editor
        self._said_ms = 0
        self.forget_process()
        self._forget_all()
        begins_anew_in_children(self)
        after_scan = broker.work.after_scan

        def make_round() -> None:
            after_scan()
            self.make_round()

        broker.work.after_scan = make_round
        broker.work.forgetful.when_rebound.append(self._forget_all)
        broker.work.forgetful.when_lost.append(self._forget_lost)
        broker.add_middleware(_Boot(self))

    def forget_process(self) -> None:
        """In a forked child: whoever declares just now does so in the parent."""
        self._lock = threading.RLock()

    def tend(self, sweeps: Sweeps) -> None:
        """Have what goes wrong with tasks noticed each minute."""
        sweeps.add("cron-ticks", timedelta(minutes=1), self.mend_ticks)
        sweeps.add("cron-declarations", timedelta(minutes=5), self.pause_undeclared)
        sweeps.add("cron-signatures", timedelta(hours=1), self.sign_anew)

    def complete(self) -> None:
        """Declare what Redis does not know yet; after a module was loaded again, what it now declares.

        A task that is refused is tried again at the next use, and keeps none of the others waiting.

        Raises:
            RedisUnavailableError: If Redis does not answer; the next use tries again.
        """
        with self._lock:
            for name, definition in self._declared().items():
                if self._known.get(name) is not definition and self._is_declared(definition):
                    self._known[name] = definition

    def make_round(self) -> None:
        """Declare what is new, and say now and then what is declared still; cheap when there is nothing to do."""
        self.complete()
        real_ms = self._broker.clock.real_ms()
        if self._known and real_ms - self._said_ms >= _DECLARED_AGAIN_MS:
            declared = self._declared()
            self._said.say(list(declared), real_ms)
            self._said_ms = real_ms
            self._look_at(declared)

    def mend_ticks(self, now_ms: int) -> int:  # noqa: ARG002 - it may be over by when the store was read
        """Give active tasks a tick that wait for none: a sweep. Return how many did.

        A tick on its way from the store to the cron actor is in neither, so it is given a minute; should its message
        come after all, it no longer counts.
        """
        mended = 0
        names = self._tasks.names()
        for start in range(0, len(names), _AT_ONCE):
            for row in self._strays(names[start : start + _AT_ONCE]):
                if _has_lost_its_tick(row, self._broker.clock.now_ms()):
                    self._editor.edit(row.task.name, self._mending(row))
                    logger.warning("cron task %s had lost its tick", row.task.name, extra={"action": "cron_mended"})
                    mended += 1
        return mended

    def pause_undeclared(self, now_ms: int) -> int:  # noqa: ARG002 - processes live in real time
        """Pause the declared tasks that no process has declared for an hour: a sweep. Return how many.

        Of one that was deleted while processes still declared it nothing else is left, and is forgotten.
        """
        oldest_ms = self._broker.clock.real_ms() - UNDECLARED_MS
        old = [name for name, said_ms in self._said.said().items() if said_ms < oldest_ms]
        gone = [row.task.name for row in self._tasks.readable(old) if row.task.state is TaskState.ACTIVE]
        for name in gone:
            self._editor.edit(name, lambda row, now: None if row is None else paused(row, now, UNDECLARED))
            self._system.warn(
                f"cron_undeclared:{name}",
                f"cron task {name!r} is paused, because {UNDECLARED}; delete it, or start what declares it",
                lasts="1h",
            )
        if old:
            self._said.forget(sorted(set(old) - set(self._tasks.names())))
        return len(gone)

    def sign_anew(self, now_ms: int) -> int:  # noqa: ARG002 - each is read once more
        """Sign with the first key what an older one signed, while that is believed: a sweep. Return how many tasks."""
        names, signed = self._tasks.names(), 0
        for start in range(0, len(names), _AT_ONCE):
            for row in self._tasks.signed_before(names[start : start + _AT_ONCE]):
                self._editor.edit(row.task.name, lambda row, now: None if row is None else signed_anew(row, now))
                signed += 1
        return signed

    def _strays(self, names: Sequence[str]) -> list[CronRow]:
        """Return those of these tasks whose tick was not in the store after they were read.

        Asked before, it may have been on its way, and the task be read with the next one that was armed meanwhile.
        """
        rows = self._tasks.readable(self._tasks.strays(names))
        strays = set(self._tasks.strays([row.task.name for row in rows]))
        return [row for row in rows if row.task.name in strays]

    def _is_declared(self, definition: CronDefinition) -> bool:
        """Declare a task, and say whether that could be done; why not is logged once, however often it is tried."""
        name, now_ms = definition.name, self._broker.clock.now_ms()
        told = self._told.get(name)
        since_ms = told.since_ms if told is not None and told.definition is definition else None
        try:
            if since_ms is not None and name in self._deleted and self._editor.read(name) is None:
                return True
            self._editor.declare(definition, is_declared=True, since_ms=since_ms)
            self._said.say([name], self._broker.clock.real_ms())
        except RedisUnavailableError:
            raise
        except EventsysError as error:
            if self._refused.get(name) != str(error):
                logger.warning("cron task %s is not declared: %s", name, error, extra={"action": "cron_undeclared"})
            self._refused[name] = str(error)
            return False
        self._refused.pop(name, None)
        if since_ms is None:
            self._told[name] = _Told(definition, now_ms)
        return True

    def _declared(self) -> dict[str, CronDefinition]:
        """Return what this process declares now, by name."""
        actors = list(self._broker.actors.values())
        return {one.actor_name: one.cron for one in actors if isinstance(one, HandlerActor) and one.cron is not None}

    def _forget_all(self) -> None:
        """Begin anew, on a Redis that was told of nothing yet."""
        with self._lock:
            self._told: dict[str, _Told] = {}
            self._missing: set[str] = set()
            self._deleted: set[str] = set()
            self._forget_lost()

    def _forget_lost(self) -> None:
        """Declare everything again: Redis may have lost it. What gave way to a later declaration does so again."""
        with self._lock:
            self._known: dict[str, CronDefinition] = {}
            self._refused: dict[str, str] = {}
            self._said_ms = 0

    def _look_at(self, declared: dict[str, CronDefinition]) -> None:
        """Declare again what was paused while Redis was away from this process for too long; note what was deleted.

        What is missing may just have been lost, which is seen within seconds: only by the next time it was deleted.
        """
        rows = self._tasks.readable(list(declared))
        missing = set(self._known) - {row.task.name for row in rows}
        self._missing, self._deleted = missing, missing & self._missing
        for row in rows:
            if row.task.reason == UNDECLARED:
                self._is_declared(declared[row.task.name])

    @staticmethod
    def _mending(seen: CronRow) -> Callable[[CronRow | None, Any], Any]:
        def decide(row: CronRow | None, now: Any) -> Any:
            is_same = row is not None and row.armed == seen.armed and not row.waits
            return repaired(row, now) if row is not None and is_same else None

        return decide


class _Boot(Middleware):
    """Declares the tasks of a worker before it begins to work; what Redis could not be told then is told in a round."""

    def __init__(self, declarations: CronDeclarations) -> None:
        self._declarations = declarations

    def before_worker_boot(self, broker: Broker, worker: object) -> None:  # noqa: ARG002
        """Declare them."""
        try:
            self._declarations.complete()
        except EventsysError as error:
            logger.warning("cron tasks are not declared yet: %s", error, extra={"action": "cron_undeclared"})


def _has_lost_its_tick(row: CronRow, now_ms: int) -> bool:
    task = row.task
    if task.state is not TaskState.ACTIVE or row.waits:
        return False
    due = task.next_run_at
    # A tick that is not due and not in the store is lost; one that was due may be on its way.
    return due is None or due > from_ms(now_ms) or due < from_ms(now_ms - _ON_ITS_WAY_MS)


def declare_function(
    bus: EventBus,
    function: Callable[..., Any],
    name: str | None,
    *,
    max_retries: int | Open,
    retry_delay: DurationLike | Open,
    timeout: DurationLike | Open | None,
    **options: Any,
) -> None:
    """Subscribe a function to the event of its own runs, with the task that publishes it.

    Raises:
        InvalidScheduleError: If the schedule or the zone cannot be.
        CronTaskError: If the name or an option cannot be.
        SubscriptionError: If it is no function of one argument, the event, or of none, or an option will not do.
    """
    own_name = check_task_name(name_of(function) if name is None else name)
    event_type = run_type_of(own_name)
    definition = CronDefinition.make(name=own_name, event_type=event_type, **options)
    subscription = declared_options(event_type, max_retries=max_retries, retry_delay=retry_delay, timeout=timeout)
    actor = bus.declare(event_type, _as_handler(function), subscription, name=own_name, persistent=True)
    actor.cron = definition


def run_type_of(name: str) -> str:
    """Return the type of the events of a task's runs: its name, as far as a type may have its letters."""
    plain = ".".join(part for part in re.sub(r"[^a-z0-9._-]+", "-", name.lower()).split(".") if part)
    event_type = f"{RUN_TYPE}{plain}"
    if plain == name and len(event_type) <= LONGEST_TYPE:
        return event_type
    return f"{event_type[: LONGEST_TYPE - 9]}-{hashlib.sha256(name.encode()).hexdigest()[:8]}"


def _as_handler(function: Callable[..., Any]) -> Callable[..., Any]:
    """Return a function of one argument, the event."""
    refuse_generator(function)
    if inspect.signature(function).parameters:
        return function

    async def await_it(event: Event[Any]) -> None:  # noqa: ARG001
        await function()

    def call_it(event: Event[Any]) -> None:  # noqa: ARG001
        function()

    handler: Any = await_it if inspect.iscoroutinefunction(function) else call_it
    handler.__module__, handler.__qualname__ = function.__module__, function.__qualname__
    setattr(handler, STANDS_FOR, function)
    return handler  # type: ignore[no-any-return]
