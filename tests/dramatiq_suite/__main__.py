"""Run Dramatiq's public tests on our broker: `python -m tests.dramatiq_suite CHECKOUT [pytest options]`."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from pathlib import Path

from eventsys.runtime.embedded import EmbeddedRedis

from .exclusions import FILES
from .plugin_names import PLUGIN, RESULTS_VARIABLE, URL_VARIABLE

#: The share of tests that must pass, of those that need no named exclusion.
BAR = 0.9

#: The file whose tests must all pass, of those that need no named exclusion: they are about a broker on Redis.
REDIS_FILE = "test_redis.py"

#: The name the tests are imported under, so that their package does not collide with ours.
PACKAGE = "dramatiq_public_tests"


def run(checkout: Path, options: list[str]) -> int:
    """Run the tests of a checkout, print a table, and return 0 when the bar is met."""
    with tempfile.TemporaryDirectory() as place, EmbeddedRedis(Path(place) / "redis") as server:
        shutil.copytree(checkout / "tests", Path(place) / PACKAGE)
        results = Path(place) / "results.json"
        root = Path(__file__).parents[2]
        environment = os.environ | {
            "PYTHONPATH": str(root),
            URL_VARIABLE: server.url,
            RESULTS_VARIABLE: str(results),
        }
        files = [f"{PACKAGE}/{name}" for name in FILES if (checkout / "tests" / name).exists()]
        settings = ["-p", PLUGIN, "-c", os.devnull, "--rootdir", place, "-p", "no:cacheprovider", "--timeout", "60"]
        command = [sys.executable, "-m", "pytest", *settings, *files, *options]
        subprocess.run(command, cwd=place, env=environment, check=False)
        return _report(json.loads(results.read_text()))


def _report(results: dict[str, dict[str, str]]) -> int:
    print(f"{'file':38}{'ran':>6}{'passed':>8}{'excluded':>10}{'failed':>8}")
    total: Counter[str] = Counter()
    for name, outcomes in sorted(results.items()):
        kinds = Counter(outcome.partition(":")[0] for outcome in outcomes.values())
        total += kinds
        print(_row(name, kinds))
    print(_row("all", total))
    for outcomes in results.values():
        for test, outcome in outcomes.items():
            if outcome != "passed":
                print(f"{test.partition('/')[2]}: {outcome}")
    passed, ran = total["passed"], total["passed"] + total["failed"]
    redis_failed = "failed" in results.get(REDIS_FILE, {}).values()
    return 0 if ran and passed >= BAR * ran and not redis_failed else 1


def _row(name: str, kinds: Counter[str]) -> str:
    ran = kinds["passed"] + kinds["failed"]
    return f"{name:38}{ran:6}{kinds['passed']:8}{kinds['excluded']:10}{kinds['failed']:8}"


if __name__ == "__main__":
    sys.exit(run(Path(sys.argv[1]), sys.argv[2:]))
