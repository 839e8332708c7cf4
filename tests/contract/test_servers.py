"""The servers that tests rely on do what their names say."""

from __future__ import annotations

from collections.abc import Iterator

import psycopg
import pytest
from redis import Redis

from tests.support.postgres import PostgresServer, postgres_server
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


#: A row whose number the database gives.
_ROW = """
INSERT INTO rule_modes (rule, scope, mode, by, reason, at, digest) VALUES ('r', '', 'AUTO', 'ana', '', now(), '')
RETURNING number
"""
_OID = "SELECT oid FROM pg_database WHERE datname = current_database()"


@pytest.fixture(scope="module")
def server() -> Iterator[PostgresServer]:
    with postgres_server() as server:
        yield server


@pytest.mark.needs("initdb")
def test_an_emptied_postgres_database_has_no_rows_of_before_counts_anew_and_has_a_name_of_its_own(
    server: PostgresServer,
) -> None:
    with server.emptied() as before, psycopg.connect(before) as connection:
        assert [connection.execute(_ROW).fetchone() for _ in range(2)] == [(1,), (2,)]
        connection.commit()
        oid = connection.execute(_OID).fetchone()
        forgotten = psycopg.connect(before)
        forgotten.execute("SELECT * FROM rule_modes FOR UPDATE")
    with server.emptied() as after, psycopg.connect(after) as connection:
        assert connection.execute(_OID).fetchone() == oid
        assert connection.execute("SELECT count(*) FROM rule_modes").fetchone() == (0,)
        assert connection.execute(_ROW).fetchone() == (1,)
    with pytest.raises(psycopg.OperationalError, match="terminat"):
        forgotten.execute("SELECT 1")
    with pytest.raises(psycopg.OperationalError, match="does not exist"):
        psycopg.connect(before)


@pytest.mark.needs("initdb")
@pytest.mark.parametrize(
    "change",
    [
        "ALTER TABLE rule_modes ALTER reason DROP NOT NULL, ALTER reason SET DEFAULT 'x'",
        "CREATE INDEX more ON rule_modes (rule)",
        "CREATE TABLE more (n int)",
        "DELETE FROM alembic_version",
        "DROP TABLE rule_modes",
        "ALTER TABLE proposals DISABLE TRIGGER ALL",
        "GRANT SELECT ON rule_modes TO PUBLIC",
        "DO $$ BEGIN EXECUTE format('ALTER DATABASE %I SET work_mem = 64', current_database()); END $$",
        "CREATE FUNCTION more() RETURNS int LANGUAGE sql AS 'SELECT 1'",
    ],
)
def test_a_postgres_database_in_which_more_than_rows_changed_serves_nobody_again(
    change: str, server: PostgresServer
) -> None:
    with server.emptied() as before, psycopg.connect(before) as connection:
        oid = connection.execute(_OID).fetchone()
        connection.execute(change.encode())
    with server.emptied() as after, psycopg.connect(after) as connection:
        assert connection.execute(_OID).fetchone() != oid
