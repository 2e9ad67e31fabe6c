"""The long run: `python -m tests.fuzz DECODER --inputs 1000000`, led by coverage where atheris is installed.

Install it with `pip install atheris`; it needs CPython 3.11 to 3.13 on Linux. The process ends with an error, and the
input that led to it, at the first one that a decoder must not raise, and at an input that takes longer than 10 s.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Fuzz one decoder."""
    import atheris

    with atheris.instrument_imports(include=["eventsys"]):
        from tests.fuzz.decoders import DECODERS
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("decoder", choices=sorted(DECODERS))
    parser.add_argument("--inputs", type=int, default=1_000_000, help="how many")
    parser.add_argument("--seed", type=int, default=1, help="the seed, which repeats a run")
    options = parser.parse_args()
    decoder = DECODERS[options.decoder]
    with tempfile.TemporaryDirectory() as directory:
        for at, seed in enumerate(decoder.seeds):
            (Path(directory) / f"seed-{at}").write_bytes(seed)
        flags = [f"-runs={options.inputs}", f"-seed={options.seed}", "-timeout=10", "-max_len=4096"]
        atheris.Setup([sys.argv[0], *flags, f"-artifact_prefix={directory}/", directory], decoder.survives)
        atheris.Fuzz()


if __name__ == "__main__":
    main()
