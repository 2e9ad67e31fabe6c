"""The rules of alerts, in words: when each warns."""

from __future__ import annotations

from pydantic import BaseModel

from eventsys.readable import shown
from eventsys.settings import AlertSettings


class AlertRule(BaseModel):
    """One rule by which alerts begin."""

    name: str
    warns_when: str | None
    """With its limit; None: it is switched off."""


def rules_of(limits: AlertSettings) -> list[AlertRule]:
    """Return the rules, each with when it warns."""
    window, ratio = shown(limits.window), limits.failure_ratio
    rows: list[tuple[str, object, str]] = [
        ("failure_ratio", None if ratio is None else f"{ratio:.0%}",
         f"{{}} of at least {limits.failure_attempts} attempts of a subscription failed within {window}"),
        ("backlog_age", limits.backlog_age, "a delivery of a subscription has been open for {}"),
        ("lateness", limits.lateness, "what is due has not been let go for {}"),
        ("dead_letters", limits.dead_letters, "{} dead letters are kept"),
        ("no_worker", limits.no_worker, "messages have waited for {} in a queue that no worker reads"),
        ("unrouted", limits.unrouted, f"nobody wanted {{}} events of one type within {window}"),
    ]  # fmt: skip
    return [
        AlertRule(name=name, warns_when=None if limit is None else said.format(shown(limit)))
        for name, limit, said in rows
    ]
