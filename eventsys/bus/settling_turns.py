"""Settling what has ended by one process at a time where it takes long, and no longer than a round may take."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable
from contextlib import suppress

from eventsys.broker.broker import EventBroker
from eventsys.broker.lease import Lease
from eventsys.bus.settling import settle
from eventsys.store.settlement import Settlement
from eventsys.store.subscriptions import SubscriptionStore

#: Most seconds that a round goes on with what has ended: the thread that makes it has to beat.
_ROUND_S = 1.0

#: Most seconds that a process goes on with it before it ends; its supervisor waits for that.
_LAST_S = 3.0


class _TimeIsUpError(Exception):
    """It is left to the next round to go on."""


class _OthersTurnError(Exception):
    """Another process goes on."""


class _Turn:
    """The turn of one process in one round: it is taken with the first step that needs it.

    Args:
        settlement: Where it is noted.
        process: The name of the process's lease.
        lease_ms: How long that lasts.
    """

    def __init__(self, settlement: Settlement, process: str, lease_ms: int) -> None:
        self._settlement = settlement
        self._process = process
        self._longest_ms = min(lease_ms, Lease().lease_ms)
        self._was_own = self._is_own = False

    def is_others(self) -> bool:
        """Say whether another process, that lives, has the turn; takes it from one that does not."""
        who = self._settlement.who()
        self._was_own = who == self._process
        return who not in {"", self._process} and not self.take()

    def take(self) -> bool:
        """Take the turn, or keep it, and say whether this process has it."""
        self._is_own = self._is_own or self._settlement.take_turn(self._process, self._longest_ms)
        return self._is_own

    def give_up(self) -> None:
        """Leave the turn to whoever needs it."""
        if self._is_own or self._was_own:
            self._settlement.give_up_turn(self._process)


class SettlingTurns:
    """Cancels the open deliveries of all subscriptions that have ended, for as long as a round may.

    Args:
        broker: The broker of this process.
        subscriptions: Where it says which have ended.
    """

    def __init__(self, broker: EventBroker, subscriptions: SubscriptionStore) -> None:
        self._broker = broker
        self._subscriptions = subscriptions
        self._latest = ""

    def go_on(self) -> bool:
        """Settle what has ended. What takes long one process goes on with, round by round.

        Returns:
            Whether the next round is to come soon: something is settled, or there is more of it. Of what runs somewhere
            nothing can be done before that is over, which has the next round made soon by itself.
        """
        ended = self._subscriptions.ended()
        if not ended:
            return False
        settlement = Settlement(self._broker.link, self._broker.keys)
        turn = _Turn(settlement, self._broker.presence.name, self._broker.work.lease.lease_ms)
        if turn.is_others():
            return False
        # Behind where the time was up: else one that has millions has everything beside it wait.
        in_turn = sorted(ended.items(), key=lambda one: (one[0] <= self._latest, one[0]))
        try:
            is_any_settled = self._settle_all(in_turn, _ROUND_S, turn.take)
        except _OthersTurnError:
            return False
        except _TimeIsUpError:
            return turn.take()
        turn.give_up()
        return is_any_settled

    def go_on_at_last(self, first: Collection[str]) -> None:
        """Settle what has ended for a few seconds, whoever's turn it is: this process ends.

        Args:
            first: The names that come first, since this process has just left them.
        """
        in_turn = sorted(self._subscriptions.ended().items(), key=lambda one: (one[0] not in first, one[0]))
        with suppress(_TimeIsUpError):
            self._settle_all(in_turn, _LAST_S, lambda: True)

    def _settle_all(self, in_turn: Iterable[tuple[str, str]], longest_s: float, take_turn: Callable[[], bool]) -> bool:
        """Settle subscriptions that have ended, given with their queues, and say whether any could be.

        Raises:
            _TimeIsUpError: If that takes longer; something was done in any case, however slow Redis is.
            _OthersTurnError: If something is left of one, and it is not this process that goes on with it.
        """
        clock, is_any_settled = self._broker.clock, False
        ends_at = clock.monotonic() + longest_s

        def check_time() -> None:
            if clock.monotonic() >= ends_at:
                raise _TimeIsUpError

        def check() -> None:
            if not take_turn():
                raise _OthersTurnError
            check_time()

        for name, queue in in_turn:
            self._latest = name
            is_any_settled = settle(self._broker, name, queue, between=check) or is_any_settled
            check_time()
        return is_any_settled
