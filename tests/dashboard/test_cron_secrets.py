"""Secrets in the payloads of cron tasks: shown nowhere, and kept when something else of the task is changed."""

from __future__ import annotations

import json
from typing import Any

import pytest
from starlette.testclient import TestClient

from eventsys import EventService
from tests.dashboard.browser import Browser, Elements
from tests.dashboard.conftest import JSON
from tests.dashboard.test_page_forms import _filled_in
from tests.support.backups import ARGUMENTS, SECRETS, Backup, create_backup

API = "/api/v1/cron"


@pytest.fixture
def kept(events: EventService) -> dict[str, Any]:
    """The payload of a task, `backup`, with a secret and another one deeper."""
    return create_backup(events)


def test_secrets_of_a_task_are_shown_on_no_page_and_in_no_answer(
    client: TestClient, browser: Browser, kept: dict[str, Any]
) -> None:
    texts = {path: client.get(path, headers={"accept": "text/html"}).text
             for path in ("/cron", "/cron/backup", "/cron-form?name=backup")}  # fmt: skip
    texts |= {path: client.get(path).text for path in (API, f"{API}/backup")}
    texts |= {f"POST {verb}": client.post(f"{API}/backup/{verb}", headers=JSON).text for verb in ("pause", "resume")}
    texts["PATCH"] = client.patch(f"{API}/backup", json={"schedule": "@hourly"}).text
    whole = {"schedule": "@weekly", "event_type": "backup.due", "payload": kept}
    texts["PUT"] = client.put(f"{API}/backup", json=whole).text
    texts["DELETE"] = client.delete(f"{API}/backup", headers=JSON).text
    for where, text in texts.items():
        assert not any(secret in text for secret in SECRETS), where
        assert ("tape" in text) is (where != "/cron"), where


def test_secrets_stay_what_they_are_when_a_task_is_saved_from_its_form(
    browser: Browser, events: EventService, kept: dict[str, Any]
) -> None:
    text = browser.client.get("/cron-form?name=backup", headers={"accept": "text/html"}).text
    filled = {**_filled_in(text), "schedule": "@hourly"}
    assert "**********" in filled["payload"]
    assert browser.send("/cron-form?name=backup", "/cron-form", **filled).status_code == 303
    assert (events.cron.get("backup").payload, events.cron.get("backup").schedule) == (kept, "@hourly")
    filled["payload"] = '{"target": "disk", "password": "an0ther", "doors": []}'
    assert browser.send("/cron-form?name=backup", "/cron-form", **filled).status_code == 303
    assert events.cron.get("backup").payload == {"target": "disk", "password": "an0ther", "doors": []}


@pytest.mark.parametrize("method", ["PUT", "PATCH"])
def test_secrets_stay_what_they_are_when_a_program_sends_back_what_it_was_shown(
    client: TestClient, events: EventService, kept: dict[str, Any], method: str
) -> None:
    shown = client.get(f"{API}/backup").json()["payload"]
    sent = {"schedule": "@hourly", "event_type": "backup.due", "payload": {**shown, "target": "disk"}}
    assert client.request(method, f"{API}/backup", json=sent).status_code == 200
    assert events.cron.get("backup").payload == {**kept, "target": "disk"}


def test_asterisks_of_a_task_that_is_new_are_what_they_are(client: TestClient, events: EventService) -> None:
    sent = {"schedule": "@hourly", "event_type": "note.due", "payload": {"stars": "**********"}}
    assert client.put(f"{API}/new", json=sent).status_code == 200
    assert events.cron.get("new").payload == {"stars": "**********"}


MASK = "**********"
DOORS = [{"name": "front", "code": "1"}, {"name": "back", "code": "2"}]


