"""`eventsys top`: the bus at work, on one screen."""
