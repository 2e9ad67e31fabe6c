"""eventsys: durable typed events on Redis."""
