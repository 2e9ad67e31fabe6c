"""A trouble of the system that goes on."""

from __future__ import annotations

from typing import Any

from pydantic import BaseModel, ConfigDict, Field, computed_field

from eventsys.model.event import UtcTime


class Trouble(BaseModel):
    """Something that was reported with `system.warning` or `system.error`, and is not over."""

    model_config = ConfigDict(frozen=True)

    key: str
    """What it is known by: `<rule>` or `<rule>:<what it is about>`."""
    event_type: str
    """What was published when it began: `system.warning`, or `system.error`, which cannot wait."""
    message: str
    """One sentence, with the next step."""
    rule: str | None = None
    """The alert rule, or the part that reported it."""
    details: dict[str, Any] = Field(default_factory=dict)
    began_at: UtcTime

    @computed_field  # type: ignore[prop-decorator]
    @property
    def is_error(self) -> bool:
        """Whether a person is needed now."""
        return self.event_type == "system.error"
