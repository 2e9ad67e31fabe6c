"""Write the results of a comparison into docs/benchmarks.md, or another page, with a plot for each workload.

python -m benchmarks.compare.report results.json...    several files are joined: workloads, and rounds of the same
python -m benchmarks.compare.report --page docs/benchmarks/slower.md docs/benchmarks/slower/*.json
python -m benchmarks.compare.report --smoke            see that it works, in a directory that is thrown away
"""

from __future__ import annotations

import argparse
import tempfile
from pathlib import Path

from benchmarks.compare.pages import put_into
from benchmarks.compare.plots import plot
from benchmarks.compare.results import Cell, Comparison, Piece, Table, join, read
from benchmarks.compare.workloads import WORKLOADS

_PAGE = Path("docs/benchmarks.md")


def main() -> None:
    """Write the page and its plots."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("results", type=Path, nargs="*", help="what python -m benchmarks.compare --json wrote")
    parser.add_argument("--page", type=Path, default=_PAGE, help="where to (default %(default)s)")
    parser.add_argument("--smoke", action="store_true", help="write invented results to a directory of no use")
    given = parser.parse_args()
    if given.smoke:
        with tempfile.TemporaryDirectory() as folder:
            page = Path(folder) / _PAGE.name
            page.write_text(_PAGE.read_text())
            write(_invented(), page)
            print(f"{len(page.read_text().splitlines())} lines and {len(list(page.parent.rglob('*.svg')))} plot")
        return
    if not given.results:
        parser.error("which results? python -m benchmarks.compare --json results.json makes them")
    try:
        comparison = join([read(path) for path in given.results])
    except ValueError as error:
        parser.error(str(error))
    if comparison.smoke:
        parser.error("a file is of a smoke run, in which no figure means anything")
    names = [one.name for one in WORKLOADS]
    comparison.tables.sort(key=lambda table: names.index(table.workload))
    write(comparison, given.page)


def write(comparison: Comparison, page: Path) -> None:
    """Put results into a page, and the plots into a directory named like it; plots of before that have no table go."""
    page.write_text(put_into(page.read_text(), comparison, page.stem))
    folder = page.with_suffix("")
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.svg"):
        old.unlink()
    for table in comparison.tables:
        (folder / f"{table.workload}.svg").write_text(plot(table))


def _invented() -> Comparison:
    """Return results of every kind: measured, none and failed."""
    cells = [
        Cell("eventsys, worker", "eventsys", runs=[{"per_s": 2.0}, {"per_s": 4.0}]),
        Cell("other, default", "other", status="none", reason="no such thing"),
        Cell("other, tuned", "other", status="failed", reason="it ended"),
    ]
    table = Table("invented", "Invented", (("per_s", "messages/s"),), more_is_better=True, cells=cells)
    piece = Piece("none", "never", "none", "none", {})
    return Comparison([piece], True, {"Redis": "0"}, {"other": {"other": "0"}}, {"other": "- `default`: so."}, [table])


if __name__ == "__main__":
    main()
