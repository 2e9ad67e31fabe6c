"""The gate before every route: who comes in, from where, by which name, and what the answer carries."""

from __future__ import annotations

import base64
import hashlib
from typing import Any

import pytest
import redis

from eventsys import EventService
from eventsys.dashboard import dashboard, gate
from tests.dashboard.conftest import HOME, JSON, TOKEN, VIEWER_TOKEN, client_of
from tests.dashboard.routes import CHANGES, LOOKS, ROUTES
from tests.support.services import Services

ELSEWHERE = "192.0.2.7"
OPEN = ("GET", "/healthz")


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + base64.b64encode(f"{name}:{password}".encode()).decode()}


def test_the_list_of_routes_is_that_of_the_application() -> None:
    assert ("POST", "/api/v1/events") in CHANGES
    assert ("GET", "/api/v1/openapi.json") in LOOKS
    assert len(CHANGES) >= 20
    assert len(LOOKS) >= 20


@pytest.mark.parametrize(("method", "path"), ROUTES)
def test_nobody_comes_in_without_the_token(guarded: Any, method: str, path: str) -> None:
    wrong: list[dict[str, str]] = [
        {},
        {"authorization": ""},
        {"authorization": "Bearer "},
        {"authorization": f"Bearer {TOKEN[:-1]}"},
        {"authorization": f"Bearer {TOKEN.upper()}"},
        {"authorization": TOKEN},
        basic("operator", ""),
        basic(TOKEN, "x"),
        {"x-forwarded-for": "127.0.0.1", "x-real-ip": "127.0.0.1"},
        {"cookie": f"token={TOKEN}"},
    ]
    for headers in wrong:
        answer = client_of(guarded, address=ELSEWHERE).request(method, path, headers=headers)
        assert answer.status_code in {401, 429}, headers
        assert "eventsys" in answer.headers["www-authenticate"] or answer.status_code == 429


@pytest.mark.parametrize(("method", "path"), [route for route in ROUTES if route != OPEN])
def test_without_a_token_other_machines_are_refused(events: EventService, method: str, path: str) -> None:
    assert client_of(dashboard(events), address=ELSEWHERE).request(method, path).status_code == 403


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_viewer_changes_nothing(guarded: Any, method: str, path: str) -> None:
    answer = client_of(guarded, token=VIEWER_TOKEN).request(method, path, headers=JSON, content=b"{}")
    assert answer.status_code == 403
    assert "viewer" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), CHANGES)
def test_a_read_only_dashboard_changes_nothing(events: EventService, method: str, path: str) -> None:
    app = dashboard(events, token=TOKEN, read_only=True)
    assert client_of(app, token=TOKEN).request(method, path, headers=JSON, content=b"{}").status_code == 403


