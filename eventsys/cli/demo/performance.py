"""The demo from the first event to the last word."""

from __future__ import annotations

from pathlib import Path

from eventsys.cli.demo.advice import first_steps
from eventsys.cli.demo.chronicle import Chronicle, NothingHappensError
from eventsys.cli.demo.interruption import Interruption
from eventsys.cli.demo.scenes import play
from eventsys.cli.demo.screen import Screen
from eventsys.cli.demo.stage import Stage
from eventsys.cli.demo.summary import summary_of
from eventsys.clock import Clock


def perform(screen: Screen, interruption: Interruption) -> str | None:
    """Play all scenes and sum them up; return what went wrong, or None.

    Raises:
        InterruptionError: If a signal ended it. Nothing is left running then either.
    """
    clock = Clock()
    began_at = clock.monotonic()
    with Stage(interruption) as stage, screen.live():
        chronicle = Chronicle(stage, interruption, screen.waits_for_event)
        try:
            play(stage, screen, chronicle)
            summary = summary_of(chronicle.everything())
        except NothingHappensError as error:
            return f"{error}; the workers' last words:\n{stage.workers_said()}"
        screen.waits_for("")
        screen.summary(summary)
        advise(screen)
        screen.waits_for("the workers and Redis end")
        stage.end()
    screen.say()
    screen.say(f"Done in {clock.monotonic() - began_at:.1f} s; nothing is left running.")
    return None if summary.has_succeeded else "not every delivery succeeded, as the table shows"


def advise(screen: Screen) -> None:
    """Say where to put one's first handler."""
    file, text, commands = first_steps(Path.cwd())
    screen.say()
    screen.say(f"Put your first handler into {file}:")
    screen.say()
    for line in text.splitlines():
        screen.say(line, indent=4 if line else 0)
    screen.say()
    screen.say("Run it, and publish to it from a second terminal:")
    screen.say()
    for command in commands:
        screen.say(command, indent=4)
