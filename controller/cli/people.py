"""``minka hold``, ``minka audit``, ``minka alarms``: what people and alarms say."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated

import typer

from controller.cli.client import FAILED
from controller.cli.output import Json, client, coloured, out, print_json, styled, when
from controller.cli.tables import Column, table
from controller.models.alarm import AlarmState

Limit = Annotated[int, typer.Option(min=1, help="How many at most.")]

holds = typer.Typer(no_args_is_help=True, help="Holds: a person's stop on a station, cell or site.")
alarms = typer.Typer(no_args_is_help=True, help="Alarms and their automatic repair.")


@holds.command("put", epilog="Example: minka hold put PE-CUS-0145 --reason 'rigger on the mast'")
def put(
    target: Annotated[str, typer.Argument(help="Station id, station/cell, or site:<id>.")],
    reason: Annotated[str, typer.Option(help="Why; kept on record.")],
    until: Annotated[
        datetime | None, typer.Option(help="End, local time, as in 2026-12-26T06:00; none: until lifted.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Put a hold: plans leave the target out and nothing automatic works there."""
    end = until.astimezone().isoformat() if until else None
    hold = client().post("/v1/holds", {"target": target, "reason": reason, "until": end})
    if as_json:
        print_json(hold)
    else:
        out.print(f"hold {hold['id']} on {target}")


@holds.command("list", epilog="Example: minka hold list --json")
def list_holds(as_json: Json = False) -> None:
    """Holds in force."""
    found = client().get("/v1/holds")
    if as_json:
        print_json(found)
        return
    columns = (
        Column("id"),
        Column("target"),
        Column("by", 1),
        Column("reason", 2, prose=True),
        Column("created", 4),
        Column("until", 3),
    )
    times = ("created", "until")
    table(columns, ([when(one[c.name]) if c.name in times else one[c.name] for c in columns] for one in found))


@holds.command("lift", epilog="Example: minka hold lift h-1f2e3d4c")
def lift(
    hold_id: Annotated[str, typer.Argument(help="Id of a hold, as in h-1f2e3d4c.")], as_json: Json = False
) -> None:
    """Lift a hold."""
    client().delete(f"/v1/holds/{hold_id}")
    if as_json:
        print_json({"lifted": hold_id})
    else:
        out.print(f"hold {hold_id} lifted")


def audit(
    limit: Limit = 50,
    verify: Annotated[bool, typer.Option("--verify", help="Prove that no row was changed or removed.")] = False,
    as_json: Json = False,
) -> None:
    """Who did what, newest first."""
    if verify:
        _verify_audit(as_json=as_json)
        return
    found = client().all("/v1/audit", limit)
    if as_json:
        print_json(found)
        return
    table(
        (
            Column("id"),
            Column("at"),
            Column("actor"),
            Column("action"),
            Column("object", 2),
            Column("detail", 1, prose=True),
        ),
        (
            (
                row["id"],
                when(row["at"]),
                row["actor"],
                row["action"],
                row["object"],
                " ".join(f"{name}={value}" for name, value in row["detail"].items()),
            )
            for row in found
        ),
    )


def _verify_audit(*, as_json: bool) -> None:
    proof = client().get("/v1/audit/verify")
    if as_json:
        print_json(proof)
    elif proof["whole"]:
        out.print(styled("the audit trail is whole", "green"))
    else:
        out.print(styled("the audit trail was tampered with", "red"), f"first at row {proof['first_broken']}")
    if not proof["whole"]:
        raise typer.Exit(FAILED)


@alarms.command("list", epilog="Example: minka alarms list --state raised --state repairing")
def list_alarms(
    limit: Limit = 50,
    state: Annotated[
        list[str] | None, typer.Option(help=f"Only alarms in this state ({', '.join(AlarmState)}); repeatable.")
    ] = None,
    as_json: Json = False,
) -> None:
    """Alarms, newest first."""
    found = client().all("/v1/alarms", limit, state=state)
    if as_json:
        print_json(found)
        return
    table(
        (
            Column("id"),
            Column("state"),
            Column("severity", 2),
            Column("station"),
            Column("object", 1),
            Column("tenant", 5),
            Column("cause"),
            Column("count", 8),
            Column("raised", 6),
            Column("run", 4),
            Column("note", 3, prose=True),
        ),
        (
            (
                a["id"],
                coloured(a["state"]),
                a["severity"],
                a["station"],
                a["object"].rpartition("/")[2],
                a["tenant"],
                a["probable_cause"],
                a.get("count", ""),
                when(a["raised"]),
                a.get("run", ""),
                a.get("note") or a["text"],
            )
            for a in found
        ),
    )


@alarms.command("follow", epilog="Example: minka alarms follow --json | jq .station")
def follow(as_json: Json = False) -> None:
    """Print alarms as they change, until interrupted."""
    for _, alarm in client().events("/v1/alarms/events"):
        if as_json:
            print_json(alarm, line=True)
        else:
            what = (alarm["station"], alarm["object"].rpartition("/")[2], alarm["probable_cause"], alarm["text"])
            state = coloured(alarm["state"])
            out.print(when(alarm["changed"]), alarm["id"], state, *what, alarm.get("note") or "")


@alarms.command("repair", epilog="Example: minka alarms repair stop")
def repair(
    what: Annotated[str, typer.Argument(help="stop, resume or status")] = "status", as_json: Json = False
) -> None:
    """The kill switch of all automatic repair."""
    api = client()
    if what not in ("stop", "resume", "status"):
        raise typer.BadParameter("say stop, resume or status")
    said = api.get("/v1/remediation") if what == "status" else api.put("/v1/remediation", {"stopped": what == "stop"})
    if as_json:
        print_json(said)
    else:
        out.print("automatic repair is", styled("stopped", "red") if said["stopped"] else styled("on", "green"))
