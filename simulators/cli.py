"""The command line: start a fleet, play a scenario, and commands to a fleet that runs."""

from __future__ import annotations

import asyncio
import inspect
import json
import os
import sys
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from functools import wraps
from pathlib import Path
from typing import Annotated, Any, get_type_hints

import typer

from simulators.clock import RealClock, VirtualClock
from simulators.cloud.server.cluster import Cluster
from simulators.cloud.server.listener import Tls, listen
from simulators.commands import DEFAULT_CONTROL, add_commands
from simulators.fleet.fleet import (
    Fleet,
    FleetSettings,
    Placement,
    PoolPlacement,
    RouterPlacement,
    as_in,
    on_port,
    ports_from,
)
from simulators.fleet.inventory import Exports, PoolEndpoint, as_in_files
from simulators.fleet.push import alertmanager_call, ves_event
from simulators.fleet.scenario import ScenarioError, read_scenario
from simulators.history import json_lines
from simulators.netconf.callhome import AGAIN_SECONDS, Home
from simulators.netconf.certificates import Authority
from simulators.netconf.profiles import PROFILES, profile_named
from simulators.network import NetworkFileError, SimulatedNetwork, counted, read_network
from simulators.processes import FleetProcessError, run, until_stopped
from simulators.routers.factory import Provisioning
from simulators.ssh import Credentials
from simulators.station import StationSettings


def settings_of(
    settings: StationSettings, choices: Iterable[str]
) -> tuple[StationSettings, dict[str, StationSettings]]:
    """The settings of a fleet and those of single stations, from choices ``NAME`` and ``STATION=NAME`` of profiles.

    Raises:
        ValueError: there is no such profile.
    """
    others: dict[str, StationSettings] = {}
    for choice in choices:
        station, _, name = choice.rpartition("=")
        chosen = replace(settings, profile=profile_named(name))
        if station:
            others[station] = chosen
        else:
            settings = chosen
    return settings, others


#: Password of the stations when the environment names none.
DEFAULT_PASSWORD = "minka-sim"  # noqa: S105 (the simulators' well-known one)

#: Environment variable with the token of pools; the stations' password is the default.
POOL_TOKEN_ENV = "MINKA_POOL_TOKEN"  # noqa: S105 (its name, not its value)

app = typer.Typer(
    name="simulators",
    help="Simulated base stations: NETCONF servers that behave like field equipment.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
)
add_commands(app)


