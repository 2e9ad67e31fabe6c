"""TLS: Redis has to show who it is, and nothing is said to one that cannot."""

from __future__ import annotations

import contextlib
import logging
import shutil
import socket
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from eventsys import EventStatus, EventsysError, RedisUnavailableError
from eventsys.runtime.server_binary import ServerBinary
from tests.support.services import Services
from tests.support.tls import Authority, Signed, TlsRedis

Start = Callable[..., TlsRedis]


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


@pytest.fixture
def start(server_binary: ServerBinary, tmp_path: Path, authority: Authority) -> Iterator[Start]:
    """Start a Redis with a certificate."""
    servers: list[TlsRedis] = []
    program = shutil.which("redis-server") or str(server_binary.path)

    def started(own: Signed, **options: Any) -> TlsRedis:
        directory = tmp_path / f"redis-{len(servers)}"
        server = TlsRedis(program, directory, authority, own, **options)
        servers.append(server)
        if not server.speaks_tls:
            pytest.skip(f"{program} was built without TLS; Debian's redis-server has it")
        return server

    yield started
    for server in servers:
        server.stop()


def _refusal(services: Services, url: str) -> str:
    with pytest.raises(RedisUnavailableError) as raised:
        services.make(redis_url=url).publish("a.b", {})
    assert not raised.value.may_have_run
    return str(raised.value)


def test_events_travel_over_tls(services: Services, start: Start, authority: Authority) -> None:
    server = start(authority.issue("server"))
    service = services.make(redis_url=server.url(ssl_ca_certs=authority.path))
    got: list[Any] = []
    service.on("a.b", name="h")(lambda event: got.append(event.payload))
    services.work(service)
    event = service.publish("a.b", {"n": 1})
    assert service.wait(event.id).status is EventStatus.DELIVERED
    assert got == [{"n": 1}]


def test_an_authority_that_nobody_named_is_not_believed(services: Services, start: Start, authority: Authority) -> None:
    server = start(authority.issue("server"))
    said = _refusal(services, server.url())
    assert "certificate of Redis is not believed" in said
    assert "ssl_ca_certs" in said


def test_a_certificate_that_signs_itself_is_refused(services: Services, start: Start, authority: Authority) -> None:
    server = start(authority.issue("own", is_own=True))
    assert "self-signed certificate" in _refusal(services, server.url(ssl_ca_certs=authority.path))


def test_a_certificate_of_another_host_is_refused(services: Services, start: Start, authority: Authority) -> None:
    server = start(authority.issue("elsewhere", host="redis.example"))
    said = _refusal(services, server.url(ssl_ca_certs=authority.path))
    assert "not believed" in said
    assert "127.0.0.1" in said


def test_an_expired_certificate_is_refused(services: Services, start: Start, authority: Authority) -> None:
    server = start(authority.issue("old", is_expired=True))
    assert "certificate has expired" in _refusal(services, server.url(ssl_ca_certs=authority.path))


def test_a_redis_that_asks_for_a_certificate_gets_it(services: Services, start: Start, authority: Authority) -> None:
    server = start(authority.issue("server"), asks=True)
    with pytest.raises(EventsysError, match="ssl_certfile"):
        services.make(redis_url=server.url(ssl_ca_certs=authority.path)).publish("a.b", {})
    client = authority.issue("client")
    url = server.url(ssl_ca_certs=authority.path, ssl_certfile=client.certificate, ssl_keyfile=client.key)
    assert services.make(redis_url=url).publish("a.b", {}).id


def test_a_redis_without_tls_is_told_from_one_that_is_away(services: Services) -> None:
    with socket.create_server(("127.0.0.1", 0)) as plain:

        def answer() -> None:
            with contextlib.suppress(OSError):  # closed: the test is over
                while True:
                    caller, _ = plain.accept()
                    with caller:
                        caller.recv(100)
                        caller.sendall(b"-ERR unknown command\r\n")

        threading.Thread(target=answer, daemon=True).start()
        try:
            assert "speaks no TLS" in _refusal(services, f"rediss://127.0.0.1:{plain.getsockname()[1]}/0")
        finally:
            plain.shutdown(socket.SHUT_RDWR)


def test_trusting_any_server_is_possible_and_warned_of(
    services: Services, start: Start, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    server = start(authority.issue("own", host="redis.example", is_own=True))
    with caplog.at_level(logging.WARNING):
        services.make(redis_url=server.url(ssl_cert_reqs="none")).publish("a.b", {})
    assert "whoever answers there is believed" in caplog.text
    caplog.clear()
    named = start(authority.issue("elsewhere", host="redis.example"))
    with caplog.at_level(logging.WARNING):
        url = named.url(ssl_ca_certs=authority.path, ssl_check_hostname="false")
        services.make(redis_url=url).publish("a.b", {})
    assert "whoever answers there is believed" in caplog.text
