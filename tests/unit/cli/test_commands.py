"""The command as a program: help, exit status, JSON on every path, completion, ports."""

from __future__ import annotations

import fcntl
import logging
import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from enum import StrEnum
from pathlib import Path
from typing import Any

import httpx
import pytest
import structlog
import typer

from controller.bootstrap import open_record
from controller.cli import lazy, output, processes, supervisor
from controller.cli.errors import CliError
from controller.cli.main import app
from controller.cli.network import network_folder
from controller.models.enums import AlarmState, IncidentState, ProposalState, RunState
from controller.models.errors import LISTS, NotFoundError
from controller.models.settings import Settings
from controller.ports.clock import SystemClock
from tests.support.minka import ROOT, environment, minka
from tests.support.ports import free_ports

TINY = ROOT / "tests" / "fixtures" / "networks" / "tiny"
#: Commands that run until they are stopped, or hand their options on.
ENDLESS = {"up", "api", "worker", "listener", "scheduler", "sim up", "sim fault", "sim pool"}


def commands() -> Iterator[tuple[str, Any]]:
    """All commands by their words."""

    def below(group: Any, words: tuple[str, ...]) -> Iterator[tuple[str, Any]]:
        for name, command in group.commands.items():
            if hasattr(command, "commands"):
                yield from below(command, (*words, name))
            else:
                yield " ".join((*words, name)), command

    yield from below(typer.main.get_command(app), ())


ALL = dict(commands())


@pytest.fixture
def nowhere(tmp_path: Path) -> dict[str, str]:
    """No API answers here."""
    return environment(tmp_path, free_ports(1))


@pytest.mark.parametrize("name", ALL)
def test_every_command_explains_itself_with_an_example(name: str) -> None:
    command = ALL[name]
    assert command.help
    assert command.epilog, f"minka {name} has no example"
    assert command.epilog.startswith("Example: ")
    assert f"minka {name}" in command.epilog
    for parameter in command.params:
        assert getattr(parameter, "help", ""), f"minka {name}: {parameter.name} is not explained"


@pytest.mark.parametrize("name", sorted(set(ALL) - ENDLESS))
def test_every_command_that_ends_speaks_json(name: str) -> None:
    assert any("--json" in parameter.opts for parameter in ALL[name].params)


@pytest.mark.parametrize(
    "words",
    [
        ("network", "show"),
        ("network", "load", str(TINY)),
        ("plan",),
        ("plans", "list"),
        ("apply", "x"),
        ("runs",),
        ("watch", "x"),
        ("device", "list"),
        ("hold", "list"),
        ("alarms", "follow"),
        ("audit",),
    ],
)
def test_without_an_api_the_status_is_3(nowhere: dict[str, str], words: tuple[str, ...]) -> None:
    said = minka(*words, env=nowhere)
    assert said.status == 3
    assert "is `minka up` running?" in said.err
    said = minka(*words, "--json", env=nowhere)
    assert said.status == 3
    assert "no answer from the API" in said.json["error"]["detail"]
    assert said.err == ""


@pytest.mark.parametrize(
    "words",
    [
        ("runs", "--bogus"),
        ("show",),
        ("plan", "--expect", "many"),
        ("plan", "--remove", "bitel"),
        ("network", "check", "/nowhere"),
        ("nonsense",),
    ],
)
def test_wrong_words_have_status_2(nowhere: dict[str, str], words: tuple[str, ...]) -> None:
    assert minka(*words, env=nowhere).status == 2
    said = minka(*words, "--json", env=nowhere)
    assert said.status == 2
    assert said.json["error"]["detail"]


@pytest.mark.parametrize(
    ("words", "states"),
    [
        ("runs", RunState),
        ("alarms list", AlarmState),
        ("incidents list", IncidentState),
        ("remediation list", ProposalState),
    ],
)
def test_a_misspelt_state_is_told_all_states(nowhere: dict[str, str], words: str, states: type[StrEnum]) -> None:
    said = minka(*words.split(), "--state", "raisd", "--json", env=nowhere)
    assert said.status == 2
    assert f"'raisd' is not one of {', '.join(f'{state.value!r}' for state in states)}" in said.json["error"]["detail"]


