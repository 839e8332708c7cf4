"""``minka runs``, ``show``, ``watch``, ``pause``, ``resume``, ``cancel``."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.approvals import show_outlook
from controller.cli.follow import follow
from controller.cli.output import Json, client, coloured, escape, out, print_json, table, when

RunId = Annotated[str, typer.Argument(help="Id of a run, as in r-21748f9c95.")]


def runs(
    limit: Annotated[int, typer.Option(min=1, help="How many at most.")] = 20,
    state: Annotated[list[str] | None, typer.Option(help="Only runs in this state; repeatable.")] = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    found = client().all("/v1/runs", limit, state=state)
    if as_json:
        print_json(found)
        return
    table(
        "",
        ("id", "state", "procedure", "plan", "cause", "by", "created", "wave", "jobs"),
        (
            (
                run["id"],
                coloured(run["state"]),
                run["procedure"],
                run["plan"],
                escape(run.get("cause")),
                escape(run.get("requested_by")),
                when(run["created"]),
                f"{run['wave'] + 1}/{run['waves']}" if "waves" in run else "",  # a tenant is not told
                ", ".join(f"{count} {outcome}" for outcome, count in sorted(run["counts"].items())),
            )
            for run in found
        ),
    )


def show(run_id: RunId, as_json: Json = False) -> None:
    """Show a run and how each station ended."""
    api = client()
    run, jobs = api.get(f"/v1/runs/{run_id}"), api.get(f"/v1/runs/{run_id}/jobs")
    if as_json:
        print_json(run | {"jobs": jobs})
        return
    out.print(f"run {run_id} of plan {run['plan']}: {coloured(run['state'])} {escape(run.get('reason'))}")
    if "waves" in run:  # outlook and details are the host's
        show_outlook(api.get(f"/v1/runs/{run_id}/outlook"))
        for one in api.get(f"/v1/runs/{run_id}/decisions"):
            whom = f"unit {one['unit']}" if one["unit"] else "all of it"
            out.print(f"wave {one['wave']}, {whom}: {one['verdict']} at {when(one['at'])}, {escape(one['reason'])}")
    table(
        "",
        ("wave", "station", "state", "outcome", "attempts", "finished", "detail"),
        (
            (
                job.get("wave", ""),
                job["station"],
                job["state"],
                coloured(job["outcome"] or "-"),
                job.get("attempts", ""),
                when(job["finished"]),
                escape(job.get("detail") if job["state"] == "done" else job.get("blocked") or job.get("detail")),
            )
            for job in jobs
        ),
    )


def watch(run_id: RunId, as_json: Json = False) -> None:
    """Follow a run to its end; exit status 0 only if all went well."""
    follow(run_id, as_json=as_json)


def cancel(run_id: RunId, as_json: Json = False) -> None:
    """Start nothing more; stations under way reach their end, and what is undecided is taken back."""
    _ask(run_id, "cancel", as_json=as_json)


def pause(run_id: RunId, as_json: Json = False) -> None:
    """Begin nothing more until the run is resumed; stations and units under way reach their end."""
    _ask(run_id, "pause", as_json=as_json)


def resume(run_id: RunId, as_json: Json = False) -> None:
    """Go on with a paused run."""
    _ask(run_id, "resume", as_json=as_json)


def _ask(run_id: str, what: str, *, as_json: bool) -> None:
    run = client().post(f"/v1/runs/{run_id}/{what}")
    if as_json:
        print_json(run)
    else:
        out.print(f"run {run_id} is {coloured(run['state'])}")
