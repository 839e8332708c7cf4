"""``minka runs``, ``show``, ``watch``, ``pause``, ``resume``, ``cancel``."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any

import typer

from controller.cli.approvals import show_outlook
from controller.cli.completion import RunId
from controller.cli.follow import follow
from controller.cli.output import Json, Limit, client, coloured, out, print_answer, print_result, styled, when
from controller.cli.pager import paged
from controller.cli.tables import Column, records, table
from controller.cli.waits import show_waits, show_why_stopped, state_of, wait_cells
from controller.models.enums import FoundState, RunState

if TYPE_CHECKING:
    from controller.cli.client import Client

#: Procedures other than playbooks.
_OF_PLANS = ("apply", "undo")


def runs(
    limit: Limit = 20,
    state: Annotated[
        list[RunState] | None, typer.Option(help=f"Only runs in this state ({', '.join(RunState)}); repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List runs, newest first."""
    found = client().all("/v1/runs", limit, state=state)
    records(
        found,
        (
            Column("id"),
            Column("state"),
            Column("created"),
            Column("procedure", 1, tells=True),
            Column("plan", 3, tells=True),
            Column("cause", 8),
            Column("by", 7, tells=True),
            Column("wave", 9),
            Column("jobs", 2, prose=True, tells=True),
            Column("waits for", 4, prose=True, tells=True),
            Column("since", 5, tells=True),
            Column("who can end it", 6, prose=True, tells=True),
        ),
        (
            (
                run["id"],
                coloured(state_of(run)),
                when(run["created"]),
                run["procedure"],
                run["plan"],
                run.get("cause"),
                run.get("requested_by"),
                f"{run['wave'] + 1}/{run['waves']}" if "waves" in run else "",  # a tenant does not see them
                ", ".join(f"{count} {outcome}" for outcome, count in sorted(run["counts"].items())),
                *wait_cells(run),
            )
            for run in found
        ),
        as_json=as_json,
    )


def show(run_id: RunId, as_json: Json = False) -> None:
    """Show a run and how each station ended."""
    api = client()
    run, jobs = api.get(f"/v1/runs/{run_id}"), api.all(f"/v1/runs/{run_id}/jobs")
    print_answer(run | {"jobs": jobs}, partial(_show, api), as_json=as_json)


@paged()
def _show(api: Client, run: dict[str, Any]) -> None:
    run_id, jobs = run["id"], run["jobs"]
    of = f"plan {run['plan']}" if run["procedure"] in _OF_PLANS else f"playbook {run['procedure']}"
    out.print(f"run {run_id} of {of}:", coloured(state_of(run)))
    if run.get("reason"):
        out.print("reason:", run["reason"])
    if "waves" in run:  # only the host sees who asked, outlook and details
        out.print(_asked(run))
        if run["outdated"]:
            since = when(run["outdated"])
            why = (
                f"part of its plan does not follow from the network files and agreements since {since}: plan that again"
            )
            out.print(styled("outdated:", "yellow"), why)
        show_why_stopped(run)
        show_waits(run)
        show_outlook(api.get(f"/v1/runs/{run_id}/outlook") | {"waits": {}})
        for one in api.all(f"/v1/runs/{run_id}/decisions"):
            whom = f"unit {one['unit']}" if one["unit"] else "all of it"
            out.print(f"wave {one['wave']}, {whom}: {one['choice']} at {when(one['at'])}, {one['reason']}")
    table(
        (
            Column("wave", 1, tells=True),
            Column("station"),
            Column("state"),
            Column("outcome"),
            Column("attempts", 3),
            Column("finished", 2, tells=True),
            Column("detail", prose=True),
        ),
        (
            (
                job.get("wave", ""),
                job["station"],
                job["state"],
                coloured(job["outcome"] or "-"),
                job.get("attempts", ""),
                when(job["finished"]),
                _detail(job),
            )
            for job in jobs
        ),
    )


def _detail(job: dict[str, Any]) -> str:
    """Why a job ended so, and what was found out since; or why it has not begun."""
    if job["state"] != "done":
        return str(job.get("blocked") or job.get("detail") or "")
    detail = str(job.get("detail") or "")
    if (found := job.get("found")) is None:
        return detail
    return f"{detail} Read at {when(job['found_at'])}: it carries {FoundState(found).words}."


def _asked(run: dict[str, Any]) -> str:
    """Print who requested a run, when, and with which parameters."""
    why = "" if run["cause"] == "person" else f", for {run['cause']}"
    given = ", ".join(f"{name}={value}" for name, value in run["parameters"].items() if value is not None)
    return f"asked for by {run['requested_by']} at {when(run['created'])}{why}{': ' if given else ''}{given}"


def watch(run_id: RunId, as_json: Json = False) -> None:
    """Follow a run to its end. Exit status 0 only if every station succeeded or was unchanged."""
    follow(run_id, as_json=as_json)


def cancel(run_id: RunId, as_json: Json = False) -> None:
    """Cancel a run: no more stations start. Stations under way finish; undecided groups are taken back.

    Functions that are not ready yet are taken back too.
    """
    _ask(run_id, "cancel", as_json=as_json)


def pause(run_id: RunId, as_json: Json = False) -> None:
    """Pause a run: no more stations start until you resume it. Stations and units under way finish."""
    _ask(run_id, "pause", as_json=as_json)


def resume(run_id: RunId, as_json: Json = False) -> None:
    """Resume a paused run."""
    _ask(run_id, "resume", as_json=as_json)


def _ask(run_id: str, what: str, *, as_json: bool) -> None:
    run = client().post(f"/v1/runs/{run_id}/{what}")
    print_result(run, f"run {run_id} is", coloured(run["state"]), as_json=as_json)
