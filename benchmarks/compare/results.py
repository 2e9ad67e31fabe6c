"""Results of a comparison: what was measured, what does not exist and what failed, as JSON and back."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Literal

Status = Literal["measured", "none", "failed"]


@dataclass
class Cell:
    """One contestant at one workload.

    Attributes:
        contestant: Its name.
        peer: The system it is a setting of.
        status: `none` where the system has no such thing, `failed` where a run came to nothing.
        reason: Of `none` and `failed`.
        runs: The figures of each round.
    """

    contestant: str
    peer: str
    status: Status = "measured"
    reason: str = ""
    runs: list[dict[str, float]] = field(default_factory=list)

    @property
    def medians(self) -> Mapping[str, float]:
        """The median of each figure by itself; empty where nothing was measured."""
        if not self.runs:
            return {}
        return {name: statistics.median(run[name] for run in self.runs) for name in self.runs[0]}


@dataclass
class Table:
    """One workload with all contestants."""

    workload: str
    title: str
    columns: Sequence[tuple[str, str]]
    more_is_better: bool
    cells: list[Cell] = field(default_factory=list)


@dataclass
class Piece:
    """One run of the command: rounds that are shown together with those of others.

    Attributes:
        command: What was typed.
        begun: When, in UTC.
        commit: Of the code; with a `+` where that was changed.
        order: What the order of the contestants was drawn with, anew in each round.
        packages: All that was installed for each peer.
    """

    command: str
    begun: str
    commit: str
    order: str
    packages: dict[str, dict[str, str]]


@dataclass
class Comparison:
    """Everything of one run of the comparison, or of several.

    Attributes:
        pieces: The runs.
        smoke: Whether it was only proved that everything works; then no figure means anything.
        setting: Redis, its persistence, the machine, Python, Node: what a figure depends on.
        versions: The packages of each peer.
        explanations: What each peer's program says of its settings.
        tables: A table for each workload.
    """

    pieces: list[Piece]
    smoke: bool
    setting: dict[str, str]
    versions: dict[str, dict[str, str]]
    explanations: dict[str, str]
    tables: list[Table]

    def write(self, path: Path) -> None:
        """Write everything to a file, the medians too."""
        data = asdict(self)
        for table, written in zip(self.tables, data["tables"], strict=True):
            for cell, written_cell in zip(table.cells, written["cells"], strict=True):
                written_cell["medians"] = dict(cell.medians)
        path.write_text(json.dumps(data, indent=1) + "\n")


def read(path: Path) -> Comparison:
    """Read what `write` wrote."""
    data = json.loads(path.read_text())
    for table in data["tables"]:
        table["columns"] = tuple((name, heading) for name, heading in table["columns"])
        table["cells"] = [Cell(**{k: v for k, v in cell.items() if k != "medians"}) for cell in table["cells"]]
    pieces = [Piece(**piece) for piece in data["pieces"]]
    return Comparison(**{**data, "pieces": pieces, "tables": [Table(**table) for table in data["tables"]]})


def join(parts: Sequence[Comparison]) -> Comparison:
    """Return one comparison of several: of other workloads, or of more rounds of the same.

    A run of all workloads takes hours, and a machine is not left alone for so long. In each piece all take their turns.
    All rounds of a workload have the same surroundings. Those of another may differ; then both are named.

    Raises:
        ValueError: If rounds of one workload differ in Redis, persistence, machine, interpreter or package, or in who
            took part.
    """
    tables: dict[str, Table] = {}
    firsts: dict[str, Comparison] = {}
    for part, table in [(one, table) for one in parts for table in one.tables]:
        _check_same(firsts.setdefault(table.workload, part), part)
        before = tables.get(table.workload)
        tables[table.workload] = table if before is None else _with_rounds(before, table)
    newest = max(parts, key=lambda part: part.pieces[-1].begun)
    return Comparison(
        pieces=[piece for part in parts for piece in part.pieces],
        smoke=any(part.smoke for part in parts),
        setting=_side_by_side({name: part.setting for name, part in firsts.items()}),
        versions={
            peer: _side_by_side({name: part.versions.get(peer, {}) for name, part in firsts.items()})
            for peer in newest.versions
        },
        explanations=newest.explanations,
        tables=list(tables.values()),
    )


def _check_same(first: Comparison, part: Comparison) -> None:
    for what in ("setting", "versions"):
        here, there = getattr(first, what), getattr(part, what)
        if here != there:
            commands = (part.pieces[0].command, first.pieces[0].command)
            raise ValueError(f"`{commands[0]}` ran with another {what} than `{commands[1]}`: {there}, not {here}")


def _side_by_side(by_workload: Mapping[str, Mapping[str, str]]) -> dict[str, str]:
    """Return each value once, and one that is not that of all workloads with those that it is of."""
    told: dict[str, dict[str, list[str]]] = {}
    for workload, values in by_workload.items():
        for name, value in values.items():
            told.setdefault(name, {}).setdefault(value, []).append(workload)
    return {
        name: "; ".join(
            value if len(workloads) == len(by_workload) else f"{value} ({', '.join(workloads)})"
            for value, workloads in values.items()
        )
        for name, values in told.items()
    }


def _with_rounds(table: Table, more: Table) -> Table:
    """Return a table with the rounds of another: who failed in one of them has failed, as if all were one run."""
    here, there = ([cell.contestant for cell in one.cells] for one in (table, more))
    if here != there:
        raise ValueError(f"{table.workload} was measured once with {', '.join(here)} and once with {', '.join(there)}")
    cells = []
    for one, other in zip(table.cells, more.cells, strict=True):
        worse = other if one.status == "measured" else one
        cells.append(Cell(one.contestant, one.peer, worse.status, worse.reason, [*one.runs, *other.runs]))
    return Table(table.workload, table.title, table.columns, table.more_is_better, cells)


def shown(value: float) -> str:
    """Return a figure with as many digits as mean something."""
    if value == int(value) or abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:,.1f}" if abs(value) >= 10 else f"{value:.2f}"
