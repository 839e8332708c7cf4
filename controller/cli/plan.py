"""``minka plan`` and ``minka apply``."""

from __future__ import annotations

import secrets
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from controller.cli.client import DIFFERENT, FAILED, WRONG_INPUT, CliError
from controller.cli.output import Json, client, coloured, escape, out, print_json, table, when

plans = typer.Typer(no_args_is_help=True, help="Plans on record.")


def _removals(words: list[str]) -> dict[str, int]:
    found = {}
    for word in words:
        tenant, _, count = word.partition("=")
        if not tenant or not count.isdigit():
            raise CliError(f"--remove {word!r}: name tenant and number of nodes, as in --remove bitel=42", WRONG_INPUT)
        found[tenant] = int(count)
    return found


def plan(
    selector: Annotated[str, typer.Argument(help="Stations, as in region=cusco,rat=NR or PE-CUS-*.")] = "*",
    remove: Annotated[list[str] | None, typer.Option(help="TENANT=NODES that may be removed; repeatable.")] = None,
    expect: Annotated[int | None, typer.Option(help="Number of stations you expect to be touched.")] = None,
    save: Annotated[Path | None, typer.Option(help="Write the plan's JSON to this file too.")] = None,
    exit_code: Annotated[bool, typer.Option("--exit-code", help=f"Exit {DIFFERENT} if anything would change.")] = False,
    as_json: Json = False,
) -> None:
    """Read the selected stations and plan what brings them to the loaded network files. Changes nothing."""
    body = {"selector": selector, "remove": _removals(remove or []), "expect_stations": expect}
    made = client().post("/v1/plans", body)
    if save is not None:
        save.write_text(_dumps(made), encoding="utf-8")
    if as_json:
        print_json(made)
    else:
        show_plan(made)
    if exit_code and made["changes"]:
        raise typer.Exit(DIFFERENT)


def _dumps(data: Any) -> str:
    import json  # noqa: PLC0415

    return json.dumps(data, indent=2, ensure_ascii=False) + "\n"


def show_plan(made: dict[str, Any], rows: int = 40) -> None:
    """A plan for people: what changes, what is left out, what was found."""
    changes = made["changes"]
    diff = [(change["station"], row) for change in changes for row in change["diff"]]
    if changes:
        table(
            f"Plan {made['id']}",
            ("station", "cell", "tenant", "what", "before", "→ after"),
            (
                (name, escape(r["cell"]), escape(r["tenant"]), *(escape(r[key]) for key in ("what", "before", "after")))
                for name, r in diff[:rows]
            ),
        )
        if len(diff) > rows:
            out.print(f"… and {len(diff) - rows} more lines: minka plans show {made['id']} --all")
    for station, reason in list(made["unplanned"].items())[:20]:
        out.print(f"[yellow]left out[/] {station}: {escape(reason)}")
    shown = [finding for finding in made["findings"] if finding["severity"] != "info"]
    for finding in shown[:20]:
        colour = "red" if finding["severity"] == "error" else "yellow"
        out.print(f"[{colour}]{finding['severity']}[/] {escape(finding['message'])}")
    if len(shown) > 20:
        out.print(f"… and {len(shown) - 20} more findings")
    out.print(_sentence(made))


def _sentence(made: dict[str, Any]) -> str:
    changes = made["changes"]
    left_out = f"; {len(made['unplanned'])} left out" if made["unplanned"] else ""
    if not changes:
        return f"[green]Nothing to do[/]: {len(made['unchanged'])} stations carry what they should{left_out}."
    touched = sorted({tenant for change in changes for tenant in change["touched"]})
    interrupted = sorted({tenant for change in changes for tenant in change["interrupted"]})
    outage = max(change["outage_seconds"] for change in changes)
    words = [f"Plan [bold]{made['id']}[/]: {len(changes)} stations change for {', '.join(touched) or 'the host'}"]
    if outage:
        others = f", interrupting {', '.join(interrupted)} too" if interrupted else ""
        words.append(f"cells are off air for up to {outage} s{others}")
    if made["removals"]:
        words.append("removes " + ", ".join(f"{n} nodes of {tenant}" for tenant, n in made["removals"].items()))
    words.append(f"{len(made['unchanged'])} stay as they are{left_out}")
    return "; ".join(words) + f".\nApply it with: minka apply {made['id']}"


@plans.command("list", epilog="Example: minka plans list --limit 5")
def list_(limit: int = 20, as_json: Json = False) -> None:
    """Plans, newest first."""
    found = client().all("/v1/plans", limit)
    if as_json:
        print_json(found)
        return
    columns = ("id", "created", "selector", "stations", "unchanged", "unplanned", "findings")
    table("", columns, ([when(p[c]) if c == "created" else escape(p[c]) for c in columns] for p in found))


