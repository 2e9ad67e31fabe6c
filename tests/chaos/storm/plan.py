"""What goes wrong, and when: drawn beforehand from a seed, so that the same seed does the same again."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass

from .names import CRASHERS, POISONS

PROCESS_FAULTS = ("kill", "stop", "terminate")
VICTIMS = ("worker", "worker", "worker", "dispatcher", "leader", "scheduler", "publisher", "supervisor")
REDIS_FAULTS = ("kill", "power", "scripts", "pause", "slow", "full", "cut", "refuse", "silence")
SAVES = ("works", "works", "syntax", "import")

LONGEST_S = {
    "stop": 30.0, "kill": 3.0, "power": 3.0, "pause": 8.0, "slow": 4.0, "full": 6.0, "refuse": 8.0, "silence": 14.0,
    "import": 1.5, "syntax": 1.5,
}  # fmt: skip
"""How long a fault lasts at most, in seconds; those that are not here are over at once."""

MEAN_GAP_S = {"process": 2.0, "redis": 4.0, "reload": 4.0, "poison": 4.0}
"""Seconds between the end of a fault and the next one of its series, on average."""

CRASHER_S = 30.0
"""Seconds for each event that kills whoever handles it: each kills five, and their supervisor takes its time then."""


@dataclass(frozen=True)
class Fault:
    """One thing that goes wrong.

    Attributes:
        at_s: When, in seconds after the beginning; later where the one before it in its series is not over.
        kind: What.
        victim: Which process, or nothing.
        lasts_s: For how long.
        draw: From 0 to 1: what else has to be chosen.
    """

    at_s: float
    kind: str
    victim: str
    lasts_s: float
    draw: float


def draw(seed: int, seconds: float) -> dict[str, list[Fault]]:
    """Return the series of faults of a run; the four go on at once.

    Args:
        seed: Decides everything.
        seconds: How long the run is. No fault lasts longer than a quarter of it.
    """
    series = {
        name: list(_series(random.Random(f"{seed} {name}"), seconds, MEAN_GAP_S[name], kinds, victims))
        for name, kinds, victims in (
            ("process", PROCESS_FAULTS, VICTIMS),
            ("redis", REDIS_FAULTS, ("",)),
            ("reload", SAVES, ("",)),
            ("poison", tuple(POISONS), ("",)),
        )
    }
    crashers = [fault for fault in series["poison"] if fault.kind in CRASHERS]
    kept = crashers[: 1 + int(seconds / CRASHER_S)]
    series["poison"] = [fault for fault in series["poison"] if fault not in crashers or fault in kept]
    return series


def _series(
    chance: random.Random, seconds: float, gap_s: float, kinds: tuple[str, ...], victims: tuple[str, ...]
) -> Iterator[Fault]:
    at_s, dealt = 0.0, itertools.chain.from_iterable(_shuffled(chance, kinds, victims) for _ in itertools.count())
    while True:
        at_s += chance.expovariate(1 / gap_s)
        if at_s > seconds:
            return
        kind, victim = next(dealt)
        lasts_s = min(LONGEST_S.get(kind, 0.0), seconds / 4) * chance.random()
        yield Fault(at_s, kind, victim, lasts_s, chance.random())
        # Somebody who is stopped stops nobody else from being struck.
        at_s += 0.0 if kind == "stop" else lasts_s


def _shuffled(chance: random.Random, kinds: tuple[str, ...], victims: tuple[str, ...]) -> list[tuple[str, str]]:
    """Return every kind once for each victim: a short run does not leave one out by bad luck."""
    pairs = list(itertools.product(kinds, victims))
    return chance.sample(pairs, len(pairs))
