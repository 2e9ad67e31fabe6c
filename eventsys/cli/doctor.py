"""`eventsys doctor`."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Annotated

import typer

from eventsys.cli.faults import FAILED, MISUSED, refuse
from eventsys.cli.options import AsJson, Debug, RedisUrl
from eventsys.cli.printing import STYLES, print_model, visible
from eventsys.cli.session import service_of

if TYPE_CHECKING:
    from eventsys.model.diagnosis import Diagnosis

WaitForRedis = Annotated[
    bool, typer.Option("--wait-for-redis", help="First wait until Redis answers, for at most a minute.")
]

Only = Annotated[
    list[str] | None,
    typer.Option("--only", metavar="CHECK", help="Look at this only, such as redis or workers; may be repeated."),
]

#: What can be asked for, whether or not there is something to say of it now; a test holds it to what is found.
_FAMILIES = (
    "redis", "workers", "queues", "poller", "sweeps", "scheduler", "dispatcher", "declarations", "events",
    "subscriptions", "attempts", "retries", "crashes", "dead",
)  # fmt: skip

#: Those whose checks have names of their own: theirs stands where something of them could not be looked at.
_OF_PARTS = frozenset({"redis", "events"})

#: Seconds that Redis is waited for, and between two tries.
_LONGEST_WAIT_S, _TRY_EVERY_S = 60.0, 0.5


def doctor(
    wait_for_redis: WaitForRedis = False,
    only: Only = None,
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Find out what is wrong, and what to do about it. It changes nothing.

    Ends with 1 when something stands still or may be lost; with 0 when all is well, or there are only warnings. Before
    a release, when no worker need run yet, look at Redis only: --wait-for-redis --only redis.
    """
    with service_of(redis_url, debug=debug) as service:
        from eventsys.runtime.doctor import examine

        diagnosis = examine(service)
        deadline = time.monotonic() + _LONGEST_WAIT_S
        while wait_for_redis and diagnosis.findings[0].check == "redis.reached" and time.monotonic() < deadline:
            time.sleep(_TRY_EVERY_S)
            diagnosis = examine(service)
        if only:
            diagnosis = _limited(diagnosis, only)
        if as_json:
            print_model(diagnosis)
        else:
            for finding in diagnosis.findings:
                word = typer.style(f"{finding.severity.value:<8}", fg=STYLES[finding.severity.value])
                plain = False if "NO_COLOR" in os.environ else None
                typer.echo(f"{word} {finding.check:<18} {visible(finding.said)}", color=plain)
                if finding.remedy:
                    typer.echo(f"{'':<27} -> {finding.remedy}")
        if not diagnosis.is_healthy:
            raise typer.Exit(FAILED)


def _limited(diagnosis: Diagnosis, only: list[str]) -> Diagnosis:
    """Return what was found by some checks; that Redis could not be asked at all is always among it.

    Where none of them could be carried out, it is what is wrong instead: that is in their way.
    """
    from eventsys.model.diagnosis import Severity, family_of

    told = {one.check for one in diagnosis.findings}
    refused = told & _OF_PARTS
    unknown = [one for one in only if one not in told and family_of(one) not in _FAMILIES]
    unknown += [one for one in only if "." in one and one not in told and family_of(one) not in {"queues", *refused}]
    if unknown and "redis.reached" not in told:
        refuse(f"nothing is called {' or '.join(dict.fromkeys(unknown))}; there are {', '.join(_FAMILIES)}", MISUSED)
    wanted = {one if "." in one else family_of(one) for one in only} | {"redis.reached"}
    wanted |= {family_of(one) for one in only if one not in told} & refused
    kept = [one for one in diagnosis.findings if one.check in wanted or family_of(one.check) in wanted]
    for severity in (Severity.PROBLEM, Severity.WARNING):
        kept = kept or [one for one in diagnosis.findings if one.severity is severity]
    return diagnosis.model_copy(update={"findings": kept})
