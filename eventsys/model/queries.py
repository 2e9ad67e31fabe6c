"""What is asked of the history, and the shape of the answers."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, Generic, Literal, TypeVar

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, computed_field, model_validator

from eventsys.model.event import UtcTime
from eventsys.model.patterns import check_pattern
from eventsys.model.priority import Priority
from eventsys.model.status import EventStatus

T = TypeVar("T")

#: Ids that one filter may name.
MOST_IDS = 500


class EventFilter(BaseModel):
    """Which events to list. Every condition given must hold; one left out holds for all."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    ids: tuple[str, ...] = Field(default=(), max_length=MOST_IDS)
    """Exactly these events, as far as there are."""
    types: tuple[Annotated[str, AfterValidator(check_pattern)], ...] = ()
    """Types or patterns such as `user.*`; any of them."""
    sources: tuple[str, ...] = ()
    """Any of them."""
    status: EventStatus | None = None
    priority: Priority | None = None
    start_time: UtcTime | None = None
    """The earliest time, included."""
    end_time: UtcTime | None = None
    """The first time that is too late."""
    correlation_id: str | None = None
    subscription: str | None = None
    """Events with a delivery to this subscription, also one that a replay or a back-fill gave."""
    text: str | None = None
    """Text that the stored event contains."""
    page: int = Field(default=1, ge=1)
    page_size: int = Field(default=20, ge=1, le=500)
    order: Literal["newest", "oldest"] = "newest"
    cursor: str | None = None
    """Where to go on: `next_cursor` of the page before. It takes the place of `page`."""

    if TYPE_CHECKING:  # lists may be given too

        def __init__(
            self, *, ids: Iterable[str] = ..., types: Iterable[str] = ..., sources: Iterable[str] = ...,
            status: EventStatus | None = ..., priority: Priority | None = ..., start_time: datetime | None = ...,
            end_time: datetime | None = ..., correlation_id: str | None = ..., subscription: str | None = ...,
            text: str | None = ..., page: int = ..., page_size: int = ..., order: Literal["newest", "oldest"] = ...,
            cursor: str | None = ...,
        ) -> None: ...  # fmt: skip

    @model_validator(mode="after")
    def _check_times(self) -> EventFilter:
        if self.start_time is not None and self.end_time is not None and self.start_time > self.end_time:
            raise ValueError(
                f"start_time {self.start_time.isoformat()} is after end_time {self.end_time.isoformat()}; swap them"
            )
        return self


class Page(BaseModel, Generic[T]):
    """One page of an answer."""

    model_config = ConfigDict(frozen=True)

    items: list[T]
    total: int = Field(ge=0)
    """How many there are on all pages; at least so many where `total_is_exact` is false."""
    page: int = Field(default=1, ge=1)
    page_size: int = Field(default=20, ge=1)
    total_is_exact: bool = True
    next_cursor: str | None = None
    """Given as `cursor`, leads to what follows; None at the end, or where only page numbers lead on."""

    @computed_field  # type: ignore[prop-decorator]
    @property
    def pages(self) -> int:
        """How many pages `total` makes; 0 when there is nothing."""
        return -(-self.total // self.page_size)


_pages: dict[Any, Any] = {}


def page_of(kind: type[T]) -> type[Page[T]]:
    """Return the class of pages with such items, the same each time.

    Pydantic forgets a class that nobody keeps, at the next collection of garbage, and takes 15 ms to make it again.
    """
    if kind not in _pages:
        _pages[kind] = Page[kind]  # type: ignore[valid-type]
    found: type[Page[T]] = _pages[kind]
    return found
