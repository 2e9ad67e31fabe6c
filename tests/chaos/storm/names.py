"""The events and subscriptions of the application in the storm, and what must become of each."""

from __future__ import annotations

BUS = "storm"

MADE, FOLLOWED, LATER, DUE, POISON = "storm.made", "storm.followed", "storm.later", "storm.due", "storm.poison"

SUBSCRIBERS = {
    MADE: ("await_it", "follow", "put_off", "stumble"),
    FOLLOWED: ("see_followed",),
    LATER: ("see_later",),
    DUE: ("see_due",),
    POISON: ("swallow_poison",),
}
"""The subscriptions that each event must reach, in the order of the alphabet."""

CAUSED = {FOLLOWED: "follow-ups", LATER: "delayed follow-ups"}
"""What each event of the type `MADE` must cause exactly once."""

POISONS = {
    "segfault": ("crash_loop",),
    "exit": ("crash_loop",),
    "abort": ("crash_loop",),
    "memory": ("failed", "timeout"),
    "loop": ("timeout",),
    "swallow": ("timeout",),
    "fork": (),
    "fork_on": (),
    "raise": ("failed",),
}
"""What each kind of poison does to its handler, and how its delivery may end as a dead letter; none: it succeeds.

Where the machine is busy, its limit may end `memory` first. `fork` leaves a child that ends by itself, `fork_on` one
that goes on as if it were the worker.
"""

HOGS = tuple(kind for kind, reasons in POISONS.items() if reasons == ("timeout",))
"""The kinds whose handler does not end by itself."""

CRASHERS = tuple(kind for kind, reasons in POISONS.items() if "crash_loop" in reasons)
"""The kinds that kill the process."""