@pytest.mark.parametrize(
    ("ends", "said"),
    [("2026-12-26T11:00:00Z", "the token ends 2026-12-26 "), (None, "no end of the token is known here")],
)
def test_who_calls_is_told_what_the_token_opens_and_until_when(
    nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch, ends: str | None, said: str
) -> None:
    me = {"name": "rosa", "role": "tenant-approver", "side": "bitel", "permissions": ["read", "vote"], "ends": ends}
    monkeypatch.setattr(httpx.HTTPTransport, "handle_request", lambda *_: httpx.Response(200, json=me))
    lines = minka("whoami", env=nowhere).out.splitlines()
    assert lines[:2] == ["rosa (tenant-approver of bitel)", "may: read, vote"]
    assert lines[2].startswith(said)
    assert minka("whoami", "--json", env=nowhere).json == me


def test_commands_that_list_what_errors_call_unknown_exist() -> None:
    for command in LISTS.values():
        assert command.split(" --")[0].removeprefix("minka ") in ALL
    assert NotFoundError.of("hold", "h-1").message == "there is no hold h-1; see minka hold list"


def test_checking_files_needs_no_controller(nowhere: dict[str, str], tmp_path: Path) -> None:
    assert minka("network", "check", str(TINY), env=nowhere).status == 0
    broken = tmp_path / "broken"
    broken.mkdir()
    (broken / "sites.csv").write_text("id,nam\n")
    assert minka("network", "check", str(broken), env=nowhere).status == 2
    said = minka("network", "check", str(broken), "--json", env=nowhere)
    assert (said.status, said.json["valid"]) == (2, False)


def test_a_station_without_cells_is_named_with_its_line(nowhere: dict[str, str], tmp_path: Path) -> None:
    shutil.copytree(TINY, folder := tmp_path / "grown")
    with (folder / "stations.csv").open("a") as rows:
        rows.write("T-NEW-1,juli,lte-28658,10.99.0.9,1009,20,,\n")
    said = minka("network", "check", str(folder), env=nowhere)
    assert said.status == 0, "only a warning"
    assert "warning: stations.csv:6: station T-NEW-1: it has no cells" in " ".join(said.out.split())
    assert said.out.splitlines()[-1] == "valid, with 1 warning"
    (folder / "cells.csv").unlink()
    said = minka("network", "check", str(folder), env=nowhere)
    words = " ".join(said.out.split())
    assert "neither it nor any other station has cells, as of cells.csv" in words
    assert "the same on 5 stations in all (station-without-cells)" in words


@pytest.mark.parametrize(
    ("words", "what"),
    [
        ("network check {}", "checking files and contracts"),
        ("network load {}", "loading the files"),
        ("network show cells", "asking for cells"),
        ("network sharing", "asking for the tenants of each cell"),
        ("network import {}/endpoints.csv --header {}/network.yaml --to {}-found", "reading stations"),
        ("device list", "asking for devices"),
        ("device get PE-1", "reading the device"),
        ("device drift", "reading devices"),
        ("plan", "reading devices"),
        ("undo r-1", "reading devices"),
        ("plans show 42", "asking for the plan"),
        ("plans compare 42 43", "comparing the plans"),
        ("apply 42", "checking the plan and putting the run on record"),
        ("playbook dry-run lock-cell station=PE-1", "reading devices and preparing the run"),
        ("audit --verify", "verifying all rows"),
        ("record accept record --reason x", "comparing stations with the record"),
        ("rules check --network {}", "checking rules and network files"),
        ("rules backtest playbooks/rules", "judging what was reported"),
        ("report sla bitel --month 2026-10", "asking for the statement"),
        ("kpi show accessibility", "working out the indicator"),
    ],
)
def test_what_may_take_long_says_on_a_terminal_what_it_waits_for(
    nowhere: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, words: str, what: str
) -> None:
    """Each of these took more than ten seconds with 3,100 stations, or may with a record that is as large."""
    shutil.copytree(TINY, folder := tmp_path / "tiny")
    monkeypatch.chdir(ROOT)
    assert what not in minka(*words.format(*[folder] * 3).split(), env=nowhere).err
    monkeypatch.setenv("TERM", "xterm")
    monkeypatch.setattr(output.err, "_force_terminal", True)
    monkeypatch.setattr(output.err, "is_interactive", True)
    assert what in minka(*words.format(*[folder] * 3).split(), env=nowhere).err


@pytest.mark.parametrize("verb", ["check", "load"])
@pytest.mark.parametrize("name", ["sites.csv", "sites.yaml"])
def test_a_fifo_among_the_files_is_refused(nowhere: dict[str, str], tmp_path: Path, verb: str, name: str) -> None:
    os.mkfifo(tmp_path / name)
    said = minka("network", verb, str(tmp_path), env=nowhere)
    assert said.status == 2
    assert re.search(rf"{name}.*cannot be read: it is not a regular file", said.err)