def test_who_only_looks_declares_nothing(services: Services) -> None:
    """A dashboard of an older version gave the subscriptions of the whole bus their former patterns and options."""
    bus = services.make()
    bus.on("mail.*", name="mail", max_retries=7)(lambda event: None)
    bus.bus.prepare()
    before = bus.subscriptions.get("mail").subscription

    older = services.make(name=bus.settings.name)
    older.on("post.*", name="mail")(lambda event: None)
    older.on("mail.sent", name="gone")(lambda event: None)
    looking = client_of(dashboard(older, token=TOKEN, read_only=True), token=TOKEN)
    for path in (*(path for _, path in LOOKS), "/subscriptions/mail"):
        looking.get(path)
    assert looking.get("/replays/confirm?subscription=mail").status_code == 200
    assert [one.subscription for one in bus.subscriptions.list()] == [before]


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize(
    "headers",
    [
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": "http://127.0.0.1:9999"},
        {"origin": "http://localhost:8765"},
        {"origin": "http://127.0.0.1:8765.evil.example"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {"origin": HOME, "sec-fetch-site": "cross-site"},
    ],
)
def test_a_page_of_another_site_changes_nothing(
    events: EventService, method: str, path: str, headers: dict[str, str]
) -> None:
    answer = client_of(dashboard(events)).request(method, path, headers={**JSON, **headers}, content=b"{}")
    assert answer.status_code == 403
    assert "page" in answer.json()["detail"]


@pytest.mark.parametrize(("method", "path"), CHANGES)
@pytest.mark.parametrize("kind", ["", "text/plain", "application/x-www-form-urlencoded", "multipart/form-data; b=x"])
def test_the_form_of_a_page_that_says_nothing_of_itself_changes_nothing(
    events: EventService, method: str, path: str, kind: str
) -> None:
    """An old browser sends neither `Origin` nor `Sec-Fetch-Site`, and adds the password by itself."""
    headers = {"content-type": kind} if kind else {}
    answer = client_of(dashboard(events)).request(method, path, headers=headers, content=b"a=b")
    assert answer.status_code in {403, 415}


@pytest.mark.parametrize(
    "host",
    ["evil.example", "127.0.0.1.nip.io", "localhost.evil.example", "localhost.", "127.0.0.2", "[::2]", "x@localhost",
     "localhost:8765:1", "", "2130706433", "127.1"],
)  # fmt: skip
@pytest.mark.parametrize("path", ["/healthz", "/api/v1/metrics", "/static/dashboard.css", "/unknown"])
def test_another_name_that_leads_here_is_not_answered(events: EventService, host: str, path: str) -> None:
    assert client_of(dashboard(events)).get(path, headers={"host": host}).status_code == 421


@pytest.mark.parametrize("host", ["localhost", "localhost:1", "127.0.0.1:8765", "[::1]:8765", "LocalHost:8765"])
def test_the_names_of_this_machine_are_answered(events: EventService, host: str) -> None:
    assert client_of(dashboard(events)).get("/healthz", headers={"host": host}).status_code == 200


def test_a_name_that_is_allowed_is_answered(events: EventService) -> None:
    app = dashboard(events, hosts=["events.example.com", "2001:db8::1"])
    assert client_of(app).get("/healthz", headers={"host": "events.example.com:80"}).status_code == 200
    assert client_of(app).get("/healthz", headers={"host": "[2001:db8::1]"}).status_code == 200
    assert client_of(app).get("/healthz", headers={"host": "other.example.com"}).status_code == 421


def test_two_names_at_once_are_refused(events: EventService) -> None:
    client = client_of(dashboard(events))
    request = client.build_request("GET", "/healthz", headers=[("host", "127.0.0.1"), ("host", "evil.example")])
    assert client.send(request).status_code == 421


@pytest.mark.parametrize("headers", [{"authorization": f"Bearer {TOKEN}"}, basic("ada", TOKEN), basic("", TOKEN)])
def test_the_token_lets_in_as_bearer_and_as_password(guarded: Any, headers: dict[str, str]) -> None:
    assert client_of(guarded, address=ELSEWHERE).get("/api/v1/metrics", headers=headers).status_code == 200


def test_two_tokens_at_once_are_refused(guarded: Any) -> None:
    """A proxy that checks one of them and this server that checks the other would both be content."""
    client = client_of(guarded, address=ELSEWHERE)
    both = [("authorization", f"Bearer {TOKEN}"), ("authorization", "Bearer another")]
    assert client.send(client.build_request("GET", "/api/v1/metrics", headers=both)).status_code == 401
    assert client.send(client.build_request("GET", "/api/v1/metrics", headers=both[:1])).status_code == 200


def test_healthz_is_open_to_this_machine_only(guarded: Any) -> None:
    assert client_of(guarded).get("/healthz").json() == {"status": "ok"}
    assert client_of(guarded, address="::1").get("/healthz").status_code == 200
    assert client_of(guarded, address=ELSEWHERE).get("/healthz").status_code == 401
    assert client_of(guarded).get("/readyz").status_code == 401
    assert client_of(guarded).get("/metrics").status_code == 401
    assert client_of(guarded).get("//healthz").status_code == 401
    assert client_of(guarded).get("/%2e%2e/healthz").status_code == 401


def test_readiness_and_figures_are_told_to_who_may(client: Any) -> None:
    assert client.get("/readyz").json() == {"status": "ready"}
    answer = client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "# TYPE eventsys_" in answer.text


def test_readiness_fails_when_redis_does_not_answer() -> None:
    away = EventService(redis_url="redis://127.0.0.1:1/0", name="away")
    client = client_of(dashboard(away))
    assert client.get("/readyz").status_code == 503
    assert client.get("/healthz").status_code == 200


@pytest.mark.parametrize(("method", "path"), [*LOOKS, *CHANGES])
def test_every_answer_forbids_what_pages_may_not_do(guarded: Any, method: str, path: str) -> None:
    for token in (None, VIEWER_TOKEN):
        headers = client_of(guarded, token=token).request(method, path).headers
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy
        assert "script-src 'self'" in policy
        assert "frame-ancestors 'none'" in policy
        assert "unsafe" not in policy
        assert headers["x-content-type-options"] == "nosniff"
        assert "server" not in headers


def test_looking_changes_nothing(events: EventService, client: Any, redis_client: redis.Redis) -> None:
    event = events.publish("user.login", {"user_id": "1"})
    events.schedule("user.logout", {"user_id": "1"}, delay="1h")
    events.cron.create("nightly", "0 6 * * *", "report.due")
    events.get_metrics()  # what was measured is added to its counters when somebody reads them
    before = _contents(redis_client)
    for method, path in LOOKS:
        given = path.replace("/events/x", f"/events/{event.id}").replace("/cron/x", "/cron/nightly")
        assert client.request(method, given).status_code < 500, path
        assert _contents(redis_client) == before, path


def test_a_request_that_is_too_large_is_refused(client: Any) -> None:
    large = b'{"type": "user.login", "payload": {"x": "' + b"x" * 1024 * 1024 + b'"}}'
    assert client.post("/api/v1/events", content=large, headers=JSON).status_code == 413

    def parts() -> Any:
        yield from [b"x" * 100_000] * 12

    assert client.post("/api/v1/events", content=parts(), headers=JSON).status_code == 413


def test_a_compressed_request_is_refused(client: Any) -> None:
    headers = {**JSON, "content-encoding": "gzip"}
    assert client.post("/api/v1/events", content=b"\x1f\x8b", headers=headers).status_code == 415


def test_one_address_asks_so_often_and_no_more_and_others_go_on(events: EventService) -> None:
    from eventsys.dashboard.gate import USUAL_BURST

    app = dashboard(events)
    events.broker.clock.monotonic = lambda: 5.0  # type: ignore[method-assign]
    stopped = dashboard(events)
    greedy = client_of(stopped)
    answers = [greedy.get("/healthz").status_code for _ in range(USUAL_BURST + 1)]
    assert answers == [200] * USUAL_BURST + [429]
    assert client_of(stopped, address="::1").get("/healthz").status_code == 200
    assert client_of(app).get("/healthz").status_code == 200


def test_who_guesses_tokens_is_told_to_wait_and_keeps_nobody_out(guarded: Any) -> None:
    """Behind a proxy who guesses has the address of those whose token is right."""
    guesser = client_of(guarded, address=ELSEWHERE, token="guess-guess-guess")
    answers = [guesser.get("/api/v1/metrics").status_code for _ in range(12)]
    assert answers[:10] == [401] * 10
    assert answers[11] == 429
    for token in (TOKEN, VIEWER_TOKEN):
        assert client_of(guarded, address=ELSEWHERE, token=token).get("/api/v1/metrics").status_code == 200
    asking = client_of(guarded, address=ELSEWHERE).get("/api/v1/metrics")
    assert (asking.status_code, "Basic" in asking.headers["www-authenticate"]) == (401, True)
    assert client_of(guarded, address="192.0.2.8", token="guess-guess-guess").get("/api/v1/metrics").status_code == 401


def test_who_is_refused_cannot_fill_the_log(
    events: EventService, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    now_s = 5.0
    monkeypatch.setattr(events.broker.clock, "monotonic", lambda: now_s)
    app = dashboard(events, token=TOKEN)
    stranger = client_of(app)
    assert {stranger.get("/api/v1/metrics").status_code for _ in range(gate.TOLD_BURST + 7)} == {401}
    assert client_of(app, token=TOKEN).post("/api/v1/events", headers={"origin": "http://x.test"}).status_code == 403
    now_s += 1 / gate.TOLD_RATE
    stranger.get("/api/v1/metrics")
    told = [record.getMessage() for record in caplog.records if record.name == gate.__name__]
    assert len(told) == gate.TOLD_BURST + 2
    assert told[-2] == "a request was refused: the page that sent this is none of this server"
    assert told[-1].endswith("or as a password (and before it 7 more by 401)")


def test_requests_that_prove_nothing_keep_nobody_out(events: EventService, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "USUAL_BURST", 3)
    monkeypatch.setattr(events.broker.clock, "monotonic", lambda: 5.0)
    app = dashboard(events, token=TOKEN, viewer_token=VIEWER_TOKEN)
    stranger, viewer, operator = client_of(app), client_of(app, token=VIEWER_TOKEN), client_of(app, token=TOKEN)
    assert {stranger.get("/api/v1/metrics").status_code for _ in range(8)} == {401}
    # Where a proxy of this machine passes it on, anybody asks like a probe.
    assert [stranger.get("/healthz").status_code for _ in range(4)] == [200] * 3 + [429]
    assert [viewer.get("/api/v1/about").status_code for _ in range(4)] == [200] * 3 + [429]
    assert [operator.get("/api/v1/about").status_code for _ in range(4)] == [200] * 3 + [429]
    elsewhere = client_of(app, address=ELSEWHERE, token=TOKEN)
    assert elsewhere.get("/api/v1/about").status_code == 200


def test_an_attempt_on_a_websocket_is_closed(events: EventService) -> None:
    from starlette.websockets import WebSocketDisconnect

    with pytest.raises(WebSocketDisconnect), client_of(dashboard(events)).websocket_connect("/api/v1/events"):
        pass


def _contents(client: redis.Redis) -> str:
    digest = hashlib.sha256()
    for key in sorted(client.scan_iter(count=1000)):
        digest.update(key + (client.dump(key) or b""))
    return digest.hexdigest()


def test_bytes_that_no_address_has_are_refused(client: Any) -> None:
    """A client library would percent-encode them; somebody who types into a socket does not."""
    app = client.app

    async def with_raw_query(scope: Any, receive: Any, send: Any) -> None:
        await app({**scope, "query_string": b"types=\x9f"}, receive, send)

    answer = client_of(with_raw_query).get("/asyncapi.json")
    assert answer.status_code == 400
    assert "percent-encoded" in answer.json()["detail"]
