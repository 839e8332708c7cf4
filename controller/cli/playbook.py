"""``minka playbook``: list, show, check, dry-run, run, steps."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import partial
from itertools import chain, islice
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli import completion
from controller.cli.approvals import Contracts, contractual, show_outlook
from controller.cli.completion import RunId
from controller.cli.definitions import warn_of_files
from controller.cli.errors import DIFFERENT, WRONG_INPUT, CliError
from controller.cli.follow import accepted, name_of
from controller.cli.listed import Listed
from controller.cli.output import (
    Detach,
    Json,
    Key,
    Overtake,
    Reason,
    bold,
    client,
    coloured,
    counted,
    err,
    new_key,
    out,
    print_answer,
    styled,
    with_warnings,
)
from controller.cli.pager import paged
from controller.cli.plan import Expect, expected, one_expectation
from controller.cli.plan_view import (
    SHORT,
    common,
    show_findings,
    show_left_out,
    stations_in_short,
    without_addresses,
)
from controller.cli.progress import working
from controller.cli.tables import Column, records, table
from controller.models.many import VARIES

app = typer.Typer(no_args_is_help=True, help="Playbooks: procedures written in YAML.")


def playbook_name(text: str) -> str:
    """The name of a playbook, which is not the path of its file."""
    if (name := Path(text).stem) != text:
        raise typer.BadParameter(
            f"{text!r} is a path: a playbook goes by its name, here {name!r}, "
            "once the files of its folder are in force: minka definitions load"
        )
    return text


Name = Annotated[
    str,
    typer.Argument(
        parser=playbook_name,
        metavar="NAME",
        help="Name of a playbook, as in lock-cell.",
        autocompletion=completion.playbooks,
    ),
]
OnHoldOption = Annotated[
    str | None,
    typer.Option(
        "--on-hold", help="Stations under a hold: skip them or refuse the run. Default: as the playbook says."
    ),
]
Values = Annotated[list[str] | None, typer.Argument(help="Parameters as NAME=VALUE.")]


def _parameters(words: list[str] | None) -> dict[str, str]:
    found: dict[str, str] = {}
    for word in words or []:
        name, equals, value = word.partition("=")
        if not name or not equals:
            raise CliError(f"{word!r}: give parameters as NAME=VALUE, as in station=PE-CUS-0145", WRONG_INPUT)
        if name in found:
            raise CliError(f"{name} is given twice", WRONG_INPUT)
        found[name] = value
    return found


def allowing(message: str, allow: Mapping[str, Any] | None) -> str:
    """A refusal, with the option that would allow the run."""
    return " ".join([message, *(f"({option})" for option in expected(allow))])


@app.command("list", epilog="Example: minka playbook list")
def list_(as_json: Json = False) -> None:
    """List the controller's playbooks by name."""
    print_answer(client().all("/v1/playbooks"), _print_list, as_json=as_json)


def _print_list(found: Listed) -> None:
    table(
        (Column("name"), Column("parameters", 1, prose=True, tells=True), Column("what", prose=True)),
        (
            (
                playbook["name"],
                " ".join(playbook["parameters"]),
                styled("can't be read", "red") if playbook["problems"] else _first_sentence(playbook["description"]),
            )
            for playbook in found
        ),
    )
    warn_of_files(client().get("/v1/definitions"), "playbooks/")


def _first_sentence(text: str) -> str:
    words = " ".join(text.split())
    return words.partition(". ")[0].rstrip(".") + "."


@app.command(epilog="Example: minka playbook show lock-cell")
def show(name: Name, as_json: Json = False) -> None:
    """Show a playbook: what it does, its parameters and steps."""
    print_answer(client().get(f"/v1/playbooks/{name}"), _show, as_json=as_json)


@paged()
def _show(said: dict[str, Any]) -> None:
    playbook = said["playbook"]
    out.print(bold(playbook["name"]), f": {' '.join(playbook['description'].split())}", sep="")
    out.print(f"targets: {playbook['targets']}")
    rows = ((key, _type(one), _default(one), one["description"]) for key, one in playbook["parameters"].items())
    table(
        (Column("parameter"), Column("type", 1, prose=True, tells=True), Column("default"), Column("what", prose=True)),
        rows,
    )
    steps = playbook["steps"]
    table(
        (Column("step"), Column("action"), Column("when", prose=True)),
        ((step["name"], step["action"], step["when"]) for step in steps),
    )


