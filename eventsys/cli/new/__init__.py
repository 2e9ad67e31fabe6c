"""`eventsys new`: a working application to begin with."""
