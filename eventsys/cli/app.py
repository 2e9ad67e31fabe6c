"""The command `eventsys`."""

import sys


def main() -> None:
    """Run the command line, and end the process.

    Exit codes: 0 it is done; 1 it failed; 2 what was typed cannot be done; 128 and the signal's number when a signal
    ended it.
    """
    # Imported here, so that Ctrl-C before anything has begun is an end and no traceback.
    try:
        from eventsys.cli.commands import app

        app(prog_name="eventsys")
    except KeyboardInterrupt:
        sys.exit(130)
