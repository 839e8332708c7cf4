"""An administrator of PostgreSQL sees which process of Minka is which, and its log names who keeps it waiting."""

from __future__ import annotations

from collections.abc import Callable, Iterator, MutableMapping
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg
import pytest
import structlog
from sqlalchemy import text

from controller.bootstrap import open_database, open_record, parts
from controller.models.errors import StoreError
from controller.models.process import ProcessRole
from controller.models.settings import Settings
from controller.ports.clock import SystemClock
from controller.store import Store, open_store
from tests.support.postgres import PostgresServer
from tests.support.waiting import until

pytestmark = pytest.mark.needs("initdb")

LOCK = "LOCK TABLE switches IN EXCLUSIVE MODE"


@pytest.fixture
def server_url(postgres: PostgresServer) -> Iterator[str]:
    """A database of PostgreSQL."""
    with postgres.emptied() as url:
        yield url


def _name(store: Store) -> str:
    return str(store.database.run(lambda tx: tx.execute(text("SHOW application_name")).scalar_one()))


async def test_connections_have_the_name_of_their_process(server_url: str, tmp_path: Path) -> None:
    settings = Settings(home=tmp_path, database_url=server_url)
    for role in ProcessRole:
        async with parts(settings, role) as made:
            assert _name(made.store) == f"minka-{role}"
            assert await made.loop_store.read(_name) == f"minka-{role}"
    with closing(open_record(settings, SystemClock(), "up")) as store:
        assert _name(store) == "minka-up"
    with closing(open_database(server_url, "cli")) as store:
        assert _name(store) == "minka-cli"


def test_a_name_in_the_url_goes_first(server_url: str) -> None:
    with closing(open_store(f"{server_url}?application_name=minka-lima", role="api")) as store:
        assert _name(store) == "minka-lima"


def _holder(url: str, name: str) -> psycopg.Connection[Any]:
    holder = psycopg.connect(url, application_name=name)
    holder.execute(LOCK)
    return holder


def _wait(store: Store) -> str:
    """Wait for the lock in vain. Returns what whoever called is told."""
    with pytest.raises(StoreError, match="lock timeout") as raised:
        store.switches.set("x", True, "ana")
    return raised.value.message


def _named(lines: list[MutableMapping[str, Any]]) -> list[MutableMapping[str, Any]]:
    return [line for line in lines if line["event"] == "database.locked"]


async def test_the_log_names_who_keeps_a_lock_while_a_call_waits_for_it(server_url: str) -> None:
    with (
        closing(open_store(server_url, busy_timeout=3)) as store,
        closing(_holder(server_url, "nightly\x1b[31m-report")) as holder,
        structlog.testing.capture_logs() as said,
    ):
        holder.execute("SELECT 'sk-of-somebody', 'it''s', relname FROM pg_class WHERE relname = 'switches'")
        told = _wait(store)
        await until(lambda: bool(_named(said)))
        _wait(store)  # no more is said of the same lock at once
        (line,) = _named(said)
        assert line["log_level"] == "warning"
        assert (line["pid"], line["state"]) == (holder.info.backend_pid, "idle in transaction")
        assert line["application"] == "nightly?[31m-report"  # as PostgreSQL itself spells it
        assert line["query"] == "SELECT '…', '…''…', relname FROM pg_class WHERE relname = '…'"
        since = datetime.fromisoformat(line["since"])
        assert timedelta() < datetime.now(UTC) - since < timedelta(minutes=5)
        assert "nightly" not in told
        holder.rollback()
        with closing(_holder(server_url, "vacuum")):
            _wait(store)
            await until(lambda: len(_named(said)) > 1)
        assert [line["application"] for line in _named(said)][1:] == ["vacuum"]


async def test_who_waits_for_no_lock_and_who_waits_briefly_names_nobody(server_url: str) -> None:
    slow: Callable[[Store], object] = lambda store: store.database.run(  # noqa: E731
        lambda tx: tx.execute(text("SELECT pg_sleep(1.5)"))
    )
    with closing(open_store(server_url, busy_timeout=0.3)) as store, structlog.testing.capture_logs() as said:
        slow(store)
        with closing(_holder(server_url, "brief")):
            _wait(store)
        with closing(open_store(server_url, busy_timeout=3)) as patient, closing(_holder(server_url, "long")):
            _wait(patient)
            await until(lambda: bool(_named(said)))
        assert [line["application"] for line in _named(said)] == ["long"]
