"""What a task gives an actor and calls secret reaches the actor, and is not shown where that fails."""

from __future__ import annotations

from typing import Any

import dramatiq
import pytest

from eventsys.model.dead_letter import DeadLetter
from eventsys.model.masking import shown_model
from tests.cron.conftest import START
from tests.cron.rig import Rig
from tests.support.backups import ARGUMENTS, SECRETS
from tests.support.services import Services


@pytest.mark.parametrize("settings", [{}, {"signing_keys": "k1:a-secret-of-16-letters"}], ids=["unsigned", "signed"])
def test_a_dead_letter_of_a_run_masks_what_its_task_calls_secret(services: Services, settings: dict[str, Any]) -> None:
    events, given = services.make(**settings), []
    rig = Rig(events, START)

    @dramatiq.actor(broker=events.broker, actor_name="store", max_retries=0)
    def store(*args: Any, **kwargs: Any) -> None:
        given.append((list(args), kwargs))
        raise RuntimeError("no tape")

    events.cron.create("backup", "@minutely", actor=store, **ARGUMENTS)
    rig.advance(minutes=1)
    assert given == [(ARGUMENTS["actor_args"], ARGUMENTS["actor_kwargs"])]
    [letter] = events.dead_letters.list().items
    assert SECRETS[0] in letter.content["m"]
    shown = shown_model(letter).content["m"]
    assert not any(secret in shown for secret in SECRETS)
    assert "tape" in shown
    assert "front" in shown
    events.cron.delete("backup")
    events.dead_letters.redrive(letter.id)
    rig.advance(seconds=1)
    assert given[1:] == given[:1]


@pytest.mark.parametrize(
    "text",
    [
        "secret_fields",
        '["secret_fields"]',
        '{"options": "secret_fields"}',
        '{"options": {"secret_fields": ["a"]}}',
        '{"options": {"secret_fields": 7}, "args": [], "kwargs": {}}',
        '{"options": {"secret_fields": [7]}, "args": [1], "kwargs": {}}',
        '{"secret_fields": ' * 100_000,
    ],
)
def test_what_is_no_message_is_shown_as_it_is(text: str) -> None:
    letter = DeadLetter(id="1", reason="undecodable", died_at=START, content={"m": text, "n": "secret_fields"})
    assert shown_model(letter) == letter