def _type(parameter: dict[str, Any]) -> str:
    return "|".join(parameter["choices"]) or str(parameter["type"])


def _default(parameter: dict[str, Any]) -> str:
    if parameter["default"] is not None:
        return str(parameter["default"])
    return "none" if parameter["optional"] else "must be given"


@app.command(epilog="Example: minka playbook check playbooks")
def check(
    path: Annotated[Path, typer.Argument(exists=True, help="A playbook file, or a folder of them.")],
    as_json: Json = False,
) -> None:
    """Check playbook files; every problem names file and line. Needs no controller.

    A warning is no error, since it may be meant so: cells that stay locked, a parameter that nothing uses.
    """
    from controller.cli.checks import check_playbooks  # noqa: PLC0415 - loads the language only when asked

    names, problems, warnings = check_playbooks(path)
    print_answer(
        {"valid": not problems, "playbooks": names, "problems": problems, "warnings": warnings},
        _print_checked,
        as_json=as_json,
    )
    if problems:
        raise typer.Exit(WRONG_INPUT)


def _print_checked(said: dict[str, Any]) -> None:
    for warning in said["warnings"]:
        err.print(styled("warning:", "yellow"), warning)
    for problem in said["problems"]:
        err.print(problem)
    words = f"{counted(len(said['playbooks']), 'playbook')} valid{with_warnings(len(said['warnings']))}"
    wrong = styled(f"{counted(len(said['problems']), 'problem')},", "red")
    out.print(*((wrong, words) if said["problems"] else (styled(words, "green"),)))


@app.command("dry-run", epilog="Example: minka playbook dry-run lock-cell station=PE-CUS-0145 cell=B28-1")
def dry_run(
    name: Name,
    values: Values = None,
    expect: Expect = None,
    on_hold: OnHoldOption = None,
    reason: Reason = "",
    exit_code: Annotated[bool, typer.Option("--exit-code", help=f"Exit {DIFFERENT} if it would be refused.")] = False,
    every: Annotated[bool, typer.Option("--all", help="Show every row; do not join rows that are alike.")] = False,
    as_json: Json = False,
) -> None:
    """Show what a run would do: reach, order, steps, who has to agree, what it would wait for, what would refuse it.

    Changes nothing.
    """
    asked = {
        "parameters": _parameters(values),
        "expect_stations": one_expectation(expect),
        "on_hold": on_hold,
        "reason": reason,
    }
    with working("reading devices and preparing the run", shown=not as_json):
        said = client().post(f"/v1/playbooks/{name}/dry-run", asked)
    print_answer(said, partial(show_rehearsal, every=every), as_json=as_json)
    if said["refused"] and exit_code:
        raise typer.Exit(DIFFERENT)


@app.command(epilog="Example: minka playbook run lock-cell station=PE-CUS-0145 cell=B28-1 --reason CHG-1042")
def run(
    name: Name,
    values: Values = None,
    expect: Expect = None,
    on_hold: OnHoldOption = None,
    reason: Reason = "",
    contract: Contracts = None,
    key: Key = None,
    overtake: Overtake = False,
    detach: Detach = False,
    as_json: Json = False,
) -> None:
    """Run a playbook and watch it. Interrupting the command does not stop the run."""
    asked = {
        "parameters": _parameters(values),
        "expect_stations": one_expectation(expect),
        "on_hold": on_hold,
        "reason": reason,
        "contracts": contractual(contract),
        "overtake": overtake,
    }
    with working("reading devices and preparing the run", shown=not as_json):
        try:
            run = client().post(f"/v1/playbooks/{name}/runs", asked, {"Idempotency-Key": key or new_key()})
        except CliError as error:
            raise CliError(allowing(str(error), error.problem.get("allow")), error.status, error.problem) from error
    if not as_json:
        _show_left_out(run["plan"])
    accepted(run, f"of playbook {name}", detach=detach, as_json=as_json)