@pytest.mark.parametrize("command", ["report verify", "report take-back", "audit verify --anchor"])
def test_a_file_that_never_ends_is_not_read(nowhere: dict[str, str], tmp_path: Path, command: str) -> None:
    os.mkfifo(pipe := tmp_path / "pipe")
    for file in (str(pipe), "/dev/zero"):
        said = minka(*command.split(), file, env=nowhere)
        assert (said.status, "cannot be read: it is not a regular file" in " ".join(said.err.split())) == (2, True)


def test_files_that_are_not_text_are_refused(nowhere: dict[str, str], tmp_path: Path) -> None:
    (tmp_path / "x.yaml").write_bytes(b"\xff\xfe")
    said = minka("network", "load", str(tmp_path), env=nowhere)
    assert said.status == 2
    assert "not UTF-8" in said.err


def test_rules_that_are_wrong_are_named_before_a_server_is_asked(nowhere: dict[str, str], tmp_path: Path) -> None:
    for command in ("check", "backtest"):
        said = minka("rules", command, str(tmp_path), env=nowhere)
        assert said.status == 2
        assert "rules are files NAME.yaml directly in the folder" in said.err
        assert minka("rules", command, str(tmp_path / "none"), env=nowhere).status == 2
    rule = tmp_path / "a.yaml"
    rule.write_text("name: a\ndescription: d\nmatch: {causes: [x]}\nladder:\n  - playbook: reboot\n")
    said = minka("rules", "check", str(tmp_path), "--json", env=nowhere)
    assert said.status == 2
    assert said.json["error"]["detail"] == "a.yaml:5: rule.ladder[0].playbook: there is no playbook 'reboot'"
    rule.write_text("name: a\ndescription: d\nmatch: {causes: [x], regions: [cuzco]}\nladder: [{ticket: Go there}]\n")
    assert minka("rules", "check", str(tmp_path), env=nowhere).status == 0
    said = minka("rules", "check", str(tmp_path), "--network", "peru-mini", "--json", env=nowhere)
    assert said.status == 2
    strange = "a.yaml:3: rule.match.regions[0] = 'cuzco': no such region; did you mean 'cusco'?"
    assert said.json["error"]["detail"] == strange
    rule.write_bytes(b"name: \xff\n")
    for command in ("check", "backtest"):
        said = minka("rules", command, str(tmp_path), env=nowhere)
        assert (said.status, "not UTF-8" in said.err) == (2, True)


def test_another_program_on_the_port_is_distinguished_from_the_api(
    nowhere: dict[str, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def html(*_: object, **__: object) -> httpx.Response:
        return httpx.Response(200, text="<html>", request=httpx.Request("GET", "http://x"))

    monkeypatch.setattr(httpx.Client, "request", html)
    assert minka("runs", env=nowhere).status == 3


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("MINKA_API_PORT", "99999", "MINKA_API_PORT = '99999': too large; at most 65535"),
        (
            "MINKA_MAIL_RELAY",
            "minka:geheim@relay",
            "MINKA_MAIL_RELAY: must begin with smtp://, starttls://, smtps://, as in",
        ),
        (
            "MINKA_ALARM_SOURCES",
            "rumours",
            "MINKA_ALARM_SOURCES = 'rumours': 'rumours' is not a source of alarms; the sources are check",
        ),
        (
            "MINKA_UNTRUSTED_SOFTWARE",
            "e27795f2a92f4e43e279ffce1ef20eaa",
            "not of the right form; Software of stations whose confirmed commit",
        ),
        (
            "MINKA_ESCALATION_URL",
            "htp://x",
            "= 'htp://x': not of the right form; Webhook that receives what automation",
        ),
        ("MINKA_NOTIFY_URL", "none", "MINKA_NOTIFY_URL = 'none': not of the right form; Webhook of the action notify"),
        ("MINKA_BROKER_URL", "redi://h:1", "= 'redi://h:1': not of the right form; Celery broker: minka-spool://"),
        ("MINKA_HEALTH_INTERVAL", "inf", "MINKA_HEALTH_INTERVAL = 'inf': "),
        ("MINKA_API_URL", "nonsense", "'nonsense' is not the address of an API: set MINKA_API_URL as in http://127"),
        ("MINKA_API_URL", "http://h:port", "is not the address of an API"),
        ("MINKA_TOKEN", "mïnka", "MINKA_TOKEN holds no token"),
    ],
)
def test_wrong_settings_are_named(nowhere: dict[str, str], name: str, value: str, said: str) -> None:
    seen = minka("runs", env=nowhere | {name: value})
    assert seen.status == 2
    assert said in seen.err
    assert "geheim" not in seen.err
    assert "Traceback" not in seen.err


