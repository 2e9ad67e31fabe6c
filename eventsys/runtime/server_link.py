"""What is said to an embedded server about itself, through its socket."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, auto
from pathlib import Path

import redis
from redis.backoff import NoBackoff
from redis.retry import Retry

from eventsys.errors import EmbeddedRedisError


class Answer(Enum):
    """What came back from the socket."""

    READY = auto()
    BUSY = auto()  # alive: it loads its data, or a script is running
    SILENT = auto()
    REFUSED = auto()  # no socket, or nobody behind it


@dataclass(frozen=True)
class ServerLink:
    """The way to the server behind one socket; a connection is made for each question."""

    socket: Path

    def ask(self) -> Answer:
        """Return what the server answers to a PING, after at most a second."""
        try:
            with self._client() as client:
                client.ping()
        except redis.BusyLoadingError:
            return Answer.BUSY
        except redis.TimeoutError:
            return Answer.SILENT
        except redis.ConnectionError:
            return Answer.REFUSED
        except redis.ResponseError as error:
            return Answer.BUSY if str(error).startswith("BUSY") else Answer.READY
        return Answer.READY

    def identify(self) -> tuple[int, Path]:
        """Return the server's process id and its data directory, as it says them itself.

        Raises:
            EmbeddedRedisError: If it does not say.
        """
        try:
            with self._client() as client:
                return int(client.info("server")["process_id"]), Path(client.config_get("dir")["dir"])
        except redis.RedisError as error:
            raise EmbeddedRedisError(f"the Redis at {self.socket} does not say what it is: {error}") from error

    def tell_to_end(self) -> None:
        """Tell the server to complete its append-only file and end; whether it obeys is to be seen."""
        try:
            with self._client() as client:
                # NOSAVE is about the snapshot, of which there is none; the append-only file is completed either way.
                client.execute_command("SHUTDOWN", "NOSAVE")
        except redis.RedisError:
            return  # the connection breaks when it obeys

    def _client(self) -> redis.Redis:
        return redis.Redis(
            unix_socket_path=str(self.socket),
            socket_timeout=1,
            decode_responses=True,
            protocol=2,
            retry=Retry(NoBackoff(), 0),
        )
