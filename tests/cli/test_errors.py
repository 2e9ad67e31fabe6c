"""What the commands say when something is wrong."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from eventsys import EventService
from eventsys.cli.commands import app
from eventsys.cli.wording import in_options

NOBODY = "redis://127.0.0.1:1"


@pytest.fixture(autouse=True)
def _own_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing a command changes in the environment or beside itself outlives its test."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("EVENTSYS_REDIS_URL", NOBODY)
    monkeypatch.delenv("REDIS_URL", raising=False)


def run(*arguments: str, stdin: str | None = None) -> Result:
    return CliRunner().invoke(app, list(arguments), input=stdin)


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["publish", "user.login", "{bad"], "the payload is no JSON"),
        (["publish", "order.paid", "[1]"], 'must be a JSON object; wrap a single value, as in {"value": ...}'),
        (["publish", "user.login", "[1]"], "UserSession, which is registered for it: Input should be a JSON object"),
        (["publish", "user.login", "{}"], "UserSession, which is registered for it: user_id: Field required"),
        (["publish", "order.paid", '{"amount": NaN}'], "payload.amount is nan"),
        (["publish", "User.Login", "{}"], "did you mean 'user.login'?"),
        (["publish", "order.paid", "{}", "--source", "s" * 513], "source has 513 characters, and may have at most 512"),
        (["publish", "order.paid", "{}", "--delay", "5 parsecs"], "'5 parsecs' is not a duration"),
        (["publish", "order.paid", "{}", "--redis-url", "bogus://"], "this Redis URL is of no known kind"),
        (["worker", "no_such_module"], "there is no module 'no_such_module'"),
        (["worker", "no_such/module.py"], "is a path; give the name that Python imports: no_such.module"),
        (["dev", "no_such_module"], "there is no module 'no_such_module'"),
        (
            ["worker", "eventsys", "--liveness-file", "/no/such/directory/alive"],
            "/no/such/directory/alive cannot be written: No such file or directory; name another --liveness-file",
        ),
        (["events", "ls", "--type", "Order"], "pattern 'Order' has the segment 'Order'"),
        (["events", "ls", "--since", "3x"], "'3x' is no time"),
        (["events", "ls", "--since", "1h", "--until", "2h"], "swap them"),
        (["events", "export", "--to", "/no/such/directory/file"], "/no/such/directory/file cannot be written"),
        (["events", "export", "--type", "Order"], "pattern 'Order'"),
        (["events", "replay", "--sub", "ship", "--type", "Order"], "pattern 'Order'"),
        (["delayed", "ls", "--type", "Order"], "pattern 'Order'"),
        (["delayed", "ls", "--sub", "ship"], "--sub goes with --retries"),
        (["delayed", "ls", "--retries", "--type", "order.*"], "chosen by --sub alone"),
        (["delayed", "schedule", "order.due", "{}"], "say when it is due: --delay 10m or --at"),
        (["delayed", "reschedule", "id", "--delay", "1h", "--at", "2027-01-01"], "one of them"),
        (["delayed", "cancel"], "say which: an ID, --key, or all of a --type"),
        (["dead", "ls", "--type", "Order"], "pattern 'Order'"),
        (["dead", "redrive"], "say which: ids, or a filter"),
        (["dead", "redrive", "one:ship", "--rate", "10/s"], "single IDs are sent at once"),
        (["cron", "create", "tidying"], "say when it runs"),
        (["cron", "delete", "tidying"], "There is nobody to ask here; say --yes to do it"),
        (["health"], "say which file: --liveness-file"),
        (["health", "--liveness-file", "/no/such/file", "--max-age", "soon"], "'soon' is not a duration"),
        (["schema", "diff", "/no/such/file"], "make one: eventsys schema export"),
        (["new", "/proc/nowhere"], "/proc/nowhere cannot be written: No such file or directory; name another"),
        (["new", ".", "--package", "class"], "'class' is no name of a Python package"),
    ],
)
def test_what_cannot_be_done_as_typed_is_told_in_one_sentence_and_ends_with_2(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    assert said in result.stderr
    assert result.stderr.startswith("error: ")
    assert result.stderr.count("\n") == 1
    assert result.stdout == ""


CREATE = ("cron", "create", "tidying", "--schedule", "@daily", "--publish", "a.b")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["publish", "a.b", "{}", "--delay", "soon"], "'soon' is not a duration; give a number of seconds, or text"),
        (["publish", "a.b", "{}", "--correlation-id", "a b"], "--correlation-id 'a b' has whitespace"),
        (["publish", "a.b", "{}", "--idempotency-key", ""], "--idempotency-key has 0 characters"),
        (["publish", "a.b", '{"x": NaN}'], "payload.x is nan, which JSON has no number for; send null or text instead"),
        (["publish", "a.b", '{"x": "\\ud800"}'], "no valid Unicode; write the letter itself"),
        (
            ["delayed", "schedule", "a.b", "{}", "--at", "2001-01-01T00:00:00+00:00"],
            "--at 2001-01-01T00:00:00+00:00 is",
        ),
        (["delayed", "schedule", "a.b", "{}", "--delay", "1h", "--key", ""], "--key '' will not do"),
        (["events", "ls", "--since", "1h", "--until", "2h"], "is after --until"),
        (["events", "ls", "--since", "2026"], "'2026' has no unit"),
        (["events", "ls", "--until", "1.5"], "'1.5' has no unit"),
        (["dead", "redrive", "--since", "20261125"], "a date such as 2026-11-25"),
        (["events", "ls", "--since", "99999999w"], "'99999999w' is longer ago than the first date there is"),
        (["events", "replay", "--sub", "s", "--since", "99999999w"], "is longer ago than the first date there is"),
        (["cron", "run", "tidying", "--delay", "1h", "--at", "2090-01-01"], "either --at 2026-12-24T18:00 or --delay"),
        ([*CREATE, "--catch-up", "soon"], "cannot be: --catch-up: 'soon' is not a duration; give a number of seconds"),
        ([*CREATE, "--jitter", "20000d"], "cannot be: --jitter: longer than ten years"),
        ([*CREATE, "--run-timeout", "0s"], "--run-timeout must be longer than nothing"),
        (
            [*CREATE, "--ends-at", "2001-01-01T00:00:00+00:00"],
            "cannot end in the past: --ends-at 2001-01-01T00:00:00+00:00",
        ),
        ([*CREATE, "--actor-args", "[1]"], "and --actor-args is for an actor; leave it out, or give --actor instead"),
        (["cron", "update", "tidying", "--actor", "tidy"], "needs either --publish or --actor, and not both"),
        (["cron", "create", "t", "--schedule", "@daily", "--publish", "A"], "cannot be: --publish: event type 'A'"),
        (["health", "--liveness-file", "/no/such/file", "--max-age", "soon"], "; give a number of seconds, or text"),
        (["schema", "ls", ""], "there is no module ''"),
    ],
)
def test_what_is_wrong_is_told_by_options_and_values_that_can_be_typed(
    events: EventService, arguments: list[str], said: str
) -> None:
    """Errors spoke to who writes Python: of a timedelta, of run_timeout, of either at=datetime or delay='10m'."""
    events.cron.create("tidying", "@hourly", "a.b")
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (2, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (
            ["publish", "a.b", "{}", "--priority", "urgent"],
            "'urgent' is not one of 'low', 'normal', 'high', 'critical'",
        ),
        (["events", "ls", "--limit", "many"], "it must be a whole number"),
        (["events", "ls", "--limit", "0"], "it must be at least 1"),
        (["events", "ls", "--limit", "501"], "it must be at most 500"),
        (["worker", "actors", "--processes", "99999999999999999999"], "it must be at most 1000"),
        (["worker", "actors", "--threads", "10001"], "it must be at most 10000"),
        (["dev", "actors", "--processes", "1001"], "it must be at most 1000"),
        (["top", "--every", "often"], "it must be a number"),
    ],
)
def test_a_value_that_an_option_does_not_take_is_told_without_pydantics_words(arguments: list[str], said: str) -> None:
    result = run(*arguments)
    assert result.exit_code == 2
    told = " ".join(result.stderr.replace("\u2502", " ").split())
    assert said in told
    assert "Value error" not in told
    assert "Input" not in told


@pytest.mark.parametrize(
    "said", ["no event 'max_runs' is recorded", "no cron task 'at=5'; eventsys cron ls shows all", "a.payload=1 is"]
)
def test_what_only_looks_like_a_keyword_stays_as_it_was_typed(said: str) -> None:
    assert in_options(said) == said


def test_a_module_without_a_service_is_told_what_to_write_and_nothing_of_variables() -> None:
    result = CliRunner().invoke(app, ["schema", "ls", "string"])
    assert result.exit_code == 2
    assert "no EventService is in string; write `events = EventService()`" in result.stderr
    assert "EVENTSYS_" not in result.stderr


def test_a_redis_that_is_away_is_told_in_one_sentence_with_the_next_step_and_ends_with_1() -> None:
    result = run("publish", "order.paid", "{}")
    assert result.exit_code == 1
    assert result.stderr.startswith("error: Redis does not answer")
    assert "--redis-url" in result.stderr
    assert result.stderr.count("\n") == 1


def test_debug_lets_the_error_out_with_its_traceback() -> None:
    result = run("publish", "order.paid", "{}", "--debug")
    assert type(result.exception).__name__ == "RedisUnavailableError"


@pytest.mark.parametrize(
    ("arguments", "next_step"),
    [
        (["events", "show", "nobody"], "eventsys events ls"),
        (["events", "trace", "nobody"], "eventsys events ls"),
        (["events", "replay", "--sub", "nobody", "--dry-run"], "eventsys subs ls"),
        (["subs", "backfill", "nobody", "--dry-run"], "eventsys subs ls"),
        (["subs", "pause", "nobody"], "eventsys subs ls"),
        (["delayed", "run", "nobody"], "eventsys delayed ls"),
        (["dead", "show", "nobody"], "eventsys dead ls"),
        (["cron", "run", "nobody"], "eventsys cron ls"),
        (["queue", "pause", "nobody"], "eventsys queue ls"),
        (["replays", "cancel", "nobody"], "eventsys replays ls"),
    ],
)
def test_what_is_not_there_is_told_with_the_command_that_shows_what_is_and_ends_with_1(
    events: EventService, arguments: list[str], next_step: str
) -> None:
    result = run(*arguments)
    assert (result.exit_code, result.stdout) == (1, "")
    assert next_step in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["publish"], ["publish", "a.b"], ["nothing"], ["worker"], ["demo", "--fast"]])
def test_a_wrong_use_ends_with_2(arguments: list[str]) -> None:
    assert run(*arguments).exit_code == 2
