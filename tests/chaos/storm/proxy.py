"""A TCP proxy before Redis that cuts replies in two, refuses, and falls silent."""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import socket
from multiprocessing.connection import Connection
from typing import Any

CHUNK = 65_536


class Proxy:
    """The proxy, in a process of its own.

    Args:
        upstream: The Unix socket of Redis.
    """

    def __init__(self, upstream: str) -> None:
        listener = socket.create_server(("127.0.0.1", 0), backlog=256)
        self.url = f"redis://127.0.0.1:{listener.getsockname()[1]}/0"
        self._orders, theirs = multiprocessing.Pipe()
        context = multiprocessing.get_context("fork")
        self._process = context.Process(target=_serve, args=(listener, upstream, theirs), daemon=True)
        self._process.start()
        listener.close()

    def cut(self, replies: int) -> None:
        """Break as many connections, each in the middle of the next reply it carries."""
        self._orders.send(("cut", replies))

    def refuse(self, is_refusing: bool) -> None:
        """Break all connections and accept none, or accept them again."""
        self._orders.send(("refuse", is_refusing))

    def silence(self, is_silent: bool) -> None:
        """Carry nothing, while connections stay open; or carry on."""
        self._orders.send(("silence", is_silent))

    def stop(self) -> None:
        """End it."""
        self._process.kill()
        self._process.join()


def _serve(listener: socket.socket, upstream: str, orders: Connection) -> None:
    asyncio.run(_Switch(upstream).run(listener, orders))


class _Switch:
    """What becomes of what connections carry."""

    def __init__(self, upstream: str) -> None:
        self._upstream = upstream
        self._cuts = 0
        self._is_refusing = False
        self._is_heard = asyncio.Event()
        self._is_heard.set()
        self._open: set[asyncio.StreamWriter] = set()

    async def run(self, listener: socket.socket, orders: Connection) -> None:
        server = await asyncio.start_server(self._carry, sock=listener)
        asyncio.get_running_loop().add_reader(orders.fileno(), self._obey, orders)
        async with server:
            await server.serve_forever()

    def _obey(self, orders: Connection) -> None:
        try:
            order, value = orders.recv()
        except EOFError:
            raise SystemExit(0) from None
        if order == "cut":
            self._cuts += value
        elif order == "refuse":
            self._is_refusing = value
            for writer in list(self._open) if value else ():
                writer.transport.abort()
        elif value:
            self._is_heard.clear()
        else:
            self._is_heard.set()

    async def _carry(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._is_refusing:
            writer.transport.abort()
            return
        try:
            up_reader, up_writer = await asyncio.open_unix_connection(self._upstream)
        except OSError:
            writer.transport.abort()
            return
        both = {writer, up_writer}
        self._open |= both
        await asyncio.gather(self._pump(reader, up_writer), self._pump(up_reader, writer, cuts=True))
        for one in both:
            one.transport.abort()
        self._open -= both

    async def _pump(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, *, cuts: bool = False) -> None:
        with contextlib.suppress(OSError):
            while carried := await reader.read(CHUNK):
                await self._is_heard.wait()
                if cuts and self._cuts > 0 and len(carried) > 1:
                    self._cuts -= 1
                    writer.write(carried[: len(carried) // 2])
                    await writer.drain()
                    break
                writer.write(carried)
                await writer.drain()
        _end(writer)


def _end(writer: Any) -> None:
    # What was written still goes out; then the other direction of this connection ends too.
    with contextlib.suppress(OSError, RuntimeError):
        writer.close()
