"""Whatever stations, alarm sources, tenants and the API say: no command fails by it, and no terminal obeys it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from controller.models.untrusted import visible
from controller.ports.clock import SystemClock
from tests.support.minka import ROOT, CommandResult, environment, interrupt, minka
from tests.support.ports import free_ports
from tests.unit.cli.samples import answer
from tests.unit.cli.test_commands import ALL, ENDLESS
from tests.unit.cli.test_evidence import note_of
from tests.unit.cli.test_report import FILES, KEY, NOTE

#: Markup, a cleared screen, a title, a turned direction, a line of its own.
HOSTILE = "[/][red]\x1b[2J\x1b]0;x\x07\x9b1m\u202e\nforged: all is well"
#: Commands that ask no API.
SILENT = {"logout", "definitions check", "network check", "playbook check", "playbook schema", "rules check"}
SILENT |= {"evidence new-key", "evidence verify"}
#: Commands that end by themselves and show what others say; a rehearsal shows what we simulate, and takes long, and
#: nobody's words are waited for.
SHOWING = set(ALL) - ENDLESS - {"rules rehearse", "wait"}
#: A file that is to be written may have no such name, and a proof with something wrong is none.
REFUSING = {"network import", "report verify"}
TINY = ROOT / "tests" / "fixtures" / "networks" / "tiny"


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., CommandResult]:
    """Run the example of a command against an API that answers as a function says."""
    (tmp_path / "endpoints.csv").write_text("station\n")
    (tmp_path / "bitel-2026-10.csv").write_text("sla\n")
    (tmp_path / "host.keys").write_text(KEY.public.line)
    (tmp_path / "kept.head").write_text(note_of([b"a", b"b"]))
    for form, content in FILES.items():
        (tmp_path / f"bitel.{form}").write_bytes(content)
        (tmp_path / f"bitel.{form}.note").write_text(NOTE)
    (tmp_path / "our-network").mkdir()
    (tmp_path / "our-network" / "network.yaml").write_text("x: 1\n")
    (tmp_path / "deploy").symlink_to(ROOT / "deploy")
    (tmp_path / "playbooks").symlink_to(ROOT / "playbooks")
    (tmp_path / "my-rules").symlink_to(ROOT / "playbooks" / "rules")
    monkeypatch.chdir(tmp_path)
    # What is followed is asked for again after its stream ended.
    monkeypatch.setattr(SystemClock, "pause", interrupt)
    env = environment(tmp_path, free_ports(1)) | {"MINKA_TOKEN": "minka_x"}

    def command(name: str, say: Callable[[httpx.Request], httpx.Response], *more: str) -> CommandResult:
        monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda _, request: say(request))
        # Of a pipeline only our part, and no file that is written: what is shown is what may act on a terminal.
        example = ALL[name].epilog.removeprefix("Example: ").rpartition("echo $TOKEN | ")[2]
        line = re.split(r" [|>] | --format html --to ", example)[0]
        line = line.partition(" --filter ")[0]  # all that a device carries is shown, whatever others call it
        words = [word for word in shlex.split(line)[1:] if word != "--json"]
        return minka(*words, *more, env=env, given="minka_token\n")

    return command


def check(said: CommandResult, name: str) -> None:
    """Nothing acts on a terminal, nothing stands in a line that others made up, and markup is text."""
    text = said.out + said.err
    assert text.replace("\n", "").isprintable(), f"minka {name}: {text!r}"
    assert not any(line.startswith("forged") for line in text.splitlines()), f"minka {name}: {text}"


@pytest.mark.parametrize("name", sorted(SHOWING))
@pytest.mark.parametrize("tenant", [False, True])
def test_no_text_acts_on_a_terminal(run: Callable[..., CommandResult], name: str, tenant: bool) -> None:
    said = run(name, lambda request: answer(request, HOSTILE, int(tenant)))
    assert ("error:" in said.err) is (name in REFUSING), said.err
    check(said, name)
    assert said.out or name in REFUSING


def _older(body: Any) -> Any:
    """An answer of a server that has none of the fields of today, but for the pages of lists."""
    if isinstance(body, list):
        return [_older(one) for one in body]
    if not isinstance(body, dict):
        return body
    return {name: _older(body[name]) for name in ("results", "count", "next") if {"results", "next"} <= body.keys()}


@pytest.mark.parametrize("name", sorted(SHOWING - SILENT))
def test_a_server_of_another_version_is_named_and_is_no_bug(run: Callable[..., CommandResult], name: str) -> None:
    """Whatever a command needs that the server does not say: no traceback, but what is missing and what to do."""

    def say(request: httpx.Request) -> httpx.Response:
        said = answer(request, "x", 0)
        is_json = said.headers.get("Content-Type") == "application/json"
        return httpx.Response(said.status_code, json=_older(said.json())) if is_json else said

    said = run(name, say)
    assert "Traceback" not in said.err
    # What is followed was interrupted.
    assert said.status in (0, 130) or "another version of Minka answers there" in said.err


@pytest.mark.parametrize("name", sorted(SHOWING - SILENT))
def test_nor_does_what_is_refused(run: Callable[..., CommandResult], name: str) -> None:
    problem = {"detail": HOSTILE, "type": HOSTILE, "status": 409, "problems": [{"field": HOSTILE, "message": HOSTILE}]}
    said = run(name, lambda _: httpx.Response(409, json=problem))
    assert said.status == 2
    assert visible(HOSTILE.partition("\n")[0]) in said.err
    check(said, name)
    said = run(name, lambda _: httpx.Response(409, json=problem), "--json")
    assert said.json["error"]["detail"] == HOSTILE
    check(said, name)
