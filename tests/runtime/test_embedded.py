"""The embedded Redis is shared by processes, and survives their deaths and its own."""

from __future__ import annotations

import os
import shutil
import signal
import stat
from pathlib import Path

import pytest
import redis

from eventsys.errors import EmbeddedRedisError
from eventsys.runtime import server_process
from eventsys.runtime.embedded import EmbeddedRedis
from eventsys.runtime.file_lock import FileLock
from eventsys.runtime.server_binary import ServerBinary
from eventsys.runtime.server_link import ServerLink
from tests.runtime.users import (
    COMER_AND_GOER,
    User,
    kill_server,
    process_of,
    put,
    read,
)
from tests.runtime.users import embedded as embedded
from tests.runtime.users import server_binary as server_binary


def test_it_starts_again_with_the_data_it_had(embedded):
    with embedded:
        put(embedded, "kept", "yes")
    with embedded:
        assert read(embedded, "kept") == "yes"


def test_it_is_durable_and_private(embedded):
    embedded.start()
    with redis.Redis.from_url(embedded.url, decode_responses=True) as client:
        settings = {name: client.config_get(name)[name] for name in ("appendonly", "appendfsync", "port", "save")}
        policy = client.config_get("maxmemory-policy")["maxmemory-policy"]
    assert settings == {"appendonly": "yes", "appendfsync": "everysec", "port": "0", "save": ""}
    assert policy == "noeviction"
    assert stat.S_IMODE(embedded.directory.stat().st_mode) == 0o700
    assert stat.S_IMODE((embedded.directory / "redis.sock").stat().st_mode) == 0o700


def test_appendfsync_may_be_always(tmp_path, server_binary):
    with (
        EmbeddedRedis(tmp_path, binary=server_binary, appendfsync="always") as embedded,
        redis.Redis.from_url(embedded.url, decode_responses=True) as client,
    ):
        assert client.config_get("appendfsync")["appendfsync"] == "always"


def test_two_processes_that_start_at_once_share_one_server(embedded, server_binary):
    users = [User(embedded, server_binary) for _ in range(2)]
    assert users[0].server_pid() == users[1].server_pid()
    for user in users:
        user.end()


def test_the_last_one_out_stops_the_server_and_nobody_earlier(embedded, server_binary):
    embedded.start()
    user = User(embedded, server_binary)
    with process_of(user.server_pid()) as server:
        embedded.stop()
        assert server.is_alive()
        user.end()
        assert server.ends()


def test_two_users_in_one_process_count_as_two(embedded, server_binary):
    embedded.start()
    with EmbeddedRedis(embedded.directory, binary=server_binary) as second:
        embedded.stop()
        put(second, "still", "here")
        assert read(second, "still") == "here"


def test_processes_that_come_and_go_never_lose_a_write_nor_meet_two_servers(embedded, server_binary):
    users = [User(embedded, server_binary, COMER_AND_GOER) for _ in range(4)]
    for user in users:
        user.end()
    embedded.start()
    assert read(embedded, "visits") == "40"


def test_the_next_start_adopts_the_server_of_a_killed_owner(embedded, server_binary):
    owner = User(embedded, server_binary)
    pid = owner.server_pid()
    owner.kill()
    embedded.start()
    assert embedded.pid == pid
    with process_of(pid) as server:
        embedded.stop()
        assert server.ends()


def test_a_killed_server_is_started_again_with_its_data(embedded):
    embedded.start()
    put(embedded, "kept", "yes")
    first = embedded.pid
    kill_server(embedded)
    embedded.ensure()
    assert embedded.pid != first
    assert read(embedded, "kept") == "yes"


def test_a_survivor_restarts_the_server_and_the_other_users_adopt_it(embedded, server_binary):
    embedded.start()
    with EmbeddedRedis(embedded.directory, binary=server_binary) as other:
        kill_server(embedded)
        embedded.ensure()
        other.ensure()
        embedded.stop()
        put(other, "still", "here")


