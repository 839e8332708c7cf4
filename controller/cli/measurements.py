"""``minka measurements``: collected and missing performance data, and known counters."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Annotated, Any

import typer

from controller.cli import completion
from controller.cli.listed import Listed
from controller.cli.output import Json, bold, client, counted, out, print_answer, when
from controller.cli.tables import Column, records, table

measurements = typer.Typer(
    no_args_is_help=True, help="Performance data: what is collected, what is missing, which counters are known."
)


@measurements.command("list", epilog="Example: minka measurements list --where region=cusco --incomplete")
def list_stations(
    where: Annotated[
        str, typer.Option(help="Only these stations, as in region=cusco.", autocompletion=completion.selectors)
    ] = "*",
    incomplete: Annotated[
        bool, typer.Option("--incomplete", help="Only stations with missing periods or a failed collection.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List stations with performance data: the newest period, and what is missing of the last day."""
    found = client().all("/v1/measurements/stations", selector=where, incomplete=incomplete or None)
    columns = (
        Column("station"),
        Column("newest"),
        Column("missing"),
        Column("failed"),
        Column("reason", 1, tells=True),
        Column("tried", 3),
        Column("due", 2),
    )
    times = ("newest", "tried", "due")
    rows = ((one, {name: when(one[name]) for name in times}) for one in found)
    records(
        found,
        columns,
        (
            (one["station"], at["newest"], one["missing"], one["failures"], one["reason"], at["tried"], at["due"])
            for one, at in rows
        ),
        as_json=as_json,
    )


@measurements.command("show", epilog="Example: minka measurements show PE-CUS-0145 --days 7")
def show(
    station: Annotated[str, typer.Argument(help="Id of a station.", autocompletion=completion.stations)],
    days: Annotated[int, typer.Option(help="How long back from now.", min=1, max=35)] = 1,
    as_json: Json = False,
) -> None:
    """Show the missing periods of a station, and which of its files were accepted or refused."""
    print_answer(client().get(f"/v1/measurements/stations/{station}", days=days), _print_station, as_json=as_json)


def _print_station(found: dict[str, Any]) -> None:
    out.print(bold(found["station"]), _collected(found["collection"]), soft_wrap=False)
    missing = sum(span["seconds"] for span in found["missing"]) / 3600
    out.print(f"{when(found['begin'])} to {when(found['end'])}: {missing:,.2f} h are missing", soft_wrap=False)
    if found["missing"]:
        spans = ((when(one["begin"]), when(one["end"]), f"{one['seconds'] / 60:,.0f} min") for one in found["missing"])
        table(("from", "to", "missing"), spans)
    columns = (Column("file"), Column("periods"), Column("taken", 1, tells=True), Column("refused", prose=True))
    rows = ((one["name"], one["periods"], when(one["at"]), one["error"]) for one in found["files"])
    table(columns, rows, "the newest files")


def _collected(collection: dict[str, Any] | None) -> str:
    if collection is None:
        return "is not collected"
    failed = f"; {counted(collection['failures'], 'failure')} in a row: {collection['reason']}"
    return f"newest period ends {when(collection['newest'])}{failed if collection['reason'] else ''}"


#: Why no silence of a cell is judged, in words.
_OBSTACLES = {
    "not-counted": "it counts no connections",
    "short-history": "too few days were measured as a whole",
    "few-connections": "fewer than 14 connections in its 7 quietest days",
}


@measurements.command("silences", epilog="Example: minka measurements silences --where region=cusco --blind")
def silences(
    where: Annotated[
        str,
        typer.Option(help="Only cells of these stations, as in region=cusco.", autocompletion=completion.selectors),
    ] = "*",
    blind: Annotated[bool, typer.Option("--blind", help="Only cells of which no silence can be judged.")] = False,
    as_json: Json = False,
) -> None:
    """List how long nobody has to use each cell until that is an alarm `sleeping-cell`, or why that is never known."""
    found = client().all("/v1/measurements/silences", selector=where)
    shown = [one for one in found if one["obstacle"] or not blind]
    print_answer(shown, partial(_print_silences, every=found), as_json=as_json)


def _print_silences(shown: Sequence[dict[str, Any]], every: Listed) -> None:
    columns = (
        Column("cell"),
        Column("judged after"),
        Column("quietest day", 2),
        Column("known days", 3),
        Column("not judged", 1, prose=True, tells=True),
    )
    table(columns, (_silence(one) for one in shown))
    without = sum(1 for one in every if one["obstacle"])
    out.print(f"no silence can be judged of {without:,} of {counted(len(every), 'cell')}")


def _silence(one: dict[str, Any]) -> tuple[str, str, str, str, str]:
    quietest = "-" if one["quietest"] is None else f"{one['quietest']:,.0f}"
    after = "never" if one["obstacle"] else "hours or a day" if one["days"] == 1 else counted(one["days"], "day")
    return one["cell"], after, quietest, str(one["known"]), _OBSTACLES.get(one["obstacle"] or "", one["obstacle"] or "")


@measurements.command("counters", epilog="Example: minka measurements counters --unknown")
def counters(
    unknown: Annotated[
        bool, typer.Option("--unknown", help="Only counters of stations that are not in the vocabulary.")
    ] = False,
    as_json: Json = False,
) -> None:
    """List the counters on record, with unit, source, and how they add up over time and cells."""
    api = client()
    found = api.all("/v1/measurements/unknown-counters") if unknown else api.all("/v1/measurements/counters")
    if unknown:
        shown = (
            Column("counter"),
            Column("values"),
            Column("first at", 1, tells=True),
            Column("since", 2),
            Column("last", 3),
        )
        rows = ((one["name"], one["count"], one["station"], when(one["since"]), when(one["last"])) for one in found)
        records(found, shown, rows, as_json=as_json)
    else:
        kept = (
            Column("counter"),
            Column("unit"),
            Column("time", 1, tells=True),
            Column("cells", 2),
            Column("source", 3),
        )
        names = ("name", "unit", "over_time", "over_cells", "source")
        records(found, kept, (tuple(one[name] for name in names) for one in found), as_json=as_json)
