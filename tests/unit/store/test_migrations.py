from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, text

from controller.models.errors import StoreError
from controller.store import open_store, upgrade
from controller.store.database.columns import metadata
from controller.store.database.engine import make_engine
from controller.store.upgrade import VERSIONS, alembic_config
from tests.support.postgres import PostgresServer, shared_postgres
from tests.support.processes import in_processes


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    with shared_postgres(tmp_path_factory) as server:
        yield server


@pytest.fixture(params=["sqlite", pytest.param("postgres", marks=pytest.mark.needs("initdb"))])
def urls(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[str, str]]:
    """Two empty databases."""
    if request.param == "sqlite":
        yield f"sqlite:///{tmp_path / 'one.sqlite3'}", f"sqlite:///{tmp_path / 'two.sqlite3'}"
    else:
        server: PostgresServer = request.getfixturevalue("postgres")
        with server.database(tables=False) as one, server.database(tables=False) as two:
            yield one, two


@pytest.fixture
def engines(urls: tuple[str, str]) -> Iterator[tuple[Engine, Engine]]:
    one, two = (make_engine(url, 5.0) for url in urls)
    yield one, two
    one.dispose()
    two.dispose()


#: What Alembic does not compare: conditions of partial indexes, defaults.
_SCHEMA = {
    "sqlite": "SELECT type, name, sql FROM sqlite_master WHERE tbl_name != 'alembic_version'",
    "postgresql": "SELECT tablename, indexname, indexdef FROM pg_indexes"
    " WHERE schemaname = 'public' AND tablename != 'alembic_version' UNION ALL"
    " SELECT table_name, column_name, concat_ws(' ', data_type, is_nullable, column_default)"
    " FROM information_schema.columns WHERE table_schema = 'public' AND table_name != 'alembic_version'",
}


def _schema(engine: Engine) -> list[list[str]]:
    """What the database says of its tables; the order of columns and constraints has no meaning."""
    with engine.connect() as connection:
        rows = connection.execute(text(_SCHEMA[engine.dialect.name]))
        plain = ([" ".join(str(value).replace('"', "").split()).removesuffix(" )") for value in row] for row in rows)
        return sorted([*row[:-1], *sorted(row[-1].split(", "))] for row in plain)


def test_migrations_make_the_tables_that_the_code_knows(urls: tuple[str, str], engines: tuple[Engine, Engine]) -> None:
    migrated, created = engines
    upgrade(urls[0])
    metadata.create_all(created)
    with migrated.connect() as connection:
        context = MigrationContext.configure(connection, opts={"compare_type": True})
        assert compare_metadata(context, metadata) == []
    assert _schema(migrated) == _schema(created)


def test_downgrade_takes_everything_back(urls: tuple[str, str], engines: tuple[Engine, Engine]) -> None:
    upgrade(urls[0])
    with engines[0].begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "base")
    assert _schema(engines[0]) == []


def test_upgrading_again_changes_nothing(urls: tuple[str, str]) -> None:
    upgrade(urls[0])
    with closing(open_store(urls[0])) as store:
        store.switches.set("x", True, "ana")
    upgrade(urls[0])
    with closing(open_store(urls[0])) as store:
        assert store.switches.is_on("x")


def test_several_processes_may_start_at_once(urls: tuple[str, str]) -> None:
    assert in_processes(_start, [(urls[0], number) for number in range(2)]) == [True] * 2


def _start(url: str, number: int) -> bool:
    with closing(open_store(url)) as store:
        store.switches.set(str(number), True, "ana")
        return store.switches.is_on(str(number))


#: Of a later version: adds a column that is made from another one.
_LATER = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0101", "0100"


def upgrade():
    op.add_column("switches", sa.Column("because", sa.Text))
    op.execute("UPDATE switches SET because = reason")
"""


def test_a_database_of_an_older_version_is_upgraded_with_its_rows(
    urls: tuple[str, str], engines: tuple[Engine, Engine], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with closing(open_store(urls[0])) as store:
        store.switches.set("x", True, "ana", "maintenance")
    later = tmp_path / "later"
    later.mkdir()
    (later / "0101_later.py").write_text(_LATER)
    monkeypatch.setitem(upgrade.__globals__, "VERSIONS", (*VERSIONS, later))
    upgrade(urls[0])
    with engines[0].connect() as connection:
        assert connection.execute(text("SELECT name, because FROM switches")).all() == [("x", "maintenance")]


@pytest.mark.parametrize("revision", ["9999", "0001", "0030"])
def test_a_database_of_a_newer_version_is_refused(
    urls: tuple[str, str], engines: tuple[Engine, Engine], revision: str
) -> None:
    """So is one from before the first release, whose tables are others."""
    upgrade(urls[0])
    with engines[0].begin() as connection:
        connection.execute(text(f"UPDATE alembic_version SET version_num = '{revision}'"))
    with pytest.raises(StoreError, match="newer version"):
        open_store(urls[0])


@pytest.mark.parametrize(
    ("gone", "named"),
    [
        ("DROP TABLE deliveries", "table deliveries"),
        ("ALTER TABLE notices DROP COLUMN doing", "column notices.doing"),
        ("ALTER TABLE notices RENAME TO notes", "table notices"),
    ],
)
def test_a_database_of_the_same_revision_with_other_tables_is_refused_with_what_to_do(
    urls: tuple[str, str], engines: tuple[Engine, Engine], gone: str, named: str
) -> None:
    """Nothing is released, so the first revision itself changes."""
    upgrade(urls[0])
    upgrade(urls[0])
    with engines[0].begin() as connection:
        connection.execute(text(gone))
    with pytest.raises(
        StoreError, match=rf"another version of Minka.*: {named} missing; start with a new home"
    ) as told:
        open_store(urls[0])
    assert "MINKA_DATABASE_URL" in str(told.value)


def test_revisions_are_one_line() -> None:
    assert len(ScriptDirectory.from_config(alembic_config()).get_heads()) == 1
