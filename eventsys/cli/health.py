"""`eventsys health`: for whoever restarts what is dead, and sends work to what is ready."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from eventsys.cli.faults import FAILED, MISUSED, refuse, told_in_a_sentence
from eventsys.cli.options import AsJson, Debug, LivenessPath, RedisUrl, use_redis
from eventsys.cli.printing import print_model, visible

if TYPE_CHECKING:
    from eventsys.model.diagnosis import Finding

Ready = Annotated[bool, typer.Option("--ready", help="Ask whether work is done here: Redis answers, a worker runs.")]
MaxAge = Annotated[str, typer.Option("--max-age", metavar="DURATION", help="How old the last sign of life may be.")]


def health(
    ready: Ready = False,
    liveness_file: LivenessPath = None,
    max_age: MaxAge = "10s",
    as_json: AsJson = False,
    redis_url: RedisUrl = None,
    debug: Debug = False,
) -> None:
    """Say whether the worker of this host is alive, or with --ready, whether it can work; end with 1 if not.

    Alive is what touched the --liveness-file that eventsys worker was given: Redis is not asked, so its outage restarts
    nobody. Ready asks Redis.
    """
    with told_in_a_sentence(debug=debug, of_options=True):
        if not ready and liveness_file is None:
            refuse("say which file: --liveness-file, the same as for eventsys worker; or ask Redis: --ready", MISUSED)
        use_redis(redis_url)
        finding = _readiness() if ready else _liveness(liveness_file, max_age)
        if as_json:
            print_model(finding)
        else:
            typer.echo(f"{finding.severity.value}: {visible(finding.said)}")
        if finding.severity.value != "ok":
            raise typer.Exit(FAILED)


def _liveness(path: Path | None, max_age: str) -> Finding:
    from eventsys.model.diagnosis import fine, problem
    from eventsys.model.durations import parse_duration
    from eventsys.runtime.liveness import seconds_since_beat

    assert path is not None
    oldest, age = parse_duration(max_age), seconds_since_beat(path)
    remedy = "restart the worker"
    if age is None:
        return problem("alive", f"nobody has written {path}: no worker with this --liveness-file runs", remedy)
    if age > oldest.total_seconds():
        return problem("alive", f"the last sign of life in {path} is {age:.0f} s old", remedy)
    return fine("alive", f"the last sign of life is {age:.1f} s old")


def _readiness() -> Finding:
    import socket

    from eventsys import EventService
    from eventsys.errors import EventsysError
    from eventsys.model.diagnosis import fine, problem
    from eventsys.readable import many

    events = EventService()
    try:
        processes = events.machinery.processes()
    except EventsysError as error:
        return problem("ready", " ".join(str(error).split()), "see eventsys doctor")
    finally:
        events.stop()
    here = [one for one in processes if one.host == socket.gethostname() and one.is_alive]
    if not here:
        return problem("ready", "Redis answers, and no worker process of this host is alive", "start eventsys worker")
    alive = many(len(here), "worker process of this host is alive", "worker processes of this host are alive")
    return fine("ready", f"Redis answers, and {alive}")
