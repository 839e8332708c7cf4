"""``minka works``: work that tenants announce on their own cores."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from controller.cli import completion
from controller.cli.output import Json, Limit, Reason, client, print_result, when
from controller.cli.tables import Column, records

works = typer.Typer(no_args_is_help=True, help="Work that tenants announce on their own cores.")


@works.command("announce", epilog="Example: minka works announce claro-mme-1 --until 2026-12-26T06:00 --reason upgrade")
def announce(
    until: Annotated[
        datetime, typer.Option(help="End, local time, as in 2026-12-26T06:00; at most 7 days after the beginning.")
    ],
    reason: Reason,
    nodes: Annotated[list[str] | None, typer.Argument(help="Nodes of your own core. Default: all of them.")] = None,
    begins: Annotated[datetime | None, typer.Option("--from", help="Beginning, local time. Default: now.")] = None,
    as_json: Json = False,
) -> None:
    """Announce work on your own core: until it ends, alarms of these nodes are neither repaired nor escalated."""
    body = {"nodes": nodes or [], "reason": reason, "ends": until.astimezone().isoformat()}
    work = client().post("/v1/works", body | ({"begins": begins.astimezone().isoformat()} if begins else {}))
    what = ", ".join(work["nodes"]) or "all nodes"
    words = f"work {work['id']} on {what} from {when(work['begins'])} until {when(work['ends'])}"
    print_result(work, words, as_json=as_json)


@works.command("list", epilog="Example: minka works list --limit 5 --json")
def list_works(limit: Limit = 50, as_json: Json = False) -> None:
    """List announced work, newest first; a tenant sees its own."""
    found = client().all("/v1/works", limit)
    records(
        found,
        (
            Column("id"),
            Column("tenant"),
            Column("nodes", 1, prose=True, tells=True),
            Column("from"),
            Column("until"),
            Column("cancelled", 3, tells=True),
            Column("by", 4, tells=True),
            Column("reason", 2, prose=True, tells=True),
        ),
        (
            (
                one["id"],
                one["tenant"],
                ", ".join(one["nodes"]) or "all",
                when(one["begins"]),
                when(one["ends"]),
                when(one["cancelled"]),
                one["by"],
                one["reason"],
            )
            for one in found
        ),
        as_json=as_json,
    )


@works.command("cancel", epilog="Example: minka works cancel w-1f2e3d4c")
def cancel(
    work: Annotated[str, typer.Argument(help="Id of work, as in w-1f2e3d4c.", autocompletion=completion.works)],
    as_json: Json = False,
) -> None:
    """End your own work now, or cancel it before it begins; alarms until now stay covered."""
    client().delete(f"/v1/works/{work}")
    print_result({"cancelled": work}, f"work {work} has ended", as_json=as_json)
