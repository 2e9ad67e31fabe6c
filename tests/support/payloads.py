"""The payload models of the tests' events."""

from __future__ import annotations

from pydantic import BaseModel


class Notification(BaseModel):
    """What is sent to a person."""

    user_id: str
    title: str = "none"


class Order(BaseModel):
    """What a person ordered."""

    amount: float
    note: str = ""
