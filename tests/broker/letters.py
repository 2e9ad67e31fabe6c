"""Reading dead letters."""

from __future__ import annotations

from eventsys.broker.broker import EventBroker


def letters_of(broker: EventBroker) -> list[dict[str, str]]:
    """Return all dead letters, oldest first, as their fields."""
    found = []
    for letter_id in broker.link.call("ZRANGE", broker.keys.dead, 0, -1):
        flat = [
            part.decode("utf-8", "replace")
            for part in broker.link.call("HGETALL", broker.keys.letter(letter_id.decode("utf-8", "replace")))
        ]
        found.append({"id": letter_id.decode("utf-8", "replace"), **dict(zip(flat[::2], flat[1::2], strict=True))})
    return found
