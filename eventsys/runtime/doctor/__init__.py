"""Finding out what is wrong with a bus: what a person would look at first, and what to do about it."""

from .examination import examine

__all__ = ["examine"]