def test_ensure_leaves_a_server_that_answers_as_it_is(embedded):
    url = embedded.start()
    pid = embedded.pid
    assert embedded.ensure() == url
    assert embedded.pid == pid


def test_a_stale_socket_and_a_pid_that_is_somebody_elses_do_no_harm(embedded):
    embedded.start()
    kill_server(embedded)
    assert (embedded.directory / "redis.sock").exists()
    (embedded.directory / "redis.pid").write_text(str(os.getpid()))
    embedded.ensure()
    assert embedded.pid != os.getpid()


def test_a_server_whose_socket_was_removed_is_replaced_with_its_data(embedded):
    embedded.start()
    put(embedded, "kept", "yes")
    (embedded.directory / "redis.sock").unlink()
    with process_of(embedded.pid) as unreachable:
        embedded.ensure()
        assert unreachable.ends()
    assert read(embedded, "kept") == "yes"


def test_a_server_whose_directory_was_removed_is_stopped_all_the_same(embedded):
    embedded.start()
    with process_of(embedded.pid) as server:
        shutil.rmtree(embedded.directory)
        embedded.stop()
        assert server.ends()


def test_a_removed_directory_is_made_again_with_a_server_of_its_own(embedded):
    embedded.start()
    with process_of(embedded.pid) as first:
        shutil.rmtree(embedded.directory)
        embedded.directory.mkdir()
        embedded.ensure()
        assert first.ends()
    put(embedded, "works", "again")
    with process_of(embedded.pid) as second:
        embedded.stop()
        assert second.ends()


def test_an_append_only_file_cut_short_by_a_crash_is_read_up_to_there(embedded):
    embedded.start()
    put(embedded, "first", "whole")
    put(embedded, "second", "cut")
    kill_server(embedded)
    log = max(embedded.directory.rglob("appendonly*aof"), key=lambda path: (path.stat().st_size, path.name))
    os.truncate(log, log.stat().st_size - 3)
    embedded.ensure()
    assert read(embedded, "first") == "whole"
    assert read(embedded, "second") is None


def test_a_server_that_ends_while_starting_is_explained_by_its_log(embedded):
    embedded.start()
    for number in range(10):
        put(embedded, f"key-{number}", "value")
    kill_server(embedded)
    log = max(embedded.directory.rglob("appendonly*aof"), key=lambda path: (path.stat().st_size, path.name))
    written = log.read_bytes()
    log.write_bytes(written[:60] + b"garbage" + written[67:])
    with pytest.raises(EmbeddedRedisError, match=r"(?s)ended while starting; its log says:.*Bad file format"):
        embedded.ensure()


def test_a_path_too_long_for_a_socket_is_served_by_a_short_private_one(tmp_path, server_binary):
    directory = tmp_path.joinpath("long" * 20, "longer" * 20)
    embedded = EmbeddedRedis(directory, binary=server_binary)
    with embedded, EmbeddedRedis(directory, binary=server_binary) as second:
        socket = Path(embedded.url.removeprefix("unix://"))
        assert second.url == embedded.url
        assert stat.S_IMODE(socket.parent.stat().st_mode) == 0o700
        put(embedded, "kept", "yes")
    assert not socket.parent.exists()
    with embedded:
        assert read(embedded, "kept") == "yes"


def test_a_symbolic_link_to_the_directory_leads_to_the_same_server(embedded, tmp_path, server_binary):
    embedded.start()
    (tmp_path / "link").symlink_to(embedded.directory)
    with EmbeddedRedis(tmp_path / "link", binary=server_binary) as linked:
        assert linked.pid == embedded.pid


def test_a_path_of_unusual_letters_works(tmp_path, server_binary):
    with EmbeddedRedis(tmp_path / "a b#%41?'ü\"", binary=server_binary) as embedded:
        put(embedded, "kept", "yes")
        assert read(embedded, "kept") == "yes"