@dataclass(frozen=True)
class UpOptions:
    """Options of ``up`` on the command line."""

    network: Annotated[Path | None, typer.Option(help="Directory of network files.")] = None
    count: Annotated[int | None, typer.Option(min=1, help="Run N stations instead of a network.")] = None
    endpoints: Annotated[Path | None, typer.Option(help="CSV file that replaces the network's endpoints.")] = None
    endpoints_out: Annotated[Path | None, typer.Option(help="Write the endpoints with host keys here (CSV).")] = None
    export_nornir: Annotated[Path | None, typer.Option(help="Write hosts.yaml for Nornir here.")] = None
    export_ansible: Annotated[Path | None, typer.Option(help="Write an inventory for Ansible here.")] = None
    address: Annotated[str, typer.Option(help="Listen on this address, with --port-base.")] = "127.0.0.1"
    port_base: Annotated[
        int | None, typer.Option(help="Listen on consecutive ports from here, not on the endpoints of the network.")
    ] = None
    tls: Annotated[
        int | None,
        typer.Option(help="Also listen for TLS, on this port of each address; with --port-base from this port on."),
    ] = None
    tls_endpoints_out: Annotated[Path | None, typer.Option(help="Write the endpoints over TLS here (CSV).")] = None
    certificates: Annotated[Path | None, typer.Option(help="Write authority.pem and client.pem into this folder.")] = (
        None
    )
    call_home: Annotated[list[str] | None, typer.Option(help="Let all stations call HOST:PORT; may be repeated.")] = (
        None
    )
    call_home_tls: Annotated[list[str] | None, typer.Option(help="The same over TLS: HOST:PORT; may be repeated.")] = (
        None
    )
    call_again: Annotated[float, typer.Option(min=0.1, help="Seconds until a station calls again.")] = AGAIN_SECONDS
    routers: Annotated[
        Provisioning | None, typer.Option(help="Also run the routers, bare or provisioned; core links then need them.")
    ] = None
    routers_out: Annotated[Path | None, typer.Option(help="Write the routers with host keys here (CSV).")] = None
    pools: Annotated[
        bool, typer.Option(help="Also run the pools; stations made of functions are there when these are ready.")
    ] = True
    pools_out: Annotated[Path | None, typer.Option(help="Write where the pools answer here (CSV).")] = None
    kubeconfigs: Annotated[Path | None, typer.Option(help="Write POOL.yaml for kubectl into this folder.")] = None
    keep: Annotated[Path | None, typer.Option(help="Keep configurations here, and start with what was kept.")] = None
    processes: Annotated[int, typer.Option(min=1, help="Processes that share the stations.")] = 1
    control: Annotated[str, typer.Option(help="Address of the control interface, HOST:PORT.")] = DEFAULT_CONTROL
    username: Annotated[str, typer.Option(help="User name that the stations accept.")] = "minka"
    password_env: Annotated[
        str, typer.Option(help="Environment variable with the stations' password; `minka-sim` if it isn't set.")
    ] = "MINKA_DEVICE_PASSWORD"  # noqa: S105 (its name, not its value)
    authorized_keys: Annotated[Path | None, typer.Option(help="Public keys that the stations accept.")] = None
    station: Annotated[list[str] | None, typer.Option(help="Start this station only; may be repeated.")] = None
    seed: Annotated[str | None, typer.Option(help="Seed of the host keys; the network's id by default.")] = None
    settle_seconds: Annotated[float, typer.Option(min=0, help="Seconds until an unlocked cell is on air.")] = 1.0
    boot_seconds: Annotated[float, typer.Option(min=0, help="Seconds that a restart takes.")] = 60.0
    profile: Annotated[
        list[str] | None,
        typer.Option(help=f"NAME for all stations or STATION=NAME; may be repeated. Names: {', '.join(PROFILES)}."),
    ] = None
    speed: Annotated[float, typer.Option(min=0.001, help="Simulated seconds per second.")] = 1.0
    scenario: Annotated[Path | None, typer.Option(help="Scenario to play from now on (YAML).")] = None
    history: Annotated[Path | None, typer.Option(help="Write all events here (JSON lines).")] = None
    ves: Annotated[str | None, typer.Option(help="Push alarms to this URL as VES 7.2 events.")] = None
    file_ready: Annotated[
        str | None, typer.Option(help="Announce measurement files to this URL as VES 7.2 events (notifyFileReady).")
    ] = None
    alertmanager: Annotated[
        str | None, typer.Option(help="Push alarms to this URL in the format of Alertmanager's webhook.")
    ] = None

    def read_files(self) -> SimulatedNetwork:
        """The network: from files, or with a number of stations.

        Raises:
            NetworkFileError: a file can't be read.
            ValueError: both are given, or neither.
        """
        if self.count is not None and self.network is None:
            return counted(self.count)
        if self.network is not None and self.count is None:
            return read_network(self.network, self.endpoints)
        raise ValueError("give either --network or --count")

    def fleet_settings(self, files: SimulatedNetwork) -> FleetSettings:
        """The fleet for a network.

        Raises:
            ValueError: a profile is unknown, or an address is malformed.
            OSError: the file of keys can't be read.
        """
        placement: Placement = as_in(files)
        router_placement: RouterPlacement = as_in_files
        pool_placement: PoolPlacement = as_in_files
        at_tls = None if self.tls is None else on_port(placement, self.tls)
        if self.port_base is not None:
            placement = ports_from(self.address, self.port_base)
            router_placement = ports_from(self.address, self.port_base + len(files.stations))
            pool_placement = ports_from(
                self.address, self.port_base + len(files.stations) + (len(files.routers) if self.routers else 0)
            )
            at_tls = None if self.tls is None else ports_from(self.address, self.tls)
        base = StationSettings(settle_seconds=self.settle_seconds, boot_seconds=self.boot_seconds)
        stations, by_station = settings_of(base, self.profile or ())
        receivers = {self.ves: ves_event, self.alertmanager: alertmanager_call}
        return FleetSettings(
            seed=self.seed,
            only=self.station,
            stations=stations,
            by_station=by_station,
            credentials=self._credentials(),
            placement=placement,
            tls=at_tls,
            homes=[
                Home(*host_and_port(home), self.call_again, tls=tls)
                for tls, homes in ((False, self.call_home), (True, self.call_home_tls))
                for home in homes or ()
            ],
            routers=self.routers,
            router_placement=router_placement,
            pools=self.pools,
            pool_placement=pool_placement,
            pool_token=os.environ.get(POOL_TOKEN_ENV, DEFAULT_PASSWORD),
            keep=self.keep,
            scenario=self.scenario,
            history=self.history,
            receivers={url: shape for url, shape in receivers.items() if url},
            file_ready=self.file_ready,
        )

    def exports(self) -> Exports:
        """The files to write when all stations listen."""
        return Exports(
            endpoints=self.endpoints_out,
            tls_endpoints=self.tls_endpoints_out,
            certificates=self.certificates,
            nornir=self.export_nornir,
            ansible=self.export_ansible,
            username=self.username,
            password_env=self.password_env,
            routers=self.routers_out,
            pools=self.pools_out,
            kubeconfigs=self.kubeconfigs,
        )

    def _credentials(self) -> Credentials:
        keys = self.authorized_keys
        lines = [] if keys is None else keys.read_text(encoding="utf-8").splitlines()
        password = os.environ.get(self.password_env, DEFAULT_PASSWORD)
        return Credentials(self.username, password, tuple(line for line in lines if line.strip()))


def host_and_port(text: str) -> tuple[str, int]:
    """Parse HOST:PORT.

    Raises:
        ValueError: the port is not a number.
    """
    host, _, port = text.rpartition(":")
    return host.strip("[]"), int(port)


