"""A peer at one setting, as the harness races it: its sender is kept and ordered about, its workers are started."""

from __future__ import annotations

import contextlib
import json
import os
import select
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import redis

from benchmarks.compare import environments
from benchmarks.compare.peers import Peer, Setting
from benchmarks.harness import RunFailed
from benchmarks.peers.counting import COUNT_KEY, TIMES_KEY
from benchmarks.server import Server

#: The longest an order may take: a million slow messages are cut by a limit of their own well before.
_ANSWER_SECONDS = 900


class AbsentError(Exception):
    """The peer has no such feature; says so in a sentence."""


class Contestant:
    """One peer at one setting, on one Redis at a time.

    Args:
        peer: Who.
        setting: How.
        processes: Worker processes.
    """

    pace = 1

    def __init__(self, peer: Peer, setting: Setting, *, processes: int = 1) -> None:
        self.peer, self.setting, self.processes = peer, setting, processes
        self.name = f"{peer.name}, {setting.name}"
        self.deliveries_per_message = 1
        self.needs_delays = False

    @contextlib.contextmanager
    def on(self, server: Server) -> Iterator[Contestant]:
        """Start the sender on an empty Redis, and end it afterwards."""
        self._client = redis.Redis.from_url(server.url)
        self._variables = {
            "REDIS_URL": server.url,
            "PEER_SETTING": self.setting.name,
            "PYTHONPATH": str(Path.cwd()),
            **environments.environment(self.peer),
        }
        with tempfile.TemporaryFile() as self._errors:
            self._sender = subprocess.Popen(
                [*environments.program(self.peer), "send"],
                env={**os.environ, **self._variables},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._errors,
                start_new_session=True,
            )
            try:
                self._answer()
                yield self
            finally:
                self._sender.kill()
                self._sender.communicate()

    def order(self, do: str, **details: object) -> dict[str, float]:
        """Have the sender do something; return how many messages it sent in how many seconds.

        Raises:
            AbsentError: If the peer has no such thing.
            RunFailed: If the sender ended or did not answer.
        """
        assert self._sender.stdin is not None
        with contextlib.suppress(BrokenPipeError):
            self._sender.stdin.write(json.dumps({"do": do, **details}).encode() + b"\n")
            self._sender.stdin.flush()
        answer = self._answer()
        if "none" in answer:
            raise AbsentError(str(answer["none"]))
        return answer

    def enqueue(self, count: int) -> None:
        """Put messages in for the workload at hand: events for three where there are three deliveries a message."""
        if self.deliveries_per_message > 1:
            self.order("fan", count=count)
            return
        try:
            self.order("batch", handler="noop", count=count)
        except AbsentError:
            self.order("single", handler="noop", count=count)

    def worker_commands(self) -> Sequence[Sequence[str]]:
        """Return the commands of the workers: one that starts all processes, or one for each."""
        settings = [f"{name}={value}" for name, value in self._variables.items() if name.startswith("PEER_")]
        settings += ["PEER_DELAYS=1"] if self.needs_delays else []
        command = ["env", *settings, *environments.program(self.peer), "worker"]
        return [[*command, str(self.processes)]] if self.peer.forks else [[*command, "1"]] * self.processes

    def done(self) -> int:
        """Return how many handler calls have ended."""
        return int(self._client.get(COUNT_KEY) or 0)  # type: ignore[arg-type]

    def times_us(self) -> list[int]:
        """Return how late the timed calls were, and forget them."""
        with self._client.pipeline() as pipe:
            taken, _ = pipe.lrange(TIMES_KEY, 0, -1).delete(TIMES_KEY).execute()
        return [int(time_us) for time_us in taken]

    def _answer(self) -> dict[str, float]:
        assert self._sender.stdout is not None
        ready, _, _ = select.select([self._sender.stdout], [], [], _ANSWER_SECONDS)
        line = self._sender.stdout.readline() if ready else b""
        if not line:
            self._errors.seek(0)
            text = self._errors.read().decode(errors="replace").strip() or "it said nothing"
            raise RunFailed(f"the sender of {self.name} gave no answer: {text.splitlines()[-1]}")
        answer: dict[str, float] = json.loads(line)
        return answer
