"""``minka device``: list, show, get, drift, adopt."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from functools import partial
from typing import Annotated, Any

import typer

from controller.cli import completion
from controller.cli.completion import Selector
from controller.cli.errors import DIFFERENT, FAILED, CliError
from controller.cli.listed import Listed
from controller.cli.output import Json, age, client, counted, err, manner, out, print_answer, styled, when
from controller.cli.pager import paged
from controller.cli.plan_view import show_alike
from controller.cli.progress import counting, working
from controller.cli.tables import Column, indented, table
from controller.inventory.source import suggest
from controller.models.device_kinds import DeviceKind
from controller.models.enums import AdoptionCode
from controller.models.many import first_names

app = typer.Typer(no_args_is_help=True, help="Base stations: on record, and as they are now.")

#: Devices without cells and core links of their own to show.
_IN_CLOUD = frozenset(kind.value for kind in DeviceKind if kind.rules.in_cloud)

#: Names of entries that an error names at most.
_NAMES = 20

Station = Annotated[str, typer.Argument(help="Station id, as in PE-CUS-0145.", autocompletion=completion.stations)]


@app.command("list", epilog="Example: minka device list region=cusco")
def list_(selector: Selector = "*", as_json: Json = False) -> None:
    """List stations with their last known health. 1/3 2? means: of three, one is up and two are unknown."""
    with working("asking for devices", shown=not as_json):
        found = client().all("/v1/devices", selector=selector)
    print_answer(found, _print_list, as_json=as_json)


def _print_list(found: Listed) -> None:
    columns = (
        Column("station"),
        Column("region", 3, tells=True),
        Column("profiles", 4),
        Column("adopted", 1, tells=True),
        Column("seen", 2, tells=True),
        Column("cells on air"),
        Column("links up"),
        Column("drift"),
    )
    table(columns, (_row(device) for device in found))
    ages = sorted(age for device in found if (age := device.get("health_age")) is not None)
    if ages:
        out.print(f"checked {ages[len(ages) // 2]:.0f} s ago at the median, {ages[-1]:.0f} s at most")


def _row(device: dict[str, Any]) -> list[Any]:
    health = device["health"]
    row = [device["station"], device["region"], " ".join(device["profiles"]), _adopted(device)]
    if health is None:
        return [*row, "-", "-", "-", "-"]
    return [
        *row,
        age(health["at"]),
        _share(health["cells"].values()) if health["reachable"] else styled("unreachable", "red"),
        _share(link["state"] for link in health["links"]),
        _drift(health),
    ]


def _drift(health: Mapping[str, Any]) -> Any:
    """Nodes that differ, as last read; with a ? if that is not now. Empty for a tenant, and before the first read."""
    if "drift" not in health or not (health["reachable"] or health.get("read")):
        return ""
    number = f"{health['drift']}{'' if health['reachable'] else '?'}"
    return styled(number, "yellow") if health["drift"] or not health["reachable"] else number


def _share(states: Iterable[str]) -> Any:
    """How many of how many serve, and how many are unknown, as in ``1/3 2?``."""
    count = Counter(states)
    share, unknown = f"{count['up']}/{count.total()}", count["unknown"]
    return styled(f"{share} {unknown}?", "yellow") if unknown else share


def _adopted(device: dict[str, Any]) -> Any:
    """Yes, no, or out of service; empty for a tenant, who doesn't see it."""
    if "adopted" not in device:
        return ""
    if device["retired"]:
        return styled("out of service", "yellow")
    return "yes" if device["adopted"] else "no"


@app.command(epilog="Example: minka device show PE-CUS-0145")
def show(station: Station, as_json: Json = False) -> None:
    """Show a station as on record: adopted or not, health, core links by tenant."""
    print_answer(client().get(f"/v1/devices/{station}"), _show_with_kpis, as_json=as_json)


def _show_with_kpis(device: dict[str, Any]) -> None:
    judged = device.get("indicators")
    _show(device, {one["name"]: one for one in client().all("/v1/kpis")} if judged else {})


