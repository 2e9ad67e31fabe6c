"""Who is compared: each system's packages, its program, and the settings it is measured at."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).resolve().parents[1] / "peers"


@dataclass(frozen=True)
class Setting:
    """One way to run a peer.

    Attributes:
        name: As the peer's program explains it in its first lines.
        about_per_s: Deliveries a process made in a second when the peer was first tried. It only sets how many
            messages a run has, so that all last about equally long.
    """

    name: str
    about_per_s: int


@dataclass(frozen=True)
class Peer:
    """One system.

    Attributes:
        name: What the tables say.
        program: The file in `benchmarks/peers/` that sends and works as this system does.
        packages: What is installed from PyPI, or npm for a program in JavaScript; none: it runs in our own environment.
        settings: What it is measured at.
        forks: Whether its own command starts several processes; else the command is started several times.
        others: More settings, which are measured only on request, to see that none of them is better.
    """

    name: str
    program: str
    packages: Sequence[str]
    settings: Sequence[Setting]
    forks: bool = True
    others: Sequence[Setting] = ()

    @property
    def is_javascript(self) -> bool:
        """Whether node runs it."""
        return self.program.endswith(".mjs")

    @property
    def distribution(self) -> str:
        """The package that is the system itself, without extras."""
        return re.split(r"[\[<>=]", self.packages[0])[0] if self.packages else self.name

    def explanation(self) -> str:
        """Return what its program says of its settings, and which page of its documentation says they are the best."""
        text = (FOLDER / self.program).read_text()
        if self.is_javascript:
            lines = [line for line in text.splitlines() if line.startswith("//")]
            return "\n".join(line.removeprefix("//").removeprefix(" ") for line in lines[:10])
        return text.split('"""')[1].strip()


PEERS = (
    Peer(
        "eventsys",
        "eventsys_app.py",
        (),
        (Setting("worker", 50_000), Setting("dramatiq", 35_000), Setting("events", 22_000), Setting("batch", 30_000)),
    ),
    Peer(
        "dramatiq",
        "dramatiq_compared.py",
        ("dramatiq[redis]", "hiredis"),
        (Setting("default", 2_000), Setting("tuned", 5_000)),
        others=(Setting("tuned, 1 thread", 5_000), Setting("tuned, 2 threads", 5_000)),
    ),
    Peer(
        "celery",
        "celery_app.py",
        ("celery[redis]", "hiredis"),
        (Setting("default", 1_200), Setting("tuned", 1_500), Setting("threads", 1_500)),
        forks=False,
        others=(Setting("tuned, solo", 1_500),),
    ),
    Peer(
        "taskiq",
        "taskiq_app.py",
        ("taskiq[orjson,uv]", "taskiq-redis", "hiredis"),
        (
            Setting("list", 3_000),
            Setting("list tuned", 3_500),
            Setting("stream", 3_500),
            Setting("stream tuned", 4_000),
        ),
    ),
    Peer("arq", "arq_app.py", ("arq", "hiredis"), (Setting("default", 500), Setting("tuned", 2_000)), forks=False),
    Peer(
        "saq",
        "saq_app.py",
        ("saq[redis,hiredis]", "typing-extensions"),
        (Setting("default", 1_500), Setting("tuned", 2_000)),
    ),
    Peer("rq", "rq_app.py", ("rq", "hiredis"), (Setting("default", 100), Setting("tuned", 300)), forks=False),
    Peer(
        "huey",
        "huey_app.py",
        ("huey", "redis", "hiredis"),
        (Setting("default", 3_000), Setting("tuned", 5_000)),
        forks=False,
    ),
    Peer(
        "faststream",
        "faststream_app.py",
        ("faststream[redis,cli]", "hiredis", "uvloop"),
        (
            Setting("list", 5_000),
            Setting("list batch", 80_000),
            Setting("stream", 4_500),
            Setting("stream batch", 60_000),
        ),
        forks=False,
        others=(Setting("list, 100 at once", 5_000), Setting("stream, 100 at once", 5_000)),
    ),
    Peer(
        "bullmq",
        "bullmq_app.mjs",
        ("bullmq", "ioredis", "node"),
        (Setting("default", 5_000), Setting("tuned", 24_000)),
        forks=False,
    ),
)
