"""A bar for each contestant, as SVG that reads on light and on dark pages."""

from __future__ import annotations

from html import escape

from benchmarks.compare.results import Cell, Table, shown

_LABEL, _BAR, _FIGURE, _ROW, _TOP = 190, 430, 120, 22, 34
_OURS, _THEIRS, _TEXT = "#c2410c", "#64748b", "#808080"


def plot(table: Table) -> str:
    """Return the first figure of a workload as bars, the best on top; what was not measured says so in its row."""
    name, heading = table.columns[0]
    rows = sorted(table.cells, key=lambda cell: _order(cell, name, more_is_better=table.more_is_better))
    longest = max((cell.medians[name] for cell in table.cells if cell.runs), default=0) or 1
    height = _TOP + _ROW * len(rows) + 8
    better = "more is better" if table.more_is_better else "less is better"
    lines = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {_LABEL + _BAR + _FIGURE} {height}" role="img">',
        '<g font-family="sans-serif" font-size="12">',
        f'<text x="4" y="18" font-size="14" fill="{_TEXT}">{escape(table.title)}: {escape(heading)} ({better})</text>',
    ]
    for number, cell in enumerate(rows):
        lines += _row(cell, name, _TOP + number * _ROW, longest)
    return "\n".join([*lines, "</g>", "</svg>", ""])


def _row(cell: Cell, name: str, top: int, longest: float) -> list[str]:
    label = f'<text x="{_LABEL - 8}" y="{top + 14}" text-anchor="end" fill="{_TEXT}">{escape(cell.contestant)}</text>'
    if not cell.runs:
        return [label, f'<text x="{_LABEL}" y="{top + 14}" fill="{_TEXT}" font-style="italic">{cell.status}</text>']
    value = cell.medians[name]
    width = max(1, round(_BAR * max(0.0, value) / longest))
    colour = _OURS if cell.peer == "eventsys" else _THEIRS
    return [
        label,
        f'<rect x="{_LABEL}" y="{top + 3}" width="{width}" height="{_ROW - 8}" rx="2" fill="{colour}"/>',
        f'<text x="{_LABEL + width + 6}" y="{top + 14}" fill="{_TEXT}">{shown(value)}</text>',
    ]


def _order(cell: Cell, name: str, *, more_is_better: bool) -> tuple[bool, float]:
    """Sort the measured before the others, and the best first."""
    value = cell.medians.get(name, 0.0)
    return not cell.runs, -value if more_is_better else value
