"""Dramatiq's own public tests, run on our broker."""
