from __future__ import annotations

import json
import zlib
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Engine, select, text, update

from controller.access.roles import permissions
from controller.inventory.load import load_network
from controller.models.errors import StoreError
from controller.models.people import Permission, Person, Role
from controller.models.run import GateVerdict, Policy, Strategy
from controller.ports.people import NewToken
from controller.ports.store import NewVerdict, Transition
from controller.store import open_store, upgrade
from controller.store.engine import make_engine
from controller.store.tables import metadata, networks
from controller.store.upgrade import alembic_config
from tests.support.postgres import PostgresServer, shared_postgres
from tests.support.processes import in_processes
from tests.support.records import start_run

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"


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
        with server.database() as one, server.database() as two:
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
        plain = ([" ".join(str(value).replace('"', "").split()) for value in row] for row in rows)
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
        store.set_switch("x", True, "ana")
    upgrade(urls[0])
    with closing(open_store(urls[0])) as store:
        assert store.switch("x")


def test_several_processes_may_start_at_once(urls: tuple[str, str]) -> None:
    assert in_processes(_start, [(urls[0], number) for number in range(2)]) == [True] * 2


def _start(url: str, number: int) -> bool:
    with closing(open_store(url)) as store:
        store.set_switch(str(number), True, "ana")
        return store.switch(str(number))


def test_a_database_of_a_newer_version_is_refused(urls: tuple[str, str], engines: tuple[Engine, Engine]) -> None:
    upgrade(urls[0])
    with engines[0].begin() as connection:
        connection.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(StoreError, match="newer version"):
        open_store(urls[0])


def test_revisions_are_one_line() -> None:
    assert len(ScriptDirectory.from_config(alembic_config()).get_heads()) == 1


def test_what_was_decided_survives_the_coming_of_rounds(urls: tuple[str, str], engines: tuple[Engine, Engine]) -> None:
    with closing(open_store(urls[0])) as store:
        run = start_run(store, ["A", "B"], strategy=Strategy(policy=Policy.WAVE))
        for tries, verdict in enumerate((GateVerdict.POSTPONE, GateVerdict.CONFIRM)):
            said = NewVerdict(0, "", 0, verdict, "why", tries)
            assert store.advance(run.id, lambda run, _jobs, said=said: Transition(run.state, verdicts=(said,)))  # type: ignore[misc]
        first, second = store.decisions([(run.id, 0)])
        assert (first.round, second.round) == (0, 1)
    with engines[0].begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0010")
        command.upgrade(config, "head")
    with closing(open_store(urls[0])) as store:
        assert store.decisions([(run.id, 0)]) == [first]
        assert {job.round for job in store.jobs(run.id)} == {0}


def test_who_had_a_token_can_do_what_they_could(urls: tuple[str, str], engines: tuple[Engine, Engine]) -> None:
    before = next(
        revision.down_revision
        for revision in ScriptDirectory.from_config(alembic_config()).walk_revisions()
        if (revision.doc or "").startswith("Users with roles")
    )
    config = alembic_config()
    with engines[0].begin() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, str(before))
        for digest, name in (("1" * 64, "noc"), ("2" * 64, "webhook"), ("3" * 64, "noc")):
            values = f"('{digest}', '{name}', '2026-01-02 03:04:05')"
            connection.execute(text(f"INSERT INTO tokens (digest, name, created) VALUES {values}"))
    with closing(open_store(urls[0])) as store:
        noc = Person(name="noc", role=Role.ADMINISTRATOR)
        for token in (store.bearer("1" * 64), store.bearer("3" * 64)):
            assert token == noc.model_copy(update={"token": token.token if token else ""})
        known = store.bearer("2" * 64)
        assert known is not None
        assert (known.name, set(permissions(known))) == ("webhook", {Permission.WEBHOOK})
        assert {user.name: user.created.year for user in store.users()} == {"noc": 2026, "webhook": 2026}
        store.add_token(NewToken("4" * 64, "noc", scopes=(Permission.LOOK,)), "noc")
    with engines[0].begin() as connection:
        config.attributes["connection"] = connection
        command.downgrade(config, str(before))
        kept = connection.execute(text("SELECT digest, name FROM tokens ORDER BY digest")).all()
    assert [tuple(row) for row in kept] == [("1" * 64, "noc"), ("2" * 64, "webhook"), ("3" * 64, "noc")]


def test_references_of_former_networks_become_names(urls: tuple[str, str], engines: tuple[Engine, Engine]) -> None:
    """Secrets of devices were references in network files once."""
    network = load_network(TINY)
    with closing(open_store(urls[0])) as store:
        store.save_network(network, "digest", "ana")
    with engines[0].begin() as connection:
        config = alembic_config()
        config.attributes["connection"] = connection
        command.downgrade(config, "0017")
        (old,) = connection.execute(select(networks.c.content)).scalars()
        content = json.loads(zlib.decompress(old))
        management = content["header"]["management"]
        assert management["credential"] == "env:MINKA_DEVICE_PASSWORD", "an older version reads it"
        management["credential"] = "env:CORE_KEY"
        content["endpoints"][0]["credential"] = "env:MINKA_DEVICE_PASSWORD"
        content["endpoints"][1]["credential"] = "file:/run/secrets/Lab_key.pem"
        written = update(networks).values(content=zlib.compress(json.dumps(content).encode()))
        connection.execute(written)
        command.upgrade(config, "head")
    with closing(open_store(urls[0])) as store:
        digest, found = store.network()
    assert digest == "digest"
    assert found.header.management.credential == "core-key"
    assert [endpoint.credential for endpoint in found.endpoints[:2]] == ["device", "run-secrets-lab-key-pem"]
    assert found.header.management.client_certificate == "device-certificate"
    assert found.cells == network.cells
