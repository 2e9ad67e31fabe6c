"""The Dramatiq broker on Redis Streams."""
