"""The command `eventsys demo`."""

from __future__ import annotations

import typer

from eventsys.cli.faults import FAILED, refuse, told_in_a_sentence
from eventsys.cli.options import Debug


def demo(debug: Debug = False) -> None:
    """See the example application at work for ten seconds, on a Redis of its own; nothing is left behind."""
    from eventsys.cli.demo.interruption import Interruption, InterruptionError

    with told_in_a_sentence(debug=debug), Interruption() as interruption:
        from eventsys.cli.demo.screen import Screen

        screen = Screen()
        screen.title()
        try:
            with interruption.explains_errors():
                # Pydantic, Redis and Dramatiq take half a second to load; the title stands by then.
                from eventsys.cli.demo.performance import perform

                failure = perform(screen, interruption)
        except InterruptionError as error:
            screen.say("\nInterrupted. Nothing is left running.")
            raise typer.Exit(error.exit_code) from None
    if failure is not None:
        refuse(failure, FAILED)