def test_versions_and_help_have_status_0(nowhere: dict[str, str]) -> None:
    assert minka("--version", env=nowhere).out.startswith("minka ")
    for words in ((), ("network",), ("plan", "--help")):
        said = minka(*words, env=nowhere)
        assert "Usage: minka" in said.out + said.err


#: What help needs: Typer, and of Rich what prints; nothing that speaks HTTP, checks data or reads files.
HEAVY = {"pydantic_settings", "httpx", "structlog", "sqlalchemy", "fastapi", "orjson", "yaml", "celery", "lxml"}


@pytest.mark.parametrize("words", [["--help"], ["device", "--help"], ["device", "list", "--help"], ["--version"]])
def test_help_loads_little(words: list[str]) -> None:
    """Loading is what takes the time: without these modules help takes less than 0.3 s of the processor."""
    script = f"import sys; sys.argv = ['minka', *{words}]\nfrom controller.cli.main import main\ntry: main()\n"
    script += "except SystemExit: print('loaded:', *sorted(sys.modules))"
    said = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True, cwd=ROOT).stdout
    loaded = {name.partition(".")[0] for name in said.rpartition("loaded:")[2].split()}
    assert "typer" in loaded
    # Typer has pydantic look at the options of a command.
    assert not loaded & (HEAVY if "device" in words else HEAVY | {"pydantic", "asyncio"})
    assert not {name for name in said.split() if name.startswith(("controller.api", "controller.store"))}


def test_help_builds_only_the_command_that_is_asked_for(monkeypatch: pytest.MonkeyPatch) -> None:
    built: list[str | None] = []
    build = typer.main.get_command_from_info

    def noted(info: Any, **more: Any) -> Any:
        built.append(info.name)
        return build(info, **more)

    monkeypatch.setattr(lazy, "get_command_from_info", noted)
    assert "List runs, newest first." in minka("--help").out
    assert built == []
    minka("runs", "--help")
    assert built == ["runs"]


@pytest.mark.parametrize("name", sorted(set(ALL) - {"sim up", "sim fault", "sim pool"}))
def test_options_that_are_given_or_not_take_no_value(name: str) -> None:
    said = minka(*name.split(" "), "--help")
    assert "--help" in said.out
    assert "bool" not in said.out


def test_a_misspelt_command_is_guessed() -> None:
    assert "Did you mean 'override'?" in minka("overide").err
    assert "Did you mean 'list'?" in minka("device", "lits").err


def complete(line: str, shell: str) -> str:
    """What a shell is offered at the end of a line."""
    env = {**os.environ, "_MINKA_COMPLETE": f"complete_{shell}", "COMP_WORDS": line}
    env |= {"COMP_CWORD": str(len(line.split(" ")) - 1), "_TYPER_COMPLETE_ARGS": line}
    return subprocess.run(
        [sys.executable, "-m", "controller.cli"], env=env, capture_output=True, text=True, check=True
    ).stdout


@pytest.mark.parametrize("shell", ["bash", "zsh"])
def test_shells_complete(shell: str) -> None:
    assert {"plan", "plans"} <= set(complete("minka pla", shell).replace('"', " ").split())
    assert "adopt" in complete("minka device ", shell)
    assert "--json" in complete("minka runs --", shell)


def test_no_colours_where_there_is_no_terminal(nowhere: dict[str, str]) -> None:
    assert "\x1b" not in minka("network", "check", str(TINY), env=nowhere).out
    assert "\x1b" not in minka("runs", env=nowhere).err


def up(env: dict[str, str], *words: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "controller.cli", "up", *words]
    return subprocess.run(
        command, env={**os.environ, **env}, cwd=ROOT, capture_output=True, text=True, check=False, timeout=90
    )


def test_up_leaves_a_folder_to_the_one_that_works_there(nowhere: dict[str, str]) -> None:
    home = Path(nowhere["MINKA_HOME"])
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("a") as other:
        fcntl.flock(other, fcntl.LOCK_EX)
        said = minka("up", env=nowhere)
    assert (said.status, "another `minka up` works in" in said.err) == (1, True), said


