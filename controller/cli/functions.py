"""``minka pool`` and ``minka function``: what there is, where it runs and why, and what lost nodes would cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import partial
from typing import Annotated, Any

import typer

from controller.cli import completion, playbook
from controller.cli import plan as plans
from controller.cli.output import Detach, Json, Reason, bold, client, counted, out, print_answer, styled, when
from controller.cli.pager import paged
from controller.cli.tables import Column, records, table
from controller.models.many import first_names

pools = typer.Typer(no_args_is_help=True, help="Pools of servers that functions run on.")
functions = typer.Typer(no_args_is_help=True, help="Functions: the parts of virtual stations.")

#: Most names in a cell of a table.
_NAMED = 3


@pools.command("list", epilog="Example: minka pool list")
def list_pools(as_json: Json = False) -> None:
    """List pools: cores used, usable (without the reserve) and sold, and why a pool takes no function now."""
    found = client().all("/v1/pools")
    columns = (
        Column("pool"),
        Column("where", 3),
        Column("region", 4, tells=True),
        Column("nodes", 2, tells=True),
        Column("spare", 5),
        Column("cores"),
        Column("GiB", 6),
        Column("accelerators", 7),
        Column("sold", 1, tells=True),
        Column("functions"),
        Column("wrong", 0, prose=True),
        Column("closed", 0, prose=True),
    )
    records(found, columns, (_pool_row(one) for one in found), as_json=as_json)


def _pool_row(pool: Mapping[str, Any]) -> list[Any]:
    used, capacity = pool["used"], pool["capacity"]
    cores = f"{used[0]}/{capacity[0]}"
    return [
        pool["pool"],
        pool["where"],
        pool["region"],
        len(pool["nodes"]),
        pool["spare_nodes"],
        styled(cores, "red") if used[0] > capacity[0] else cores,
        f"{used[1]}/{capacity[1]}",
        f"{used[3]}/{capacity[3]}",
        sum(side["bought_cores"] for side in pool["sides"].values()) or "",
        len(pool["functions"]),
        _wrong(pool, ", ".join(pool["wrong"])),
        pool["closed"],
    ]


def _wrong(one: Mapping[str, Any], faults: str) -> Any:
    """Faults of a pool or function; without a reading nobody knows of any."""
    return styled(faults, "red") if one["seen"] else styled("not read yet", "yellow")


@pools.command("show", epilog="Example: minka pool show edge-cusco-2")
def show_pool(
    pool: Annotated[str, typer.Argument(help="Pool id.", autocompletion=completion.pools)], as_json: Json = False
) -> None:
    """Show a pool: its nodes, its functions, and how much of it is sold, used by whom, and free."""
    print_answer(client().get(f"/v1/pools/{pool}"), _show_pool, as_json=as_json)


@paged()
def _show_pool(pool: Mapping[str, Any]) -> None:
    at = f", site {pool['site']}" if pool["site"] else ""
    reserve = counted(pool["spare_nodes"], "node")
    out.print(bold(pool["pool"]), f"({pool['where']}, region {pool['region']}{at}), reserve: {reserve}")
    parts = ("cores", "GiB of memory", "GiB of hugepages", "accelerators")
    table(
        ("", "taken", "beside the reserve"),
        ((name, pool["used"][number], pool["capacity"][number]) for number, name in enumerate(parts)),
    )
    of_sides = (
        Column("whose"),
        Column("cores taken"),
        Column("bought"),
        Column("kept", 2),
        Column("Gbit/s taken", 1),
        Column("bought", 1),
        Column("kept", 3),
    )
    table(of_sides, (_side_row(name, side) for name, side in sorted(pool["sides"].items())))
    if pool["uplink_gbps"]:
        out.print(f"links to the transport network: {pool['uplink_gbps']} Gbit/s")
    seen = {node["id"]: node for node in (pool["cluster"] or {"nodes": []})["nodes"]}
    names = {node["id"]: node for node in pool["nodes"]} | dict.fromkeys(seen.keys() - _ids(pool["nodes"]))
    columns = (
        Column("node"),
        Column("cores"),
        Column("GiB", 3),
        Column("hugepages", 5),
        Column("accelerators", 6),
        Column("PTP", 4),
        Column("fails with", 7),
        Column("state"),
        Column("functions", 1, prose=True, tells=True),
    )
    table(columns, (_node_row(name, node, seen.get(name)) for name, node in sorted(names.items())))
    if pool["cluster"] is None:
        out.print(f"its nodes were not read yet: {pool['silence'] or 'is the pool adopted?'}")
    else:
        now = f"; now {pool['silence']}" if pool["silence"] else ""
        out.print(f"nodes as read {when(pool['seen'])}{now}")
        for name, said in (pool["cluster"]["waiting"] | pool["cluster"]["crashing"]).items():
            out.print(styled(f"{name}: {said}", "red"))
        for one in pool["cluster"]["hardware"] or ():
            out.print(styled(f"{one['node']}: {one['text']} ({one['severity'].lower()}, by its O2 IMS)", "red"))
        if pool["cluster"]["ims"]:
            out.print(styled(f"its O2 IMS does not answer: {pool['cluster']['ims']}", "red"))
    if pool["wrong"]:
        out.print("wrong:", styled(", ".join(pool["wrong"]), "red"))
    if pool["said"]:
        out.print(styled(pool["said"], "red"))
    if pool["closed"]:
        out.print("closed to new functions:", pool["closed"])
    out.print("functions:", ", ".join(pool["functions"]) or "none")


def _side_row(name: str, side: Mapping[str, Any]) -> list[Any]:
    """A side's part of a pool; empty where it bought nothing."""
    parts = [(side[f"{part}_{unit}"], part) for unit in ("cores", "gbps") for part in ("used", "bought", "kept")]
    return [name, *(f"{figure:g}" if figure or part == "used" else "" for figure, part in parts)]


