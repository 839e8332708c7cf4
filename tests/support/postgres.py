"""A real PostgreSQL for tests: one server per test session, one database per test.

To make and drop a database takes twenty times longer than to empty one, so tests that leave the tables as they are get
one that was emptied: see ``PostgresServer.emptied``.
"""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from controller.store.upgrade import upgrade
from tests.support.ports import free_port

#: The database with this version's empty tables, of which others are copies: migrations take ten times longer.
_TABLES = "tables"
#: What kinds of things a database has, and since which transactions they are as they are, but for rows of its tables.
_SHAPE = """
SELECT kind, count(*), max(since), md5(string_agg(looks, ',' ORDER BY looks)) FROM (
    SELECT 'attribute' AS kind, xmin::text::bigint AS since, attname::text AS looks FROM pg_attribute
    UNION ALL SELECT 'class', 0, concat_ws(' ', oid, relname, relkind, relpersistence, relacl, reloptions) FROM pg_class
    UNION ALL SELECT 'constraint', xmin::text::bigint, conname FROM pg_constraint
    UNION ALL SELECT 'default', xmin::text::bigint, '' FROM pg_attrdef
    UNION ALL SELECT 'function', xmin::text::bigint, proname FROM pg_proc WHERE oid >= 16384
    UNION ALL SELECT 'schema', xmin::text::bigint, concat_ws(' ', nspname, nspacl) FROM pg_namespace
        WHERE nspname !~ '^pg_(toast_)?temp_'
    UNION ALL SELECT 'sequence', xmin::text::bigint, seqrelid::text FROM pg_sequence
    UNION ALL SELECT 'setting', xmin::text::bigint, setconfig::text FROM pg_db_role_setting
    UNION ALL SELECT 'trigger', xmin::text::bigint, concat_ws(' ', tgname, tgenabled) FROM pg_trigger
    UNION ALL SELECT 'type', xmin::text::bigint, typname FROM pg_type WHERE oid >= 16384
    UNION ALL SELECT 'version', 0, version_num FROM alembic_version
) things GROUP BY kind ORDER BY kind
"""
#: Ends those who still use a database, and waits for their end.
_END_OTHERS = """
SELECT bool_and(pg_terminate_backend(pid, 60000)) FROM pg_stat_activity
WHERE datname = current_database() AND pid <> pg_backend_pid()
"""
_USED_TABLES = """
SELECT relname::text, pg_relation_size(oid) FROM pg_class
WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace AND relname <> 'alembic_version'
AND pg_relation_size(oid) > 0
"""
_RESTART_SEQUENCES = """
SELECT setval(format('%I.%I', schemaname, sequencename)::regclass, start_value, false) FROM pg_sequences
WHERE last_value IS NOT NULL
"""
#: Bytes from which a table is cut off: to delete rows is quicker, but leaves their room behind.
_LARGE = 1 << 18

Shape = list[tuple[Any, ...]]
#: Emptied databases of this process with their shape, by the port of their server.
_emptied: dict[int, list[tuple[str, Shape]]] = {}


