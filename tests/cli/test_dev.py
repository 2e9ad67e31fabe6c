"""What `eventsys dev` says of its dashboard."""

from __future__ import annotations

import socket

import pytest

from eventsys.cli import dev
from eventsys.runtime.listening import ListenError, listen, port_of


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dev, "find_spec", lambda name: None if name == "jinja2" else object())
    assert dev._listener(None) == (None, "no dashboard: jinja2 not installed; pip install 'eventsys[web]'")


def test_where_its_usual_port_is_taken_it_takes_one_that_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(dev, "_USUAL_PORT", port_of(taken))
        listener, said = dev._listener(None)
        assert listener is not None
        with listener:
            assert said == f"dashboard: http://127.0.0.1:{port_of(listener)}/"
            assert port_of(listener) != port_of(taken)
        with pytest.raises(ListenError, match=r"something else listens there; give another --port$"):
            dev._listener(port_of(taken))


def test_a_name_is_listened_on_at_all_its_addresses_or_at_none() -> None:
    sockets = listen("localhost", 0)
    assert {one.getsockname()[0] for one in sockets} <= {"127.0.0.1", "::1"}
    for one in sockets:
        one.close()
    with pytest.raises(ListenError, match=r"this machine has no such address; give another --host$"):
        listen("192.0.2.1", 0)