def _ids(nodes: Iterable[Mapping[str, Any]]) -> set[str]:
    return {node["id"] for node in nodes}


def _node_row(name: str, node: Mapping[str, Any] | None, seen: Mapping[str, Any] | None) -> list[Any]:
    """A node, by the network files and by its cluster."""
    sizes = [node[size] if node else "" for size in ("cpus", "memory_gb", "hugepages_gb", "accelerators")]
    if node and seen:
        sizes[0] = f"{seen['requested']['cpus']:g}/{sizes[0]}"
    clock = "" if node is None else "yes" if node["ptp"] else "no"
    state, functions = _node_state(seen), ", ".join(seen["functions"]) if seen else ""
    return [name, *sizes, clock, (node or {}).get("failure_domain") or "", state, functions]


def _node_state(seen: Mapping[str, Any] | None) -> Any:
    """The state of a node in words."""
    if seen is None:
        return "not read"
    bad = [seen["ready"]] if seen["ready"] != "ready" else []
    bad += ["clock lost"] if seen["clock"] is False else []
    bad += seen["pressures"]
    words = ", ".join([*bad, *(["cordoned"] if seen["cordoned"] else [])]) or "ready"
    return styled(words, "red") if bad else words


@pools.command("plan", epilog="Example: minka pool plan edge-cusco-2")
def plan_pool(
    pool: Annotated[
        str, typer.Argument(help="Pool id, with * for any letters.", autocompletion=completion.pools)
    ] = "*",
    as_json: Json = False,
) -> None:
    """Plan namespaces, quotas and priorities of pools, as minka plan does. Changes nothing."""
    plans.plan(f"pool={pool}", as_json=as_json)


# ------------------------------------------------------------------------- functions


