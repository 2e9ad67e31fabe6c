"""A cron task whose payload has a secret, and another one deeper."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, Field

from eventsys import EventService

SECRETS = ("tr0ub4dor", "0penSesame")


class Door(BaseModel):
    """One of many, with a secret of its own."""

    name: str
    code: str = Field(json_schema_extra={"secret": True})


class Backup(BaseModel):
    """The payload."""

    target: str
    password: str = Field(json_schema_extra={"secret": True})
    doors: list[Door] = []


#: What the actor of `tape` is given: a secret by place, one by name, one deeper.
ARGUMENTS: dict[str, Any] = {
    "actor_args": ["tape", SECRETS[0]],
    "actor_kwargs": {"door": {"code": SECRETS[1], "name": "front"}, "token": SECRETS[0]},
    "secret_fields": ["1", "token", "door.code"],
}


def create_backup(events: EventService) -> dict[str, Any]:
    """Create the task `backup`, register its model, and return its payload."""
    events.type("backup.due", Backup)
    payload = {"target": "tape", "password": SECRETS[0], "doors": [{"name": "front", "code": SECRETS[1]}]}
    events.cron.create("backup", "@daily", "backup.due", payload)
    return payload
