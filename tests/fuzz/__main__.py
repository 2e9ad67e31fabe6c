"""The long run: `python -m tests.fuzz DECODER --inputs 1000000`, led by coverage where atheris is installed.

Install it with `pip install atheris`; it needs CPython 3.11 to 3.13 on Linux. The process ends with an error, and the
input that led to it, at the first one that a decoder must not raise, and at an input that takes longer than 10 s.

The fuzzer ends its process as it stands, with nothing tidied up: so it has one of its own, and another one cleans up.
"""

from __future__ import annotations

import argparse
import os
import signal
import subprocess
import sys
import tempfile
from pathlib import Path

from tests.fuzz.places import DIRECTORY, REDIS


def main() -> int:
    """Fuzz one decoder in a process of its own, and leave nothing of it behind; return how that ended."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    with tempfile.TemporaryDirectory(prefix="fuzz-") as directory:
        command = [sys.executable, "-m", "tests.fuzz", *sys.argv[1:]]
        fuzzer = subprocess.Popen(command, env={**os.environ, DIRECTORY: directory})
        try:
            return fuzzer.wait()
        finally:
            if fuzzer.poll() is None:
                fuzzer.kill()
                fuzzer.wait()
            _end_redis(Path(directory) / REDIS)


def _end_redis(directory: Path) -> None:
    """End the Redis that a decoder has begun, if one has: it is adopted, and let go by its last user."""
    if not directory.exists():
        return
    from eventsys.runtime.embedded import EmbeddedRedis

    with EmbeddedRedis(directory):
        pass


def _fuzz(directory: Path) -> None:
    import atheris

    with atheris.instrument_imports(include=["eventsys"]):
        from tests.fuzz.decoders import DECODERS
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("decoder", choices=sorted(DECODERS))
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="the seed, which repeats a run")
    options = parser.parse_args()
    decoder = DECODERS[options.decoder]
    corpus = directory / "corpus"
    corpus.mkdir()
    for at, seed in enumerate(decoder.seeds):
        (corpus / f"seed-{at}").write_bytes(seed)
    kept = Path(tempfile.gettempdir()) / f"fuzz-{options.decoder}-"
    flags = [f"-runs={options.inputs}", f"-seed={options.seed}", "-timeout=10", "-max_len=4096"]
    atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix={kept}", str(corpus)], decoder.survives)
    atheris.Fuzz()


if __name__ == "__main__":
    if DIRECTORY in os.environ:
        _fuzz(Path(os.environ[DIRECTORY]))
    else:
        sys.exit(main())
