"""What `eventsys dev` adds to a worker: a log for people, reloading, ticks."""