@paged()
def _show(device: dict[str, Any], kpis: Mapping[str, Any]) -> None:
    station = device["station"]
    out.print(f"{station}: site {device['site']}, region {device['region']}, {' '.join(device['profiles'])}")
    if "adopted" in device:
        out.print(f"adopted {when(device['adopted'])}, applied {when(device['applied'])}")
        if device["beside"]:
            others = ", ".join(f"ManagedElement={one}" for one in device["beside"])
            out.print(f"beside it, as agreed: {others}")
    if "collection" in device:
        out.print("performance data:", _collected(device["collection"]))
    if device.get("indicators"):
        out.print(*_indicators(device["indicators"], kpis))
    health = device["health"]
    if health is None:
        out.print(_not_shown(device))
        return
    read = f", last read {when(health['read'])}" if health.get("read") else ""
    reach = "reachable" if health["reachable"] else styled(f"unreachable{read}", "red")
    out.print(f"seen {when(health['at'])}:", reach)
    for text in health.get("function", {}).values():
        out.print(styled(text, "red"))
    if health.get("device") in _IN_CLOUD:
        return
    locked = health["locked"]
    table(
        ("cell", "on air", "locked"),
        (
            (cell, _served(state, health.get("odd", {}).get(cell, "")), _lock(health, state, locked=cell in locked))
            for cell, state in health["cells"].items()
        ),
    )
    table(
        ("tenant", "kind", "core link", "up"),
        (
            (link["tenant"], link["kind"], link["path"].rpartition("/")[2], _served(link["state"], link.get("odd", "")))
            for link in health["links"]
        ),
    )
    for holder in device.get("lock_holders", {}).values():
        out.print(_held(holder))


def _held(holder: Mapping[str, Any]) -> str:
    """Who locked a cell or core link, since when where the run is under way there, and the reason of the run."""
    began = f"it began {when(holder['at'])}" if holder["at"] and not holder["outcome"] else ""
    reason = f"reason: {holder['reason']}" if holder["reason"] else ""
    return "; ".join(filter(None, (holder["words"], began, reason)))


def _not_shown(device: Mapping[str, Any]) -> str:
    """Why a device has no health: a tenant sees that of days alone on which an agreement of its own is in force."""
    if "retired" not in device:
        return "not checked yet, or no agreement of yours is in force here today"
    return f"out of service since {when(device['retired'])}" if device["retired"] else "not checked yet"


def _lock(health: Mapping[str, Any], state: str, *, locked: bool) -> Any:
    """Whether a cell is locked; one that still serves although it is no longer unlocked is shutting down (X.731)."""
    if not health["reachable"]:
        return styled("yes when last read" if locked else "unknown", "yellow")
    if not locked:
        return "no"
    return "shutting down" if state == "up" else "yes"


def _collected(collection: dict[str, Any] | None) -> Any:
    """The end of the newest performance data, and why newer data is missing."""
    if collection is None:
        return "none is collected of it"
    until = f"until {when(collection['newest'])}" if collection["newest"] else "none yet"
    if collection["reason"]:
        return styled(f"{until}; {counted(collection['failures'], 'failure')} in a row: {collection['reason']}", "red")
    missing = f"{until}, {counted(collection['missing'], 'period')} of the last day missing"
    return styled(missing, "yellow") if collection["missing"] else until


def _indicators(judged: dict[str, Any], kpis: Mapping[str, Any]) -> Iterator[Any]:
    """Print the watched indicators, the worst against their usual values first; for a tenant all of its part."""
    values, degradations = judged["values"], judged.get("degradations", {})
    yield f"indicators until {when(judged['until'])}:"
    watched = sorted(degradations or values, key=lambda name: (-degradations.get(name, 0.0), name))
    if not watched:
        yield "none could be judged"
    for name in watched:
        kpi = kpis.get(name, {"title": name, "unit": ""})
        said = f"{kpi['title']} {values[name]:.4g} {kpi['unit']}".rstrip()
        worse = degradations.get(name, 0.0)
        end = "" if name == watched[-1] else ";"
        yield styled(f"{said}, worse than usual by {worse:.2g} tolerances{end}", "red") if worse > 1 else f"{said}{end}"


def _served(state: str, odd: str) -> Any:
    """Whether a cell or core link serves; where its station says so in a word that nobody knows, with that."""
    unknown = styled(f"unknown ({odd})" if odd else "unknown", "yellow")
    return {"up": styled("yes", "green"), "down": styled("no", "red")}.get(state, unknown)


@app.command(epilog="Example: minka device get PE-CUS-0145 --filter plmnIdList")
def get(
    station: Station,
    contains: Annotated[str, typer.Option("--filter", help="Only nodes whose path contains this text.")] = "",
    as_json: Json = False,
) -> None:
    """Read the managed nodes and their state from a station, now."""
    with working("reading the device", shown=not as_json):
        live = client().get(f"/v1/devices/{station}/config")
    tree = {path: leaves for path, leaves in live["tree"].items() if contains in path}
    if live["tree"] and not tree and not as_json:
        raise CliError(_no_entry(station, contains, live["tree"]))
    print_answer(live | {"tree": tree}, _print_nodes, as_json=as_json)


def _print_nodes(live: dict[str, Any]) -> None:
    rows = []
    for path, leaves in live["tree"].items():
        values = leaves | {f"({name})": value for name, value in live["state"].get(path, {}).items()}
        rows.append((path, " ".join(f"{name}={_value(value)}" for name, value in values.items())))
    if out.is_terminal and not manner.wide:
        _show_tree(rows)
    else:
        table((Column("entry"), Column("leaves (state in brackets)", prose=True)), rows)


