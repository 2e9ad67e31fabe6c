"""The events and subscriptions of the application under fire."""

from __future__ import annotations

MADE, FOLLOWED, LATER = "chaos.made", "chaos.followed", "chaos.later"

SUBSCRIBERS = {
    MADE: ("follow", "put_off", "await_it"),
    FOLLOWED: ("see_followed",),
    LATER: ("see_later",),
}
"""The subscriptions that each event must reach."""
