"""The servers that tests rely on do what their names say."""

from __future__ import annotations

import psycopg
import pytest
from redis import Redis

from tests.support.postgres import postgres_server
from tests.support.redis import redis_server


@pytest.mark.needs("redis-server")
def test_redis_keeps_data_over_a_kill_and_loses_it_when_wiped() -> None:
    with redis_server() as server, Redis.from_url(server.url) as client:
        client.set("key", "value")
        first = server.pid
        server.restart()
        assert server.pid != first
        assert client.get("key") == b"value"
        server.wipe()
        assert client.get("key") is None
        server.kill()
        server.start()
        assert client.ping()


@pytest.mark.needs("initdb")
def test_postgres_keeps_data_over_a_kill_and_databases_share_nothing() -> None:
    with postgres_server() as server, server.database() as one, server.database() as two:
        with psycopg.connect(one) as connection:
            connection.execute("CREATE TABLE kept (n int)")
        server.kill()
        server.start()
        with psycopg.connect(one) as connection:
            assert connection.execute("SELECT count(*) FROM kept").fetchone() == (0,)
        with psycopg.connect(two) as connection, pytest.raises(psycopg.errors.UndefinedTable):
            connection.execute("SELECT * FROM kept")
