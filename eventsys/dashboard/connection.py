"""One connection to `eventsys web`: whoever holds it has to ask, and to take the answer, in time."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from eventsys.dashboard.gate import ARRIVES_WITHIN_S

if TYPE_CHECKING:
    # The one with httptools, which uvicorn takes where that is installed, has the same names.
    from uvicorn.protocols.http.h11_impl import H11Protocol as AutoHTTPProtocol
else:
    from uvicorn.protocols.http.auto import AutoHTTPProtocol

#: Bytes of what waits to be sent that a peer must take in `ARRIVES_WITHIN_S`: slower is no reader.
_LEAST_TAKEN = 16 * 1024


class Connection(AutoHTTPProtocol):
    """Hangs up on a peer that it has waited for too long, and sooner where others have no room.

    uvicorn limits how many connections there are, and looks at one only once it has asked: some that say nothing, or
    half a header, would have all others refused for ever, before the gate sees any of it. Here a connection waits for
    its peer when no request is under way, or when what was written is not taken. That ends after `ARRIVES_WITHIN_S`,
    so the header of a request is whole by then, whatever trickles in. Where as many are open as may be, a newcomer
    takes the place of the one that has waited longest: requests are refused only when as many are under way.
    """

    #: When it began to wait, by the clock of the loop; None while it does not.
    waits_since: float | None = None
    _look: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        """Wait for a request, in the place of another if need be."""
        super().connection_made(transport)
        self._settle()
        if self.limit_concurrency is not None and len(self.connections) >= self.limit_concurrency:
            self._make_room()

    def connection_lost(self, exc: Exception | None) -> None:
        """Wait no more."""
        self._rest()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Wait no more if that makes a request whole; a part of one gives no further time."""
        super().data_received(data)
        self._settle()

    def on_response_complete(self) -> None:
        """Wait for the next request, if none is here yet."""
        super().on_response_complete()
        self._settle()

    def pause_writing(self) -> None:
        """Wait until the peer takes what was written."""
        super().pause_writing()
        self._settle()

    def resume_writing(self) -> None:
        """Go on writing."""
        super().resume_writing()
        self._settle()

    def hang_up(self) -> None:
        """End it at once, and what was not taken with it; its place is free when this returns."""
        self._rest()
        self.connections.discard(self)
        self.transport.abort()

    def _settle(self) -> None:
        is_asked = self.cycle is not None and not self.cycle.response_complete
        if is_asked and not self.flow.write_paused:
            self._rest()
        elif self._look is None:
            self._wait()

    def _wait(self) -> None:
        self.waits_since = self.loop.time()
        left = self.transport.get_write_buffer_size()
        self._look = self.loop.call_later(ARRIVES_WITHIN_S, self._look_again, left)

    def _rest(self) -> None:
        self.waits_since = None
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _look_again(self, left_before: int) -> None:
        # A large answer over a slow line takes longer, but it goes on.
        if left_before - self.transport.get_write_buffer_size() >= _LEAST_TAKEN:
            self._wait()
        else:
            self.hang_up()

    def _make_room(self) -> None:
        waiting = [
            (one.waits_since, one)
            for one in self.connections
            if isinstance(one, Connection) and one is not self and one.waits_since is not None
        ]
        if waiting:
            min(waiting, key=lambda one: one[0])[1].hang_up()
