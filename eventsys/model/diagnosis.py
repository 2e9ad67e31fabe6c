"""What an examination of a bus found."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, computed_field


class Severity(StrEnum):
    """How bad a finding is."""

    OK = "ok"
    WARNING = "warning"
    """Something to look at; nothing stands still."""
    PROBLEM = "problem"
    """Something stands still, or may be lost."""


class Finding(BaseModel):
    """One thing that was looked at, and how it is."""

    model_config = ConfigDict(frozen=True)

    check: str
    """What was looked at: `redis.memory`, `queue.readers` and so on."""
    severity: Severity
    said: str
    """How it is, in a sentence; the cause, where something is wrong."""
    remedy: str | None = None
    """What to do about it; None where nothing is wrong."""


class Diagnosis(BaseModel):
    """Everything that was looked at, in order."""

    model_config = ConfigDict(frozen=True)

    findings: list[Finding]

    @computed_field  # type: ignore[prop-decorator]
    @property
    def is_healthy(self) -> bool:
        """Whether nothing stands still and nothing may be lost; there may be warnings."""
        return all(one.severity is not Severity.PROBLEM for one in self.findings)


def family_of(check: str) -> str:
    """Return what a check is asked for by, with others: `redis` for `redis.memory`, `queues` for all of a queue."""
    name = check.partition(".")[0]
    return "queues" if name == "queue" else name


def fine(check: str, said: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(check=check, severity=Severity.OK, said=said)


def warning(check: str, said: str, remedy: str) -> Finding:
    """Return that something should be looked at."""
    return Finding(check=check, severity=Severity.WARNING, said=said, remedy=remedy)


def problem(check: str, said: str, remedy: str) -> Finding:
    """Return that something stands still, or may be lost."""
    return Finding(check=check, severity=Severity.PROBLEM, said=said, remedy=remedy)
