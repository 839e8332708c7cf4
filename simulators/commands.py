"""Commands to a fleet that runs, over its control interface."""

from __future__ import annotations

import json
from difflib import get_close_matches
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from simulators.cloud.behaviour.faults import POOL_FAULTS
from simulators.connections import Outage
from simulators.equipment.fault_kinds import NETWORK_FAULTS
from simulators.equipment.file_faults import FileFaultKind
from simulators.netconf.faults import ANY, FaultKind
from simulators.routers.faults import RouterFaultKind

DEFAULT_CONTROL = "127.0.0.1:8390"
ControlUrl = Annotated[
    str, typer.Option("--control", envvar="MINKA_SIMULATORS_CONTROL", help="Control interface of the fleet, HOST:PORT.")
]


def call(method: str, control: str, path: str, body: dict[str, Any] | None = None) -> Any:
    """Send a request and return its answer.

    Raises:
        typer.Exit: no fleet answers there (2), or it refuses (1); the reason was printed.
    """
    url = control if control.startswith("http") else f"http://{control}"
    try:
        response = httpx.request(method, url.rstrip("/") + path, json=body, timeout=10)
    except httpx.HTTPError as error:
        typer.echo(f"no fleet answers at {control}: {error}", err=True)
        raise typer.Exit(2) from error
    answer = response.json()
    if response.is_error:
        typer.echo(f"refused: {answer.get('detail', answer)}", err=True)
        raise typer.Exit(1)
    return answer


def show(answer: Any) -> None:
    """Print an answer as one line of JSON."""
    typer.echo(json.dumps(answer))


fault_app = typer.Typer(help="Inject faults into running stations.", no_args_is_help=True)
pool_app = typer.Typer(help="Show running pools, and inject faults into them.", no_args_is_help=True)
router_app = typer.Typer(help="Change running routers, and inject faults into them.", no_args_is_help=True)

StationId = Annotated[str, typer.Argument(help="Station id.")]
PoolId = Annotated[str, typer.Argument(help="Pool id.")]
RouterId = Annotated[str, typer.Argument(help="Router id.")]
Port = Annotated[str, typer.Argument(help="Port of the router, as in GigabitEthernet0/0/0.")]
Node = Annotated[str, typer.Argument(help="Id of a backhaul node.")]


