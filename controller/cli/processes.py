"""The processes: ``minka up`` (all of them), ``api``, ``worker``, ``listener``, ``scheduler``; and ``sim``."""

from __future__ import annotations

import fcntl
import gc
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Awaitable, Callable
from functools import partial
from importlib.util import find_spec
from pathlib import Path
from typing import IO, TYPE_CHECKING, Annotated
from urllib.parse import parse_qsl, urlencode

import typer

from controller import __version__
from controller.cli.errors import FAILED, WRONG_INPUT, CliError
from controller.cli.network import network_folder
from controller.cli.output import Json, err, print_lines
from controller.cli.settings import settings as environment

if TYPE_CHECKING:
    import asyncio

    from controller.models.settings import Settings

sim = typer.Typer(no_args_is_help=True, help="Simulated base stations (see python -m simulators).")

_SimOption = Annotated[
    Path | None,
    typer.Option(
        "--sim",
        parser=network_folder,
        metavar="DIRECTORY",
        help="Also simulate the stations of this network (a directory, or the name of a sample network).",
    ),
]
_NameOption = Annotated[
    str, typer.Option(help="Name in metrics and logs, unique among the processes of a role. Default: ROLE-HOST.")
]
#: File in the home of `minka up` that stands there while everything is up.
_NOTE = "up.txt"
#: File there that says how far `minka up` is on its way to that.
_PROGRESS = "starting.txt"
#: Where no `minka up` runs: one that was begun at the same time takes some seconds until it says so.
_NOT_BEGUN = "no minka up runs there; if you did not start one just now: minka up"
#: Permissions of group and others for files that this process makes: none.
_UMASK = 0o077
_Passed = {"allow_extra_args": True, "ignore_unknown_options": True, "help_option_names": []}


def _minka(*words: str) -> list[str]:
    return [sys.executable, "-m", "controller.cli", *words]


def up(
    sim_network: _SimOption = None,
    sim_control: Annotated[
        str, typer.Option(help="Control interface of the simulators, HOST:PORT.")
    ] = "127.0.0.1:8390",
    sim_ports: Annotated[
        int | None,
        typer.Option(
            min=1,
            max=65535,
            help="Put simulated stations, routers and pools on 127.0.0.1 from this port on, not where the files say; "
            "then load the files as `minka up` says, with --endpoints.",
        ),
    ] = None,
    sim_routers: Annotated[bool, typer.Option("--sim-routers", help="Also simulate the network's routers.")] = False,
) -> None:
    """Start everything on this machine and keep it running until Ctrl-C. Needs no server.

    Without MINKA_DATABASE_URL and MINKA_BROKER_URL all state lives under MINKA_HOME (default .minka).
    """
    _check_simulated(sim_network, asked=sim_ports is not None or sim_routers)

    from controller.api.auth import ensure_token  # noqa: PLC0415
    from controller.bootstrap import check_credentials, open_record  # noqa: PLC0415
    from controller.cli.supervisor import Supervisor  # noqa: PLC0415
    from controller.observe.logs import set_up_logs  # noqa: PLC0415
    from controller.ports.clock import SystemClock  # noqa: PLC0415

    settings, clock = environment(), SystemClock()
    check_credentials(settings)
    os.environ["MINKA_DATABASE_URL"] = settings.database  # for the processes, which never choose one themselves
    make_private(settings.home)
    claim = _claim(settings.home)  # at once, so that `minka wait` sees that it began
    _say_progress(settings.home, "the database is prepared")
    _need_port(settings.api_host, settings.api_port, "the API", "set MINKA_API_PORT")
    if sim_network is not None:
        _need_port(*_address(sim_control), "the simulators' control interface", "say --sim-control HOST:PORT")
    set_up_logs("console", "up")
    # Once, before the processes start: the upgrade of the database, and the token.
    store = open_record(settings, clock, "up")
    ensure_token(settings.token_file, store)
    store.close()
    workers = [f"worker-{number}" for number in range(settings.workers)]
    roles = {"api": "api", "listener": "listener", "scheduler": "scheduler"} | dict.fromkeys(workers, "worker")
    commands = {name: _minka(role, "--name", name) for name, role in roles.items()}
    lines = [f"Minka is up: API {settings.url}, token in {settings.token_file}, logs in {settings.home / 'logs'}"]
    probes = {name: f"{settings.url}/readyz?role={role}&instance={name}" for name, role in roles.items()}
    if sim_network is not None:
        os.environ.setdefault("MINKA_DEVICE_PASSWORD", "minka-sim")
        os.environ.setdefault("MINKA_SOFTWARE_SOURCES", "sftp://10.0.0.1/images/")
        os.environ.setdefault("MINKA_POOL_TOKEN", "minka-sim")
        has_pools = _has_pools(sim_network)
        if has_pools:
            os.environ.setdefault("MINKA_POOL_AUTHORITY", _simulated_authority(sim_network))
        endpoints, routers = settings.home / "endpoints.csv", settings.home / "routers.csv"
        simulators = _simulators(sim_network, sim_control, sim_ports, endpoints)
        simulators += ["--keep", str(settings.home / "simulators")]
        extra = f" --endpoints {endpoints}" if sim_ports is not None else ""
        if has_pools and sim_ports is not None:
            simulators += ["--pools-out", str(settings.home / "pools.csv")]
            extra += f" --pools {settings.home / 'pools.csv'}"
        if sim_routers:
            simulators += ["--routers", "bare", "--routers-out", str(routers)]
            extra += f" --routers {routers}"
        commands = {"simulators": simulators, **commands}
        lines.append(f"Simulated stations are up too; next: minka network load {sim_network}{extra}")
        probes["simulators"] = f"http://{sim_control}/stations"
    with claim:
        note = settings.home / _NOTE
        note.unlink(missing_ok=True)  # of one that was killed
        Supervisor(commands, settings.home / "logs", clock).run(
            lambda name: _answers(probes[name]), lines, note, partial(_say_progress, settings.home)
        )


