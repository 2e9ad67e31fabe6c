"""The dashboard: pages and an HTTP API of a bus, as an ASGI application; needs the extra `web`."""

from eventsys.errors import SettingsError

try:
    import fastapi  # noqa: F401 - only to say in a sentence what is missing
    import jinja2  # noqa: F401
    import uvicorn  # noqa: F401
except ImportError as error:
    raise SettingsError("the dashboard needs fastapi, jinja2 and uvicorn: pip install 'eventsys[web]'") from error

from eventsys.dashboard.access import Access, Role
from eventsys.dashboard.app import dashboard

__all__ = ["Access", "Role", "dashboard"]
