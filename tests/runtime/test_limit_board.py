"""Hard limits that one process writes and another reads."""

from __future__ import annotations

import subprocess
import sys
import threading

from eventsys.runtime.limit_board import LimitBoard

#: Begins and ends handlers, as fast as it goes.
_WRITER = """
import sys
from eventsys.runtime.limit_board import LimitBoard
board = LimitBoard(int(sys.argv[1]))
board.write(1, 56_789.125)
print(flush=True)
while True:
    board.write(1, float("inf"))
    board.write(1, 56_789.125)
"""


def test_a_limit_is_never_seen_half_written() -> None:
    board = LimitBoard()
    command = [sys.executable, "-c", _WRITER, str(board.descriptor)]
    with subprocess.Popen(command, pass_fds=[board.descriptor], stdout=subprocess.PIPE, text=True) as writer:
        try:
            assert writer.stdout is not None
            writer.stdout.readline()
            seen = {board.earliest() for _ in range(20_000)}
        finally:
            writer.kill()
    board.close()
    assert seen <= {56_789.125, float("inf")}


def test_the_earliest_limit_counts_and_a_thread_that_is_free_has_none() -> None:
    board = LimitBoard()
    assert board.earliest() == float("inf")
    board.write(7, 20.5)
    board.write(9, 10.5)
    assert board.earliest() == 10.5
    board.write(9, float("inf"))
    assert board.earliest() == 20.5
    board.close()


def test_threads_that_begin_at_once_do_not_share_a_place() -> None:
    board, ready = LimitBoard(), threading.Barrier(8)

    def begin(thread: int) -> None:
        ready.wait()
        board.write(thread, 100.0 + thread)

    threads = [threading.Thread(target=begin, args=(number,)) for number in range(8)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()
    for number in range(8):
        assert board.earliest() == 100.0 + number
        board.write(number, float("inf"))
    board.close()
