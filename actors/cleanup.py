"""Delete data that is no longer needed, when nothing more urgent waits."""

import logging
from datetime import UTC, datetime, timedelta
from typing import Any

from pydantic import BaseModel

from actors.app import events
from eventsys import CronTask, DelayedEvent, Event, Priority, catalog

logger = logging.getLogger(__name__)


class Deletion(BaseModel):
    """Which rows of a table to delete."""

    table_name: str
    conditions: dict[str, Any]


def schedule_clean_up(table_name: str, *, delay: str = "24h") -> DelayedEvent[Any]:
    """Have the rows of a table that are a day old by now deleted after `delay`."""
    a_day_ago = datetime.now(UTC) - timedelta(days=1)
    deletion = {
        "table_name": table_name,
        "conditions": {"created_at": {"$lt": a_day_ago.isoformat()}},
        "action": "delete",
    }
    return events.schedule(
        catalog.DATA_DELETED, deletion, source="cleanup-service", delay=delay, priority=Priority.LOW, max_retries=2
    )


def repeat_clean_up(table_name: str, *, schedule: str = "@hourly", max_runs: int | None = None) -> CronTask:
    """Have the expired rows of a table deleted again and again, and return the task; calling this twice makes one.

    The task is a row in Redis: any process may pause, change, or delete it by its name, while the workers run.
    """
    deletion = {"table_name": table_name, "conditions": {"expired": True}, "action": "delete"}
    return events.cron.create(
        f"cleanup.{table_name}", schedule, catalog.DATA_DELETED, deletion,
        source="cleanup-service", priority=Priority.LOW, max_runs=max_runs,
    )  # fmt: skip


@events.cron("30 3 * * *", name="cleanup.nightly", timezone="Europe/London")
def clean_up_nightly() -> None:
    """Ask for the clean-up of the night; no scheduler is needed, and each night has one, however many workers run."""
    schedule_clean_up("temp_uploads", delay="1m")


# Other `data.deleted` events tell of a deletion; only those that ask for one are given to this handler.
@events.on("data.deleted", name="cleanup.delete", where={"payload.action": "delete"}, timeout="10m")
def delete_rows(event: Event[Deletion]) -> None:
    """Delete the rows. Doing it twice does no harm, as it should be for every handler."""
    logger.info("deleting from %s where %s", event.payload.table_name, event.payload.conditions)
