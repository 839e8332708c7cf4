"""Production does not install what only simulators need, and who asks for them then is told what to install."""

from __future__ import annotations

import ast
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from controller.cli import processes
from simulators.netconf.certificates import Authority
from tests.support.minka import ROOT, environment
from tests.support.ports import free_ports

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.mark.parametrize(
    "words",
    [
        ("controller.cli", "sim", "up", "--network", "peru-mini"),
        ("controller.cli", "sim", "fault", "kinds"),
        ("controller.cli", "up", "--sim", "peru-mini"),
        ("simulators", "up", "--network", "peru-mini"),
    ],
)
def test_without_the_extra_it_says_what_to_install(words: tuple[str, ...], tmp_path: Path) -> None:
    (tmp_path / "sitecustomize.py").write_text("import sys\n\nsys.modules['pyang'] = None\n", encoding="utf-8")
    env = {**os.environ, **environment(tmp_path / "home", free_ports(1)), "PYTHONPATH": f"{tmp_path}:{ROOT}"}
    done = subprocess.run(
        [sys.executable, "-m", *words], env=env, cwd=tmp_path, capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert "pip install 'minka[sim]'" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (tmp_path / "home").exists()


def test_the_controller_needs_nothing_of_the_extra() -> None:
    extra = {re.split(r"[^\w-]", name)[0] for name in PROJECT["optional-dependencies"]["sim"]}
    assert "pyang" in extra
    assert extra.isdisjoint(re.split(r"[^\w-]", name)[0] for name in PROJECT["dependencies"])
    for path in (ROOT / "controller").rglob("*.py"):
        text = path.read_text(encoding="utf-8")
        # Few files have such a word at all.
        for node in ast.walk(ast.parse(text)) if any(name in text for name in extra) else ():
            names = [node.module or ""] if isinstance(node, ast.ImportFrom) else []
            names += [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            assert extra.isdisjoint(name.partition(".")[0] for name in names), path


def test_a_network_with_pools_gets_the_authority_of_its_simulators() -> None:
    networks = ROOT / "deploy" / "networks"
    assert processes._has_pools(networks / "peru-virtual")
    assert not processes._has_pools(networks / "peru-mini")
    assert processes._simulated_authority(networks / "peru-virtual") == Authority("peru-virtual").certificate
