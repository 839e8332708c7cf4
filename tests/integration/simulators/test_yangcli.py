"""Debian's yangcli (Yuma123) works with a station: get-schema of all modules, reading, editing, committing."""

from __future__ import annotations

import asyncio
import os
from pathlib import Path

import pytest

from simulators.fleet.fleet import Fleet, FleetSettings
from simulators.history import EventKind
from simulators.network import read_network
from tests.unit.simulators.netconf.bench import label_config

TINY = Path(__file__).parents[2] / "fixtures" / "networks" / "tiny"


@pytest.mark.needs("yangcli")
async def test_scripted_run(tmp_path: Path) -> None:
    edit, script = tmp_path / "edit.xml", tmp_path / "script"
    edit.write_text(label_config("by yangcli", "T-BOTH-1"))
    script.write_text(
        "get-config source=running\n"
        f"edit-config target=candidate default-operation=merge config=@{edit}\n"
        "commit\n"
        "get-config source=running\n"
        "close-session\n"
    )
    async with Fleet(read_network(TINY), FleetSettings(only=["T-BOTH-1"])) as fleet:
        endpoint = fleet.endpoint("T-BOTH-1")
        process = await asyncio.create_subprocess_exec(
            "yangcli",
            f"--server={endpoint.address}",
            f"--ncport={endpoint.port}",
            "--user=minka",
            "--password=minka-sim",
            "--batch-mode",
            f"--run-script={script}",
            stdin=asyncio.subprocess.DEVNULL,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
            env={**os.environ, "HOME": str(tmp_path)},
        )
        output, _ = await asyncio.wait_for(process.communicate(), 60)
        text = output.decode()
        assert text.count("RPC Data Reply") == 2, text
        # The third is that of close-session, which yangcli shows only if it comes before the end of the connection.
        assert text.count("RPC OK Reply") in (2, 3), text
        assert "Error" not in text, text
        assert text.index("userLabel T-BOTH-1") < text.index("userLabel 'by yangcli'")
        assert fleet.stations["T-BOTH-1"].history.counts[EventKind.RUNNING_CHANGED] == 1
