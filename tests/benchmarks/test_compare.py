"""A comparison leaves nobody out in silence."""

from __future__ import annotations

from benchmarks.compare.__main__ import Chosen, _race
from benchmarks.compare.peers import PEERS, Peer, Setting
from benchmarks.compare.results import Cell, Table
from benchmarks.compare.workloads import SMOKE, WORKLOADS
from benchmarks.server import find_server

_ABSENT = Peer("absent", "absent_app.py", (), (Setting("default", 1),))


def _cell(peer: Peer, workload_name: str, broken: dict[str, str] | None = None) -> Cell:
    """Race one peer at its first setting, and return what became of it."""
    first = Peer(peer.name, peer.program, peer.packages, peer.settings[:1])
    server = find_server()
    chosen = Chosen([first], [], SMOKE, rounds=2, aof=False, redis=server, again=False, seed=1, json=None, smoke=True)
    workload = next(one for one in WORKLOADS if one.name == workload_name)
    rounds: list[Table] = []
    table = _race(workload, chosen, broken or {}, rounds.append)
    assert rounds == [table, table]  # saved after each round
    return table.cells[0]


def test_a_peer_is_measured_in_every_round() -> None:
    cell = _cell(PEERS[0], "enqueue-single")
    assert (cell.status, len(cell.runs)) == ("measured", 2)
    assert cell.medians["per_s"] > 0


def test_what_a_peer_does_not_have_is_none_with_the_reason() -> None:
    cell = _cell(PEERS[0], "enqueue-batch")
    assert (cell.status, cell.reason, cell.runs) == ("none", "no call that sends several messages at once", [])


def test_a_peer_whose_program_fails_is_failed_with_its_last_words() -> None:
    cell = _cell(_ABSENT, "enqueue-single")
    assert cell.status == "failed"
    assert "No module named 'benchmarks.peers.absent_app'" in cell.reason


def test_a_peer_that_could_not_be_installed_is_failed_with_the_reason() -> None:
    cell = _cell(_ABSENT, "drain", {"absent": "could not be installed: no network"})
    assert (cell.status, cell.reason) == ("failed", "could not be installed: no network")
