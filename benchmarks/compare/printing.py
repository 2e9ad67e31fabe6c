"""A table of a comparison in the terminal."""

from __future__ import annotations

from rich.console import Console
from rich.table import Table as RichTable

from benchmarks.compare.results import Table, shown
from benchmarks.report import WIDTH


def print_table(table: Table) -> None:
    """Print the medians; what does not exist or failed says so in its row, and why below the table."""
    grid = RichTable(title=table.title)
    grid.add_column("contestant", no_wrap=True)
    for _, heading in table.columns:
        grid.add_column(heading, justify="right", no_wrap=True)
    for cell in table.cells:
        if cell.status == "measured":
            grid.add_row(cell.contestant, *(shown(cell.medians[name]) for name, _ in table.columns))
        else:
            grid.add_row(cell.contestant, cell.status)
    console = Console()
    console.width = max(console.width, WIDTH)
    console.print(grid)
    for cell in table.cells:
        if cell.reason:
            console.print(f"{cell.contestant}: {cell.status}: {cell.reason}", highlight=False, markup=False)
