"""Write down everything that happens."""

import logging

from actors.app import events
from eventsys import Event

logger = logging.getLogger(__name__)


@events.on("#", name="audit.trail")
def write_down(event: Event) -> None:
    """Log each event of the application with the chain it belongs to; `#` matches every type."""
    logger.info("%s from %s: event %s of chain %s", event.type, event.source, event.id, event.correlation_id)
