"""A proxy before Redis that can lose replies, as networks do."""

from __future__ import annotations

import socket
import threading
from contextlib import suppress
from typing import Any


class CuttingProxy:
    """Listens on loopback and passes bytes on to a Redis on a unix socket, until it is told to lose something.

    Args:
        unix_url: The Redis behind it, as `unix://...`.
    """

    def __init__(self, unix_url: str) -> None:
        self._path = unix_url.removeprefix("unix://").partition("?")[0]
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._open: list[socket.socket] = []
        self._lock = threading.Lock()
        self._to_lose = 0
        self._marker = b""
        self.lost = 0
        self.url = f"redis://127.0.0.1:{self._listener.getsockname()[1]}/0"
        threading.Thread(target=self._accept, daemon=True).start()

    def lose_replies(self, count: int, *, after: bytes = b"EVALSHA") -> None:
        """Break the connection instead of passing the reply to each of the next `count` commands that hold `after`."""
        with self._lock:
            self._to_lose, self._marker = count, after

    def close(self) -> None:
        """Refuse connections, and break those that are open."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for one in self._open:
            _break(one)

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            server = socket.socket(socket.AF_UNIX)
            server.connect(self._path)
            self._open += [client, server]
            loses = threading.Event()
            threading.Thread(target=self._ask, args=(client, server, loses), daemon=True).start()
            threading.Thread(target=self._answer, args=(client, server, loses), daemon=True).start()

    def _ask(self, client: Any, server: Any, loses: threading.Event) -> None:
        with suppress(OSError):
            while data := client.recv(65536):
                with self._lock:
                    if self._to_lose and self._marker in data:
                        self._to_lose -= 1
                        loses.set()
                server.sendall(data)
        _break(server)

    def _answer(self, client: Any, server: Any, loses: threading.Event) -> None:
        with suppress(OSError):
            while data := server.recv(65536):
                if loses.is_set():
                    self.lost += 1
                    break
                client.sendall(data)
        _break(client)
        _break(server)


def _break(one: socket.socket) -> None:
    with suppress(OSError):
        one.shutdown(socket.SHUT_RDWR)
    one.close()
