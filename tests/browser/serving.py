"""The dashboard on a port of this machine, and Debian's Chromium to look at it."""

from __future__ import annotations

import os
import shutil
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import uvicorn

#: Without these a headless Chromium asks its makers' servers at every start, and root may not start it.
FLAGS = (
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--force-color-profile=srgb",
    "--font-render-hinting=none",
)


def chromium() -> str | None:
    """Return the path of the browser, or None where there is none."""
    return os.environ.get("EVENTSYS_TEST_CHROMIUM") or shutil.which("chromium")


@contextmanager
def served(app: Any, port: int = 0) -> Iterator[str]:
    """Serve an application, on a port of its own unless one is named, and give its address."""
    with socket.socket() as listening:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(("127.0.0.1", port))
        listening.listen(64)
        server = uvicorn.Server(
            uvicorn.Config(app, log_level="critical", lifespan="off", ws="none", timeout_graceful_shutdown=0)
        )
        thread = threading.Thread(target=server.run, args=([listening],), name="dashboard-of-tests", daemon=True)
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(60)


@contextmanager
def browser(*flags: str) -> Iterator[Any]:
    """Start the browser, for the time of a module: while it runs, this thread has a loop that runs."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=chromium(), args=[*FLAGS, *flags])
        try:
            yield started
        finally:
            started.close()
