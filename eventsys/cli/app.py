"""The command `eventsys`."""

import io
import sys


def main() -> None:
    """Run the command line, and end the process.

    Exit codes: 0 it is done; 1 it failed; 2 what was typed cannot be done; 128 and the signal's number when a signal
    ended it.
    """
    # Imported here, so that Ctrl-C before anything has begun is an end and no traceback.
    try:
        from eventsys.cli.commands import app

        for stream in (sys.stdout, sys.stderr):
            if isinstance(stream, io.TextIOWrapper):
                stream.reconfigure(errors="replace")  # rich draws dots and frames that not every encoding has
        app(prog_name="eventsys")
    except KeyboardInterrupt:
        sys.exit(130)