@plans.command("show", epilog="Example: minka plans show 42327bc0ca30")
def show(
    plan_id: str, every: Annotated[bool, typer.Option("--all", help="All lines.")] = False, as_json: Json = False
) -> None:
    """One plan."""
    made = client().get(f"/v1/plans/{plan_id}")
    if as_json:
        print_json(made)
    else:
        show_plan(made, rows=1_000_000 if every else 40)


@plans.command("compare", epilog="Example: minka plans compare 42327bc0ca30 0a1b2c3d4e5f")
def compare(plan_id: str, other_id: str, as_json: Json = False) -> None:
    """What two plans do differently; exit status 10 if anything."""
    lines = client().get(f"/v1/plans/{plan_id}/compare/{other_id}")
    if as_json:
        print_json(lines)
    elif not lines:
        out.print("the plans do the same")
    else:
        table(
            "",
            ("station", "only in", "what"),
            ([escape(line[k]) for k in ("station", "only_in", "text")] for line in lines),
        )
    if lines:
        raise typer.Exit(DIFFERENT)


def apply(
    plan_id: Annotated[str, typer.Argument(help="Id of a plan on record.")],
    canary: Annotated[int, typer.Option(help="Stations in the first wave.")] = 1,
    wave_size: Annotated[int, typer.Option(help="Stations in each later wave.")] = 50,
    parallel: Annotated[int, typer.Option(help="Stations at once.")] = 500,
    stop_after: Annotated[int, typer.Option(help="Failures after which nothing more is started.")] = 1,
    confirm_timeout: Annotated[int, typer.Option(help="Seconds of the confirmed commit.")] = 120,
    check_timeout: Annotated[int, typer.Option(help="Seconds to wait for cells and core links.")] = 30,
    reason: Annotated[str, typer.Option(help="Why; kept on record.")] = "",
    key: Annotated[str | None, typer.Option(help="Idempotency key: the same key never starts a second run.")] = None,
    detach: Annotated[bool, typer.Option("--detach", help="Don't wait for the end.")] = False,
    as_json: Json = False,
) -> None:
    """Apply a plan in waves and watch it. Interrupting the command does not interrupt the run."""
    strategy = {
        "canary": canary,
        "wave_size": wave_size,
        "parallel": parallel,
        "stop_after": stop_after,
        "confirm_timeout": confirm_timeout,
        "check_timeout": check_timeout,
    }
    api = client()
    run = api.post(
        "/v1/runs",
        {"plan": plan_id, "strategy": strategy, "reason": reason},
        {"Idempotency-Key": key or secrets.token_urlsafe(16)},
    )
    if detach:
        if as_json:
            print_json(run)
        else:
            out.print(f"run {run['id']} accepted; follow it with: minka watch {run['id']}")
        return
    if not as_json:
        out.print(f"run [bold]{run['id']}[/] of plan {plan_id}")
    follow(run["id"], as_json=as_json)


def follow(run_id: str, *, as_json: bool = False) -> None:
    """Watch a run to its end: a bar a wave, failures as they come; exit status 1 unless all went well."""
    api = client()
    totals: dict[int, int] = {}
    for job in api.get(f"/v1/runs/{run_id}/jobs"):
        totals[job["wave"]] = totals.get(job["wave"], 0) + 1
    last: dict[str, Any] = {}
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), TimeElapsedColumn())
    with Progress(*columns, console=out, disable=as_json) as progress:
        bars = {
            wave: progress.add_task(
                "canary" if wave == 0 and len(totals) > 1 else f"wave {wave}", total=count, start=False
            )
            for wave, count in sorted(totals.items())
        }
        for name, data in api.events(f"/v1/runs/{run_id}/events"):
            if name == "run":
                last = data
                for wave, bar in bars.items():
                    if wave <= data["wave"] and data["state"] != "queued":
                        progress.start_task(bar)
                continue
            progress.advance(bars[data["wave"]])
            if data["outcome"] not in ("succeeded", "unchanged") and not as_json:
                progress.console.print(f"{data['station']}: {coloured(data['outcome'])} {escape(data['detail'])}")
    if as_json:
        print_json(last | {"jobs": api.get(f"/v1/runs/{run_id}/jobs")})
    else:
        counts = ", ".join(f"{count} {coloured(outcome)}" for outcome, count in sorted(last["counts"].items()))
        out.print(f"run {run_id} {coloured(last['state'])}: {counts}")
    if last["state"] != "succeeded":
        raise typer.Exit(FAILED)
