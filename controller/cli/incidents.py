"""``minka incidents``: faults with all that follows from them, by rank."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Annotated, Any

import typer

from controller.access.timeline import neighbours_of, parts_of, timeline_of
from controller.cli import completion
from controller.cli.alarms import (
    CommentText,
    Readers,
    cause_of,
    object_in_short,
    print_comment,
    print_dispatch,
)
from controller.cli.follow import changes
from controller.cli.output import (
    Json,
    Limit,
    age,
    bold,
    client,
    coloured,
    counted,
    out,
    print_answer,
    print_result,
    styled,
    when,
)
from controller.cli.tables import Column, records, table
from controller.cli.waits import wait_words
from controller.models.enums import IncidentState

incidents = typer.Typer(no_args_is_help=True, help="Incidents: faults with all that follows from them.")

IncidentId = Annotated[
    str, typer.Argument(help="Id of an incident, as in i-1f2e3d4c5b.", autocompletion=completion.incidents)
]


@incidents.command("list", epilog="Example: minka incidents list --tenant bitel")
def list_incidents(
    limit: Limit = 50,
    state: Annotated[
        list[IncidentState] | None,
        typer.Option(help=f"Only in this state ({', '.join(IncidentState)}); repeatable. Default: open, by rank."),
    ] = None,
    station: Annotated[list[str] | None, typer.Option(help="Only with an alarm of this station; repeatable.")] = None,
    tenant: Annotated[
        list[str] | None, typer.Option(help="Only incidents that concern this tenant; repeatable.")
    ] = None,
    cause: Annotated[list[str] | None, typer.Option(help="Only with this probable cause; repeatable.")] = None,
    owner: Annotated[str, typer.Option(help="Only incidents that this person has taken.")] = "",
    since: Annotated[
        datetime | None, typer.Option(help="Only incidents that changed since this local time, as in 2026-12-26T06:00.")
    ] = None,
    as_json: Json = False,
) -> None:
    """List open incidents, the most important first; or those in a state, newest first."""
    asked: dict[str, Any] = {"state": state, "station": station, "tenant": tenant, "cause": cause}
    asked |= {"owner": owner or None, "since": since.astimezone().isoformat() if since else None}
    found = client().all("/v1/incidents", limit, **asked)
    records(
        found,
        (
            Column("rank"),
            Column("id"),
            Column("severity", 4, tells=True),
            Column("where"),
            Column("cause"),
            Column("people", 1, tells=True),
            Column("tenants", 3, tells=True),
            Column("alarms", 2, tells=True),
            Column("cells", 7),
            Column("state", 8, tells=True),
            Column("age", 6, tells=True),
            Column("opened", 10),
            Column("owner", 9, tells=True),
            Column("why", 5, prose=True),
        ),
        (
            (
                one.get("rank") or "",
                one["id"],
                one["severity"],
                _where(one),
                cause_of(_root(one)),
                f"{one['people']:,}",
                ", ".join(one.get("tenants", ())),
                one["standing"],
                len(one["cells"]),
                _state(one),
                age(one["opened"]),
                when(one["opened"]),
                one.get("owner", ""),
                one.get("because", ""),
            )
            for one in found
        ),
        as_json=as_json,
    )


@incidents.command("show", epilog="Example: minka incidents show i-1f2e3d4c5b")
def show(incident: IncidentId, as_json: Json = False) -> None:
    """Show an incident: root, affected cells, reasons, repairs, and minutes lost by each tenant."""
    print_answer(client().get(f"/v1/incidents/{incident}"), _print_with_runs, as_json=as_json)


def _print_with_runs(found: dict[str, Any]) -> None:
    host = "timeline" in found
    _print(found, client().get(f"/v1/incidents/{found['id']}/report")["runs"] if host else ())


@incidents.command("report", epilog="Example: minka incidents report i-1f2e3d4c5b > incident.md")
def report(
    incident: IncidentId,
    form: Annotated[str, typer.Option("--format", help="md: Markdown; json.")] = "md",
    as_json: Json = False,
) -> None:
    """Print the report of an incident: its root and why, decisions, repairs with evidence, minutes lost, comments."""
    from controller.access.report import markdown  # noqa: PLC0415 - only for this

    if form not in ("md", "json"):
        raise typer.BadParameter("say md or json")
    found = client().get(f"/v1/incidents/{incident}/report")
    print_answer(found, lambda said: typer.echo(markdown(said), nl=False), as_json=as_json or form == "json")


@incidents.command("dispatch", epilog="Example: minka incidents dispatch i-1f2e3d4c5b > ticket.txt")
def dispatch(incident: IncidentId, as_json: Json = False) -> None:
    """Print what a person sent to its root has to know: place, unit, likely part, what was tried, and holds to put."""
    print_dispatch(client().get(f"/v1/incidents/{incident}/dispatch"), as_json=as_json)


@incidents.command("follow", epilog="Example: minka incidents follow --json | jq .id")
def follow(as_json: Json = False) -> None:
    """Follow incidents as they change, until interrupted."""
    for one in changes("/v1/incidents/events"):
        print_answer(one, _print_change, as_json=as_json, line=True)


def _print_change(one: dict[str, Any]) -> None:
    what = (_where(one), cause_of(_root(one)), counted(one["standing"], "alarm"))
    out.print(when(one["changed"]), one["id"], coloured(_state(one)), *what, one.get("why", ""))


@incidents.command("ack", epilog="Example: minka incidents ack i-1f2e3d4c5b")
def ack(incident: IncidentId, as_json: Json = False) -> None:
    """Acknowledge an incident. The first acknowledgement stays on record."""
    found = client().post(f"/v1/incidents/{incident}/acknowledge")
    print_result(
        found,
        f"{incident} was acknowledged by {found['acknowledged_by']} {when(found['acknowledged'])}",
        as_json=as_json,
    )


@incidents.command("comment", epilog="Example: minka incidents comment i-1f2e3d4c5b 'the digger has gone' --to bitel")
def comment(
    incident: IncidentId,
    text: CommentText,
    to: Readers = None,
    as_json: Json = False,
) -> None:
    """Comment on an incident; minka incidents show prints the comments."""
    said = client().post(f"/v1/incidents/{incident}/comments", {"text": text, "to": to or []})
    print_answer(said, print_comment, as_json=as_json)


@incidents.command("take", epilog="Example: minka incidents take i-1f2e3d4c5b")
def take(incident: IncidentId, as_json: Json = False) -> None:
    """Take an incident: from now on you are its owner."""
    found = client().post(f"/v1/incidents/{incident}/take")
    print_result(found, f"{incident} is {found['owner']}'s since {when(found['taken'])}", as_json=as_json)


@incidents.command("hand-back", epilog="Example: minka incidents hand-back i-1f2e3d4c5b")
def hand_back(incident: IncidentId, as_json: Json = False) -> None:
    """Hand an incident back: it has no owner any more."""
    found = client().post(f"/v1/incidents/{incident}/hand-back")
    print_result(found, f"{incident} has no owner now", as_json=as_json)


def _root(one: dict[str, Any]) -> dict[str, Any]:
    """The root: for a tenant an alarm, for the host part of the incident itself."""
    return one["root"] if isinstance(one["root"], dict) else one


def _where(one: dict[str, Any]) -> str:
    root = _root(one)
    what = object_in_short(root)
    return f"{root['station']} {what}" if root["station"] and what != "station" else root["station"] or what


def _state(one: dict[str, Any]) -> str:
    state = "flapping" if one.get("flapping") and one["state"] == IncidentState.OPEN else str(one["state"])
    return f"{state}, still correlating" if one.get("correlating") else state


def _print(one: dict[str, Any], runs: Iterable[dict[str, Any]]) -> None:
    """Print an incident on one page.

    Args:
        one: The incident.
        runs: Its repairs, as the report has them.
    """
    root = _root(one)
    _line("incident", f"{one['id']} {_state(one)}, {one['severity']}")
    _line("failed", f"{cause_of(root)} of {_where(one)}")
    _line("part of", f"incident {one['merged_into']}" if one.get("merged_into") else "")
    _line("opened", when(one["opened"]) + (f", closed {when(one['closed'])}" if one["closed"] else ""))
    _line("suffers", f"{counted(len(one['cells']), 'cell')}, {one['people']:,} people")
    if "timeline" in one:
        _print_for_host(one)
    for run in runs:
        _print_repair(run)
    minutes = one["minutes"] if isinstance(one["minutes"], list) else [one["minutes"]] if one["minutes"] else []
    _print_minutes(minutes, one["agreements"])
    _print_alarms(one)
    for said in one["comments"]:
        print_comment(said)
    for entry in timeline_of(one):
        until = f" to {when(entry.until)[11:]}" if entry.until[:19] != entry.at[:19] else ""
        at = when(entry.at) + until if entry.at else "-"
        out.print(styled(at, "bold"), entry.actor, entry.action, entry.what, entry.words)


def _line(name: str, text: str) -> None:
    if text:
        out.print(bold(f"{name:<10}"), text)


def _print_for_host(one: dict[str, Any]) -> None:
    _line("tenants", ", ".join(one["tenants"]))
    _line("rank", f"{one['rank']}: {one['because']}" if one["rank"] else "")
    _line("includes", ", ".join(parts_of(one)))
    for beside in neighbours_of(one):
        _line("beside", beside)
    _line("flaps", str(one["flaps"] or ""))
    _line("known to", f"{one['acknowledged_by']} {when(one['acknowledged'])}" if one["acknowledged"] else "")
    _line("owner", f"{one['owner']} since {when(one['taken'])}" if one["owner"] else "")
    _line("path", " > ".join(one["path"]))
    for place in one.get("suspects", ()):
        _line("may be", place["line"])
    root = next((alarm for alarm in one["alarms"] if alarm["id"] == one["root"]), None)
    if root is not None:
        _line("root", f"{root['id']}, from which {counted(root['symptoms'], 'alarm')} that stand follow")
        waits = "; ".join(map(wait_words, root["waits_for"]))
        _line("repair", waits or root["note"] or ("run " + root["run"] if root["run"] else "none was tried"))


def _print_repair(run: dict[str, Any]) -> None:
    """Print a repair, and what its device had in service before and after."""
    ends = f" until {when(run['finished'])}" if run["finished"] else ""
    began = f", from {when(run['started'])}{ends}" if run["started"] else ""
    _line("run", f"{run['id']} {run['procedure']} {run['state']}{began}")
    before, after = run["before"], run["after"]
    _line("before", _in_service(before))
    if after is not None:
        again, gone = (
            ", ".join(sorted(object_in_short({"object": name}) for name in {*there} - {*elsewhere}))
            for there, elsewhere in ((after, before), (before, after))
        )
        changes = f"{again and '; again: '}{again}{gone and '; not any more: '}{gone}"
        _line("after", _in_service(after) + changes)


def _in_service(names: Sequence[str]) -> str:
    """The numbers of cells and core links in service; the name of a core link is a path."""
    links = sum(name.startswith("/") for name in names)
    return f"{counted(len(names) - links, 'cell')} and {counted(links, 'core link')} in service"


def _print_minutes(minutes: list[dict[str, Any]], agreements: list[dict[str, Any]]) -> None:
    if minutes:
        names = ("lost", "planned", "own_work", "own_core", "outside", "unseen")
        header = ("tenant", *(name.replace("_", " ") for name in names), "people-minutes")
        rows = ((m["tenant"], *(f"{m[name]:,.1f}" for name in names), f"{m['people']:,}") for m in minutes)
        table(header, rows, "cell-minutes without service")
    if agreements:
        unproved = ("unseen", "unobserved", "not_applied")
        first = ("agreement", "availability", "used", "allowed", "left", "share", "burn rate")
        columns = (*first, *(name.replace("_", " ") for name in unproved))
        used = (
            (
                a["agreement"],
                f"{a['availability_percent']:g} %",
                f"{a['used']:,.1f}",
                f"{a['allowed']:,.1f}",
                f"{a['left']:,.1f}",
                f"{100 * a['share']:.0f} %",
                f"{a['burn_rate']:.2f}",
                *(f"{a[name]:,.1f}" for name in unproved),
            )
            for a in agreements
        )
        table(columns, used, "cell-minutes of agreements this month")


def _print_alarms(one: dict[str, Any]) -> None:
    columns = (Column("object", 1, tells=True), Column("cause"), Column("raised", 2, tells=True))
    rows = []
    for alarm in one["alarms"]:
        what = (object_in_short(alarm), cause_of(alarm), when(alarm["raised"]))
        rows.append((alarm["id"], coloured(alarm["state"]), alarm["station"], *what))
    table((Column("alarm"), Column("state"), Column("station"), *columns), rows)
    if (left := one.get("alarms_in_all", 0) - len(rows)) > 0:
        of = f"minka alarms list --all --root {one['root']}"
        out.print(f"and {counted(left, 'more alarm')}, which the time line leaves out too: {of}")
