"""The embedded Redis: shared by processes, surviving their deaths and its own."""

from __future__ import annotations

from eventsys.runtime.embedded import EmbeddedRedis


def test_it_starts_again_with_the_data_it_had(tmp_path, server_binary):
    import redis

    embedded = EmbeddedRedis(tmp_path / "data", binary=server_binary)
    with embedded, redis.Redis.from_url(embedded.url) as client:
        client.set("kept", "yes")
    with embedded, redis.Redis.from_url(embedded.url) as client:
        assert client.get("kept") == b"yes"


def test_fixtures_work(redis_client, fresh_redis):
    assert redis_client.dbsize() == 0
    server = fresh_redis()
    first = server.pid
    server.kill()
    server.start()
    assert server.pid != first
