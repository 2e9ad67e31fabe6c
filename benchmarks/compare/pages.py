"""The results of a comparison as the part of a page that is made from them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from benchmarks.compare.results import Cell, Comparison, Table, shown

#: Between these lines of the page stands what is made; everything else of it is written by hand.
BEGIN, END = "<!-- results: begin -->", "<!-- results: end -->"


def put_into(page: str, comparison: Comparison, plots: str) -> str:
    """Return the page with these results in the place of those before.

    Args:
        page: What it says so far.
        comparison: The results.
        plots: Where the plots lie, seen from the page.

    Raises:
        ValueError: If the page has no place for results.
    """
    if BEGIN not in page or END not in page:
        raise ValueError(f"the page has no lines {BEGIN} and {END}; put them where the results belong")
    before, _, rest = page.partition(BEGIN)
    _, _, after = rest.partition(END)
    return f"{before}{BEGIN}\n\n{results(comparison, plots)}\n{END}{after}"


def results(comparison: Comparison, plots: str) -> str:
    """Return all tables, with what they depend on before them, and each peer's settings behind."""
    lines = ["| measured by | begun, UTC | code | order |", "|---|---|---|---|"]
    lines += [f"| `{one.command}` | {one.begun} | {one.commit} | {one.order} |" for one in comparison.pieces]
    lines += ["", "| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in comparison.setting.items())]
    for peer, versions in comparison.versions.items():
        lines.append(f"| {peer} | {', '.join(f'{name} {version}' for name, version in versions.items())} |")
    for table in comparison.tables:
        lines += ["", f"### {table.title}", "", f"![{table.title}]({plots}/{table.workload}.svg)", "", *_table(table)]
    lines += ["", "### The settings, as each program states them"]
    for peer, text in comparison.explanations.items():
        lines += ["", f"#### {peer}", "", text]
    return "\n".join(lines) + "\n"


def _table(table: Table) -> Iterator[str]:
    """Yield medians, the range of the first figure and of all times, and the first beside eventsys's."""
    first = table.columns[0][0]
    ours = next((cell.medians[first] for cell in table.cells if cell.peer == "eventsys" and cell.runs), None)
    ranged = [(name, heading) for name, heading in table.columns if name == first or name.endswith("_ms")]
    headings = [heading for _, heading in table.columns]
    headings += [f"{heading}, lowest to highest" for _, heading in ranged]
    rounds = max((len(cell.runs) for cell in table.cells), default=0)
    yield f"Medians of {rounds} rounds." if rounds > 1 else "One round."
    yield ""
    yield "| | " + " | ".join([*headings, "beside eventsys"]) + " |"
    yield "|---" + "|---:" * (len(headings) + 1) + "|"
    for cell in table.cells:
        if cell.runs:
            yield f"| {cell.contestant} | {' | '.join(_figures(cell, table, [name for name, _ in ranged], ours))} |"
        else:
            yield f"| {cell.contestant} | {cell.status} |" + " |" * len(headings)
    for cell in table.cells:
        if cell.reason:
            yield ""
            yield f"{cell.contestant}: {cell.status}: {cell.reason}"


def _figures(cell: Cell, table: Table, ranged: Sequence[str], ours: float | None) -> Iterator[str]:
    for name, _ in table.columns:
        yield shown(cell.medians[name])
    for name in ranged:
        of_rounds = [run[name] for run in cell.runs]
        yield f"{shown(min(of_rounds))} to {shown(max(of_rounds))}"
    yield f"{cell.medians[table.columns[0][0]] / ours:.2f}" if ours else ""
