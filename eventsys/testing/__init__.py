"""A harness with a clock you turn."""
