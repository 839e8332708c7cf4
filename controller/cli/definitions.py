"""``minka definitions``: the rules, playbooks and KPIs that are in force."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.errors import WRONG_INPUT, CliError
from controller.cli.output import (
    Json,
    Reason,
    client,
    counted,
    difference_lines,
    err,
    out,
    print_answer,
    print_result,
    styled,
    when,
    with_warnings,
)
from controller.cli.settings import settings as environment
from controller.models.definitions import DefinitionFiles
from controller.models.many import first_names

app = typer.Typer(
    no_args_is_help=True,
    help="Rules, playbooks and KPIs: the one version of their files that is in force, and putting another in force.",
)

_Rules = Annotated[
    Path | None,
    typer.Option("--rules", help="Folder of all rules; by default MINKA_RULES.", exists=True, file_okay=False),
]
_Playbooks = Annotated[
    Path | None,
    typer.Option(
        "--playbooks", help="Folder of all playbooks; by default MINKA_PLAYBOOKS.", exists=True, file_okay=False
    ),
]
_Kpis = Annotated[
    Path | None, typer.Option("--kpis", help="Folder of all KPIs; by default MINKA_KPIS.", exists=True, file_okay=False)
]
#: Most changed files that are named.
_MOST = 20


@app.command(epilog="Example: minka definitions load --rules my-rules --reason CHG-1042")
def load(
    reason: Reason,
    rules: _Rules = None,
    playbooks: _Playbooks = None,
    kpis: _Kpis = None,
    yes: Annotated[bool, typer.Option("--yes", help="Don't ask for confirmation.")] = False,
    as_json: Json = False,
) -> None:
    """Put the rules, playbooks and KPIs of folders in force, all together, for all processes at once.

    A folder replaces all of its kind: what is in force and not in it goes. A file that is wrong refuses them all, and
    what was in force stays. A promoted rule that changes, or whose playbook does, observes until it is promoted again.
    Runs under way keep the text that they began with.
    """
    files = _read(rules, playbooks, kpis)
    if files.unread:
        raise CliError("\n".join(f"{path}: {reason}" for path, (_, reason) in files.unread.items()), WRONG_INPUT)
    api = client()
    before = api.get("/v1/definitions")
    differences = _differences(files, before)
    if differences and not as_json:
        for line in difference_lines(f"against version {before['number']}, which is in force:", differences):
            out.print(line)
        if not yes and out.is_terminal:
            typer.confirm("put this in force?", abort=True)
    body = {"files": dict(files.texts), "reason": reason, "replaces": before["digest"]}
    said = api.put("/v1/definitions", body)
    state = "in force from now on" if said["changed"] else "unchanged: these files were in force already"
    print_result(said, f"version {said['number']} ({said['digest'][:12]}) {state}", as_json=as_json)
    if said["observing"] and not as_json:
        err.print(styled(f"observing until promoted again: {', '.join(said['observing'])}", "yellow"))


def _differences(files: DefinitionFiles, before: dict[str, Any]) -> list[dict[str, Any]]:
    """What files add, change and remove by folder, as the loading of network files tells it."""
    now = {path: hashlib.sha256(text.encode()).hexdigest() for path, text in files.texts.items()}
    then: dict[str, str] = before["files"]
    ways = {
        "added": now.keys() - then.keys(),
        "changed": {path for path in now.keys() & then.keys() if now[path] != then[path]},
        "removed": then.keys() - now.keys(),
    }
    folders = sorted({path.rpartition("/")[0] for paths in ways.values() for path in paths})
    return [{"kind": folder, **{how: _inside(folder, paths) for how, paths in ways.items()}} for folder in folders]


def _inside(folder: str, paths: Iterable[str]) -> dict[str, Any]:
    names = sorted(name for inside, _, name in (path.rpartition("/") for path in paths) if inside == folder)
    return {"count": len(names), "names": names}


@app.command(epilog="Example: minka definitions show")
def show(as_json: Json = False) -> None:
    """Show the version that is in force: its digest, who put it in force and why, and the files that are left out."""
    print_answer(client().get("/v1/definitions"), _print, as_json=as_json)


def _print(said: dict[str, Any]) -> None:
    out.print(f"version {said['number']} ({said['digest'][:12]}), in force since {when(said['at'])}")
    out.print(f"by {said['by']}: {said['reason']}")
    for kind in ("rules", "rules/oncall", "playbooks", "kpis", "kpis/regulators"):
        number = sum(path.rpartition("/")[0] == kind for path in said["files"])
        out.print(f"  {kind:<16} {counted(number, 'file')}")
    warn_of_files(said)


@app.command(epilog="Example: minka definitions check --rules my-rules")
def check(rules: _Rules = None, playbooks: _Playbooks = None, kpis: _Kpis = None, as_json: Json = False) -> None:
    """Check whether the files of folders could be put in force, without a server; each problem with file and line."""
    from controller.remediation.definitions import check as check_files  # noqa: PLC0415 - loads all actions

    files = _read(rules, playbooks, kpis)
    warnings = [*map(str, check_files(files))]
    for warning in () if as_json else warnings:
        err.print(styled("warning:", "yellow"), warning)
    said = f"{counted(len(files.texts), 'file')}, no problem{with_warnings(len(warnings))}"
    print_result({"files": len(files.texts), "warnings": warnings}, said, as_json=as_json)


def _read(rules: Path | None, playbooks: Path | None, kpis: Path | None) -> DefinitionFiles:
    from controller.inventory.definitions import read_definitions  # noqa: PLC0415 - loads YAML only when asked

    known = environment()
    return read_definitions(rules or known.rules, playbooks or known.playbooks, kpis or known.kpis)


def warn_of_files(said: dict[str, Any], prefix: str = "") -> None:
    """Warn of files with such a path that are left out, or that the folders of the API have otherwise."""
    for path, problems in said["left_out"].items():
        if path.startswith(prefix):
            for problem in problems:
                err.print(styled(f"left out: {problem}", "red"))
    if differ := [path for path in said["differ"] if path.startswith(prefix)]:
        words = f"the folders of the API have other files than those in force: {_some(differ)}"
        err.print(styled(f"{words}; to put them in force: minka definitions load", "yellow"))
    if said["unread"]:
        err.print(styled(f"the folders of the API can't be compared: {said['unread']}", "yellow"))


def _some(paths: Sequence[str]) -> str:
    """The first few of many paths."""
    return first_names(paths, _MOST)
