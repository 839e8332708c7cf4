"""The five minutes of README, pasted into a shell at a terminal as a newcomer does."""

from __future__ import annotations

import os
import pty
import re
import select
import subprocess
import sys
import time
from pathlib import Path

from tests.support.minka import environment
from tests.support.ports import free_ports

ROOT = Path(__file__).parents[3]
_STATIONS, _PATIENCE = 24, 300.0


def test_the_first_block_can_be_pasted_as_a_whole(tmp_path: Path) -> None:
    """A pager, or a controller that is not up yet, would swallow or fail the lines after it."""
    ports, home = free_ports(_STATIONS + 2), tmp_path / "home"
    text = (ROOT / "README.md").read_text(encoding="utf-8").partition("## Five minutes")[2]
    block = text.partition("```sh\n")[2].partition("```")[0].splitlines()
    assert block[0].startswith("make "), "the environment is there already"
    pasted = "\n".join(block[1:])
    for said, instead in (
        ("--sim deploy/networks/peru-mini", f"--sim-ports {ports + 2} --sim-control 127.0.0.1:{ports + 1}"),
        ("network load deploy/networks/peru-mini", f"--endpoints {home}/endpoints.csv"),
    ):
        assert said in pasted
        pasted = pasted.replace(said, f"{said} {instead}")
    bin_ = tmp_path / "bin"
    bin_.mkdir()
    (bin_ / "minka").write_text(f'#!/bin/sh\nexec {sys.executable} -m controller.cli "$@"\n')
    (bin_ / "minka").chmod(0o755)
    env = {**os.environ, **environment(home, ports), "PATH": f"{bin_}:{os.environ['PATH']}", "TERM": "xterm"}
    said = _typed(f"{pasted}\nkill %1; wait; minka wait --timeout 0; echo the end is $((40 + 2))\n", env)
    assert "Minka is up: API" in said
    assert "\\nSimulated" not in said
    assert re.search(r"Plan [0-9a-f]{12}: 24 stations change", said), said
    assert "no minka up runs there" in said.partition("Plan ")[2], "minka wait knows that it ended"


def _typed(text: str, env: dict[str, str]) -> str:
    """What a terminal of 24 lines shows when a text is pasted into a shell, until its last line was carried out."""
    near, far = pty.openpty()
    shell = subprocess.Popen(
        ["bash", "--norc", "-i"], cwd=ROOT, env=env, stdin=far, stdout=far, stderr=far, start_new_session=True
    )
    os.close(far)
    said, pending, end = "", text.encode(), time.monotonic() + _PATIENCE
    try:
        while "the end is 42" not in said:
            assert time.monotonic() < end, said
            ready, writable, _ = select.select([near], [near] if pending else [], [], 1)
            if writable:
                pending = pending[os.write(near, pending[:512]) :]
            if ready:
                said += os.read(near, 65536).decode(errors="replace")
        return said
    finally:
        shell.terminate()
        os.close(near)
        shell.wait(60)
