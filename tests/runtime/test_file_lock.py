"""A file lock is shared or had alone, and ends with its holder only."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from eventsys.runtime.file_lock import FileLock


@pytest.fixture
def lock(tmp_path):
    lock = FileLock(tmp_path / "lock")
    yield lock
    lock.release()


@pytest.fixture
def other(lock):
    other = FileLock(lock.path)
    yield other
    other.release()


def test_many_share_it_and_then_nobody_has_it_alone(lock, other):
    lock.share()
    other.share()
    assert not other.try_take()
    lock.release()
    assert other.try_take()


def test_inside_with_it_is_had_alone(lock, other):
    with lock.taken():
        assert not other.try_take()
    assert other.try_take()


def test_a_forked_child_does_not_hold_it(lock, other):
    """Not even when its parent only closes the file, as the death of the parent does."""
    lock.take()
    go_on, done = os.pipe()
    child_runs, runs = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(done)
        os.write(runs, b".")
        os.read(go_on, 1)
        os._exit(0)
    os.read(child_runs, 1)
    lock.forget()
    assert other.try_take()
    os.close(done)
    os.waitpid(child, 0)


def test_a_program_that_is_executed_holds_it_only_if_it_was_given(lock, other):
    for given, is_free in ((False, True), (True, False)):
        lock.take()
        program = subprocess.Popen(
            [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            close_fds=given,
            pass_fds=[lock.descriptor] if given else [],
        )
        program.stdout.readline()
        lock.forget()
        assert other.try_take() is is_free
        program.communicate()
        assert other.try_take()
        other.release()


def test_it_is_in_place_until_its_file_is_removed(lock):
    assert not lock.is_in_place()
    lock.share()
    assert lock.is_in_place()
    lock.path.unlink()
    assert not lock.is_in_place()
    lock.path.touch()
    assert not lock.is_in_place()
