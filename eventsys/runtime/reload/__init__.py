"""Handler modules that are saved take effect in the running process."""

from .reloader import Reloader

__all__ = ["Reloader"]
