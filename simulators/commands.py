"""Commands to a fleet that runs, over its control interface."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated, Any

import httpx
import typer

from simulators.connections import Outage
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


router_app = typer.Typer(help="Change routers that run, and put faults into them.", no_args_is_help=True)

RouterId = Annotated[str, typer.Argument(help="Router id.")]
Node = Annotated[str, typer.Argument(help="Id of a backhaul node.")]


def cut(
    node: Node,
    outage: Annotated[Outage, typer.Option(help="What clients see of what hangs below.")] = Outage.SILENCE,
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Cut a backhaul node off: everything below it is off the net."""
    show(call("POST", control, f"/backhaul/{node}/cut", {"outage": outage.value}))


def mend(node: Node, control: ControlUrl = DEFAULT_CONTROL) -> None:
    """Connect a backhaul node again."""
    show(call("POST", control, f"/backhaul/{node}/mend"))


def add_ground(app: typer.Typer) -> None:
    """Add the commands to the command line."""
    app.command("cut", epilog="Example: `python -m simulators cut fibre-cusco`")(cut)
    app.command("mend", epilog="Example: `python -m simulators mend fibre-cusco`")(mend)
    app.add_typer(router_app, name="router")


@router_app.command(
    "inject", epilog="Example: `python -m simulators router inject RT-CUS-0145 refuse-line --line 3 --count 2`"
)
def inject(
    router: RouterId,
    kind: Annotated[RouterFaultKind, typer.Argument(help="What goes wrong.")],
    command: Annotated[str, typer.Option(help="Beginning of the full command it strikes, as in `ip route`.")] = "",
    line: Annotated[int, typer.Option(min=0, help="Strike this line after `configure terminal`; 0 is any.")] = 0,
    count: Annotated[int, typer.Option(min=1, help="How many times it strikes.")] = 1,
    always: Annotated[bool, typer.Option("--always", help="Until it is cleared.")] = False,
    probability: Annotated[float, typer.Option(min=0.001, max=1, help="Of a strike, drawn from the seed.")] = 1.0,
    seconds: Annotated[float, typer.Option(min=0, help="Length of a delay.")] = 0.0,
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Put a fault in wait on a router."""
    fault = {"kind": kind.value, "command": command, "line": line, "count": None if always else count}
    body = {**fault, "probability": probability, "seconds": seconds}
    show(call("POST", control, f"/routers/{router}/faults", body))


@router_app.command("list", epilog="Example: `python -m simulators router list RT-CUS-0145`")
def list_faults(router: RouterId, control: ControlUrl = DEFAULT_CONTROL) -> None:
    """List the faults in wait on a router."""
    show(call("GET", control, f"/routers/{router}/faults"))


@router_app.command("clear", epilog="Example: `python -m simulators router clear RT-CUS-0145`")
def clear(
    router: RouterId,
    fault_id: Annotated[int | None, typer.Option("--id", help="Only this fault.")] = None,
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Clear faults of a router."""
    show(call("DELETE", control, f"/routers/{router}/faults" + ("" if fault_id is None else f"/{fault_id}")))


@router_app.command("edit", epilog="Example: `python -m simulators router edit RT-CUS-0145 lines.txt`")
def edit(
    router: RouterId,
    file: Annotated[Path, typer.Argument(help="Configuration lines.")],
    control: ControlUrl = DEFAULT_CONTROL,
) -> None:
    """Type configuration lines behind everybody's back."""
    lines = file.read_text(encoding="utf-8").splitlines()
    show(call("POST", control, f"/routers/{router}/edit", {"lines": lines}))