@pytest.mark.parametrize(
    "doors",
    [
        [{"name": "back", "code": MASK}],
        [{"name": "back", "code": MASK}, {"name": "front", "code": MASK}],
        [{"name": "front", "code": MASK}, {"name": "roof", "code": MASK}],
        [*({**one, "code": MASK} for one in DOORS), {"name": "roof", "code": MASK}],
    ],
)
def test_asterisks_in_a_list_that_was_changed_stand_for_no_secret(
    browser: Browser, events: EventService, kept: dict[str, Any], doors: list[Any]
) -> None:
    """Whoever deleted the first door gave the second one its code."""
    events.cron.update("backup", payload={**kept, "doors": DOORS})
    sent = {"target": "tape", "password": MASK, "doors": doors}
    text = browser.client.get("/cron-form?name=backup", headers={"accept": "text/html"}).text
    filled = {**_filled_in(text), "payload": json.dumps(sent)}
    for answer in (
        browser.client.patch(f"{API}/backup", json={"payload": sent}),
        browser.send("/cron-form?name=backup", "/cron-form", **filled),
    ):
        assert (answer.status_code, "write the secret again" in answer.text) == (422, True)
    assert events.cron.get("backup").payload == {**kept, "doors": DOORS}


def test_secrets_that_are_sent_back_in_a_list_stay_beside_those_that_are_written_anew(
    client: TestClient, events: EventService, kept: dict[str, Any]
) -> None:
    events.cron.update("backup", payload={**kept, "doors": DOORS})
    doors = [{"name": "gate", "code": "9"}, {"name": "back", "code": MASK}]
    sent = {"target": "tape", "password": MASK, "doors": doors}
    assert client.patch(f"{API}/backup", json={"payload": sent}).status_code == 200
    assert events.cron.get("backup").payload == {**kept, "doors": [doors[0], DOORS[1]]}


@pytest.mark.parametrize("secret", [{}, {"secret_fields": ["password"], "event_type": "unknown.due"}])
def test_a_copy_of_a_task_is_given_no_asterisks_for_secrets(
    client: TestClient, events: EventService, kept: dict[str, Any], secret: dict[str, Any]
) -> None:
    shown = client.get(f"{API}/backup").json()["payload"]
    sent = {"schedule": "@daily", "event_type": "backup.due", "payload": shown, **secret}
    answer = client.put(f"{API}/copy", json=sent)
    assert (answer.status_code, "write the secret again" in answer.text) == (422, True)
    assert [task.name for task in events.cron.list().items] == ["backup"]


@pytest.fixture
def sends(events: EventService) -> None:
    """A task, `backup`, that sends an actor secrets."""
    events.cron.create("backup", "@daily", actor="store", **ARGUMENTS)


def test_secret_arguments_of_an_actor_are_shown_on_no_page_and_in_no_answer(client: TestClient, sends: None) -> None:
    texts = {path: client.get(path, headers={"accept": "text/html"}).text
             for path in ("/cron", "/cron/backup", "/cron-form?name=backup")}  # fmt: skip
    texts |= {path: client.get(path).text for path in (API, f"{API}/backup")}
    texts["PATCH"] = client.patch(f"{API}/backup", json={"schedule": "@hourly"}).text
    for where, text in texts.items():
        assert not any(secret in text for secret in SECRETS), where
        assert ("front" in text) is (where != "/cron"), where


def test_secret_arguments_stay_what_they_are_when_a_task_is_saved_from_its_form(
    browser: Browser, events: EventService, sends: None
) -> None:
    text = browser.client.get("/cron-form?name=backup", headers={"accept": "text/html"}).text
    given = {one["name"]: one.get("value") or "" for one in Elements(text).of("input") if one.get("name")}
    filled = {**_filled_in(text), "actor_args": given["actor_args"].replace("tape", "disk")}
    assert given["secret_fields"] == "1, token, door.code"
    assert browser.send("/cron-form?name=backup", "/cron-form", **filled).status_code == 303
    task = events.cron.get("backup")
    assert task.actor_args == ("disk", SECRETS[0])
    assert task.actor_kwargs == ARGUMENTS["actor_kwargs"]
    assert task.secret_fields == ("1", "token", "door.code")