def wait(
    timeout: Annotated[float, typer.Option(min=0, help="Seconds to wait at most.")] = 180.0, as_json: Json = False
) -> None:
    """Wait until `minka up`, started in the background or elsewhere with the same MINKA_HOME, is up.

    Says on standard error what it waits for, whenever that changes.
    """
    from controller.ports.clock import SystemClock  # noqa: PLC0415

    settings, clock = environment(), SystemClock()
    home = settings.home
    end, began = clock.monotonic() + timeout, _claimant(home)
    seen, said = False, ""
    while True:
        text, claimed = _text_of(home / _NOTE), _is_claimed(home)
        if text and claimed:
            _show_up(settings, text, as_json=as_json)
            return
        if not claimed and (seen or _claimant(home) != began):
            raise CliError(f"Minka in {home} has ended before it was up; see {home / 'logs'}", FAILED)
        seen = claimed
        state = _state_of(home) if claimed else _NOT_BEGUN
        if clock.monotonic() > end:
            see = f"; see {home / 'logs'}" if claimed else ""
            raise CliError(f"Minka in {home} is not up after {timeout:g} s: {state}{see}", FAILED)
        if state != said and not as_json:
            err.print(f"waits for Minka in {home}, for {timeout:g} s at most: {state}")
        said = state
        clock.pause(0.2)


def _show_up(settings: Settings, text: str, *, as_json: bool) -> None:
    """Print that Minka is up, in the words of `minka up` or as JSON."""
    print_lines({"url": settings.url, "home": str(settings.home)}, text.splitlines(), as_json=as_json)


def _say_progress(home: Path, state: str) -> None:
    """Leave for `minka wait` how far `minka up` is."""
    fresh = home / f"{_PROGRESS}.new"
    fresh.write_text(state, encoding="utf-8")
    fresh.replace(home / _PROGRESS)  # so that nobody reads half of it


def _state_of(home: Path) -> str:
    """How far the `minka up` is that runs in a folder."""
    return f"it is still starting: {_text_of(home / _PROGRESS) or 'it began just now'}"


def _text_of(file: Path) -> str:
    """The content of a file; empty if it is missing."""
    try:
        return file.read_text(encoding="utf-8")
    except FileNotFoundError:
        return ""


def _has_pools(network: Path) -> bool:
    """Whether network files may have pools: a pools.csv, or a list ``pools`` in a YAML file."""
    texts = (file.read_text(encoding="utf-8") for file in network.rglob("*.yaml") if file.is_file())
    return any(network.rglob("pools.csv")) or any(re.search("^pools:", text, re.MULTILINE) for text in texts)


