"""Dead letters by HTTP: list, show, send again, purge."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query
from pydantic import BaseModel, ConfigDict, Field, model_validator
from starlette.responses import Response

from eventsys.dashboard.api.answering import answer
from eventsys.dashboard.context import Bus, Changes
from eventsys.dashboard.rates import Rate
from eventsys.errors import NotFoundError
from eventsys.model.dead_letter import DeadLetter, DeadLetterFilter, RedriveResult
from eventsys.model.queries import Page

letters = APIRouter(prefix="/dead-letters", tags=["dead letters"])

MOST_IDS = 1_000


class Chosen(BaseModel):
    """Which dead letters are meant: some ids, those of a filter, or all."""

    model_config = ConfigDict(extra="forbid")

    ids: list[str] | None = Field(default=None, max_length=MOST_IDS)
    filter: DeadLetterFilter | None = None
    all: bool = False
    dry_run: bool = False
    """Only count them."""

    @model_validator(mode="after")
    def _check(self) -> Chosen:
        if (self.ids is not None) + (self.filter is not None) + self.all != 1:
            raise ValueError("say which: ids, or a filter, or all")
        return self


class ToRedrive(Chosen):
    """Which are sent again, and how."""

    rate: Rate | None = None
    """How many begin: so many a second, or `100/s`, `10/m`, `1/h`; None: as fast as workers take them."""
    force: bool = False
    """Also those that were sent again ten times before."""


class PurgeResult(BaseModel):
    """How many dead letters were dropped, or would be."""

    matched: int
    purged: int


@letters.get("", response_model=Page[DeadLetter])
def list_letters(bus: Bus, wanted: Annotated[DeadLetterFilter, Query()]) -> Response:
    """List dead letters, the newest first; `next_cursor`, given as `cursor`, leads on."""
    return answer(bus.dead_letters.list(wanted))


@letters.post("/redrive", response_model=RedriveResult)
def redrive_letters(desk: Changes, chosen: ToRedrive) -> Response:
    """Send dead letters again, as many as can be; the answer counts the others by cause."""
    found, told = desk.events.dead_letters, chosen.model_dump(mode="json", exclude_defaults=True)
    if chosen.dry_run:
        if chosen.ids is not None:
            return answer(found.redrive_many(chosen.ids, force=chosen.force, dry_run=True))
        return answer(found.redrive_all(chosen.filter, rate=chosen.rate, force=chosen.force, dry_run=True))
    if chosen.ids is not None:
        ids = chosen.ids
        return answer(desk.change("letters.redrive", "", lambda: found.redrive_many(ids, force=chosen.force), **told))
    return answer(
        desk.change(
            "letters.redrive", "", lambda: found.redrive_all(chosen.filter, rate=chosen.rate, force=chosen.force),
            **told,
        )
    )  # fmt: skip


@letters.post("/purge", response_model=PurgeResult)
def purge_letters(desk: Changes, chosen: Chosen) -> Response:
    """Drop dead letters for good; their events are failed, and an event that could not fire is gone with its letter."""
    found, told = desk.events.dead_letters, chosen.model_dump(mode="json", exclude_defaults=True)
    ids, wanted = chosen.ids, chosen.filter
    if chosen.dry_run:
        count = found.purge_all(wanted, dry_run=True) if ids is None else found.purge(*ids, dry_run=True)
        return answer(PurgeResult(matched=count, purged=0))
    count = desk.change(
        "letters.purge", "", lambda: found.purge(*ids) if ids is not None else found.purge_all(wanted), **told
    )
    return answer(PurgeResult(matched=count, purged=count))


@letters.post("/{letter_id:path}/redrive", response_model=DeadLetter)
def redrive_letter(desk: Changes, letter_id: str, force: bool = False) -> Response:
    """Send one dead letter again, and show it as it was."""
    sent = desk.change("letters.redrive", letter_id, lambda: desk.events.dead_letters.redrive(letter_id, force=force))
    return answer(sent)


@letters.post("/{letter_id:path}/purge", response_model=PurgeResult)
def purge_letter(desk: Changes, letter_id: str) -> Response:
    """Drop one dead letter for good."""

    def purge() -> int:
        count = desk.events.dead_letters.purge(letter_id)
        if not count:
            raise NotFoundError(f"no dead letter {letter_id!r} is kept")
        return count

    count = desk.change("letters.purge", letter_id, purge)
    return answer(PurgeResult(matched=count, purged=count))


@letters.get("/{letter_id:path}", response_model=DeadLetter)
def show_letter(bus: Bus, letter_id: str) -> Response:
    """Show one dead letter, with its traceback and its event."""
    return answer(bus.dead_letters.show(letter_id))