def test_up_names_a_port_that_is_taken(nowhere: dict[str, str]) -> None:
    with socket.socket() as other:
        other.bind(("127.0.0.1", int(nowhere["MINKA_API_PORT"])))
        other.listen()
        said = up(nowhere)
    assert said.returncode == 1
    assert "the API can't use port" in said.stderr
    assert "Traceback" not in said.stderr


@pytest.mark.parametrize("claimed", [[True, True, False], [False, False]])
def test_whoever_waits_hears_at_once_that_up_ended(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, claimed: list[bool]
) -> None:
    monkeypatch.setenv("MINKA_HOME", str(tmp_path))
    left = iter(claimed)

    def claims(home: Path) -> bool:
        now = next(left)  # an end that is not noticed asks once more, and fails here
        if not any(claimed) or now:
            (home / "up.lock").write_text("4711\n", encoding="utf-8")  # also of one that ended between two looks
        return now

    monkeypatch.setattr(processes, "_is_claimed", claims)
    with pytest.raises(CliError, match=r"has ended before it was up; see .*logs"):
        processes.wait(timeout=600)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({}, "has no network files (.yaml, .csv); sample networks: peru, peru-mini, peru-virtual"),
        ({"notes.txt": "x", ".hidden.yaml": "a: 1"}, "has no network files"),
        (None, "no sample network of this name: peru, peru-mini, peru-virtual"),
    ],
)
def test_a_directory_that_is_no_network_is_told_with_the_sample_networks(
    tmp_path: Path, content: dict[str, str] | None, why: str
) -> None:
    folder = tmp_path / "mine"
    if content is not None:
        folder.mkdir()
        for name, text in content.items():
            (folder / name).write_text(text)
    with pytest.raises(typer.BadParameter) as refused:
        network_folder(str(folder))
    assert (str(folder) in refused.value.message, why in refused.value.message) == (True, True), refused.value.message
    folder.mkdir(exist_ok=True)
    (folder / "network.YAML").write_text("network: {}")
    assert network_folder(str(folder)) == folder


def test_whoever_waits_is_not_misled_by_an_earlier_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MINKA_HOME", str(tmp_path))
    processes._claim(tmp_path).close()
    assert (tmp_path / "up.lock").read_text(encoding="utf-8") == f"{os.getpid()}\n"
    with pytest.raises(CliError, match="is not up after 0 s: no minka up runs there"):
        processes.wait(timeout=0)


@pytest.fixture
def _signals_and_logs() -> Iterator[None]:
    """``minka up`` sets up signals and logs, and here it does so in our process."""
    before = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    logging_to = list(logging.getLogger().handlers)
    yield
    for number, handler in before.items():
        signal.signal(number, handler)
    logging.getLogger().handlers[:] = logging_to
    structlog.reset_defaults()


@pytest.mark.usefixtures("_signals_and_logs")
def test_up_gives_up_on_simulators_that_find_no_place(
    nowhere: dict[str, str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other processes are none of Minka's: how those start is tested wherever a whole controller is."""
    monkeypatch.setattr(processes, "_minka", lambda *_: [sys.executable, "-S", "-c", "import time; time.sleep(600)"])
    monkeypatch.setattr(supervisor, "_TRIES", 1)  # Each would compile the stations' YANG modules before it fails.
    base = free_ports(5)
    with socket.socket() as other:
        other.bind(("127.0.0.1", base + 2))
        other.listen()
        words = ["up", "--sim", str(TINY), "--sim-ports", str(base), "--sim-control", f"127.0.0.1:{base + 4}"]
        said = minka(*words, env=nowhere)
    assert said.status == 1
    assert "simulators does not start" in said.err
    assert "address already in use" in said.err
    assert str(base + 2) in said.err
    assert str(tmp_path) in said.err
    assert "process.ended" in said.err
    assert "\x1b" not in said.err


def test_a_new_audit_key_signs_from_the_next_start_on(tmp_path: Path) -> None:
    env = environment(tmp_path, 1)
    settings = Settings(home=tmp_path)
    with closing(open_record(settings, SystemClock(), "up")) as store:
        store.audit.append("ana", "did", "1")
        first = store.audit.newest_key()
    made = minka("audit", "new-key", "--json", env=env).json
    assert made["file"] == str(tmp_path / "audit-keys")
    with closing(open_record(settings, SystemClock(), "up")) as store:
        store.audit.append("ana", "did", "2")
        assert store.audit.newest_key() == made["key"] != first
        assert store.audit.verify() is None
    assert minka("audit", "new-key", env={**env, "MINKA_AUDIT_KEYS": "env:KEYS"}).status == 2
