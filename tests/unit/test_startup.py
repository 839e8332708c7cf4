"""What processes load: each what it needs, since loading is most of what a start takes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from controller.store import upgrade

#: Needed to migrate, to reach a router, a database server, another program over HTTP, an identity provider, to compile
#: YANG: by no process as such.
_SELDOM = ("alembic", "mako", "netmiko", "paramiko", "psycopg", "httpx", "authlib", "joserfc", "pyang")
_DOORS = ("fastapi", "uvicorn", "typer", "controller.cli")
_QUEUE = ("celery", "kombu")
_MAKE = """
import asyncio, json, sys
from {module} import {name}
from controller.bootstrap import parts
from controller.models.process import ProcessRole
from controller.models.settings import Settings

async def made():
    async with parts(Settings(), ProcessRole.API) as made:
        {then}

asyncio.run(made())
print(json.dumps(sorted(sys.modules)))
"""


def _loaded(code: str, home: Path) -> set[str]:
    env = {"MINKA_HOME": str(home), "PATH": os.environ["PATH"]}
    said = subprocess.run([sys.executable, "-c", code], env=env, capture_output=True, text=True, check=True)
    return set(json.loads(said.stdout.splitlines()[-1]))


@pytest.mark.parametrize(
    ("module", "name", "then", "not_needed"),
    [
        # A worker asks guards before a repair acts, and decides nothing else of it.
        ("controller.worker.process", "run", "made.worker_loop('w')", ("controller.remediation.remediator", *_DOORS)),
        ("controller.worker.scheduler", "schedule", "made.sweeper(), made.remediator(), made.notices()", _DOORS),
        (
            "controller.listener.process",
            "Listener",
            "made.checker()",
            ("controller.remediation", "controller.playbook", "jinja2", *_QUEUE, *_DOORS),
        ),
        ("controller.api.process", "serve", "made.wakeups", ("controller.cli", "typer")),
    ],
)
def test_a_process_loads_nothing_that_it_does_not_need(
    module: str, name: str, then: str, not_needed: tuple[str, ...], tmp_path: Path
) -> None:
    upgrade(f"sqlite:///{tmp_path / 'minka.sqlite3'}")
    loaded = _loaded(_MAKE.format(module=module, name=name, then=then), tmp_path)
    assert loaded & {*_SELDOM, *not_needed} == set()


@pytest.mark.parametrize("words", [["--help"], ["plan", "--help"], ["alarms", "list", "--help"]])
def test_help_loads_the_words_of_commands_only(words: list[str], tmp_path: Path) -> None:
    code = f"""
import json, sys
from controller.cli.main import main
sys.argv = ["minka", *{words}]
try:
    main()
except SystemExit:
    print(json.dumps(sorted(sys.modules)))
"""
    heavy = (
        "pydantic_settings",
        "structlog",
        "httpx",
        "sqlalchemy",
        "yaml",
        "asyncio",
        "controller.bootstrap",
        *_QUEUE,
    )
    assert _loaded(code, tmp_path) & {*_SELDOM, *heavy} == set()


@pytest.mark.parametrize("role", ["up", "api", "worker", "listener", "scheduler"])
def test_no_process_begins_without_its_file_of_credentials(role: str, tmp_path: Path) -> None:
    """It is said in a line, at once: neither the database nor a consumer is begun."""
    home, missing = tmp_path / "home", tmp_path / "no.yaml"
    env = {"MINKA_HOME": str(home), "MINKA_CREDENTIALS": str(missing), "PATH": os.environ["PATH"]}
    env |= {"MINKA_DATABASE_URL": f"sqlite:///{home / 'minka.sqlite3'}"}
    command = [sys.executable, "-m", "controller.cli", role]
    said = subprocess.run(command, env=env, capture_output=True, text=True, check=False, timeout=60)
    assert said.returncode == 2
    assert f"MINKA_CREDENTIALS = '{missing}' can't be used" in said.stderr
    assert "Traceback" not in said.stderr
    assert not (home / "minka.sqlite3").exists()
    assert not (home / "spool").exists()