def _show_left_out(plan: str) -> None:
    """Name the devices that a run's plan leaves out. An error here is only printed, since the run is accepted."""
    try:
        show_left_out(client().get(f"/v1/plans/{plan}", changes=False).get("unplanned", {}))
    except CliError as error:
        err.print(f"could not read which devices the plan leaves out: {error}")


@app.command(epilog="Example: minka playbook steps r-21748f9c95 PE-CUS-0145")
def steps(
    run_id: RunId,
    station: Annotated[str, typer.Argument(help="Station id, as in PE-CUS-0145.", autocompletion=completion.stations)],
    as_json: Json = False,
) -> None:
    """Show the steps of a playbook's run on one station: what each was given, what it said, and how it ended."""
    found = client().all(f"/v1/runs/{run_id}/steps/{station}")
    # In the order of execution: undos follow all steps, from the last step to the first.
    steps = [step for step in found if not step["undo"]] + [step for step in reversed(found) if step["undo"]]
    columns = (
        Column("step"),
        Column("action", 2, tells=True),
        Column("state"),
        Column("outcome"),
        Column("attempt", 1, tells=True),
        Column("given", 3, prose=True, tells=True),
        Column("said", 4, prose=True, tells=True),
        Column("detail", prose=True),
    )
    records(
        found,
        columns,
        (
            (
                f"undo of {step['name']}" if step["undo"] else step["name"],
                step["action"],
                step["state"],
                coloured(step["outcome"] or "-"),
                step["attempt"],
                _values(step["inputs"]),
                _values(step["output"]),
                step["detail"],
            )
            for step in steps
        ),
        as_json=as_json,
    )


#: Most letters of a value; JSON has all of it.
_LETTERS = 200


def _values(found: Mapping[str, Any]) -> str:
    """Inputs or outputs of a step by name, without those that are empty; a long value is cut."""
    texts = {
        name: value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
        for name, value in found.items()
        if value not in (None, "", [], {})
    }
    cut = (f"{name}={text[:_LETTERS]}{'… (--json)' if len(text) > _LETTERS else ''}" for name, text in texts.items())
    return "; ".join(cut)


#: Most changes of one step to name.
_NAMED = 5


#: Steps of so many devices that are alike are one line, also where there are few lines.
_ALIKE = 3


#: Most waves to name one by one.
_WAVES = 40


@dataclass
class _Line:
    """What a step would do on some stations alike."""

    step: Mapping[str, Any]
    stations: list[str] = field(default_factory=list)
    says: list[str] = field(default_factory=list)


@paged()
def show_rehearsal(said: Mapping[str, Any], *, every: bool = False) -> None:
    """Print a dry run; equal steps of many stations are one line unless ``every`` is set."""
    reach = said["reach"]
    places = ", ".join((counted(reach["stations"], "device"), counted(reach["cells"], "cell")))
    tenants = ", ".join(reach["tenants"]) or "no tenant"
    out.print(f"{said['playbook']} reaches {places}, {reach['people']} people; {tenants}")
    if said["plan"]:
        out.print(f"plan {said['plan']}; all of it: minka plans show {said['plan']}")
    waves = _waves(said["stations"], said["strategy"])
    _show_order(waves, said["strategy"])
    lines = [line for members in waves.values() for line in _each(members)]
    joined = _grouped(list(chain(*waves.values())))
    alike_ones = lines if every or not (len(lines) > SHORT or len(joined) * _ALIKE <= len(lines)) else joined
    columns = (Column("station"), Column("step"), Column("action", 1, tells=True), Column("what", prose=True))
    table(columns, map(_row, alike_ones))
    if len(alike_ones) < len(lines):
        out.print("steps that are the same on many devices are one line here; for each device: --all")
    _show_undos(said["stations"])
    show_left_out(said["left_out"])
    show_findings(said)
    fails = (
        f"step {step['step']!r} on {one['station']}"
        for one in said["stations"]
        for step in one["steps"]
        if step["fails"]
    )
    show_outlook(said["outlook"], before=not said["refused"], fails=next(fails, ""), within=reach["tenants"])
    if said["refused"] and not said["outlook"]["requirements"]:
        out.print(f"who has to agree: not known, since it would be refused; within its reach: {tenants}")
    for place, reason in enumerate(said["refused"]):
        allow = {"expect_stations": said.get("would_expect")} if place == 0 else None
        out.print(styled("would be refused:", "red"), allowing(reason, allow))


