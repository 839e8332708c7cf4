"""Shells are offered the ids that the API knows, and nothing at all where it does not answer."""

from __future__ import annotations

import json
import os
import subprocess
import threading
from collections.abc import Iterator, Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest

from tests.support.forks import run_forked
from tests.support.minka import environment
from tests.support.ports import free_ports

KNOWN = {
    "/v1/devices": [{"station": "PE-CUS-0145", "site": "S1"}, {"station": "PE-CUS-0150", "site": "S2"}],
    "/v1/runs": [{"id": "r-21748f9c95", "state": "running", "procedure": "apply"}],
    "/v1/plans": [{"id": "42327bc0ca30", "selector": "region=cusco"}],
    "/v1/playbooks": [{"name": "lock-cell"}, {"name": "relock"}],
    "/v1/network/regions": [{"id": "cusco", "name": "Cusco"}, {"id": "puno", "name": "Puno\x1b[2J"}],
    "/v1/network/tenants": [{"id": "bitel", "name": "Bitel"}],
    "/v1/holds": [{"id": "h-1f2e3d4c", "target": "PE-CUS-0145", "reason": "mast"}],
}


class Answers(BaseHTTPRequestHandler):
    """Lists; stations by the selector."""

    def do_GET(self) -> None:
        asked = urlsplit(self.path)
        found = KNOWN[asked.path]
        for selector in parse_qs(asked.query).get("selector", ()):
            found = [one for one in found if one["station"].startswith(selector.removesuffix("*"))]
        body = json.dumps({"count": len(found), "next": None, "results": found}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Nothing."""


@pytest.fixture(scope="module")
def api() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


def complete(line: str, home: Path, **more: str) -> subprocess.CompletedProcess[str]:
    """What a shell is offered at the end of a line."""
    env: Mapping[str, str] = {**os.environ, **environment(home, free_ports(1)), "MINKA_TOKEN": "minka_x", **more}
    env = {**env, "_MINKA_COMPLETE": "complete_bash", "COMP_WORDS": line, "COMP_CWORD": str(len(line.split(" ")) - 1)}
    said = run_forked(["controller.cli"], env)
    said.check_returncode()
    return said


@pytest.mark.parametrize(
    ("line", "offered"),
    [
        ("minka device show PE-CUS-01", ["PE-CUS-0145", "PE-CUS-0150"]),
        ("minka device show PE-CUS-015", ["PE-CUS-0150"]),
        ("minka watch r-", ["r-21748f9c95"]),
        ("minka apply ", ["42327bc0ca30"]),
        ("minka approve ", ["r-21748f9c95", "42327bc0ca30"]),
        ("minka playbook run lo", ["lock-cell"]),
        ("minka plan reg", ["region="]),
        ("minka plan region=cusco|p", ["region=cusco|puno"]),
        ("minka plan tenant=bitel,!PE-CUS-015", ["tenant=bitel,!PE-CUS-0150"]),
        ("minka hold lift ", ["h-1f2e3d4c"]),
        ("minka user add rosa --tenant ", ["bitel"]),
    ],
)
def test_ids_are_completed(api: str, tmp_path: Path, line: str, offered: list[str]) -> None:
    said = complete(line, tmp_path, MINKA_API_URL=api)
    assert said.stdout.split() == offered
    assert said.stderr == ""


@pytest.mark.parametrize("wrong", [{}, {"MINKA_API_URL": "nonsense"}, {"MINKA_API_PORT": "many"}])
def test_without_an_api_there_is_silence(tmp_path: Path, wrong: dict[str, str]) -> None:
    said = complete("minka device show PE-", tmp_path, **wrong)
    assert (said.stdout.strip(), said.stderr) == ("", "")
