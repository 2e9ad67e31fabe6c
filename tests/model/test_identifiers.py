import os
import threading
import uuid

import pytest

from eventsys.errors import InvalidEventError
from eventsys.model import check_event_id, new_event_id

NOW_MS = 1_700_000_000_000


def test_an_id_is_a_uuid_of_version_7_that_tells_its_time():
    made = uuid.UUID(new_event_id(NOW_MS + 10**9))
    assert made.version == 7
    assert made.variant == uuid.RFC_4122
    assert made.int >> 80 == NOW_MS + 10**9


def test_ids_only_grow_within_one_millisecond_over_milliseconds_and_when_the_clock_steps_back():
    start = NOW_MS + 2 * 10**9
    clock = [start + step // 100 - (500 if 4_000 < step < 6_000 else 0) for step in range(20_000)]
    made = [new_event_id(now_ms) for now_ms in clock]
    assert made == sorted(set(made))


def test_ids_follow_a_clock_that_was_turned_back_a_long_way():
    new_event_id(NOW_MS + 10**10)
    assert uuid.UUID(new_event_id(NOW_MS)).int >> 80 == NOW_MS


def test_threads_never_get_the_same_id():
    made: list[str] = []
    threads = [
        threading.Thread(target=lambda: made.extend([new_event_id(NOW_MS) for _ in range(5_000)])) for _ in range(4)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(set(made)) == 20_000


def test_a_forked_child_repeats_no_id_of_its_parent():
    new_event_id(NOW_MS)
    reader, writer = os.pipe()
    child = os.fork()
    if child == 0:
        os.write(writer, "\n".join(new_event_id(NOW_MS) for _ in range(100)).encode())
        os._exit(0)
    mine = {new_event_id(NOW_MS) for _ in range(100)}
    os.waitpid(child, 0)
    theirs = set(os.read(reader, 65_536).decode().split())
    os.close(reader)
    os.close(writer)
    assert len(theirs) == 100
    assert not mine & theirs


@pytest.mark.parametrize("good", ["1", "order-789", "a" * 128, "日本", "urn:uuid:x/y?z#"])
def test_the_callers_own_id_may_be_any_short_printable_text(good):
    assert check_event_id(good) == good


@pytest.mark.parametrize("bad", ["", "a" * 129, "a b", "a\n", "\x00", "\u00a0", "\u3000", "\ud800", None, 5, b"x"])
def test_an_id_that_cannot_be_is_refused_with_the_reason(bad):
    with pytest.raises(InvalidEventError, match="event id"):
        check_event_id(bad)