def _simulated_authority(network: Path) -> str:
    """Certificate of the authority that signs the certificates of simulated pools."""
    command = [sys.executable, "-m", "simulators", "authority", "--network", str(network)]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout  # noqa: S603 (our own)


def _claim(home: Path) -> IO[str]:
    """Lock a folder for as long as the file is open: two `minka up` would mix their listeners and logs.

    Raises:
        CliError: Another process has locked it.
    """
    file = (home / "up.lock").open("a")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        file.close()
        raise CliError(
            f"another `minka up` works in {home}: stop it, or set MINKA_HOME to a folder of its own", FAILED
        ) from error
    file.truncate(0)
    file.write(f"{os.getpid()}\n")
    file.flush()
    return file


def _claimant(home: Path) -> str:
    """The process that claimed a folder last, whether or not it still runs; empty if none did."""
    return _text_of(home / "up.lock")


def _is_claimed(home: Path) -> bool:
    """Whether a `minka up` runs in a folder."""
    try:
        with (home / "up.lock").open("a") as file:
            fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except FileNotFoundError:
        return False
    except BlockingIOError:
        return True
    return False


def _answers(url: str) -> bool:
    """Whether a process is ready, or the simulators listen."""
    import httpx  # noqa: PLC0415

    try:
        return httpx.get(url, timeout=2).is_success
    except httpx.HTTPError:
        return False


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isdigit():
        raise typer.BadParameter(f"{text!r} is not HOST:PORT")
    return host.strip("[]"), int(port)


def _need_port(host: str, port: int, what: str, instead: str) -> None:
    """Check that a port is free, since processes would fail on it again and again.

    Raises:
        CliError: It is taken, or this machine does not have the address.
    """
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            raise CliError(
                f"{what} can't use port {port} on {host}: {error.strerror}; is another `minka up` running? "
                f"Stop it, or {instead}",
                FAILED,
            ) from error


def _check_simulated(network: Path | None, *, asked: bool) -> None:
    if network is not None:
        need_simulators()
    elif asked:
        raise typer.BadParameter("there is nothing to simulate: name the network with --sim DIRECTORY")


def _simulators(network: Path, control: str, ports: int | None, endpoints: Path) -> list[str]:
    command = [sys.executable, "-m", "simulators", "up", "--network", str(network), "--control", control]
    command += ["--endpoints-out", str(endpoints)]
    return command if ports is None else [*command, "--port-base", str(ports)]


def api(name: _NameOption = "") -> None:
    """Run an API process."""
    name = name or _here("api")
    settings = _begin("api", name)
    from controller.api.process import serve  # noqa: PLC0415

    serve(settings, name)


def worker(name: _NameOption = "") -> None:
    """Run a worker process: a Celery consumer and a device loop. Restart it whenever it ends."""
    name = name or _here("worker")
    settings = _begin("worker", name)
    from controller.worker.process import run  # noqa: PLC0415

    raise typer.Exit(run(settings, name))


def listener(name: _NameOption = "") -> None:
    """Run the listener: subscriptions to adopted stations, health checks, alarms."""
    name = name or _here("listener")
    settings = _begin("listener", name)
    import asyncio  # noqa: PLC0415

    from controller.listener.process import listen  # noqa: PLC0415

    asyncio.run(_until_stopped(lambda stop: listen(settings, name, stop)))


def scheduler(name: _NameOption = "") -> None:
    """Run a scheduler: moves runs on, declares silent workers dead, wakes workers, repairs alarms."""
    name = name or _here("scheduler")
    settings = _begin("scheduler", name)
    import asyncio  # noqa: PLC0415

    from controller.worker.scheduler import schedule  # noqa: PLC0415

    asyncio.run(_until_stopped(lambda stop: schedule(settings, name, stop)))


def _here(role: str) -> str:
    """Default name of a process: the only one of its role on this machine."""
    return f"{role}-{socket.gethostname()}"


@sim.command("up", context_settings=_Passed, epilog="Example: minka sim up --network deploy/networks/peru-mini")
def sim_up(context: typer.Context) -> None:
    """Start simulated stations; options are those of `python -m simulators up`."""
    _pass_on("up", context)