def test_a_user_that_exits_without_stopping_stops_the_server(embedded, server_binary):
    user = User(embedded, server_binary)
    with process_of(user.server_pid()) as server:
        user.end()
        assert server.ends()


def test_the_terminals_ctrl_c_does_not_reach_the_server(embedded):
    embedded.start()
    assert os.getsid(embedded.pid) != os.getsid(0)


def test_a_forked_child_neither_keeps_the_server_nor_stops_it(embedded):
    embedded.start()
    go_on, parent_ended = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(parent_ended)
        embedded.stop()
        os.read(go_on, 1)
        os._exit(0)
    os.close(go_on)
    put(embedded, "still", "here")
    with process_of(embedded.pid) as server:
        embedded.stop()
        assert server.ends()
    os.close(parent_ended)
    assert os.waitpid(child, 0)[1] == 0


def test_a_forked_child_that_starts_for_itself_keeps_the_server(embedded):
    embedded.start()
    go_on, parent_stopped = os.pipe()
    child_started, started = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(parent_stopped)
        embedded.start()
        os.write(started, b".")
        os.read(go_on, 1)
        put(embedded, "still", "here")
        embedded.stop()
        os._exit(0)
    os.read(child_started, 1)
    with process_of(embedded.pid) as server:
        embedded.stop()
        assert server.is_alive()
        os.close(parent_stopped)
        assert os.waitpid(child, 0)[1] == 0
        assert server.ends()


def test_a_stop_that_fails_may_be_tried_again(embedded, monkeypatch):
    embedded.start()
    with process_of(embedded.pid) as server:
        os.kill(embedded.pid, signal.SIGSTOP)
        with monkeypatch.context() as impatient:
            impatient.setattr(server_process, "ANSWER_WITHIN", 0.1)
            with pytest.raises(EmbeddedRedisError, match="did not end"):
                embedded.stop()
        os.kill(embedded.pid, signal.SIGCONT)
        embedded.stop()
        assert server.ends()


def test_a_server_that_hangs_is_an_error_and_not_a_second_server(embedded, monkeypatch, server_binary):
    embedded.start()
    monkeypatch.setattr(server_process, "ANSWER_WITHIN", 0.1)
    os.kill(embedded.pid, signal.SIGSTOP)
    with pytest.raises(EmbeddedRedisError, match="runs but does not answer"):
        EmbeddedRedis(embedded.directory, binary=server_binary).start()
    os.kill(embedded.pid, signal.SIGCONT)
    monkeypatch.undo()


def test_a_start_that_fails_leaves_nothing_behind(embedded, monkeypatch):
    def interrupt(link):
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(ServerLink, "identify", interrupt)
        with pytest.raises(KeyboardInterrupt):
            embedded.start()
    for name in ("server.lock", "start.lock", "lock"):
        lock = FileLock(embedded.directory / name)
        assert lock.try_take()
        lock.release()


def test_an_older_server_refuses_the_data_of_a_newer_one(tmp_path, server_binary):
    old = ServerBinary(server_binary.path, (6, 2, 14), server_binary.kind)
    (tmp_path / "appendonlydir").mkdir()
    with pytest.raises(EmbeddedRedisError, match="was written by Redis 7 or later"):
        EmbeddedRedis(tmp_path, binary=old).start()


def test_a_directory_that_cannot_be_used_is_named_in_the_error(tmp_path, server_binary):
    (tmp_path / "file").write_text("")
    with pytest.raises(EmbeddedRedisError, match="file/data cannot hold the embedded Redis"):
        EmbeddedRedis(tmp_path / "file" / "data", binary=server_binary).start()


def test_the_url_of_a_stopped_server_is_an_error(embedded):
    with pytest.raises(EmbeddedRedisError, match=r"is not started; call start\(\) first"):
        _ = embedded.url
