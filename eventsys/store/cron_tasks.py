"""The cron tasks of a bus and their runs, as every process sees them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import suppress
from typing import Any, NamedTuple

import msgspec

from eventsys.clock import from_ms
from eventsys.errors import CronTaskError, EventsysError, SettingsError
from eventsys.model.cron_task import CronRun, CronTask, RunOutcome, TaskLine, TaskState
from eventsys.model.seal import CRON_LINE, CRON_TASK, Seal, without_signature
from eventsys.model.stored_format import check_format
from eventsys.store.delayed_entries import Entry, bucket_of, readable_entries
from eventsys.store.keys import Keys
from eventsys.store.link import Link
from eventsys.store.oddities import read_or_pass_over, reading, reply_of, text_of
from eventsys.store.scripts import script
from eventsys.store.steps import Step, packed

_FIELDS = (
    "definition", "state", "reason", "revision", "armed", "tick_ms", "due_ms", "runs", "waiting", "held",
    "declared", "declared_hash", "declared_ms", "created_ms", "updated_ms",
)  # fmt: skip
_LINE = ("line", "state", "due_ms")

#: The fields of a row that are signed, and as what: with a line in its place a definition would be one of defaults.
_SIGNED = {"definition": CRON_TASK, "line": CRON_LINE}


class CronRow(NamedTuple):
    """A cron task as it is stored.

    Attributes:
        task: The task.
        armed: What its next tick is called; None when it waits for none.
        waits: Whether something waits for its open run to end.
        declared_hash: Of the definition that code declared last.
        declared_ms: Since when code declares that, by the clock of the bus; 0: it was not noted.
        older: The definition as it was before it was signed, if another key than the first did; else None.
    """

    task: CronTask
    armed: str | None
    waits: bool
    declared_hash: str
    declared_ms: int
    older: str | None = None


class OpenRun(NamedTuple):
    """A run that is on.

    Attributes:
        run: The run.
        deadline_ms: When it counts as failed.
    """

    run: CronRun
    deadline_ms: int


class CronTaskStore:
    """Reads and changes cron tasks.

    Args:
        link: The way to Redis.
        keys: The keys of the bus.
        seal: What signs the definitions of tasks, and refuses others; None: neither.
    """

    def __init__(self, link: Link, keys: Keys, seal: Seal | None = None) -> None:
        self._link = link
        self._keys = keys
        self._seal = seal

    def read(self, names: Sequence[str]) -> list[CronRow]:
        """Return the tasks of these names that exist.

        Raises:
            CronTaskError: If one of them cannot be read.
        """
        rows = [self._row_if_any(name, values) for name, values in zip(names, self._raw(names), strict=True)]
        return [row for row in rows if row is not None]

    def readable(self, names: Sequence[str]) -> list[CronRow]:
        """Return those of these tasks that can be read: one that cannot keeps nobody from looking after the others."""
        rows: list[CronRow | None] = []
        for name, values in zip(names, self._raw(names), strict=True):
            with suppress(SettingsError):  # what a newer eventsys wrote is looked after by that
                rows.append(read_or_pass_over(self._keys.cron_task(name), self._row_if_any, name, values))
        return [row for row in rows if row is not None]

    def signed_before(self, names: Sequence[str]) -> list[CronRow]:
        """Return those of these tasks that an older key signed, or the tick that they wait for.

        Where only one key is known, nothing is read.
        """
        if self._seal is None or not self._seal.has_older_keys:
            return []
        rows = self.readable(names)
        ids = [_tick_id(row.task.name) for row in rows]
        ticks = [one for one in readable_entries(self._link, self._keys, ids) if one is not None]
        older = {one.id for one in ticks if read_or_pass_over(f"the delayed store, id {one.id}", self._is_older, one)}
        return [row for row, tick_id in zip(rows, ids, strict=True) if row.older is not None or tick_id in older]

    def names(self) -> list[str]:
        """Return the names of all tasks, in order."""
        return [text_of(name) for name in self._link.call("ZRANGE", self._keys.cron_tasks, 0, -1)]

    def page(self, start: int, count: int) -> tuple[list[CronRow], int]:
        """Return tasks in the order of their names, as far as they can be read, and how many there are."""
        names, total = self._names_on(start, count)
        rows = [
            read_or_pass_over(self._keys.cron_task(name), self._row_if_any, name, values)
            for name, values in zip(names, self._raw(names), strict=True)
        ]
        return [row for row in rows if row is not None], total

    def lines(self, start: int, count: int) -> tuple[list[TaskLine], int]:
        """Return the same tasks as a list shows them, however long what they hand over is."""
        names, total = self._names_on(start, count)
        found = self._link.pipeline([("HMGET", self._keys.cron_task(name), *_LINE) for name in names]) if names else []
        lines = [
            read_or_pass_over(self._keys.cron_task(name), self._line_if_any, name, values)
            for name, values in zip(names, found, strict=True)
        ]
        return [line for line in lines if line is not None], total

    def change(
        self,
        now_ms: int,
        name: str,
        *,
        expected: int | None,
        armed: str | None,
        change_id: str,
        row: Mapping[str, str] | None,
        arming: tuple[Any, ...],
        told: Sequence[Step],
    ) -> bool:
        """Write a task, or delete it, and say whether it was what the change was computed with.

        Args:
            now_ms: The clock's time.
            name: The task.
            expected: Its revision; None: there is none.
            armed: What its next tick was called; None: it waited for none.
            change_id: By which the change is known again when its reply was lost.
            row: The fields to set; None deletes it.
            arming: What becomes of its next tick, as `lua/change_cron_task.lua` reads it.
            told: Events that tell of it.
        """
        seal = self._seal
        if seal is not None:
            arming, told = seal.signed_step(arming), seal.signed_step(list(told))
            if row is not None:
                row = {**row, **{one: seal.signed(kind, row[one]) for one, kind in _SIGNED.items() if one in row}}
        flat = False if row is None else [part for pair in row.items() for part in pair]
        (is_changed, _), is_repeated = self._link.run_telling(
            script("change_cron_task"), self._keys.prefix, now_ms, name, "" if expected is None else expected,
            armed or "", change_id, packed(flat), packed(arming), *map(packed, told),
        )  # fmt: skip
        # Of what was deleted nothing is left to tell by whom.
        return bool(is_changed) or (is_repeated and row is None)

    def open_runs(self, name: str) -> list[OpenRun]:
        """Return the runs that are on, the newest first."""
        key = self._keys.cron_open(name)
        return _opened(key, name, self._link.call("HVALS", key))

    def open_run(self, name: str, run_id: str) -> OpenRun | None:
        """Return a run that is on, or None."""
        key = self._keys.cron_open(name)
        text = self._link.call("HGET", key, run_id)
        with reading(f"{key}, field {run_id}"):
            return None if text is None else _open(name, text)

    def history(self, name: str, start: int, count: int) -> tuple[list[CronRun], int]:
        """Return runs, those that are on first, then the newest, and how many there are."""
        opened = [one.run for one in self.open_runs(name)]
        first = max(0, start - len(opened))
        over = max(0, count - len(opened[start : start + count]))
        key = self._keys.cron_history(name)
        texts, length = self._link.read([("LRANGE", key, first, first + over - 1), ("LLEN", key)])
        closed = _closed(key, name, texts) if over else []
        return [*opened[start : start + count], *closed], len(opened) + int(length)

    def newest_runs(self, names: Sequence[str], count: int) -> dict[str, list[CronRun]]:
        """Return the newest runs of several tasks, those that are on first, in one round trip."""
        keys = self._keys
        commands = [
            command
            for name in names
            for command in (("HVALS", keys.cron_open(name)), ("LRANGE", keys.cron_history(name), 0, count - 1))
        ]
        replies = self._link.pipeline(commands) if commands else []
        found: dict[str, list[CronRun]] = {}
        for name, opened, closed in zip(names, replies[::2], replies[1::2], strict=True):
            runs = [one.run for one in _opened(keys.cron_open(name), name, opened)]
            found[name] = [*runs, *_closed(keys.cron_history(name), name, closed)][:count]
        return found

    def letter_error(self, message_id: str) -> str | None:
        """Return the error of a dead letter, None when there is no such letter."""
        error = self._link.call("HGET", self._keys.letter(message_id), "error")
        return None if error is None else error.decode("utf-8", "replace")

    def strays(self, names: Sequence[str]) -> list[str]:
        """Return those of these tasks whose tick is not in the delayed store."""
        ids = [_tick_id(name) for name in names]
        commands = [("HEXISTS", self._keys.delayed_ids(bucket_of(one)), one) for one in ids]
        found = self._link.pipeline(commands) if ids else []
        return [name for name, exists in zip(names, found, strict=True) if not exists]

    def _names_on(self, start: int, count: int) -> tuple[list[str], int]:
        key = self._keys.cron_tasks
        found, total = self._link.read([("ZRANGE", key, start, start + count - 1), ("ZCARD", key)])
        return [text_of(name) for name in found], int(total)

    def _raw(self, names: Sequence[str]) -> Iterator[Any]:
        return self._link.in_parts([("HMGET", self._keys.cron_task(name), *_FIELDS) for name in names])

    def _row_if_any(self, name: str, values: Any) -> CronRow | None:
        if not any(reply_of(values)):
            return None
        row = self._row(name, values)
        self._check_name(name, row.task.name)
        return row

    def _line_if_any(self, name: str, values: Any) -> TaskLine | None:
        written, state, due_ms = reply_of(values)
        if not any((written, state, due_ms)):
            return None
        line = TaskLine(
            **msgspec.json.decode(self._unsealed(CRON_LINE, written or b"")),
            state=TaskState(state.decode()),
            next_run_at=None if due_ms is None else from_ms(int(due_ms)),
        )
        self._check_name(name, line.name)
        return line

    def _unsealed(self, kind: str, text: bytes) -> bytes:
        """Return what is written of a task, once it is known that one of ours wrote it, and none that is newer."""
        if self._seal is not None:
            text = self._seal.body_of(kind, text_of(text)).encode()
        text = without_signature(text)
        check_format(text, "a cron task")
        return text

    def _is_older(self, tick: Entry) -> bool:
        """Say whether another key than the first signed the message of a tick."""
        return self._seal is not None and self._seal.is_by_older_key(tick.step[3][1])

    def _row(self, name: str, values: Sequence[bytes | None]) -> CronRow:
        written = values[0] or b""
        definition = self._unsealed(CRON_TASK, written)
        is_older = self._seal is not None and self._seal.is_by_older_key(text_of(written))
        try:
            return _row(values, definition)._replace(older=text_of(definition) if is_older else None)
        except (msgspec.MsgspecError, ValueError, TypeError, LookupError, ArithmeticError, RecursionError) as error:
            if isinstance(error, EventsysError):
                raise
            raise self._unreadable(name, f"cannot be read: {type(error).__name__}") from error

    def _check_name(self, name: str, written: str) -> None:
        """Refuse what was written, and perhaps signed, for another task."""
        if written != name:
            raise self._unreadable(name, f"holds what was written for {written!r}")

    def _unreadable(self, name: str, why: str) -> CronTaskError:
        key = self._keys.cron_task(name)  # `delete` returns the task as it was, and so cannot help
        return CronTaskError(f"the row of cron task {name!r} {why}; let redis-cli DEL {key}, and declare it again")


def _tick_id(name: str) -> str:
    return f"cron-tick:{name}"


def _row(values: Sequence[bytes | None], definition: bytes) -> CronRow:
    texts = {name: value for name, value in zip(_FIELDS, values, strict=True) if value is not None}
    tick_ms = int(texts["tick_ms"]) if "tick_ms" in texts else None
    due_ms = int(texts["due_ms"]) if "due_ms" in texts else None
    task = CronTask(
        **msgspec.json.decode(definition),
        state=texts["state"].decode(),
        reason=texts.get("reason", b"").decode(),
        next_tick_at=None if tick_ms is None else from_ms(tick_ms),
        next_run_at=None if due_ms is None else from_ms(due_ms),
        runs=int(texts.get("runs", b"0")),
        is_declared=texts.get("declared") == b"1",
        revision=int(texts["revision"]),
        created_at=from_ms(int(texts["created_ms"])),
        updated_at=from_ms(int(texts["updated_ms"])),
    )
    armed = texts["armed"].decode() if "armed" in texts else None
    waits = "waiting" in texts or "held" in texts
    return CronRow(task, armed, waits, texts.get("declared_hash", b"").decode(), int(texts.get("declared_ms", b"0")))


def _opened(key: str, name: str, texts: Any) -> list[OpenRun]:
    found = [read_or_pass_over(key, _open, name, text) for text in read_or_pass_over(key, reply_of, texts) or ()]
    opened = [one for one in found if one is not None]
    return sorted(opened, key=lambda one: str(one.run.started_at), reverse=True)


def _closed(key: str, name: str, texts: Any) -> list[CronRun]:
    found = [read_or_pass_over(key, _decoded, name, text) for text in read_or_pass_over(key, reply_of, texts) or ()]
    return [one for one in found if one is not None]


def _decoded(name: str, text: bytes) -> CronRun:
    return _run(name, msgspec.json.decode(text))


def _open(name: str, text: bytes) -> OpenRun:
    facts = msgspec.json.decode(text)
    return OpenRun(_run(name, facts), int(facts["deadline_ms"]))


def _run(name: str, facts: Mapping[str, Any]) -> CronRun:
    def moment(field: str) -> Any:
        return from_ms(int(facts[field])) if facts.get(field) else None

    return CronRun(
        task=name,
        run_id=facts["run_id"],
        scheduled_for=moment("scheduled_ms"),
        started_at=moment("started_ms"),
        ended_at=moment("ended_ms"),
        outcome=RunOutcome(facts.get("outcome", "running")),
        error=facts.get("error", ""),
        manual=not facts.get("scheduled_ms"),
        target_id=facts.get("target_id"),
    )