@pytest.mark.parametrize(
    "sent",
    [
        {"actor_args": [MASK, "tape"]},
        {"actor_args": [MASK]},
        {"actor_kwargs": {"door": {"code": MASK}, "token": {"old": MASK}}},
        {"actor_kwargs": {"place": {"token": MASK}, "door": {"lock": {"code": MASK}}}},
    ],
)
def test_asterisks_that_stand_for_nothing_are_given_to_no_actor(
    client: TestClient, events: EventService, sends: None, sent: dict[str, Any]
) -> None:
    before = events.cron.get("backup")
    answer = client.patch(f"{API}/backup", json=sent)
    assert (answer.status_code, "write the secret again" in answer.text) == (422, True)
    assert events.cron.get("backup") == before


def test_a_form_can_say_what_is_secret(browser: Browser, events: EventService) -> None:
    fields = {"name": "notes", "schedule": "@daily", "event_type": "note.due", "payload": '{"a": {"b": "0penSesame"}}'}
    browser.send("/cron-form", "/cron-form", **fields, secret_fields="a.b, with space,")
    assert events.cron.get("notes").secret_fields == ("a.b", "with space")
    assert SECRETS[1] not in browser.client.get("/cron/notes", headers={"accept": "text/html"}).text


def test_a_program_sends_back_the_arguments_that_it_was_shown(
    client: TestClient, events: EventService, sends: None
) -> None:
    shown = client.get(f"{API}/backup").json()
    sent = {name: shown[name] for name in ("actor_args", "actor_kwargs")}
    sent["actor_kwargs"]["door"]["name"] = "back"
    assert client.patch(f"{API}/backup", json=sent).status_code == 200
    task = events.cron.get("backup")
    assert list(task.actor_args) == ARGUMENTS["actor_args"]
    assert task.actor_kwargs == {"door": {"code": SECRETS[1], "name": "back"}, "token": SECRETS[0]}


def test_what_is_kept_stays_secret_whatever_names_are_sent(browser: Browser, events: EventService, sends: None) -> None:
    """Whoever may change a task read its secrets by taking back their names, alone or with asterisks for them."""
    text = browser.client.get("/cron-form?name=backup", headers={"accept": "text/html"}).text
    form = {one["name"]: one.get("value") or "" for one in Elements(text).of("input") if one.get("name")}
    shown = browser.client.get(f"{API}/backup").json()
    sent = {part: shown[part] for part in ("actor_args", "actor_kwargs")}
    whole = {"schedule": "@daily", "actor": "store", **sent, "secret_fields": []}
    answers = [
        browser.client.patch(f"{API}/backup", json={"secret_fields": []}),
        browser.client.patch(f"{API}/backup", json={"secret_fields": ["door.name"], "actor": "print"}),
        browser.client.put(f"{API}/backup", json=whole),
        browser.send("/cron-form?name=backup", "/cron-form", **{**form, **_filled_in(text), "secret_fields": ""}),
        browser.client.patch(f"{API}/backup", json={"secret_fields": [], "actor_args": []}),
        browser.client.patch(f"{API}/backup", json={"secret_fields": [], **sent, "actor_args": []}),
    ]
    assert [one.status_code for one in answers] == [200, 200, 200, 303, 200, 200]
    seen = "".join(one.text for one in (*answers, browser.client.get(f"{API}/backup")))
    assert SECRETS[1] in str(events.cron.get("backup").actor_kwargs)
    assert not any(secret in seen for secret in SECRETS)
    anew = {"actor_args": [], "actor_kwargs": {"day": "monday"}, "secret_fields": []}
    assert browser.client.patch(f"{API}/backup", json=anew).json()["actor_kwargs"] == {"day": "monday"}
    assert events.cron.get("backup").secret_fields is None


def test_what_a_model_calls_secret_stays_so_though_whoever_made_the_task_did_not_know_it(
    client: TestClient, events: EventService
) -> None:
    """The row names nothing; the dashboard's process masked it by the model, until it was given another type."""
    payload = {"target": "tape", "password": SECRETS[0]}
    events.cron.create("backup", "@daily", "backup.due", payload)
    events.type("backup.due", Backup)
    assert client.get(f"{API}/backup").json()["payload"]["password"] == MASK
    answer = client.patch(f"{API}/backup", json={"event_type": "unknown.due", "secret_fields": []})
    assert answer.json()["payload"] == {"target": "tape", "password": MASK}
    assert events.cron.get("backup").payload == payload