def _with_options(command: Callable[[UpOptions], None]) -> Callable[..., None]:
    """Give a command the fields of its options as parameters."""

    @wraps(command)
    def run_command(**given: Any) -> None:
        command(UpOptions(**given))

    hints = get_type_hints(UpOptions, include_extras=True)
    fields = inspect.signature(UpOptions).parameters.values()
    parameters = [parameter.replace(annotation=hints[parameter.name]) for parameter in fields]
    run_command.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return run_command


@app.command(
    epilog="""Examples:

`python -m simulators up --network deploy/networks/peru-mini`

`python -m simulators up --network NET --address 127.0.0.1 --port-base 9000 --endpoints-out endpoints.csv`

`python -m simulators up --count 31000 --processes 6 --endpoints-out endpoints.csv`

`python -m simulators up --count 100 --tls 6513 --tls-endpoints-out endpoints.csv --certificates certificates`

`python -m simulators up --count 100 --call-home 127.0.0.1:4334`"""
)
@_with_options
def up(options: UpOptions) -> None:
    """Start the stations of a network and run until SIGTERM or Ctrl-C.

    Prints one line of JSON when all stations listen: how many, and the URL of the control interface.
    """
    try:
        files = options.read_files()
        run(
            files,
            options.fleet_settings(files),
            processes=options.processes,
            control=host_and_port(options.control),
            exports=options.exports(),
            clock=RealClock(options.speed),
        )
    except (NetworkFileError, ScenarioError, FleetProcessError, ValueError, OSError) as error:
        typer.echo(f"the fleet can't run: {error}", err=True)
        raise typer.Exit(1) from error


@app.command(epilog="Example: `python -m simulators authority --network deploy/networks/peru-virtual`")
def authority(
    network: Annotated[Path, typer.Option(help="Directory of network files.")],
    seed: Annotated[str | None, typer.Option(help="Seed of the fleet; the network's id by default.")] = None,
) -> None:
    """Print the certificate of the authority that signs those of pools, and of stations over TLS."""
    try:
        found = read_network(network)
    except NetworkFileError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    typer.echo(Authority(seed or found.id).certificate, nl=False)


@app.command(
    "api-server",
    epilog="Example: `python -m simulators api-server --user admin=system:masters --kubeconfig kube.yaml`",
)
def api_server(
    user: Annotated[list[str], typer.Option(help="NAME or NAME=GROUP,…; the bearer token is NAME; may be repeated.")],
    address: Annotated[str, typer.Option(help="Listen on this address.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, help="Port; 0 is a free one.")] = 0,
    kubeconfig: Annotated[Path | None, typer.Option(help="Write a configuration for the first user here.")] = None,
) -> None:
    """Run only the API server of a pool, empty and without nodes behind it, to try a client.

    Prints one line of JSON when it listens: its URL. Runs until SIGTERM or Ctrl-C.
    """
    try:
        asyncio.run(_serve_api([text.partition("=")[::2] for text in user], address, port, kubeconfig))
    except OSError as error:
        typer.echo(f"the API server can't run: {error}", err=True)
        raise typer.Exit(1) from error


async def _serve_api(users: Sequence[tuple[str, str]], address: str, port: int, kubeconfig: Path | None) -> None:
    cluster, authority = Cluster("api-server", RealClock()), Authority("api-server")
    for name, groups in users:
        cluster.access.add_token(name, name, *filter(None, groups.split(",")), uid=f"{name}-uid")
    async with (
        listen(cluster, address, port, Tls.of_authority(authority, cluster.name, address)) as (host, bound),
        until_stopped() as stop,
    ):
        if kubeconfig is not None:
            endpoint = PoolEndpoint(cluster.name, host, bound, authority.certificate, users[0][0])
            kubeconfig.write_text(endpoint.kubeconfig(), encoding="utf-8")  # noqa: ASYNC240 (before anybody waits)
        typer.echo(json.dumps({"url": f"https://{host}:{bound}"}))
        await stop.wait()


@app.command(epilog="Example: `python -m simulators play --network NET --scenario night.yaml --hours 24`")
def play(
    network: Annotated[Path, typer.Option(help="Directory of network files.")],
    scenario: Annotated[Path, typer.Option(help="Scenario to play (YAML).")],
    hours: Annotated[float, typer.Option(min=0.01, help="Simulated hours.")] = 24.0,
    seed: Annotated[str | None, typer.Option(help="Seed, instead of the one in the scenario.")] = None,
    station: Annotated[list[str] | None, typer.Option(help="This station only; may be repeated.")] = None,
) -> None:
    """Play a scenario in virtual time, without clients, and print the history (JSON lines).

    The same network, scenario and seed always print the same bytes.
    """
    try:
        files = read_network(network)
        story = read_scenario(scenario, files, seed)
    except (NetworkFileError, ScenarioError) as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from error
    clock = VirtualClock()
    fleet = Fleet(files, FleetSettings(seed=seed, only=station), clock)
    fleet.listen(events=json_lines(sys.stdout))
    story.play(fleet)
    clock.advance(hours * 3600)


def main() -> None:
    """Run the command line."""
    app(prog_name="python -m simulators")
