"""``minka record``: whether the database is the newest record that is known."""

from __future__ import annotations

from typing import Annotated

import typer

from controller.cli.errors import FAILED
from controller.cli.output import Json, client, out, print_json, styled, when
from controller.models.enums import RecordChoice

record = typer.Typer(no_args_is_help=True, help="The record itself, after a restore or a failover.")


@record.command("show", epilog="Example: minka record show")
def show(as_json: Json = False) -> None:
    """Show whether the record is in doubt: then nothing starts until a person decides. Exit status 1 if so."""
    state = client().get("/v1/record")
    if as_json:
        print_json(state)
    elif state["doubt"]:
        out.print(styled("the record is in doubt", "red"), f"since {when(state['since'])}: {state['doubt']}")
        out.print("nothing is begun on stations until somebody says: minka record accept record|devices --reason WHY")
    else:
        out.print(styled("the record is the newest that is known", "green"))
    if state["doubt"]:
        raise typer.Exit(FAILED)


@record.command("accept", epilog="Example: minka record accept devices --reason INC-77")
def accept(
    choice: Annotated[
        RecordChoice,
        typer.Argument(
            help="What stations carry beyond the record is drift, to be repaired (record), or was applied (devices)."
        ),
    ],
    reason: Annotated[str, typer.Option(help="Why; kept on record.")],
    as_json: Json = False,
) -> None:
    """Decide which is right, and let work continue. Changes nothing on stations by itself."""
    made = client().post("/v1/record/decision", {"choice": choice.value, "reason": reason})
    if as_json:
        print_json(made)
        return
    if choice is RecordChoice.RECORD:
        out.print("the record is right: what stations carry beyond it is drift from now on, and is repaired")
    else:
        out.print(f"the stations are right: what {len(made['taken'])} of them carry beyond the record was applied")
    if made["on_hold"]:
        out.print(f"on hold, since they could not be read: {', '.join(made['on_hold'])}")