def _no_entry(station: str, text: str, tree: Iterable[str]) -> str:
    """That no entry of a device has a text in its path, and which names its entries have."""
    names = sorted({name for path in tree for name in re.findall(r"/([^/\[]+)\[", path)})
    known = suggest(text.partition("[")[0], names) or f"its entries are {first_names(names, _NAMES)}"
    return f"--filter {text!r}: no entry of {station} has this in its path; {known}"


def _value(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


@paged()
def _show_tree(rows: Iterable[tuple[str, str]]) -> None:
    """Print entries below those that contain them, so that no path is broken; the state is in brackets."""
    last: list[str] = []
    for path, leaves in rows:
        steps = path.split("/")[1:]
        same = next((at for at, (one, other) in enumerate(zip(steps, last, strict=False)) if one != other), len(last))
        for depth in range(min(same, len(steps) - 1), len(steps)):
            out.print(" " * 2 * depth + ("/" if depth == 0 else "") + steps[depth], soft_wrap=True)
        for line in indented(styled(leaves, "dim"), 2 * len(steps) + 2) if leaves else ():
            out.print(line, soft_wrap=True)
        last = steps


@app.command(epilog="Example: minka device drift region=cusco --exit-code")
def drift(
    selector: Selector = "*",
    exit_code: Annotated[bool, typer.Option("--exit-code", help=f"Exit {DIFFERENT} if anything differs.")] = False,
    as_json: Json = False,
) -> None:
    """Read adopted devices, and show what differs from what was last applied."""
    with working("reading devices", shown=not as_json):
        said = client().post("/v1/devices/drift", {"selector": selector})
    differing = {station: rows for station, rows in said["stations"].items() if rows}
    print_answer(said, partial(_show_drift, differing=differing), as_json=as_json)
    if said["unread"]:
        raise typer.Exit(FAILED)
    if differing and exit_code:
        raise typer.Exit(DIFFERENT)


def _show_drift(said: dict[str, Any], differing: dict[str, Any]) -> None:
    columns = (
        Column("device"),
        Column("cell"),
        Column("tenant", 1, tells=True),
        Column("what", prose=True),
        Column("has", prose=True),
        Column("should have", prose=True),
    )
    keys = ("cell", "tenant", "what", "before", "after")
    if differing:
        rows = ((name, *(row[key] for key in keys)) for name, found in differing.items() for row in found)
        head = f"{len(differing)} of {counted(len(said['stations']), 'device')} differ"
        table(columns, rows, f"{head}; a run holds {len(said['runs'])} of them" if said["runs"] else head)
        _show_holding(said["runs"])
    elif said["stations"]:
        out.print(styled("no drift", "green"), f"on {counted(len(said['stations']), 'device')}")
    if said["not_adopted"]:
        out.print(
            f"{counted(said['not_adopted'], 'device')} not adopted, so there is nothing on record to compare with"
        )
    show_alike(styled("not read", "red"), said["unread"])


def _show_holding(runs: dict[str, Any]) -> None:
    """The runs that hold devices that differ, by device."""
    for station, by in runs.items():
        state = ": ".join(filter(None, (by["state"], by["waits"])))
        held = f"{station}: run {by['run']} ({by['procedure']}) of {by['requested_by']} holds it ({state})"
        out.print(f"{held}; until it ends there, what differs may be its own unfinished change", soft_wrap=True)


@app.command(epilog="Example: minka device adopt 'region=cusco'")
def adopt(
    selector: Selector,
    beside: Annotated[
        list[str] | None,
        typer.Option(
            metavar="ID",
            help="Id of a foreign ManagedElement that may stand beside a station's own; repeatable.",
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Adopt stations: before that, Minka only observes them. Changes nothing on them.

    A station that carries a ManagedElement of another id is adopted only if --beside names that id, which is recorded
    on the audit trail.
    """
    body = {"selector": selector, **({"beside": beside} if beside else {})}
    if err.is_terminal and not as_json:
        with counting("reading and adopting devices", "putting them on record") as report:
            said = client().progress("/v1/devices/adopt", body, report)
    else:
        said = client().post("/v1/devices/adopt", body)
    failed = {station: one["words"] for station, one in said.items() if not AdoptionCode(one["code"]).adopted}
    print_answer(said, partial(_print_adopted, failed=failed), as_json=as_json)
    if failed:
        raise typer.Exit(FAILED)


def _print_adopted(said: dict[str, Any], failed: Mapping[str, str]) -> None:
    show_alike(styled("not adopted", "red"), failed)
    out.print(f"{len(said) - len(failed)} of {len(said)} adopted")