@dataclass(frozen=True)
class PostgresServer:
    """A running server that trusts everyone on loopback."""

    folder: Path
    port: int
    durable: bool = False

    @property
    def pid(self) -> int:
        """Process id of the postmaster."""
        return int((self.folder / "data" / "postmaster.pid").read_text(encoding="ascii").splitlines()[0])

    @property
    def pids(self) -> list[int]:
        """Process ids of the postmaster and of its children."""
        return [self.pid, *_children(self.pid)]

    @property
    def runs(self) -> bool:
        """Whether it runs; False after ``kill``."""
        return (self.folder / "data" / "postmaster.pid").exists() and Path(f"/proc/{self.pid}").exists()

    def url(self, database: str) -> str:
        """URL of a database, as the store takes it."""
        return f"postgresql://minka@127.0.0.1:{self.port}/{database}"

    def execute(self, statement: str) -> None:
        """Run a statement in the maintenance database."""
        with psycopg.connect(self.url("postgres"), autocommit=True) as connection:
            connection.execute(statement.encode())

    @contextmanager
    def database(self, *, tables: bool = True) -> Iterator[str]:
        """URL of a fresh database, with empty ``tables`` or none, that is dropped at the end."""
        name = f"t{secrets.token_hex(6)}"
        template = _TABLES if tables else "template1"
        # Block by block through the log, as by default since PostgreSQL 15, takes the processor twice as long.
        self.execute(f"CREATE DATABASE {name} TEMPLATE {template} STRATEGY FILE_COPY")
        try:
            yield self.url(name)
        finally:
            if self.runs:
                self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    @contextmanager
    def emptied(self) -> Iterator[str]:
        """URL of a database with empty tables, for whoever leaves the tables themselves as they are.

        It has a name of its own, so whoever still knows it from before gets nowhere. It serves again afterwards, its
        tables emptied; where something else than rows changed, it is dropped.
        """
        known = _emptied.setdefault(self.port, [])
        name = f"t{secrets.token_hex(6)}"
        if known:
            before, shape = known.pop()
            self.execute(f"ALTER DATABASE {before} RENAME TO {name}")
        else:
            self.execute(f"CREATE DATABASE {name} TEMPLATE {_TABLES} STRATEGY FILE_COPY")
            shape = self._shape(name)
        try:
            yield self.url(name)
        finally:
            if self.runs:
                if self._empty(name, shape):
                    known.append((name, shape))
                else:
                    self.execute(f"DROP DATABASE {name} WITH (FORCE)")

    def _shape(self, name: str) -> Shape:
        with psycopg.connect(self.url(name), autocommit=True) as connection:
            return connection.execute(_SHAPE).fetchall()

    def _empty(self, name: str, shape: Shape) -> bool:
        """Empty all tables, and let sequences begin anew; False if the database is not as it was otherwise."""
        try:
            with psycopg.connect(self.url(name), autocommit=True) as connection:
                connection.execute(_END_OTHERS)
                if connection.execute(_SHAPE).fetchall() != shape:
                    return False
                connection.execute("SET session_replication_role = replica")  # no order of tables by their references
                for table, size in connection.execute(_USED_TABLES).fetchall():
                    statement = "TRUNCATE {} CASCADE" if size >= _LARGE else "DELETE FROM {}"
                    connection.execute(SQL(statement).format(Identifier(table)))
                connection.execute(_RESTART_SEQUENCES)
                return True
        except psycopg.Error:
            return False

    @contextmanager
    def standby(self) -> Iterator[PostgresServer]:
        """A standby that has all transactions that this server reports as committed."""
        folder = _folder(self.folder.parent)
        source = ("-h", "127.0.0.1", "-p", str(self.port), "-U", "minka", "--checkpoint=fast", "--no-sync")
        _run("pg_basebackup", "-D", str(folder / "data"), "--write-recovery-conf", *source)
        made = PostgresServer(folder, free_port(), self.durable)
        try:
            made.start()
            self.execute("ALTER SYSTEM SET synchronous_standby_names = '*'")
            self.execute("SELECT pg_reload_conf()")
            yield made
        finally:
            if self.runs:  # else it would wait for the standby for ever
                self.execute("ALTER SYSTEM RESET synchronous_standby_names")
                self.execute("SELECT pg_reload_conf()")
            _remove(made)

    def promote(self) -> None:
        """Promote a standby, and wait until it is a server."""
        _run("pg_ctl", "-D", str(self.folder / "data"), "-w", "promote")

    def start(self) -> None:
        """Start the server and wait until it answers."""
        data = self.folder / "data"
        options = f"-c listen_addresses=127.0.0.1 -c port={self.port} -c unix_socket_directories={self.folder}"
        options += " -c max_connections=200 -c shared_buffers=32MB"
        if not self.durable:
            # These databases only have to outlive processes, not the machine.
            options += " -c fsync=off -c full_page_writes=off"
        _run("pg_ctl", "-D", str(data), "-l", str(self.folder / "log"), "-o", options, "-w", "-t", "60", "start")

    def stop(self, mode: str = "immediate") -> None:
        """Stop the server."""
        _run("pg_ctl", "-D", str(self.folder / "data"), "-m", mode, "-w", "stop")

    @contextmanager
    def hung(self) -> Iterator[None]:
        """Suspend the server during the block: it does not answer, and does not end connections."""
        pid = self.pid
        os.kill(pid, signal.SIGSTOP)  # first, so that it has no more children
        stopped = (pid, *_children(pid))
        for each in stopped:
            os.kill(each, signal.SIGSTOP)
        try:
            yield
        finally:
            for each in stopped:
                os.kill(each, signal.SIGCONT)

    def kill(self) -> None:
        """kill -9 the postmaster, and wait until its children are gone with it."""
        pid = self.pid
        children = _children(pid)
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + 30
        while any(Path(f"/proc/{each}").exists() for each in (pid, *children)):
            if time.monotonic() > deadline:
                raise TimeoutError("PostgreSQL does not die")
            time.sleep(0.02)