def cut(
    node: Node,
    outage: Annotated[Outage, typer.Option(help="What clients see of the devices below.")] = Outage.SILENCE,
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Cut off a backhaul node: everything below it can't be reached."""
    show(call("POST", control, f"/backhaul/{node}/cut", {"outage": outage.value}))


def restore(node: Node, control: ControlUrl = DEFAULT_CONTROL) -> None:
    """Connect a backhaul node again."""
    show(call("POST", control, f"/backhaul/{node}/restore"))


def add_commands(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.add_typer(fault_app, name="fault")
    app.command("cut", epilog="Example: `python -m simulators cut fibre-cusco`")(cut)
    app.command("restore", epilog="Example: `python -m simulators restore fibre-cusco`")(restore)
    app.add_typer(router_app, name="router")
    app.add_typer(pool_app, name="pool")


# ---------------------------------------------------------------------- routers


@router_app.command(
    "inject", epilog="Example: `python -m simulators router inject RT-CUS-0145 refuse-line --line 3 --count 2`"
)
def inject_router(
    router: RouterId,
    kind: Annotated[RouterFaultKind, typer.Argument(help="What goes wrong.")],
    command: Annotated[str, typer.Option(help="Prefix of the commands that it strikes, as in `ip route`.")] = "",
    line: Annotated[int, typer.Option(min=0, help="Strike this line after `configure terminal`; 0 is any.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="How many times it strikes.")] = 1,
    always: Annotated[bool, typer.Option("--always", help="Until it is cleared.")] = False,
    probability: Annotated[
        float, typer.Option(min=0.001, max=1, help="Probability of a strike, drawn from the seed.")
    ] = 1.0,
    seconds: Annotated[float, typer.Option(min=0, help="Seconds of a delay.")] = 0.0,
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Inject a fault into a router."""
    fault = {"kind": kind.value, "command": command, "line": line, "count": None if always else count}
    body = {**fault, "probability": probability, "seconds": seconds}
    show(call("POST", control, f"/routers/{router}/faults", body))


@router_app.command("list", epilog="Example: `python -m simulators router list RT-CUS-0145`")
def list_router_faults(router: RouterId, control: ControlUrl = DEFAULT_CONTROL) -> None:
    """List the injected faults of a router."""
    show(call("GET", control, f"/routers/{router}/faults"))


@router_app.command("clear", epilog="Example: `python -m simulators router clear RT-CUS-0145`")
def clear_router(
    router: RouterId,
    fault_id: Annotated[int | None, typer.Option("--id", help="Only this fault.")] = None,
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Clear faults of a router."""
    show(call("DELETE", control, f"/routers/{router}/faults" + ("" if fault_id is None else f"/{fault_id}")))


@router_app.command("edit", epilog="Example: `python -m simulators router edit RT-CUS-0145 lines.txt`")
def edit_router(
    router: RouterId,
    file: Annotated[Path, typer.Argument(help="Configuration lines.")],
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Change the configuration by lines, without a session."""
    lines = file.read_text(encoding="utf-8").splitlines()
    show(call("POST", control, f"/routers/{router}/edit", {"lines": lines}))


@router_app.command(
    "lose-path", epilog="Example: `python -m simulators router lose-path RT-CUS-0145 GigabitEthernet0/0/0`"
)
def lose_path(
    router: RouterId,
    port: Port,
    signal: Annotated[bool, typer.Option("--signal", help="Also lose the signal: the port goes down.")] = False,
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Drop all packets that leave by a port's VLANs, while the port stays up."""
    show(call("POST", control, f"/routers/{router}/paths/lose", {"port": port, "signal": signal}))


@router_app.command(
    "restore-path", epilog="Example: `python -m simulators router restore-path RT-CUS-0145 GigabitEthernet0/0/0`"
)
def restore_path(router: RouterId, port: Port, control: ControlUrl = DEFAULT_CONTROL) -> None:
    """Stop dropping packets that leave by a port."""
    show(call("POST", control, f"/routers/{router}/paths/restore", {"port": port}))


# ------------------------------------------------------------------------ pools


@pool_app.command("list", epilog="Example: `python -m simulators pool list`")
def list_pools(control: ControlUrl = DEFAULT_CONTROL) -> None:
    """List the pools, with their nodes, pods and functions."""
    show(call("GET", control, "/pools"))


@pool_app.command("fault", epilog="Example: `python -m simulators pool fault edge-cusco-1 node-lost --target node-2`")
def begin_pool_fault(
    pool: PoolId,
    fault: Annotated[str, typer.Argument(help=f"What goes wrong: {', '.join(POOL_FAULTS)}.")],
    target: Annotated[str, typer.Option(help="Node, failure domain or function; drawn from the seed if empty.")] = "",
    seed: Annotated[str | None, typer.Option(help="Seed of its target and its course.")] = None,
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Begin a fault of a pool."""
    show(call("POST", control, f"/pools/{pool}/faults", {"fault": fault, "target": target, "seed": seed}))


@pool_app.command("faults", epilog="Example: `python -m simulators pool faults edge-cusco-1`")
def list_pool_faults(pool: PoolId, control: ControlUrl = DEFAULT_CONTROL) -> None:
    """List the faults of a pool."""
    show(call("GET", control, f"/pools/{pool}/faults"))


@pool_app.command("clear", epilog="Example: `python -m simulators pool clear edge-cusco-1`")
def clear_pool(
    pool: PoolId,
    fault_id: Annotated[int | None, typer.Option("--id", help="Only this fault.")] = None,
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Clear faults of a pool, as a repair does."""
    show(call("DELETE", control, f"/pools/{pool}/faults" + ("" if fault_id is None else f"/{fault_id}")))


@pool_app.command("upgrade", epilog="Example: `python -m simulators pool upgrade edge-cusco-1 v1.37.0`")
def upgrade_pool(
    pool: PoolId,
    version: Annotated[str, typer.Argument(help="Version of Kubernetes for its nodes.")],
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Upgrade the nodes of a pool one after the other, as disruption budgets allow."""
    show(call("POST", control, f"/pools/{pool}/upgrade", {"version": version}))


# --------------------------------------------------------------------- stations

#: Names of the kinds of faults of a station in the control interface.
_FAULTS = ("faults", "file-faults", "network-faults")


@fault_app.command(
    "inject",
    epilog="""Examples:

`python -m simulators fault inject PE-CUS-0042 drop-after --operation commit`

`python -m simulators fault inject PE-CUS-0042 delay --operation edit-config --seconds 20 --count 3`

`python -m simulators fault inject PE-CUS-0042 refuse-sessions --always`

`python -m simulators fault inject PE-CUS-0042 radio-unit-lost --target ru-2 --seed 7`

`python -m simulators fault inject PE-CUS-0042 file-late --seconds 1200 --count 4`""",
)
def inject(
    station: StationId,
    kind: Annotated[str, typer.Argument(help="What goes wrong: see `fault kinds`.")],
    operation: Annotated[str, typer.Option(help="Operation that it strikes, as in commit. Default: any.")] = ANY,
    count: Annotated[int, typer.Option(min=1, help="How many times it strikes.")] = 1,
    always: Annotated[bool, typer.Option("--always", help="Until it is cleared.")] = False,
    probability: Annotated[
        float, typer.Option(min=0.001, max=1, help="Probability of a strike, drawn from the seed.")
    ] = 1.0,
    seconds: Annotated[
        float,
        typer.Option(help="Seconds of a delay, before an early revert, or by which files or their times are off."),
    ] = 0.0,
    config: Annotated[Path | None, typer.Option(help="File with the `<config>` of a foreign edit.")] = None,
    target: Annotated[str, typer.Option(help="Cell, radio unit or tenant that a network fault strikes.")] = "",
    seed: Annotated[str | None, typer.Option(help="Seed of the course of a network fault.")] = None,
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Inject a fault into a station's NETCONF server or measurement files, or begin a network fault."""
    if kind in NETWORK_FAULTS:
        fault = {"fault": kind, "target": target, "seed": seed}
        show(call("POST", control, f"/stations/{station}/network-faults", fault))
        return
    strikes = {"count": None if always else count, "probability": probability, "seconds": seconds}
    if kind in set(FileFaultKind):
        show(call("POST", control, f"/stations/{station}/file-faults", {"kind": kind, **strikes}))
        return
    if kind not in set(FaultKind):
        near = get_close_matches(kind, [*NETWORK_FAULTS, *FaultKind, *FileFaultKind], n=1)
        hint = f"did you mean {str(near[0])!r}?" if near else "`fault kinds` lists them"
        raise typer.BadParameter(f"there is no fault {kind!r}; {hint}", param_hint="kind")
    body = {
        "kind": kind,
        "operation": operation,
        **strikes,
        "config": "" if config is None else config.read_text(encoding="utf-8"),
    }
    show(call("POST", control, f"/stations/{station}/faults", body))


@fault_app.command("list", epilog="Example: `python -m simulators fault list PE-CUS-0042`")
def list_faults(station: StationId, control: ControlUrl = DEFAULT_CONTROL) -> None:
    """List the faults of a station: injected ones, those of its files, and network faults."""
    show([fault for kind in _FAULTS for fault in call("GET", control, f"/stations/{station}/{kind}")])


@fault_app.command("kinds", epilog="Example: `python -m simulators fault kinds`")
def kinds() -> None:
    """List the kinds of faults: of the protocol, of measurement files, and of the network with what cures them."""
    injected = [{"fault": str(kind.value)} for kind in (*FaultKind, *FileFaultKind)]
    show(injected + [kind.to_json() for kind in NETWORK_FAULTS.values()])


@fault_app.command("clear", epilog="Example: `python -m simulators fault clear PE-CUS-0042 --id 3`")
def clear(
    station: StationId,
    fault_id: Annotated[int | None, typer.Option("--id", help="Only this injected fault.")] = None,
    network_id: Annotated[int | None, typer.Option("--network-id", help="Only this network fault.")] = None,
    file_id: Annotated[int | None, typer.Option("--file-id", help="Only this fault of files.")] = None,
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Clear faults of a station; a network fault ends as after a technician's visit."""
    cleared = 0
    named = {kind: wanted for kind, wanted in zip(_FAULTS, (fault_id, file_id, network_id), strict=True) if wanted}
    for kind in named or _FAULTS:
        suffix = f"/{named[kind]}" if kind in named else ""
        cleared += call("DELETE", control, f"/stations/{station}/{kind}{suffix}")["cleared"]
    show({"cleared": cleared})


@fault_app.command("break-link", epilog="Example: `python -m simulators fault break-link PE-CUS-0042 claro`")
def break_link(
    station: StationId,
    link: Annotated[str, typer.Argument(help="Tenant id or end point id.")],
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Break core links until their end points are deleted and created again."""
    show(call("POST", control, f"/stations/{station}/links/break", {"link": link}))


@fault_app.command("restore-link", epilog="Example: `python -m simulators fault restore-link PE-CUS-0042 claro`")
def restore_link(
    station: StationId,
    link: Annotated[str, typer.Argument(help="Tenant id or end point id.")],
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Remove the fault of core links."""
    show(call("POST", control, f"/stations/{station}/links/restore", {"link": link}))


@fault_app.command("edit", epilog="Example: `python -m simulators fault edit PE-CUS-0042 change.xml`")
def edit(
    station: StationId,
    file: Annotated[Path, typer.Argument(help="XML file: an element config, or a single top-level element.")],
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Change running without a session."""
    show(call("POST", control, f"/stations/{station}/edit", {"config": file.read_text(encoding="utf-8")}))


@fault_app.command("revert", epilog="Example: `python -m simulators fault revert PE-CUS-0042 3`")
def revert(
    station: StationId,
    revision: Annotated[int, typer.Argument(min=0, help="As in the history; 0 is the factory's.")],
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Restore an earlier running configuration, without a session."""
    show(call("POST", control, f"/stations/{station}/revert", {"revision": revision}))
