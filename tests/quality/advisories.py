"""Whether a dependency has a known hole that is mended: `python -m tests.quality.advisories PIP_AUDIT`.

It fails for a known vulnerability that has a fix, and for no other reason: where the advisories cannot be asked, and
for what they do not know, it says so and goes on. What could not be looked up counts as not audited, never as well.
"""

from __future__ import annotations

import json
import subprocess
import sys
from typing import Any, NamedTuple

#: Seconds that asking for all packages may take.
_PATIENCE_S = 300

#: Where the advisories are asked for, in turn, until one answers.
_SERVICES = ("pypi", "osv")


class Verdict(NamedTuple):
    """What an audit comes to.

    Attributes:
        lines: What to tell.
        audited: How many packages were looked up.
        fails: Whether one has to be upgraded.
    """

    lines: list[str]
    audited: int
    fails: bool


def verdict_of(report: dict[str, Any]) -> Verdict:
    """Return what a report of pip-audit, as JSON, comes to."""
    packages = report["dependencies"]
    audited = [one for one in packages if "skip_reason" not in one]
    lines: list[str] = []
    fails = False
    for package in audited:
        for hole in package["vulns"]:
            fixes = ", ".join(hole["fix_versions"])
            fails = fails or bool(fixes)
            remedy = f"mended in {fixes}: upgrade" if fixes else "not mended yet"
            lines.append(f"{package['name']} {package['version']} has {hole['id']}, {remedy}")
    unknown = [one["name"] for one in packages if "skip_reason" in one]
    if unknown:
        lines.append(f"NOT AUDITED, since they could not be looked up: {len(unknown)} of {len(packages)} packages")
    lines.append(f"{len(audited)} packages audited, {sum(len(one['vulns']) for one in audited)} known vulnerabilities")
    return Verdict(lines, len(audited), fails)


def ask(pip_audit: str, service: str) -> dict[str, Any] | str:
    """Return the report of pip-audit on its own environment, or why there is none."""
    words = [pip_audit, "--skip-editable", "--progress-spinner", "off", "--format", "json", "-s", service]
    try:
        done = subprocess.run(words, capture_output=True, text=True, timeout=_PATIENCE_S)
        report: dict[str, Any] = json.loads(done.stdout)
    except subprocess.TimeoutExpired:
        return f"no answer within {_PATIENCE_S} s"
    except ValueError:
        return (done.stderr.strip().splitlines() or ["no answer"])[-1][:300]
    return report


def main() -> None:
    """Audit; exit with 1 where something has to be upgraded."""
    for service in _SERVICES:
        report = ask(sys.argv[1], service)
        if isinstance(report, str):
            print(f"the advisories of {service} cannot be asked: {report}")
            continue
        verdict = verdict_of(report)
        print(*verdict.lines, sep="\n")
        if verdict.fails:
            sys.exit(1)
        if verdict.audited:
            return
    print("NOTHING WAS AUDITED: no advisory service could be asked here; this says nothing about the dependencies")


if __name__ == "__main__":
    main()