@contextmanager
def postgres_server(*, durable: bool = False, disk: Path = Path("/tmp")) -> Iterator[PostgresServer]:
    """A server of one's own, in a temporary folder of ``disk``; ``durable`` as in production, for measurements."""
    server = _create(durable=durable, disk=disk)
    try:
        yield server
    finally:
        _remove(server)


@contextmanager
def shared_postgres(temporary: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """The server that all processes of a test session share; the last one to leave stops it.

    To be called from a fixture of session scope.
    """
    base = temporary.getbasetemp()
    folder = base.parent if "PYTEST_XDIST_WORKER" in os.environ else base
    note, users = folder / "postgres", folder / "postgres.users"
    with _alone(folder):
        if note.exists():
            place, port = note.read_text(encoding="utf-8").split("\n")
            server = PostgresServer(Path(place), int(port))
        else:
            server = _create()
            note.write_text(f"{server.folder}\n{server.port}", encoding="utf-8")
        users.write_text(str(_count(users) + 1), encoding="ascii")
    try:
        yield server
    finally:
        with _alone(folder):
            users.write_text(str(_count(users) - 1), encoding="ascii")
            if _count(users) == 0:
                note.unlink()
                _remove(server)


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    with (folder / "postgres.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield


def _count(users: Path) -> int:
    return int(users.read_text(encoding="ascii")) if users.exists() else 0


def _create(*, durable: bool = False, disk: Path = Path("/tmp")) -> PostgresServer:
    folder = _folder(disk)
    _run("initdb", "-D", str(folder / "data"), "-U", "minka", "--auth=trust", "--no-sync", "-E", "UTF8", "--locale=C")
    server = PostgresServer(folder, free_port(), durable)
    server.start()
    server.execute(f"CREATE DATABASE {_TABLES}")
    upgrade(server.url(_TABLES))
    return server


def _folder(disk: Path) -> Path:
    # Not below pytest's folders, which only their owner may enter: the server runs as somebody else.
    folder = Path(tempfile.mkdtemp(prefix="minka-pg-", dir=disk))
    if os.geteuid() == 0:
        shutil.chown(folder, "postgres", "postgres")
    return folder


def _remove(server: PostgresServer) -> None:
    if server.runs:
        server.stop()
    shutil.rmtree(server.folder, ignore_errors=True)


def _run(program: str, *arguments: str) -> None:
    binaries = sorted(Path("/usr/lib/postgresql").glob(f"*/bin/{program}"))
    found = str(binaries[-1]) if binaries else shutil.which(program)
    if found is None:
        raise FileNotFoundError(f"{program} is missing: install Debian's postgresql")
    command = [found, *arguments]
    if os.geteuid() == 0:
        command = ["setpriv", "--reuid=postgres", "--regid=postgres", "--clear-groups", *command]
    # Output goes to a file: a server that pg_ctl started would keep a pipe open.
    with tempfile.TemporaryFile() as output:
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd="/", check=False)
        output.seek(0)
        if done.returncode != 0:
            raise RuntimeError(f"{program} failed: {output.read().decode()}")


def _children(pid: int) -> tuple[int, ...]:
    found = []
    for status in Path("/proc").glob("[0-9]*/stat"):
        try:
            fields = status.read_text(encoding="utf-8", errors="replace").rsplit(")", 1)[1].split()
        except OSError:
            continue  # that process ended meanwhile
        if int(fields[1]) == pid:
            found.append(int(status.parent.name))
    return tuple(found)
