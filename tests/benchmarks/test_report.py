"""Results of a comparison, from their file to the page."""

from __future__ import annotations

from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.compare.pages import BEGIN, END, put_into
from benchmarks.compare.peers import PEERS
from benchmarks.compare.plots import plot
from benchmarks.compare.report import write
from benchmarks.compare.results import Cell, Comparison, Piece, Table, join, read

_COLUMNS = (("per_s", "messages/s"), ("cost", "CPU µs"))


def _comparison() -> Comparison:
    cells = [
        Cell("eventsys, worker", "eventsys", runs=[_run(400, 9), _run(100, 7), _run(200, 8)]),
        Cell("slow, default", "slow", runs=[_run(50, 90)]),
        Cell("poor, default", "poor", "none", "no delayed messages"),
        Cell("broken, default", "broken", "failed", "a worker ended"),
    ]
    table = Table("drain", "Emptying <a> queue", _COLUMNS, more_is_better=True, cells=cells)
    piece = Piece("the command", "2026-11-27 08:00", "abc123", "7", {"slow": {"slow": "1.2"}})
    return Comparison([piece], False, {"Redis": "7.0"}, {"slow": {"slow": "1.2"}}, {"slow": "As it comes."}, [table])


def _run(per_s: float, cost: float) -> dict[str, float]:
    return {"per_s": per_s, "cost": cost}


def test_results_read_back_as_they_were_written(tmp_path: Path) -> None:
    _comparison().write(tmp_path / "results.json")
    assert read(tmp_path / "results.json") == _comparison()


def test_the_page_shows_medians_the_range_and_the_ratio() -> None:
    page = put_into(f"{BEGIN}{END}", _comparison(), "benchmarks")
    assert "| eventsys, worker | 200 | 8 | 100 to 400 | 1.00 |" in page
    assert "| slow, default | 50 | 90 | 50 to 50 | 0.25 |" in page


def test_what_does_not_exist_and_what_failed_is_shown_with_its_reason() -> None:
    page = put_into(f"{BEGIN}{END}", _comparison(), "benchmarks")
    assert "| poor, default | none | | | |" in page
    assert "poor, default: none: no delayed messages" in page
    assert "broken, default: failed: a worker ended" in page


def test_new_results_take_the_place_of_the_old_and_of_nothing_else(tmp_path: Path) -> None:
    page = tmp_path / "page.md"
    page.write_text(f"before\n{BEGIN}\nold\n{END}\nafter\n")
    for _ in range(2):
        write(_comparison(), page)
    text = page.read_text()
    assert text.startswith(f"before\n{BEGIN}\n")
    assert text.endswith(f"{END}\nafter\n")
    assert "old" not in text
    assert text.count("### Emptying") == 1
    assert [plot.name for plot in (tmp_path / "page").iterdir()] == ["drain.svg"]
    assert "(page/drain.svg)" in text


def test_workloads_measured_one_after_the_other_are_joined_into_one_page() -> None:
    drain, latency = _comparison(), _comparison()
    latency.pieces[0].command, latency.tables[0].workload = "another", "latency"
    page = put_into(f"{BEGIN}{END}", join([drain, latency]), "benchmarks")
    for command in ("the command", "another"):
        assert f"| `{command}` | 2026-11-27 08:00 | abc123 | 7 |\n" in page
    assert (page.count("Medians of 3 rounds."), page.count("/drain.svg"), page.count("/latency.svg")) == (2, 1, 1)


def test_rounds_of_one_workload_are_joined_too() -> None:
    more = _comparison()
    more.tables[0].cells[0].runs = [_run(500, 9), _run(600, 9)]
    more.tables[0].cells[1] = Cell("slow, default", "slow", "failed", "it ended")
    [table] = join([_comparison(), more]).tables
    assert [run["per_s"] for run in table.cells[0].runs] == [400, 100, 200, 500, 600]
    assert table.cells[0].medians["per_s"] == 400
    assert [(cell.status, cell.reason) for cell in table.cells[1:]] == [
        ("failed", "it ended"),
        ("none", "no delayed messages"),
        ("failed", "a worker ended"),
    ]
    page = put_into(f"{BEGIN}{END}", join([_comparison(), more]), "benchmarks")
    assert page.count("| `the command` |") == 2
    assert "Medians of 5 rounds." in page


def test_what_was_measured_elsewhere_or_beside_others_is_not_joined() -> None:
    elsewhere = _comparison()
    elsewhere.setting["Redis"] = "8.0"
    with pytest.raises(ValueError, match=r"another setting than .*8\.0"):
        join([_comparison(), elsewhere])
    alone = _comparison()
    del alone.tables[0].cells[1:]
    with pytest.raises(ValueError, match=r"once with .*slow, default.* and once with eventsys, worker$"):
        join([_comparison(), alone])


def test_what_differs_between_workloads_is_told_with_those_it_is_of() -> None:
    elsewhere = _comparison()
    elsewhere.tables[0].workload = "latency"
    elsewhere.setting = {"Redis": "8.0", "cores": "2"}
    elsewhere.versions["slow"]["extra"] = "3.1"
    elsewhere.pieces[0].begun = "2026-11-28 08:00"
    elsewhere.explanations["slow"] = "As it comes now."
    joined = join([elsewhere, _comparison()])
    assert joined.setting == {"Redis": "8.0 (latency); 7.0 (drain)", "cores": "2 (latency)"}
    assert joined.versions == {"slow": {"slow": "1.2", "extra": "3.1 (latency)"}}
    assert joined.explanations == {"slow": "As it comes now."}


def test_a_page_without_a_place_for_results_is_refused() -> None:
    with pytest.raises(ValueError, match="results: begin"):
        put_into("nothing", _comparison(), "benchmarks")


def test_a_plot_has_a_bar_for_everything_that_was_measured_and_a_word_for_the_rest() -> None:
    image = ET.fromstring(plot(_comparison().tables[0]))
    bars = [float(bar.get("width", "")) for bar in image.iter("{http://www.w3.org/2000/svg}rect")]
    assert bars[0] == pytest.approx(4 * bars[1], abs=2)
    words = [text.text for text in image.iter("{http://www.w3.org/2000/svg}text")]
    assert words[1:] == [
        "eventsys, worker",
        "200",
        "slow, default",
        "50",
        "poor, default",
        "none",
        "broken, default",
        "failed",
    ]


@pytest.mark.parametrize("peer", PEERS, ids=lambda peer: peer.name)
def test_every_setting_of_a_peer_is_explained_beside_its_code(peer) -> None:
    """Where a setting departs from the default, a page of the peer's documentation is named."""
    text = peer.explanation()
    assert not [setting.name for setting in peer.settings if f"`{setting.name}`" not in text]
    assert peer.name == "eventsys" or "https://" in text