@sim.command("fault", context_settings=_Passed, epilog="Example: minka sim fault list PE-CUS-0145")
def sim_fault(context: typer.Context) -> None:
    """Inject, clear and list faults; options are those of `python -m simulators fault`."""
    _pass_on("fault", context)


@sim.command("pool", context_settings=_Passed, epilog="Example: minka sim pool fault edge-lima-01 node-lost")
def sim_pool(context: typer.Context) -> None:
    """Show pools, inject and clear faults; options are those of `python -m simulators pool`."""
    _pass_on("pool", context)


def need_simulators() -> None:
    """Check that the packages of the simulators are installed.

    Raises:
        CliError: They are missing.
    """
    if find_spec("pyang") is None:
        raise CliError("packages for simulated stations are missing: pip install 'minka[sim]'", FAILED)


def _pass_on(command: str, context: typer.Context) -> None:
    need_simulators()
    # Controller and simulators don't import each other: the simulators replace this process, and get its signals.
    os.execv(sys.executable, [sys.executable, "-m", "simulators", command, *context.args])  # noqa: S606 - our own


def make_private(home: Path) -> None:
    """Make the folder, and make sure that only its owner can read what is in it now and later.

    Raises:
        OSError: The folder can't be made, or belongs to another user.
    """
    os.umask(_UMASK)
    home.mkdir(parents=True, exist_ok=True)
    for path in (home, *home.iterdir()):
        mode = path.lstat().st_mode
        if mode & _UMASK and not path.is_symlink():
            path.chmod(mode & 0o7777 & ~_UMASK)


def _begin(role: str, process: str) -> Settings:
    """Set up settings and logs of a process before it loads its modules, log with what it works, and check that.

    Garbage collection stays off until ``controller.bootstrap`` switches it on: loading makes hardly any garbage, and
    collecting took a fifth of the loading time.
    """
    gc.disable()
    import structlog  # noqa: PLC0415

    from controller.observe.logs import set_up_logs  # noqa: PLC0415

    settings = environment()
    if not settings.database_url:
        raise CliError(
            f"minka {role} needs MINKA_DATABASE_URL: postgresql://… of the server that all processes share, or "
            "sqlite:///PATH for a file on this machine; `minka up` starts all processes, and chooses SQLite by itself",
            WRONG_INPUT,
        )
    make_private(settings.home)
    set_up_logs(settings.log_format, process)
    structlog.get_logger().info(
        "process.begun",
        role=role,
        version=__version__,
        database=_without_secrets(settings.database),
        broker=_without_secrets(settings.broker_url),
        home=str(settings.home.absolute()),
    )
    from controller.bootstrap import check_credentials  # noqa: PLC0415

    check_credentials(settings)
    return settings


#: A URL of one server or several, whose user and password end at the last "@". A "?" before it may be the password's.
_HOST = r"(?:[\w.-]+|\[[\da-fA-F:.]+\])(?::\d+)?"
_URL = re.compile(rf"(\w[\w+.-]*://)(?:[^/?][^?]*@)?((?:{_HOST}(?:,{_HOST})*)?(?:/[^@?#]*)?)(?:\?([^@#]*))?")
#: Between the URLs of several brokers, as Celery takes them.
_NEXT = re.compile(r";(?=\w+://)")
#: Parameters of a database's URL that say which servers it leads to (libpq); others may hold secrets.
_SERVERS = frozenset({"host", "hostaddr", "port", "target_session_attrs"})


def _without_secrets(urls: str) -> str:
    """Servers and names of databases in URLs; empty where it can't be told what of them is a password."""
    found = [_URL.fullmatch(url) for url in _NEXT.split(urls)]
    return ";".join(_shown(*one.groups("")) for one in found if one) if all(found) else ""


def _shown(scheme: str, place: str, parameters: str) -> str:
    servers = urlencode([one for one in parse_qsl(parameters) if one[0] in _SERVERS], safe=",:/[]")
    return f"{scheme}{place}{servers and f'?{servers}'}"


async def _until_stopped(body: Callable[[asyncio.Event], Awaitable[None]]) -> None:
    """Run a body whose event is set by SIGTERM or SIGINT, and which then ends."""
    import asyncio  # noqa: PLC0415

    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await body(stop)