def _waves(stations: Sequence[Mapping[str, Any]], strategy: Mapping[str, Any]) -> dict[str, list[Mapping[str, Any]]]:
    """What would be done on each station, by wave in order; the later part of a wave is separate."""
    found: dict[tuple[int, bool], list[Mapping[str, Any]]] = {}
    for one in sorted(stations, key=lambda one: (one["wave"], one["rank"], one["station"])):
        found.setdefault((one["wave"], one["rank"] > 0), []).append(one)
    several = len({wave for wave, _ in found})
    return {
        name_of(wave, several, strategy) + (", then" if behind else ""): members
        for (wave, behind), members in found.items()
    }


def _show_order(waves: Mapping[str, Sequence[Mapping[str, Any]]], strategy: Mapping[str, Any]) -> None:
    together = {"station": "each station on its own", "unit": "unit by unit", "wave": "wave by wave, all or nothing"}
    soak = f"; each wave stands for {strategy['soak']} s" if strategy["soak"] else ""
    most = sum(map(len, waves.values()))
    ends = 0 < most <= strategy["stop_after"] and most > 1
    stop = "no failure stops it" if ends else f"stops after {counted(strategy['stop_after'], 'failure')}"
    out.print(f"order: {together[strategy['policy']]}; {stop}{soak}")
    for wave, members in islice(waves.items(), _WAVES):
        named = stations_in_short([one["station"] for one in members])
        out.print(f"  {wave}: {named}")
    if len(waves) > _WAVES:
        out.print(f"  … and {counted(len(waves) - _WAVES, 'more wave')}")


def _each(members: Sequence[Mapping[str, Any]]) -> list[_Line]:
    return [_Line(step, [one["station"]], [_what(step)]) for one in members for step in one["steps"]]


def _grouped(members: Sequence[Mapping[str, Any]]) -> list[_Line]:
    """Equal lines joined, step by step."""
    found: list[_Line] = []
    for index in range(max((len(one["steps"]) for one in members), default=0)):
        groups: dict[tuple[str, ...], _Line] = {}
        for one in members:
            if index < len(one["steps"]):
                step, station = one["steps"][index], one["station"]
                says = _what(step).replace(station, VARIES)
                line = groups.setdefault((step["step"], without_addresses(says)), _Line(step))
                line.stations.append(station)
                line.says.append(says)
        found += groups.values()
    return found


def _show_undos(stations: Sequence[Mapping[str, Any]]) -> None:
    """Print what takes each step back, the last step first."""
    found: dict[tuple[int, str, str], list[str]] = {}
    for one in stations:
        for index, step in enumerate(one["steps"]):
            if undo := step.get("undo", "").replace(one["station"], VARIES):
                found.setdefault((-index, step["step"], undo), []).append(one["station"])
    if found:
        out.print("if a later step fails, what was done is taken back, the last step first:")
    for (_, name, undo), there in sorted(found.items()):
        out.print(f"  {name} on {stations_in_short(there)}: {undo}", soft_wrap=True)


def _row(line: _Line) -> tuple[str, ...]:
    says = _what(line.step) if len(line.stations) == 1 else common(line.says)
    return (stations_in_short(line.stations), line.step["step"], line.step["action"], says)


def _what(step: Mapping[str, Any]) -> str:
    rows = [f"{row['what']}: {row['before']} → {row['after']}" for row in step["diff"]]
    more = [f"and {len(rows) - _NAMED} more"] if len(rows) > _NAMED else []
    return "; ".join([*rows[:_NAMED], *more, step["says"]])