@functions.command("list", epilog="Example: minka function list 'function=CP-*'")
def list_functions(
    selector: Annotated[
        str,
        typer.Argument(
            help="Functions, as in function=DU-CUS-* or region=cusco,function=*.", autocompletion=completion.selectors
        ),
    ] = "function=*",
    as_json: Json = False,
) -> None:
    """List functions: where each runs, and where it would go; a tenant sees its own."""
    found = client().all("/v1/functions", selector=selector)
    columns = (
        Column("function"),
        Column("kind", 3, tells=True),
        Column("package", 4, tells=True),
        Column("owner", 2, tells=True),
        Column("stations", 5),
        Column("runs on"),
        Column("is to run on"),
        Column("wrong", 1, prose=True, tells=True),
    )
    records(found, columns, (_function_row(one) for one in found), as_json=as_json)


def _function_row(one: Mapping[str, Any]) -> list[Any]:
    goes = _goes(one)
    return [
        one["function"],
        one["kind"],
        f"{one['package']} {one['version']}",
        one.get("owner", ""),
        one["stations"],
        ", ".join(one["running"]),
        styled(goes, "red") if goes == "nowhere" else goes,
        _wrong(one, "; ".join([*one.get("faults", one["wrong"]), *_outdated(one)])),
    ]


def _outdated(one: Mapping[str, Any]) -> list[str]:
    """A remark where a run changed the function since its last check; tenants don't see such runs."""
    return ["changed by a run since"] if one.get("outdated") else []


def _goes(one: Mapping[str, Any]) -> str:
    """The pool where a function would go, if it does not run there; empty for a tenant, who doesn't see it."""
    if "pool" not in one or one["pool"] in one["running"]:
        return ""
    return str(one["pool"]) or "nowhere"


@functions.command("show", epilog="Example: minka function show UP-CUS-ENTEL")
def show_function(
    function: Annotated[str, typer.Argument(help="Function id.", autocompletion=completion.functions)],
    as_json: Json = False,
) -> None:
    """Show a function: what it carries for whom, where it runs, and why it is to run there."""
    print_answer(client().get(f"/v1/functions/{function}"), _print_function, as_json=as_json)


def _print_function(found: dict[str, Any]) -> None:
    whose = f", {found['owner']}'s" if "owner" in found else ""
    out.print(bold(found["function"]), f"({found['kind']}, {found['package']} {found['version']}{whose})")
    out.print(f"{_replicas(found)} for {counted(found['stations'], 'station')}")
    carries = (f"{plmn} ({', '.join(slices)})" if slices else plmn for plmn, slices in found["carries"].items())
    out.print("carries", ", ".join(carries) or "nothing by an agreement in force")
    managed = "" if found.get("adopted", True) else " (not adopted)"
    if found["endpoints"]:
        out.print(f"NETCONF endpoint of {', '.join(found['endpoints'])}")
    since = (
        f"{pool} since {when(found['placed'][pool])}" if pool in found["placed"] else pool for pool in found["running"]
    )
    out.print(f"runs on {', '.join(since) or 'no pool'}{managed}")
    if "pool" in found:
        out.print(f"is to run on {found['pool'] or 'no pool'}: {found['reason']}")
    wrong = found.get("faults", found["wrong"])
    if not found["seen"]:
        out.print(styled("not read yet: it is not known whether it runs", "yellow"))
    elif wrong:
        out.print(f"as seen {when(found['seen'])}:", styled("; ".join([*wrong, *_outdated(found)]), "red"))


def _replicas(found: Mapping[str, Any]) -> str:
    """Replicas by the network files, and as applied where that is another number."""
    said, applied = counted(found["replicas"], "replica"), found["applied_replicas"]
    return said if applied in (0, found["replicas"]) else f"{said} by the network files, {applied} as applied,"


@functions.command("plan", epilog="Example: minka function plan DU-CUS-0042")
def plan_function(
    function: Annotated[
        str, typer.Argument(help="Function id, with * for any letters.", autocompletion=completion.functions)
    ] = "*",
    as_json: Json = False,
) -> None:
    """Plan what functions should be on which pools, as minka plan does. Changes nothing."""
    plans.plan(f"function={function}", as_json=as_json)


