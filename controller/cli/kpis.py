"""``minka kpi``: key performance indicators and their values."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from functools import partial
from typing import Annotated, Any

import typer

from controller.cli import completion
from controller.cli.alarms import duration
from controller.cli.listed import Listed
from controller.cli.output import Json, Limit, bold, client, err, out, print_answer, when
from controller.cli.progress import working
from controller.cli.tables import Column, records, table

kpis = typer.Typer(no_args_is_help=True, help="Key performance indicators: definitions and values.")

#: The bars of a sparkline by height, and the sign for no measurement.
_BARS, _GAP = "▁▂▃▄▅▆▇█", "·"
#: Number of bars of a sparkline, so that the table fits into 80 columns.
_WIDTH = 24


@kpis.command("list", epilog="Example: minka kpi list")
def list_kpis(as_json: Json = False) -> None:
    """List the indicators, with their category and where they are defined."""
    found = client().all("/v1/kpis")
    columns = (
        Column("name"),
        Column("title", prose=True),
        Column("unit", 1, tells=True),
        Column("better", 2, tells=True),
        Column("category", 3),
        Column("levels", 5),
        Column("source", 4),
    )
    keys = ("name", "title", "unit", "better", "category")
    records(
        found,
        columns,
        ((*(one[key] for key in keys), ", ".join(one["levels"]), one["source"]) for one in found),
        as_json=as_json,
    )


@kpis.command("show", epilog="Example: minka kpi show accessibility --level region --last 7d")
def show(
    kpi: Annotated[str, typer.Argument(help="Name of an indicator.", autocompletion=completion.kpis)],
    level: Annotated[
        str, typer.Option(help="Per cell, station, region or tenant, or one value for the network.")
    ] = "station",
    where: Annotated[
        str,
        typer.Option(help="Only counts of these stations, as in region=cusco.", autocompletion=completion.selectors),
    ] = "*",
    tenant: Annotated[str, typer.Option(help="Only this tenant's part.", autocompletion=completion.tenants)] = "",
    last: Annotated[str, typer.Option(help="How long back from the end, as in 6h or 7d.")] = "1d",
    since: Annotated[datetime | None, typer.Option(help="Begin instead, local time, as in 2026-10-01T00:00.")] = None,
    until: Annotated[datetime | None, typer.Option(help="End, local time. Default: now.")] = None,
    step: Annotated[
        str | None,
        typer.Option(help="Length of periods: quarter, hour, day, month. Default: the shortest that fits."),
    ] = None,
    limit: Limit = 50,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print the periods as CSV.")] = False,
    as_json: Json = False,
) -> None:
    """Show an indicator: its value with a 95 % confidence interval, or why there is none, and its values over time."""
    from controller.ports.clock import SystemClock  # noqa: PLC0415 - help needs no clock

    end = until.astimezone() if until else SystemClock().now()
    begin = since.astimezone() if since else end - duration(last, "--last")
    times = {"begin": begin.isoformat(), "end": end.isoformat() if until else None}
    asked = {"level": level, "selector": where, "tenant": tenant or None, "step": step}
    listed, found = _series(kpi, limit, asked | times)
    print_answer(found, partial(_print_csv if as_csv else _print, listed=listed), as_json=as_json)


def _print_csv(_: object, listed: Listed) -> None:
    from controller.performance.series import csv_of  # noqa: PLC0415 - only for this

    typer.echo(csv_of(listed), nl=False)
    if listed.left_out:
        err.print(listed.left_out)


def _series(kpi: str, limit: int, asked: Mapping[str, Any]) -> tuple[Listed, dict[str, Any]]:
    """The results of all pages, up to a number; and the last page with all of them."""
    listed, page = Listed(), dict[str, Any]()
    offset: int | None = 0
    while offset is not None and len(listed) < limit:
        with working("working out the indicator"):
            page = client().get(f"/v1/kpis/{kpi}", limit=min(limit - len(listed), 1000), offset=offset, **asked)
        offset = page["next"]
        listed.add(page)
    return listed, page | {"results": listed}


def _print(found: Mapping[str, Any], listed: Listed) -> None:
    kpi = found["kpi"]
    unit = f", {kpi['unit']}" if kpi["unit"] else ""
    out.print(bold(f"{kpi['title']}{unit}"), f"({kpi['source']}; {kpi['better']} is better)", soft_wrap=False)
    whose = f", of {found['tenant']}" if found["tenant"] else ""
    step = timedelta(seconds=found["seconds"])
    out.print(f"{when(found['begin'])} to {when(found['end'])}, each {step}{whose}", soft_wrap=False)
    columns = (
        Column(found["level"]),
        Column("value"),
        Column("95 %", 2, tells=True),
        Column("course"),
        Column("lowest", 3),
        Column("highest", 3),
        Column("sample", 4),
        Column("cells", 5),
        Column("not judged", 1, prose=True, tells=True),
    )
    table(columns, (_row(found, one) for one in listed), of=listed)


def _row(found: Mapping[str, Any], one: Mapping[str, Any]) -> Sequence[str]:
    figure, values = one["figure"], [point["value"] for point in one["points"]]
    interval = "" if figure["low"] is None else f"{figure['low']:,.2f}-{figure['high']:,.2f}"
    course = sparkline(one["points"], found["begin"], found["end"])
    extremes = [f"{value:,.2f}" for value in (min(values), max(values))] if values else ["", ""]
    value = "-" if figure["value"] is None else f"{figure['value']:,.2f}"
    return (
        one["of"],
        value,
        interval,
        course,
        *extremes,
        f"{figure['sample']:,.0f}",
        str(figure["cells"]),
        figure["why"],
    )


def sparkline(points: Sequence[Mapping[str, Any]], begin: str, end: str, width: int = _WIDTH) -> str:
    """The values over time as bars between the lowest and the highest; each bar is the mean of its part of the time."""
    first, last = datetime.fromisoformat(begin), datetime.fromisoformat(end)
    if last <= first:
        return ""
    parts: list[list[float]] = [[] for _ in range(width)]
    for point in points:
        at = (datetime.fromisoformat(point["begin"]) - first) / (last - first)
        parts[min(width - 1, max(0, int(at * width)))].append(point["value"])
    means = [sum(part) / len(part) if part else None for part in parts]
    known = [mean for mean in means if mean is not None]
    if not known:
        return ""
    low, high = min(known), max(known)
    scale = (len(_BARS) - 1) / (high - low) if high > low else 0
    middle = 0 if scale else len(_BARS) // 2
    return "".join(_GAP if mean is None else _BARS[middle + round((mean - low) * scale)] for mean in means)
