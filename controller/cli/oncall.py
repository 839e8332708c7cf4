"""``minka oncall``: who is called about escalations, and acknowledging and handing over calls."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Annotated, Any

import typer

from controller.cli import completion
from controller.cli.listed import Listed
from controller.cli.output import (
    Json,
    Limit,
    Reason,
    client,
    counted,
    err,
    out,
    print_answer,
    print_result,
    styled,
    when,
)
from controller.cli.tables import Column, records, table

oncall = typer.Typer(no_args_is_help=True, help="On call: who is called about escalations, and calls.")


@oncall.command("show", epilog="Example: minka oncall show --at 2026-12-26T03:00")
def show(
    at: Annotated[datetime | None, typer.Option(help="Local time, as in 2026-12-26T03:00. Default: now.")] = None,
    as_json: Json = False,
) -> None:
    """Show who is on call now, or at a time: by side, for which escalations, and who is called after whom."""
    asked: dict[str, Any] = {"at": at.astimezone().isoformat()} if at else {}
    print_answer(client().all("/v1/oncall", **asked), _print_sides, as_json=as_json)


def _print_sides(found: Listed) -> None:
    if not found:
        out.print("no schedule is in force: all escalations go to MINKA_ESCALATION_URL")
        return
    columns = (
        Column("side"),
        Column("pages", 2, tells=True),
        Column("tickets", 2, tells=True),
        Column("called", 1, tells=True),
        Column("repeated", 3, tells=True),
        Column("duty", 4, tells=True),
    )
    table(columns, (row for side in found for row in _rows(side)))
    for side in found:
        for one in side["hand_overs"]:
            words = f"{one['contact']} handed over to {one['to']} until {when(one['until'])}: {one['reason']}"
            out.print(f"{one['id']} {side['side']}: {words} ({one['by']})")
        for warning in side["warnings"]:
            err.print(styled(f"warning: {warning}", "yellow"))


def _rows(side: dict[str, Any]) -> Iterator[tuple[str, ...]]:
    for one in side["now"]:
        minutes = one["repeat_minutes"]
        often = "never" if minutes is None else f"{one['calls']} times each, every {minutes} min"
        kinds = (", ".join(one[kind]) or "-" for kind in ("pages", "tickets"))
        yield side["side"], *kinds, ", then ".join(one["called"]) or "nobody", often, one["duty"]
    if not side["now"]:
        yield side["side"], "-", "-", "nobody at this time", "-", "-"


@oncall.command("list", epilog="Example: minka oncall list")
def list_calls(
    every: Annotated[
        bool, typer.Option("--all", help="Also calls that were acknowledged, or followed by others.")
    ] = False,
    limit: Limit = 50,
    as_json: Json = False,
) -> None:
    """List escalations that nobody called acknowledged, the gravest first; a tenant sees its own side, newest first."""
    found = client().all("/v1/oncall/calls", limit, unacknowledged=not every)
    columns = (
        Column("alarm"),
        Column("side", 3, tells=True),
        Column("kind", 2),
        Column("call"),
        Column("message", 1),
        Column("contact", tells=True),
        Column("duty", 4, tells=True),
        Column("at", time=True),
        Column("sent", 2, time=True),
        Column("next", 1, time=True),
        Column("acknowledged", 1, tells=True),
    )
    records(found, columns, (_call(one) for one in found), as_json=as_json)


def _call(one: dict[str, Any]) -> tuple[str, ...]:
    known = f"{one['acknowledged_by']} {when(one['acknowledged'])}" if one["acknowledged"] else ""
    whom = f"{one['contact']} (for {one['instead_of']})" if one["instead_of"] else one["contact"]
    # The id of a message is of use where it tells of more than this call.
    alone = "call-{alarm}-{escalation}-{side}-{number}".format_map(one)
    message = "" if one["message"] == alone else one["message"]
    following = "all were called" if one["used_up"] else when(one["next"])
    return (
        *(one["alarm"], one["side"], one["kind"], str(one["number"]), message, whom, one["duty"]),
        *(when(one["at"]), when(one["sent"]), following, known),
    )


@oncall.command("acknowledge", epilog="Example: minka oncall acknowledge m-1f2e3d4c5b")
def acknowledge(
    about: Annotated[
        str,
        typer.Argument(
            metavar="MESSAGE_OR_ALARM",
            help="Id of the message that you got, or of an alarm that you were called for.",
            autocompletion=completion.alarms,
        ),
    ],
    as_json: Json = False,
) -> None:
    """Acknowledge the calls of your side for an alarm, or for all that a message told of: nobody else is called.

    What the message did not tell stays as it is. The first acknowledgement stays.
    """
    found = client().post(f"/v1/oncall/calls/{about}/acknowledge")
    last = found["results"][-1]
    words = f"{counted(found['count'], 'call')} for {about} acknowledged by {last['acknowledged_by']}"
    print_result(found, f"{words} {when(last['acknowledged'])}", as_json=as_json)


@oncall.command(
    "hand-over", epilog="Example: minka oncall hand-over noc manager --until 2026-12-26T06:00 --reason 'ill'"
)
def hand_over(
    contact: Annotated[str, typer.Argument(help="Contact of your side that is not called meanwhile.")],
    to: Annotated[str, typer.Argument(help="Contact of your side that gets its calls.")],
    until: Annotated[datetime, typer.Option(help="End, local time, as in 2026-12-26T06:00; at most 31 days ahead.")],
    reason: Reason,
    as_json: Json = False,
) -> None:
    """Hand over: until a time, calls for one contact of your side go to another."""
    body = {"contact": contact, "to": to, "until": until.astimezone().isoformat(), "reason": reason}
    made = client().post("/v1/oncall/hand-overs", body)
    words = f"{made['id']}: calls for {made['contact']} go to {made['to']} until {when(made['until'])}"
    print_result(made, words, as_json=as_json)


@oncall.command("end", epilog="Example: minka oncall end o-1f2e3d4c")
def end(
    hand_over_id: Annotated[str, typer.Argument(metavar="HAND_OVER", help="Id of a hand-over, as in o-1f2e3d4c.")],
    as_json: Json = False,
) -> None:
    """End a hand-over of your side now."""
    client().delete(f"/v1/oncall/hand-overs/{hand_over_id}")
    print_result({"ended": hand_over_id}, f"hand-over {hand_over_id} has ended", as_json=as_json)
