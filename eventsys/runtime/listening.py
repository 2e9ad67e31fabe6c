"""Sockets that listen, for whoever serves pages."""

from __future__ import annotations

import errno
import socket

from eventsys.errors import EventsysError

_WHY = {
    errno.EADDRINUSE: "something else listens there",
    errno.EACCES: "this user may not",
    errno.EADDRNOTAVAIL: "this machine has no such address",
}


class ListenError(EventsysError):
    """An address cannot be listened on."""


def listen(host: str, port: int) -> list[socket.socket]:
    """Return sockets that listen on every address that a name stands for.

    Args:
        host: A name or an address.
        port: The port; 0 for any that is free.

    Raises:
        ListenError: If one of them cannot be listened on; then none is.
    """
    sockets: list[socket.socket] = []
    try:
        for family, kind, _, _, address in socket.getaddrinfo(
            host or None, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        ):
            if kind == socket.SOCK_STREAM:
                sockets.append(socket.create_server(address[:2], family=family))
    except OSError as error:
        for one in sockets:
            one.close()
        why = _WHY.get(error.errno or 0) or error.strerror or str(error)
        other = "--port" if error.errno in {errno.EADDRINUSE, errno.EACCES} else "--host"
        raise ListenError(f"cannot listen on {host}, port {port}: {why}; give another {other}") from error
    return sockets


def port_of(listener: socket.socket) -> int:
    """Return the port that a socket listens on."""
    port: int = listener.getsockname()[1]
    return port
