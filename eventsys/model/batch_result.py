"""What came of a change of many things at once."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class BatchResult(BaseModel):
    """How many things a change was meant for, and how many it changed."""

    model_config = ConfigDict(frozen=True)

    matched: int = Field(ge=0)
    changed: int = Field(ge=0)
    """0 after a dry run."""
