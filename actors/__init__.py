"""A small application on eventsys, to read first and to copy from.

    eventsys worker actors

`app` makes the service. Every other module subscribes its handlers, and has the functions that publish what they
handle. `discover` imports them all, so that a new module needs no mention anywhere; with it the commands
`dramatiq actors` and `periodiq actors` find everything too.
"""

import eventsys

eventsys.discover(__name__)
