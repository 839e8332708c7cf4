"""Processes whose loop hangs end by themselves, with a status that has their supervisor start them again."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

_HANGS = """
import asyncio, threading, time
from {module} import {run}
from controller.models.settings import Settings
from controller.observe import watchdog

watchdog.HANGS_AFTER = 3

async def hang():
    # What hangs before somebody watches is never ended: on a busy machine the start takes long.
    while not any(thread.name == "watchdog" for thread in threading.enumerate()):
        await asyncio.sleep(0.1)
    time.sleep(3600)

async def main():
    hanging = asyncio.create_task(hang())
    await {run}(Settings(), "one", asyncio.Event())

asyncio.run(main())
"""


@pytest.mark.parametrize(
    ("module", "run"), [("controller.worker.scheduler", "schedule"), ("controller.listener.process", "listen")]
)
def test_a_scheduler_or_listener_that_hangs_ends(module: str, run: str, tmp_path: Path) -> None:
    env = {"MINKA_HOME": str(tmp_path), "PATH": os.environ["PATH"]}
    code = _HANGS.format(module=module, run=run)
    ended = subprocess.run(
        [sys.executable, "-c", code], env=env, capture_output=True, text=True, timeout=110, check=False
    )
    assert ended.returncode == 70
    assert "process.hangs" in ended.stdout
    assert "in main" in ended.stderr or "run_forever" in ended.stderr
