"""Carrying out what goes wrong, and noting what it struck."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass

import redis

from eventsys import EventService, EventsysError
from eventsys.store.keys import Keys
from tests.chaos.ledger import Delivery, Ledger
from tests.chaos.looks import held_by

from .cast import Cast
from .editor import Editor
from .facts import Done, Failed, Missed, Outage, Poisoned, PowerCut, Strike
from .journal import Journal
from .names import POISON, POISONS
from .plan import Fault
from .proxy import Proxy
from .redis_server import HELD_BACK_S, StormRedis

_SIGNALS = {"kill": signal.SIGKILL, "terminate": signal.SIGTERM}

_MOST_CUTS = 12
"""Connections that are broken in the middle of a reply by one fault, at most."""


@dataclass
class Nemesis:
    """Carries out the faults of a run, and notes in its journal what came of each."""

    server: StormRedis
    proxy: Proxy
    cast: Cast
    editor: Editor
    events: EventService
    ledger: Ledger
    journal: Journal

    def carry_out(self, series: dict[str, list[Fault]], seconds: float) -> None:
        """Let all series go on at once, each fault at its time or when the one before is over; return at the end."""
        began_at = time.monotonic()
        deeds = {"process": self._strike, "redis": self._harm_redis, "reload": self._save, "poison": self._poison}
        threads = [
            threading.Thread(target=self._carry_out, args=(name, deeds[name], faults, began_at), daemon=True)
            for name, faults in series.items()
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        time.sleep(max(0.0, began_at + seconds - time.monotonic()))
        self.cast.resume_all()

    def _carry_out(self, series: str, deed: Callable[[Fault], None], faults: list[Fault], began_at: float) -> None:
        for fault in faults:
            time.sleep(max(0.0, began_at + fault.at_s - time.monotonic()))
            try:
                deed(fault)
            except Exception as error:  # the storm goes on, and its verdict tells
                self.journal.note(Failed(f"{series} {fault.kind} {fault.victim}", repr(error)))

    # Processes

    def _strike(self, fault: Fault) -> None:
        pid = self.cast.find(fault.victim, fault.draw, self._leader())
        if pid is None:
            self.journal.note(Missed(f"{fault.kind} {fault.victim}"))
            return
        pids = [pid, *self.cast.roles["worker"].children()] if fault.victim == "supervisor" else [pid]
        at = time.monotonic()
        if fault.kind == "stop":
            self.cast.pause(pid, fault.lasts_s)
        else:
            os.kill(pid, _SIGNALS[fault.kind])
        self.journal.note(Done(f"{fault.kind} {fault.victim}"))
        for one in pids:
            stood_s = fault.lasts_s if fault.kind == "stop" else 0.0
            self.journal.note(Strike(at, fault.kind, fault.victim, one, self._held_by(one), stood_s))

    def _leader(self) -> int | None:
        try:
            said = self.server.client.get(f"{self._keys.prefix}:poller") or ""
        except redis.RedisError:
            return None
        parts = said.rsplit("-", 2)
        return int(parts[1]) if len(parts) == 3 and _is_alive(int(parts[1])) else None

    def _held_by(self, pid: int) -> list[Delivery]:
        try:
            return held_by(self.server.client, self._keys, pid)
        except redis.RedisError:
            return []  # Redis is away too; then this one is left out of the takeover times.

    @property
    def _keys(self) -> Keys:
        return self.events.broker.keys

    # Redis

    def _harm_redis(self, fault: Fault) -> None:
        began_at = time.monotonic()
        if self.server.revive():  # it is told of, and what comes after has something to harm
            self.journal.note(Failed("redis", "it had ended by itself; its log says why"))
        getattr(self, f"_redis_{fault.kind}")(fault)
        self.journal.note(Done(f"redis {fault.kind}"))
        if fault.kind not in ("scripts", "cut"):
            self.journal.note(Outage(fault.kind, began_at, time.monotonic()))

    def _redis_kill(self, fault: Fault) -> None:
        holds_back, killed_at = self.server.holds_back(), time.monotonic()
        self.server.kill(away_s=fault.lasts_s)
        if holds_back:
            self.journal.note(PowerCut(killed_at - HELD_BACK_S, killed_at))

    def _redis_power(self, fault: Fault) -> None:
        killed_at = time.monotonic()
        lost_s = 0.0 if self.server.is_durable else fault.draw
        lost_from = self.server.kill(lost_s=lost_s, away_s=fault.lasts_s)
        if lost_s:
            self.journal.note(PowerCut(lost_from, killed_at))

    def _redis_scripts(self, fault: Fault) -> None:
        self.server.client.script_flush()

    def _redis_pause(self, fault: Fault) -> None:
        what = "ALL" if fault.draw < 0.5 else "WRITE"
        self.server.client.execute_command("CLIENT", "PAUSE", int(fault.lasts_s * 1000), what)
        time.sleep(fault.lasts_s)

    def _redis_slow(self, fault: Fault) -> None:
        # Half of the time it sleeps, in pieces, so that everything takes as long as that.
        ends_at = time.monotonic() + fault.lasts_s
        while time.monotonic() < ends_at:
            self.server.client.execute_command("DEBUG", "SLEEP", f"{0.05 + fault.draw / 2:.3f}")
            time.sleep(0.05)

    def _redis_full(self, fault: Fault) -> None:
        client = self.server.client
        client.config_set("maxmemory", max(1, client.info("memory")["used_memory"] - 1024))
        try:
            time.sleep(fault.lasts_s)
        finally:
            client.config_set("maxmemory", 0)

    def _redis_cut(self, fault: Fault) -> None:
        self.proxy.cut(1 + int(fault.draw * _MOST_CUTS))

    def _redis_refuse(self, fault: Fault) -> None:
        self.proxy.refuse(True)
        time.sleep(fault.lasts_s)
        self.proxy.refuse(False)

    def _redis_silence(self, fault: Fault) -> None:
        self.proxy.silence(True)
        time.sleep(fault.lasts_s)
        self.proxy.silence(False)

    # The application

    def _save(self, fault: Fault) -> None:
        self.editor.save(fault.kind, fault.lasts_s)
        self.journal.note(Done(f"save {fault.kind}"))

    def _poison(self, fault: Fault) -> None:
        event_id = os.urandom(10).hex()
        assert fault.kind in POISONS
        self.journal.note(Poisoned(event_id, fault.kind))
        self.ledger.note("try", event_id, POISON)
        while True:
            try:
                self.events.publish(POISON, {"deed": fault.kind}, id=event_id)
            except EventsysError:
                time.sleep(0.2)
            else:
                break
        self.ledger.note("accepted", event_id, "-", "0")
        self.journal.note(Done(f"poison {fault.kind}"))


def _is_alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
