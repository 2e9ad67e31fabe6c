"""What an error says to who writes Python, in the words of who types a command."""

from __future__ import annotations

import re

#: Keywords of the library that an option of a command stands for under another name.
_RENAMED = {"event_type": "publish", "start_time": "since", "end_time": "until", "secret_fields": "secret"}

#: What an error says of keywords only where it stands in such a place: `jitter: ...`, `queue= is for ...`.
_PLAIN = "schedule|timezone|source|priority|actor|queue|payload|overlap|jitter|key|at|delay"
_JOINED = (
    "event_type|secret_fields|actor_args|actor_kwargs|catch_up_all|catch_up|max_runs|ends_at|run_timeout|max_retries"
    "|retry_delay|idempotency_key|correlation_id|start_time|end_time"
)

_WORDS = tuple(
    (re.compile(python), shell)
    for python, shell in (
        (r"give a timedelta, a number of seconds,", "give a number of seconds,"),
        (r"either at=datetime or delay='10m'", "either --at 2026-12-24T18:00 or --delay 10m"),
        (r"force=True", "--force"),
        (r"must be a dictionary or a pydantic model", "must be a JSON object"),
        (r"Input should be a valid dictionary", "Input should be a JSON object"),
        (r"as in \{'value': \.\.\.\}", 'as in {"value": ...}'),
        (r"send None or text instead", "send null or text instead"),
        (r"; decode the text with errors='replace' where it enters your program", "; write the letter itself"),
        (r"(?<=; )get_event tells", "eventsys events show tells"),
    )
)

#: What pydantic says of the value of an option.
_OF_VALUES = (
    ("Value error, ", ""),
    ("Input should be a valid integer, unable to parse string as an integer", "it must be a whole number"),
    ("Input should be a valid number, unable to parse string as a number", "it must be a number"),
    ("Input should be greater than or equal to ", "it must be at least "),
    ("Input should be less than or equal to ", "it must be at most "),
)

#: A keyword with its value, or as such; the first of a list of faults; and a long one wherever it stands by itself.
_KEYWORD = re.compile(
    rf"(?<![\w.'\"/-])(?:(?P<given>{_PLAIN}|{_JOINED})=(?=(?P<value>['\"\d])?)"
    rf"|(?P<fault>(?<=cannot be: )(?:{_PLAIN}|{_JOINED})(?=: )|(?<=; )(?:{_PLAIN}|{_JOINED})(?=: ))"
    rf"|(?P<alone>{_JOINED})(?![\w.'\"=-]))"
)


def in_options(text: str) -> str:
    """Return what an error of the library says, with options in the place of keywords, and JSON of values."""
    for python, shell in _WORDS:
        text = python.sub(shell, text)
    return _KEYWORD.sub(_option, text)


def without_pydantic(text: str) -> str:
    """Return what is wrong with the value of an option, as far as pydantic said it, for who has not heard of that."""
    for said, meant in _OF_VALUES:
        text = text.replace(said, meant)
    return text


def _option(found: re.Match[str]) -> str:
    name = found["given"] or found["fault"] or found["alone"]
    return f"--{_RENAMED.get(name, name).replace('_', '-')}{' ' if found['value'] else ''}"
