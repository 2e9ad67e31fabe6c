"""The event service of this application; every other module imports it from here."""

from eventsys import EventService

# Settings come from EVENTSYS_* and REDIS_URL. `app` names the queue of the deliveries.
events = EventService(app="actors")
