"""Publishing, routing and dispatching."""
