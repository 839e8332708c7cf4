"""The commands that back up the record, as the page types them, with the URLs that the page on deployment shows."""

from __future__ import annotations

import os
import re
import sqlite3
import subprocess
from pathlib import Path

import pytest

from controller.store.database.engine import make_engine
from tests.support.minka import ROOT
from tests.support.ports import free_port
from tests.support.postgres import postgres_server

_HOW_TO = ROOT / "docs" / "how-to"
_TYPED = re.findall(
    r"^Copy while Minka runs.*?```sh\n(.*?)```", (_HOW_TO / "backup.md").read_text("utf-8"), re.DOTALL | re.MULTILINE
)
_SHOWN = re.findall(r"\bMINKA_DATABASE_URL='?(postgresql:[^'\s]+)", (_HOW_TO / "deploy.md").read_text("utf-8"))


def test_one_server_and_a_server_with_its_standby_are_shown() -> None:
    assert [url.count("pg-") for url in _SHOWN] == [0, 2]


@pytest.mark.needs("initdb", "pg_dump", "sqlite3")
def test_the_record_is_copied_and_nobody_else_reads_the_copies(tmp_path: Path) -> None:
    (keys := tmp_path / ".minka").mkdir()
    (tmp_path / "safe").mkdir()
    for name in ("audit-keys", "signing-keys"):
        (keys / name).touch(mode=0o600)
    with sqlite3.connect(keys / "minka.sqlite3") as database:
        database.execute("CREATE TABLE kept (row INTEGER)")
    (typed,) = _TYPED
    with postgres_server() as server, server.database() as own:
        # The first of the two hosts is down, so the second serves.
        ports, name = f"port={free_port()},{server.port}", own.rpartition("/")[2]
        for shown in _SHOWN:
            url = shown.replace("@127.0.0.1/minka", f"@127.0.0.1:{server.port}/{name}")
            url = url.replace("@/minka", f"@/{name}").replace("pg-1,pg-2", "127.0.0.1,127.0.0.1")
            url = url.replace("port=5432,5432", ports)
            with make_engine(url, busy_timeout=1).connect() as connection:
                assert connection.exec_driver_sql("SELECT current_database()").scalar() == name
            subprocess.run(
                ["sh", "-ec", typed.replace("/safe/place/", "safe")],
                cwd=tmp_path,
                env=os.environ | {"MINKA_DATABASE_URL": url},
                umask=0o022,
                check=True,
            )
            copies = [tmp_path / "minka.dump", tmp_path / "minka-backup.sqlite3", *(tmp_path / "safe").iterdir()]
            assert [copy.stat().st_mode & 0o777 for copy in copies] == [0o600] * 4
            listed = subprocess.run(
                ["pg_restore", "--list", str(copies[0])], capture_output=True, text=True, check=True
            )
            assert "TABLE DATA public audit " in listed.stdout
            with sqlite3.connect(copies[1]) as copied:
                assert copied.execute("SELECT count(*) FROM kept").fetchone() == (0,)
            for copy in copies:
                copy.unlink()
