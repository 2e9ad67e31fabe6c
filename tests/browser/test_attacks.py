"""What a hostile text or page tries in a real browser: nothing of it runs, and nothing changes."""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse
from starlette.routing import Route

from eventsys import Event, EventService
from eventsys.dashboard import Access, dashboard
from tests.browser.conftest import FOREIGN
from tests.browser.serving import served
from tests.dashboard.test_pages import CORPUS, HIDDEN

TOKEN = "operator-token-of-tests"

#: Each page of another site tries one way to change something with the credentials that the browser adds by itself.
FORM = """<form id="f" method="post" action="{url}/delayed/due/cancel"><input name="form_token" value="x"></form>
<script>document.getElementById("f").submit()</script>"""
PLAIN = """<form id="f" method="post" enctype="text/plain" action="{url}/api/v1/delayed/due/cancel"></form>
<script>document.getElementById("f").submit()</script>"""
FETCH = """<script>
const tries = [
  {{method: "POST", mode: "no-cors", body: "x"}},
  {{method: "POST", headers: {{"content-type": "application/json"}}, body: "{{}}"}},
  {{method: "POST", mode: "no-cors", headers: {{"content-type": "text/plain"}}, body: "{{}}"}},
  {{method: "DELETE"}},
];
Promise.allSettled(tries.map((one) => fetch("{url}/api/v1/delayed/due/cancel", {{...one, credentials: "include"}})))
  .then(() => {{ document.title = "tried"; }});
</script>"""
READ = """<img src="{url}/static/icon.svg"><iframe src="{url}/events"></iframe><script>
fetch("{url}/api/v1/events").then((one) => one.text()).then((text) => {{ document.title = "read " + text; }})
  .catch(() => {{ document.title = "tried"; }});
</script>"""


@pytest.fixture
def elsewhere(url: str) -> Iterator[str]:
    """A site of somebody else, one page for each way."""
    pages = {"form": FORM, "plain": PLAIN, "fetch": FETCH, "read": READ}

    async def give(request: Request) -> HTMLResponse:
        return HTMLResponse(pages[request.path_params["name"]].format(url=url))

    with served(Starlette(routes=[Route("/{name}", give)])) as address:
        yield address.replace("127.0.0.1", "localhost")


@pytest.mark.parametrize("name", ["form", "plain", "fetch", "read"])
def test_a_page_of_another_site_changes_and_reads_nothing(
    chrome: Any, url: str, elsewhere: str, events: EventService, name: str
) -> None:
    events.schedule("order.due", {"secret": "s3cr3t"}, delay="1h", id="due")
    events.publish("order.paid", {"secret": "s3cr3t"})
    context = chrome.new_context()
    page = context.new_page()
    page.goto(f"{url}/delayed")  # so that the browser has the cookie of the forms
    page.goto(f"{elsewhere}/{name}")
    if name in {"form", "plain"}:
        page.wait_for_url(f"{url}/**")
        assert "none of this server" in page.content()
    else:
        page.wait_for_function("() => document.title.startsWith('tried') || document.title.startsWith('read')")
        assert page.title() == "tried"
        assert not any("s3cr3t" in frame.content() for frame in page.frames)
    context.close()
    assert events.get_delayed_event("due").status == "pending"


def test_credentials_that_the_browser_adds_do_not_help_another_site(
    chrome: Any, events: EventService, monkeypatch: pytest.MonkeyPatch
) -> None:
    events.schedule("order.due", {}, delay="1h", id="due")
    with served(dashboard(events, access=Access(token=SecretStr(TOKEN)))) as guarded:

        async def give(request: Request) -> HTMLResponse:
            return HTMLResponse(FORM.format(url=guarded))

        with served(Starlette(routes=[Route("/", give)])) as other:
            password = {"username": "ada", "password": TOKEN}
            context = chrome.new_context(http_credentials={**password, "origin": guarded})
            page = context.new_page()
            page.goto(f"{guarded}/delayed")
            assert page.get_by_role("heading", name="Delayed events").count() == 1
            page.goto(other)
            page.wait_for_url(f"{guarded}/**")
            assert "none of this server" in page.content()
            context.close()
        stranger = chrome.new_context()
        assert stranger.request.get(guarded).status == 401
        basic = base64.b64encode(b"x:wrong-wrong-wrong-wrong").decode()
        assert stranger.request.get(guarded, headers={"authorization": f"Basic {basic}"}).status == 401
        stranger.close()
    assert events.get_delayed_event("due").status == "pending"


def test_a_name_that_was_made_to_lead_here_is_not_answered(chrome: Any, url: str) -> None:
    """A page whose own name leads to this machine is of one origin with what answers there (DNS rebinding)."""
    port = url.rpartition(":")[2]
    context = chrome.new_context()
    page = context.new_page()
    answer = page.goto(f"http://{FOREIGN}:{port}/events")
    assert answer.status == 421
    status = page.evaluate("() => fetch('/api/v1/events').then((one) => one.status)")
    assert status == 421
    context.close()


def test_hostile_text_runs_nowhere(page: Any, url: str, events: EventService, quick_work: Callable[..., Any]) -> None:
    @events.on("note.taken", name="'><svg/onload=alert(1)>", max_retries=0)
    def take(event: Event) -> None:
        raise RuntimeError(f"{event.source} {HIDDEN}")

    quick_work()
    hostile = {text: [text, {text: HIDDEN}] for text in CORPUS}
    made = [
        events.publish(
            "note.taken", hostile, source=text, headers={"h": text}, id=f"{number}{text}".replace(" ", "")[:128],
            correlation_id=text.replace(" ", "")[:128],
        )
        for number, text in enumerate(CORPUS)
    ]  # fmt: skip
    for event in made:
        events.wait(event.id)
    events.schedule("note.due", hostile, delay="1h", source=CORPUS[1], key=CORPUS[0], id=CORPUS[2].replace(" ", ""))
    events.cron.create("<script>alert(1)</script>", "@hourly", "note.due", hostile)
    events.bus.system.warn(CORPUS[0], f"{CORPUS[1]} {CORPUS[3]}", rule=CORPUS[2], details=hostile)
    assert events.bus.system.flush(60)
    for where in ("/", "/events", "/delayed", "/dead-letters", "/cron", "/subscriptions", "/workers", "/types",
                  "/types/note.taken", "/alerts", "/replays"):  # fmt: skip
        page.goto(url + where)
        _has_only_ours(page)
        links = page.evaluate(
            "() => [...document.querySelectorAll('main td a[href]')].map((one) => one.href).slice(0, 6)"
        )
        for link in links:
            assert link.startswith(f"{url}/"), link
            page.goto(link)
            _has_only_ours(page)


def _has_only_ours(page: Any) -> None:
    assert page.evaluate("() => typeof window.__ran") == "undefined"
    foreign = "img, iframe, object, embed, style, base, meta[http-equiv], script:not([src^='/static/'])"
    assert page.locator(foreign).count() == 0, page.url
    names = page.evaluate("() => [...document.querySelectorAll('*')].flatMap((one) => one.getAttributeNames())")
    assert not [name for name in names if name.startswith("on")], page.url
