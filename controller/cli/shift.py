"""``minka shift``: the report for whoever comes next."""

from __future__ import annotations

from datetime import datetime
from pathlib import Path
from typing import Annotated, Any

import typer

from controller.cli.output import Json, bold, client, out, print_answer
from controller.cli.pager import paged
from controller.cli.tables import Column, table

shift = typer.Typer(no_args_is_help=True, help="Shifts: what whoever comes next has to know.")

_FORMS = ("text", "md", "html", "json")
_Time = "local time, as in 2026-12-26T06:00"


@shift.command("report", epilog="Example: minka shift report --format html --to shift.html")
def report(
    since: Annotated[datetime | None, typer.Option(help=f"Begin, in {_Time}. Default: the last shift.")] = None,
    until: Annotated[datetime | None, typer.Option(help=f"End, in {_Time}. Default: now.")] = None,
    current: Annotated[bool, typer.Option("--current", help="The shift that is under way, until now.")] = False,
    form: Annotated[str, typer.Option("--format", help=f"{', '.join(_FORMS)}: text is for the terminal.")] = "text",
    to: Annotated[Path | None, typer.Option("--to", help="File to write to. Default: the terminal.")] = None,
    as_json: Json = False,
) -> None:
    """Print what opened, closed, stands, is shelved, waits, was promised and changed in a shift.

    The shift is the last one that is over (MINKA_SHIFTS says when they begin, in the network's time zone).
    """
    if form not in _FORMS:
        raise typer.BadParameter(f"say one of {', '.join(_FORMS)}", param_hint="--format")
    if current and (since or until):
        raise typer.BadParameter("is for the shift under way: leave out --since and --until", param_hint="--current")
    wanted = "json" if as_json else form
    if to is not None and wanted == "text":
        raise typer.BadParameter("a file is md, html or json: say --format too", param_hint="--to")
    asked: dict[str, Any] = {"shift": "current" if current else None}
    asked |= {name: at and at.astimezone().isoformat() for name, at in (("since", since), ("until", until))}
    api = client()
    if wanted in ("text", "json") and to is None:
        found = api.get("/v1/shift-report", **asked)
        print_answer(found, _print, as_json=wanted == "json")
        return
    content = api.get_file("/v1/shift-report", format=wanted, **asked)
    if to is not None:
        to.write_bytes(content)
    else:
        typer.echo(content.decode(), nl=False)


@paged()
def _print(found: dict[str, Any]) -> None:
    from controller.access.shift_report import ShiftColumn, counts, span, title  # noqa: PLC0415 - only for this

    out.print(bold(title(found)))
    out.print(span(found))
    out.print(counts(found))
    for sheet in found["sheets"].values():
        # Whoever comes next acts on any of them: on a narrow terminal they stand below their row, and none is dropped.
        columns = [
            Column(name, rank, prose=ShiftColumn.is_prose(name), tells=True)
            for rank, name in enumerate(sheet["columns"])
        ]
        out.print()
        table(columns, sheet["rows"], sheet["title"])
        if sheet["more"]:
            out.print(f"and {sheet['more']} more: a shorter time has all of them (--since, --until)")