@functions.command("move", epilog="Example: minka function move UP-CUS-ENTEL --to edge-cusco-2 --reason CHG-1042")
def move_function(
    function: Annotated[str, typer.Argument(help="Function id.", autocompletion=completion.functions)],
    to: Annotated[
        str | None,
        typer.Option(help="Pool to move it to; none: the nearest with room.", autocompletion=completion.pools),
    ] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only show what it would do.")] = False,
    reason: Reason = "",
    detach: Detach = False,
    as_json: Json = False,
) -> None:
    """Move a function to another pool, by the playbook move-function."""
    values = [f"function={function}", *([f"pool={to}"] if to else [])]
    if dry_run:
        playbook.dry_run("move-function", values, as_json=as_json)
    else:
        playbook.run("move-function", values, reason=reason, detach=detach, as_json=as_json)


@functions.command("place", epilog="Example: minka function place --fail 1")
def place(
    rebalance: Annotated[
        bool, typer.Option("--rebalance", help="Also move functions that run where they may.")
    ] = False,
    fail: Annotated[
        int, typer.Option(min=0, max=3, help="Show what the loss of this many nodes of a pool would cost.")
    ] = 0,
    bound: Annotated[
        bool, typer.Option("--bound", help="Show how far the placement may be from the best one; takes seconds.")
    ] = False,
    as_json: Json = False,
) -> None:
    """Show where functions would go and why, and who would lose service if nodes fail. Changes nothing."""
    found = client().get("/v1/placement", rebalance=rebalance, fail=fail, bound=bound)
    print_answer(found, partial(_show_placement, fail=fail), as_json=as_json)


@paged()
def _show_placement(found: Mapping[str, Any], fail: int) -> None:
    placed = found["functions"] - len(found["unplaced"])
    out.print(f"{placed} of {counted(found['functions'], 'function')} have a place; {_ways(found)}")
    choices = [*found["unplaced"], *found["moves"], *found["starts"]]
    if choices:
        columns = (
            Column("function"),
            Column("runs on", 1, tells=True),
            Column("is to run on"),
            Column("why", prose=True),
        )
        table(columns, (_choice_row(one) for one in choices))
    if fail:
        _show_losses(found["losses"], fail)


def _ways(found: Mapping[str, Any]) -> str:
    if found["bound_us"] is None:
        return f"ways count as {found['cost_us']} µs in all"
    gap = 100 * (found["cost_us"] - found["bound_us"]) / max(found["bound_us"], 1)
    return f"ways count as {found['cost_us']} µs in all, {gap:.2f} % above what none can fall below, if all may move"


def _choice_row(one: Mapping[str, Any]) -> list[Any]:
    return [one["function"], ", ".join(one["was"]), one["pool"] or styled("nowhere", "red"), one["reason"]]


def _show_losses(losses: Iterable[Mapping[str, Any]], fail: int) -> None:
    out.print(bold(f"If {counted(fail, 'node')} of a pool (or failure domain) goes, at worst:"))
    columns = (
        Column("pool"),
        Column("nodes", 3, tells=True),
        Column("restart"),
        Column("move", 1, tells=True),
        Column("down"),
        Column("stations"),
        Column("seconds", 4),
        Column("tenants", 2, prose=True, tells=True),
    )
    table(columns, (_loss_row(one) for one in losses))


def _loss_row(one: Mapping[str, Any]) -> list[Any]:
    moving = (f"{name} to {pool}" for name, pool in one["moving"].items())
    return [
        one["pool"],
        ", ".join(one["nodes"]),
        len(one["restarting"]),
        _some(moving),
        styled(_some(one["down"]), "red"),
        len(one["stations"]),
        one["seconds"],
        ", ".join(one["tenants"]),
    ]


def _some(names: Iterable[str]) -> str:
    return first_names(list(names))
