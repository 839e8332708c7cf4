"""``minka plan`` and ``minka apply``."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli import completion
from controller.cli.approvals import Contracts, contractual, show_outlook
from controller.cli.completion import Selector
from controller.cli.errors import DIFFERENT, FAILED, ORPHANED, WRONG_INPUT, CliError
from controller.cli.follow import accepted
from controller.cli.listed import Listed
from controller.cli.output import (
    Detach,
    Json,
    Key,
    Limit,
    Overtake,
    Reason,
    client,
    err,
    indented,
    new_key,
    out,
    print_answer,
    when,
)
from controller.cli.pager import paged
from controller.cli.plan_view import show_conclusion, show_extent, show_plan
from controller.cli.progress import counting, working
from controller.cli.tables import Column, records, table
from controller.models.enums import Policy

plans = typer.Typer(no_args_is_help=True, help="Plans on record.")

PlanId = Annotated[str, typer.Argument(help="Id of a plan, as in 42327bc0ca30.", autocompletion=completion.plans)]


def _removals(words: list[str]) -> dict[str, int]:
    found: dict[str, int] = {}
    for word in words:
        tenant, _, count = word.partition("=")
        if not tenant or not count.isdecimal():
            raise CliError(f"--remove {word!r}: name tenant and number of nodes, as in --remove bitel=42", WRONG_INPUT)
        if found.setdefault(tenant, int(count)) != int(count):
            raise CliError(f"--remove {word}: --remove {tenant}={found[tenant]} says otherwise; name one", WRONG_INPUT)
    return found


#: Number of devices that are to be touched; the last one would count if it were no list.
Expect = Annotated[list[int] | None, typer.Option(min=0, help="Number of devices you expect to be touched.")]


def one_expectation(numbers: Sequence[int] | None) -> int | None:
    """The number that ``--expect`` names. Raises CliError for several."""
    found = sorted(set(numbers or ()))
    if len(found) > 1:
        words = " and ".join(f"--expect {one}" for one in found)
        raise CliError(f"{words} can't both be: name one number of devices", WRONG_INPUT)
    return found[0] if found else None


def expected(allow: Mapping[str, Any] | None) -> list[str]:
    """The option that names the number of devices which would allow what was refused, if a number would."""
    number = (allow or {}).get("expect_stations")
    return [] if number is None else [f"--expect {number}"]


def allow_words(allow: Mapping[str, Any] | None) -> str:
    """The options of this command that would allow a plan, by ``allow`` of its refusal."""
    options = [f"--remove {owner}={count}" for owner, count in (allow or {}).get("remove", {}).items()]
    options += expected(allow)
    return f" ({' '.join(options)})" if options else ""


def plan(
    selector: Selector = "*",
    remove: Annotated[list[str] | None, typer.Option(help="TENANT=NODES that may be removed; repeatable.")] = None,
    expect: Expect = None,
    identities: Annotated[
        bool,
        typer.Option(
            "--identities",
            help="Also change primary PLMNs (cells are locked) and PLMNs of global node ids (stations restart).",
        ),
    ] = False,
    save: Annotated[Path | None, typer.Option(help="Also write the plan as JSON to this file.")] = None,
    exit_code: Annotated[
        bool,
        typer.Option(
            "--exit-code",
            help=f"Exit {DIFFERENT} if anything would change, {FAILED} if an adopted device is left out, as it could "
            f"not be read; {ORPHANED} if nothing would change but orphaned nodes stay.",
        ),
    ] = False,
    every: Annotated[bool, typer.Option("--all", help="Show every row; do not join rows that are alike.")] = False,
    as_json: Json = False,
) -> None:
    """Plan how to bring the selected devices to the loaded network files. Reads devices, changes nothing."""
    body = {
        "selector": selector,
        "remove": _removals(remove or []),
        "expect_stations": one_expectation(expect),
        "identities": identities,
    }
    made = _made("/v1/plans", body, shown=not as_json)
    if save is not None:
        save.write_text(indented(made), encoding="utf-8")
    print_answer(made, partial(_show, every=every), as_json=as_json)
    if exit_code and (status := _status_of(made)):
        raise typer.Exit(status)


def _status_of(made: Mapping[str, Any]) -> int:
    """The exit status of a plan: no difference is known only of devices that were compared."""
    if made["changes"]:
        return DIFFERENT
    if set(made.get("unplanned", ())).difference(made.get("observed_only", ())):
        return FAILED
    return ORPHANED if made.get("orphans") else 0


def undo(
    run_id: Annotated[
        str, typer.Argument(help="Id of a run that has ended, as in r-21748f9c95.", autocompletion=completion.runs)
    ],
    remove: Annotated[list[str] | None, typer.Option(help="TENANT=NODES that may be removed; repeatable.")] = None,
    every: Annotated[bool, typer.Option("--all", help="Show every row; do not join rows that are alike.")] = False,
    as_json: Json = False,
) -> None:
    """Plan how to undo a run, from its recorded inverses. Changes nothing until you apply the plan."""
    made = _made(f"/v1/runs/{run_id}/undo", {"remove": _removals(remove or [])}, shown=not as_json)
    print_answer(made, partial(_show, every=every), as_json=as_json)


def _show(made: dict[str, Any], *, every: bool) -> None:
    """Print a plan, what it waits for, and last what it does, the next commands, and what it comes to."""
    outlook = None
    if made["changes"] and "selector" in made:  # a tenant sees its part
        with working("asking who has to agree"):
            outlook = client().get(f"/v1/plans/{made['id']}/outlook")
    with paged():
        show_plan(made, every=every)
        if "selector" not in made:
            return
        if outlook is not None:
            show_outlook(outlook, before=True)
        show_conclusion(made)
        if outlook is not None:
            show_extent(made, outlook["extent"])


def _made(path: str, body: dict[str, Any], *, shown: bool = False) -> dict[str, Any]:
    """Request a plan, with its progress ``shown`` on a terminal; a refusal names the options that would allow it."""
    api = client()
    try:
        if shown and err.is_terminal:
            with counting("reading devices", "putting the plan on record") as report:
                return dict(api.progress(path, body, report))
        made: dict[str, Any] = api.post(path, body)
    except CliError as error:
        raise CliError(f"{error}{allow_words(error.problem.get('allow'))}", error.status, error.problem) from error
    return made


@plans.command("list", epilog="Example: minka plans list --limit 5")
def list_(limit: Limit = 20, as_json: Json = False) -> None:
    """List plans, newest first."""
    found = client().all("/v1/plans", limit)
    columns = (
        Column("id"),
        Column("created", 1, tells=True),
        Column("selector", prose=True),
        Column("stations"),
        Column("unchanged", 3),
        Column("unplanned", 2, tells=True),
        Column("findings", 4),
    )
    rows = ([when(p[c.name]) if c.name == "created" else p.get(c.name) for c in columns] for p in found)
    records(found, columns, rows, as_json=as_json)


@plans.command("show", epilog="Example: minka plans show 42327bc0ca30")
def show(
    plan_id: PlanId,
    every: Annotated[bool, typer.Option("--all", help="Show every row; do not join rows that are alike.")] = False,
    as_json: Json = False,
) -> None:
    """Show a plan."""
    with working("asking for the plan", shown=not as_json):
        made = client().get(f"/v1/plans/{plan_id}")
    print_answer(made, partial(_show, every=every), as_json=as_json)


@plans.command("compare", epilog="Example: minka plans compare 42327bc0ca30 0a1b2c3d4e5f")
def compare(
    plan_id: PlanId,
    other_id: PlanId,
    exit_code: Annotated[bool, typer.Option("--exit-code", help=f"Exit {DIFFERENT} if they differ.")] = False,
    as_json: Json = False,
) -> None:
    """Show how two plans differ."""
    with working("comparing the plans", shown=not as_json):
        lines = client().all(f"/v1/plans/{plan_id}/compare/{other_id}")
    print_answer(lines, _print_differences, as_json=as_json)
    if lines and exit_code:
        raise typer.Exit(DIFFERENT)


def _print_differences(lines: Listed) -> None:
    if not lines:
        out.print("the plans do the same")
    else:
        table(
            (Column("station"), Column("only in"), Column("what", prose=True)),
            ([line[key] for key in ("station", "only_in", "text")] for line in lines),
        )


def apply(
    plan_id: PlanId,
    canary: Annotated[int, typer.Option(help="Stations in the first wave.")] = 1,
    wave_size: Annotated[int, typer.Option(help="Stations in each later wave.")] = 50,
    per_region: Annotated[int | None, typer.Option(help="Most stations of one region in each later wave.")] = None,
    parallel: Annotated[int, typer.Option(help="Most stations at once.")] = 500,
    stop_after: Annotated[int, typer.Option(help="Number of failures after which nothing more starts.")] = 1,
    patience: Annotated[int, typer.Option(help="Seconds to keep trying an unreachable or busy station.")] = 0,
    policy: Annotated[Policy, typer.Option(help="Devices that are confirmed or taken back together.")] = Policy.STATION,
    confirm_timeout: Annotated[
        int | None,
        typer.Option(
            help="Time-out of the confirmed commit, in seconds; by default it follows from checks and groups."
        ),
    ] = None,
    check_timeout: Annotated[int, typer.Option(help="Seconds to wait for cells, core links and alarms.")] = 30,
    reason: Reason = "",
    contract: Contracts = None,
    key: Key = None,
    overtake: Overtake = False,
    detach: Detach = False,
    as_json: Json = False,
) -> None:
    """Apply a plan in waves and watch it. Interrupting the command does not stop the run."""
    strategy = {
        "canary": canary,
        "wave_size": wave_size,
        "per_region": per_region,
        "parallel": parallel,
        "stop_after": stop_after,
        "patience": patience,
        "policy": policy,
        "confirm_timeout": confirm_timeout,
        "check_timeout": check_timeout,
    }
    asked = {
        "plan": plan_id,
        "strategy": strategy,
        "reason": reason,
        "contracts": contractual(contract),
        "overtake": overtake,
    }
    with working("checking the plan and putting the run on record", shown=not as_json):
        run = client().post("/v1/runs", asked, {"Idempotency-Key": key or new_key()})
    accepted(run, f"of plan {plan_id}", detach=detach, as_json=as_json, comes_to=partial(_show_extent_of, plan_id))


def _show_extent_of(plan_id: str) -> None:
    """Print what a plan on record comes to, as planning did. Its run began: no answer is no reason not to follow it."""
    with suppress(CliError):
        with working("asking what the plan comes to"):
            outlook = client().get(f"/v1/plans/{plan_id}/outlook")
        show_extent({}, outlook["extent"])
