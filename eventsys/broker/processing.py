"""One attempt at one message: the hooks around the handler, and the end."""

from __future__ import annotations

import threading
from typing import Any

from dramatiq import Actor
from dramatiq.errors import ActorNotFound, RateLimitExceeded, Retry
from dramatiq.middleware import SkipMessage
from dramatiq.results import Results

import eventsys.errors
from eventsys.errors import RedisUnavailableError

from .actor import HandlerActor
from .batch import Batch
from .batch_ends import end_batch
from .broker import EventBroker
from .messages import DeliveryMessage, PlainMessage, Received
from .time_limits import name_limit
from .turning_down import turn_down
from .wanted import give_actor, why_unwanted

#: Seconds between tries to end an attempt while Redis is away: the first, and the longest.
RETRY_S = (0.2, 2.0)


def process(broker: EventBroker, message: Received) -> None:
    """Make one attempt at a message and end it; nothing is raised, whatever the handler or a hook does."""
    if not may_begin(broker, message):
        return
    if not renew_actor(broker, message):
        refuse(broker, message)
        return
    attempt_and_end(broker, message)


def attempt_and_end(broker: EventBroker, message: Received) -> None:
    """Make one attempt at a message that may begin, and end it."""
    try:
        _attempt(broker, message)
    except BaseException as error:  # an interrupt that came between two hooks: nothing was decided yet
        failed(broker, message, error)
    end(broker, message)


def refuse(broker: EventBroker, message: Received) -> None:
    """End a message whose actor this process does not have: it waits, or is given up, as the commit finds.

    Where there is one, and it does not want the event, the delivery is turned down.
    """
    work = broker.work
    if work.seal is not None and isinstance(message, DeliveryMessage):
        actor = work.actor_of(message)
        if isinstance(actor, HandlerActor) and (why := why_unwanted(message, actor)):
            turn_down(work, message, actor, why)
            return
    broker.logger.error("This process has no actor %r for %s.", message.actor_name, message)
    message.fail()
    message.stuff_exception(ActorNotFound(message.actor_name))
    end(broker, message)


def renew_actor(broker: EventBroker, message: Received) -> bool:
    """Let a message run the code that is declared now, should it have been loaded again since; say whether there is."""
    actor = broker.work.actor_of(message)
    return actor is not None if actor is message.actor else give_actor(message, actor, broker.work.seal)


def may_begin(broker: EventBroker, message: Received) -> bool:
    """Say whether this process may begin a message it fetched.

    If its lease ended since, the message is dropped; if its subscription was paused, it waits. If the process is about
    to end, whoever ends it hands back what is not begun.
    """
    work = broker.work
    if work.is_ending:
        return False
    if work.presence.holds(message.place.holder):
        if not (work.gates.closed and work.gates.holds_back(message)):
            return True
        if isinstance(message, DeliveryMessage):
            work.turn_away(message)
        return False
    work.in_flight.hold_no_more([message.place])
    return False


def _attempt(broker: EventBroker, message: Received) -> None:
    try:
        result = _handled(broker, message)
    except SkipMessage as skip:
        skipped(broker, message, skip)
    except BaseException as error:  # a handler may raise anything, and its thread goes on
        failed(broker, message, error)
    else:
        succeeded(broker, message, result)


def _handled(broker: EventBroker, message: Received) -> Any:
    broker.emit_before("process_message", message)
    if message.failed:
        return None
    actor = message.actor or broker.get_actor(message.actor_name)
    # An actor's own call does the same between two debug lines, which print the arguments.
    handle = actor.fn if type(actor) is Actor else actor
    try:
        return message.handle() if isinstance(message, Batch) else handle(*message.args, **message.kwargs)
    finally:
        # From here on no time limit can strike: what it interrupted would be the hooks.
        broker.interrupts.leave()


def succeeded(broker: EventBroker, message: Received, result: Any) -> None:
    """Call the hooks after a handler that returned."""
    if result is not None and isinstance(message, PlainMessage) and not message.failed:
        _warn_of_result(broker, message)
    broker.emit_after("process_message", message, result=result)


def skipped(broker: EventBroker, message: Received, skip: SkipMessage) -> None:
    """Call the hooks after a message that a middleware skipped."""
    if message.failed:
        message.stuff_exception(skip)
    broker.logger.warning("Message %s was skipped.", message)
    broker.emit_after("skip_message", message)


def failed(broker: EventBroker, message: Received, error: BaseException) -> None:
    """Call the hooks after a handler, or a hook before it, that raised."""
    name_limit(message, error)
    message.stuff_exception(error)
    throws = message.options.get("throws") or (message.actor and message.actor.options.get("throws"))
    if isinstance(error, RateLimitExceeded):
        broker.logger.debug("Rate limit exceeded in message %s.", message)
    elif throws and isinstance(error, throws):
        broker.logger.info("Failed to process message %s with expected exception %s.", message, type(error).__name__)
    elif not asks_for_retry(error):
        broker.logger.error("Failed to process message %s with unhandled exception.", message, exc_info=error)
    broker.emit_after("process_message", message, exception=error)


def asks_for_retry(error: BaseException) -> bool:
    """Say whether an error is no failure but the wish for another attempt."""
    return isinstance(error, (Retry, eventsys.errors.Retry))


def end(broker: EventBroker, message: Received) -> None:
    """End the attempt; while Redis is asked for that and away, wait for it.

    The attempt ends with the next commit of the process. If that is impossible the message stays with Redis, and is
    handed out again when the lease of this process ends.
    """
    wait_s = RETRY_S[0]
    while True:
        try:
            _end_once(broker, message)
        except RedisUnavailableError as error:
            broker.logger.warning("The end of %s waits for Redis: %s", message, error)
            threading.Event().wait(wait_s)
            wait_s = min(2 * wait_s, RETRY_S[1])
        except Exception:
            broker.logger.exception("%s could not be ended; it is tried again when this process is gone.", message)
            if isinstance(message, Batch):
                broker.work.in_flight.take_apart(message.queue_name, len(message.places))
            broker.work.in_flight.hold_no_more(message.places)
            break
        else:
            break
    if not message.failed:
        # A kept exception keeps its frames, and all they hold, until the garbage collector comes by. That of a
        # rejected message is still wanted by the hooks after its commit.
        message.clear_exception()


def _end_once(broker: EventBroker, message: Received) -> None:
    if isinstance(message, Batch):
        end_batch(broker.work, message)
        return
    # What Dramatiq's worker does by `Consumer.ack` and `nack`; the hooks after it follow the commit.
    work = broker.work
    hook = "before_nack" if message.failed else "before_ack"
    if work.hooks.any_for(hook) and not (message.failed and work.parks(message)):
        work.hooks.call_before(hook, message)
    work.end(message, succeeded=not message.failed)


def _warn_of_result(broker: EventBroker, message: Received) -> None:
    if message.options.get("pipe_target") is not None:
        return
    if any(isinstance(one, Results) for one in broker.middleware):
        return
    broker.logger.warning(
        "Actor %r returned a value, and it was dropped, because the broker has no Results middleware.",
        message.actor_name,
    )
