"""`eventsys demo`: the example application at work, on a Redis of its own."""
