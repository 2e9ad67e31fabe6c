"""What this process holds, and how it begins and ends its attempts."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from dramatiq import Actor
from dramatiq.errors import ActorNotFound
from dramatiq.middleware import SkipMessage

from eventsys.clock import Clock
from eventsys.errors import EventsysError
from eventsys.model.cipher import Cipher
from eventsys.model.seal import Seal
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.memory_room import MemoryRoom
from eventsys.store.scripts import script
from eventsys.store.steps import Step

from .actor import HandlerActor
from .attempt import Attempt, enter_attempt, leave_attempt
from .begun_board import BegunBoard
from .committer import Committer
from .endings import (
    Ending,
    ending_of_failure,
    ending_of_success,
    ending_of_waiting,
    hook_of_failure,
    is_to_be_parked,
    is_undecided,
    steps_of_failure,
)
from .finished import Finished
from .forgetful import Forgetful
from .gates import Gates
from .hooks import Hooks
from .in_flight import InFlight
from .last_commits import LAST_COMMIT_S, LastCommits
from .lease import Lease
from .messages import DeliveryMessage, LogMessage, Place, Received
from .overruled import Overruled
from .presence import Presence
from .queue_names import QueueNames
from .staging import OWN_ACTORS
from .undispatched import end_undispatched, resolving_again
from .wanted import give_actor

#: Most messages handed back by one script.
RETURNED_AT_ONCE = 200

logger = logging.getLogger(__name__)


class Work:
    """The messages of one process, from fetching to commit; it belongs to the process, not to a consumer.

    Nothing is opened or started before it is first used. Once it `is_ending` nothing more is fetched. Done `by_hand`,
    by a test that turns the clock, it has no threads: ending an attempt commits it.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        clock: The time.
        actors: What the process can run, by name.
        hooks: Calls the hooks after an acknowledgement, and knows whether there are any.
        retention_ms: How long the record of a finished event is kept.
        parked_ms: How long a message of an unknown actor is tried again before it is a dead letter.
        lease: How soon the process counts as dead without a beat.
        owner: The broker, by which an attempt is told from one of another bus.
        seal: What signs what is stored here, and without whose signature nothing is handled; None: everything is.
    """

    def __init__(
        self,
        link: Link,
        keys: Keys,
        clock: Clock,
        actors: Mapping[str, Actor[..., Any]],
        hooks: Hooks,
        *,
        retention_ms: int,
        parked_ms: int,
        lease: Lease,
        owner: object,
        seal: Seal | None = None,
    ) -> None:
        self.seal = seal
        self.link = link
        self.keys = keys
        self.clock = clock
        self.actors = actors
        self.retention_ms = retention_ms
        self.room = MemoryRoom(link)
        self.in_flight = InFlight()
        self.last_commits = LastCommits()
        self.is_ending = False
        self.by_hand = False
        self.gates = Gates()
        self.successors: dict[str, HandlerActor] = {}
        self.after_scan: Callable[[], None] = lambda: None
        self.look: Callable[[], None] = lambda: None
        self.cipher: Cipher | None = None
        #: Where a supervisor reads what this process has begun, once it is dead; None: nobody does.
        self.begun_board: BegunBoard | None = None
        self.when_lost: Callable[[str, int], None] = lambda *_: None
        self.when_forged: Callable[[str, str], None] = lambda *_: None
        self.queue_names = QueueNames(link, keys)
        self.forgetful = Forgetful(self.queue_names.forget, self.room.forget)
        # Not on a loss: until the set is read again a pause holds, and what is read then is newer.
        self.forgetful.when_rebound.append(self.gates.forget)
        self.overruled = Overruled(link, keys, clock, parked_ms)
        self.hooks = hooks
        self._parked_ms = parked_ms
        self.lease = lease
        self.owner = owner
        self._threads: tuple[Presence, Committer] | None = None
        self._lock = threading.Lock()

    @property
    def presence(self) -> Presence:
        """The lease of this process."""
        return (self._threads or self._begun())[0]

    @property
    def committer(self) -> Committer:
        """What ends attempts in this process."""
        return (self._threads or self._begun())[1]

    def actor_of(self, message: Received) -> Actor[..., Any] | None:
        """Return what runs a message here; a delivery under a former name of a subscription goes by the present one.

        An event goes to its handler and to nothing else: what a delivery says could name any actor.
        """
        actor = self.actors.get(message.actor_name)
        if not isinstance(message, DeliveryMessage) or isinstance(actor, HandlerActor):
            return actor
        if self.successors:
            successor = self.successors.get(message.actor_name)
            # By its present declaration: it may have been reloaded, or dropped.
            actor = None if successor is None else self.actors.get(successor.actor_name)
            if isinstance(actor, HandlerActor):
                message.rename(actor.actor_name)
                return actor
        return None

    def sealed(self, step: Step) -> Step:
        """Return a step with everything signed that has to be."""
        return step if self.seal is None else self.seal.signed_step(step)

    def begin(self, message: Received) -> None:
        """Begin an attempt: what is published from now on belongs to it.

        Raises:
            SkipMessage: If its subscription closed since it was fetched.
            ActorNotFound: If it is a delivery, and what bears the name of its subscription is no handler that wants it.
        """
        if self.gates.closed and isinstance(message, DeliveryMessage) and self.gates.holds_back(message):
            message.is_turned_away = True
            raise SkipMessage(f"{message.subscription} is closed; its deliveries wait")
        is_asked = isinstance(message, DeliveryMessage) and (message.actor is None or self.seal is not None)
        if is_asked and not give_actor(message, self.actor_of(message), self.seal):
            raise ActorNotFound(message.actor_name)
        actor = message.actor
        takes_sends = isinstance(actor, HandlerActor) or bool(actor and actor.options.get("transactional"))
        if self.begun_board is not None:
            message.begun_slot = self.begun_board.enter(message.place.stream, message.place.entry)
        room = None if message.actor_name.startswith(OWN_ACTORS) else self.room
        message.attempt = Attempt(message, takes_sends=takes_sends, owner=self.owner, room=room)
        message.token = enter_attempt(message.attempt)
        message.started_ms = self.clock.now_ms()

    def end(self, message: Received, *, succeeded: bool) -> None:
        """End an attempt: hand it to the committer, with everything it leaves behind."""
        if message.begun_slot is not None and self.begun_board is not None:
            self.begun_board.leave(message.begun_slot)
            message.begun_slot = None
        if isinstance(message, DeliveryMessage) and message.is_turned_away:
            self.turn_away(message)
            return
        attempt = message.attempt
        if attempt is not None:
            attempt.seal()
            if message.token is not None:
                token, message.token = message.token, None
                leave_attempt(token)
        if isinstance(message, LogMessage) and message.targets is None:
            end_undispatched(self, message)
            return
        finished = self.finished(message, succeeded=succeeded)
        self.in_flight.handled(message.place)
        self.committer.put(finished)

    def finished(self, message: Received, *, succeeded: bool) -> Finished:
        """Return the end of an attempt, as the committer takes it."""
        attempt = message.attempt
        if message.error is not None:
            succeeded = succeeded and not is_undecided(message)
        ending = self._ending_of(message, succeeded=succeeded)
        return Finished(
            message.place,
            ending,
            attempt.steps if succeeded and attempt is not None else steps_of_failure(message),
            self.when_committed(message, "after_ack" if succeeded else hook_of_failure(ending), attempt),
            resolving_again(self, message) if isinstance(message, LogMessage) else None,
            self.gates.told_of(message) if self.gates.kept else None,
            message.weight if attempt is None else message.weight + attempt.weight,
        )

    def parks(self, message: Received) -> bool:
        """Say whether a rejected message is not given up, since a process may come that knows its actor."""
        return is_to_be_parked(message, now_ms=self.clock.now_ms(), parked_ms=self._parked_ms)

    def turn_away(self, message: DeliveryMessage) -> None:
        """Let a delivery wait whose subscription closed after it was fetched; no attempt is used."""
        ending = ending_of_waiting(message, is_hosted=True)
        gate = (message.subscription, "") if message.subscription in self.gates.kept else None
        self.in_flight.handled(message.place)
        self.committer.put(Finished(message.place, ending, [], gate=gate, weight=message.weight))

    def end_unread(self, place: Place, ending: Ending, weight: int, gate: tuple[str, str] | None = None) -> None:
        """End what could not be read as a message, of so many bytes."""
        self.in_flight.handled(place)
        self.committer.put(Finished(place, ending, [], gate=gate, weight=weight))

    def hand_back(self, messages: Sequence[Received]) -> None:
        """Return messages that were not started, for any process to take.

        Raises:
            EventsysError: If Redis does not answer. It has the rest for this process, whose next look there finds it.
        """
        places = [message.place for message in messages]
        try:
            for start in range(0, len(places), RETURNED_AT_ONCE):
                self.give_back(places[start : start + RETURNED_AT_ONCE])
        finally:
            self.in_flight.hold_no_more(places)

    def give_back(self, places: Sequence[Place]) -> None:
        """Let any process take what stands in these places, as far as this one still holds it there."""
        self.in_flight.begin_return(places)
        facts = [value for place in places for value in (place.stream, place.entry, int(place.has_begun))]
        self.link.run(script("hand_back"), self.keys.prefix, self.presence.name, *facts)

    def close(self) -> None:
        """Commit what is over, and end this process's lease."""
        if self._threads is None:
            return
        presence, committer = self._threads
        committer.close(LAST_COMMIT_S)
        try:
            presence.leave()
        except EventsysError as error:
            logger.warning("this process could not say that it ends: %s", error, extra={"action": "no_leave"})
        self._threads = None

    def rebind(self, url: str | Callable[[], str], *, by_hand: bool) -> str | Callable[[], str]:
        """End what this process has in its Redis, and go on with another, where nothing is known of it.

        Args:
            url: Leads to the other Redis.
            by_hand: Whether no thread commits or beats there.

        Returns:
            What led to the one before.
        """
        self.close()
        before = self.link.lead_to(url)
        self.in_flight, self.by_hand = InFlight(), by_hand
        self.forgetful.forget_all()
        return before

    def forget_process(self) -> None:
        """Begin anew in a forked child: the lease, what it holds, and the threads that tend it are the parent's."""
        self._lock = threading.Lock()
        self._threads = None
        self.in_flight = InFlight()
        self.begun_board = None

    def _ending_of(self, message: Received, *, succeeded: bool) -> Ending:
        number = self.presence.number
        if succeeded:
            return ending_of_success(message, number)
        return ending_of_failure(
            message, number, now_ms=self.clock.now_ms(), parked_ms=self._parked_ms, known=self._known_subscription,
            seal=self.seal,
        )  # fmt: skip

    def dispatched(self, message: LogMessage) -> Finished:
        """Return the end of an event that was resolved, as the committer takes it."""
        ending, tell = ending_of_success(message, 0), self.when_committed(message, "after_ack", None)
        return Finished(message.place, ending, [], tell, resolving_again(self, message), None, message.weight)

    def when_committed(self, message: Received, signal: str, attempt: Attempt | None) -> Callable[[str], None] | None:
        """Return what is called when the end of a message is committed, with "ok" or "lost"; None: nothing is."""
        waits = self.hooks.any_for(signal)
        if not (waits or (attempt is not None and attempt.is_awaited)):
            return None
        error = message.error

        def committed(result: str) -> None:
            if attempt is not None:
                attempt.settle(committed=result == "ok")
                if attempt.when_over is not None:
                    attempt.when_over()
            if result == "ok" and waits:
                self._tell_hooks(signal, message, error)

        return committed

    def _tell_hooks(self, signal: str, message: Received, error: BaseException | None) -> None:
        """Call the hooks after a commit with the error in its place, which the worker cleared when it went on."""
        if error is not None:
            message.stuff_exception(error)
        self.hooks.call_after(signal, message)
        message.clear_exception()

    def _known_subscription(self, name: str) -> tuple[int, bool]:
        renamed = self.link.call("HGET", self.keys.renamed, name)
        name = name if renamed is None else renamed.decode()
        number, row = self.link.pipeline(
            [("HGET", self.keys.subscription_numbers, name), ("HEXISTS", self.keys.subscriptions, name)]
        )
        return int(number or 0), bool(row)

    def _begun(self) -> tuple[Presence, Committer]:
        if self._threads is None:
            with self._lock:
                if self._threads is None:
                    presence = Presence(
                        self.link, self.keys, self.clock, self.lease, by_hand=self.by_hand,
                        after_scan=lambda: self.after_scan(), look=lambda: self.look(),
                        when_lost=lambda process, moved: self.when_lost(process, moved),
                        activity=lambda: self.in_flight.handled_in_all(),
                    )  # fmt: skip
                    committer = Committer(
                        self.link, self.keys.prefix, self.clock, retention_ms=self.retention_ms, by_hand=self.by_hand,
                        forget=self.in_flight.forget, lease_ended=presence.beat,
                        more_is_coming=lambda: self.in_flight.is_busy, subscriptions_changed=presence.look_now,
                    )  # fmt: skip
                    self._threads = (presence, committer)
        return self._threads
