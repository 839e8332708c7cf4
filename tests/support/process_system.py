"""A whole controller in its own processes, embedded or with servers, with simulated stations to work with."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, Literal

import httpx

from controller.bootstrap import open_record
from controller.models.approval import Outlook
from controller.models.plan import Plan
from controller.models.run import Job, JournalEntry, Run, RunState
from controller.models.settings import Settings
from controller.ports.clock import SystemClock
from controller.store import Page, Store
from tests.support import http
from tests.support.callers import contracts
from tests.support.forks import ForkedProcess
from tests.support.minka import CommandLine, environment
from tests.support.ports import free_ports
from tests.support.postgres import PostgresServer
from tests.support.redis import RedisServer, redis_server

Shape = Literal["embedded", "servers"]
#: Seconds in which anything happens, a takeover included, on a busy machine.
PATIENCE = 90.0


@dataclass
class ProcessSystem:
    """Running processes, the API, the record, and the stations' control interface.

    Attributes:
        redis: The broker, where there is one.
        supervised: Names of processes that are started again when they end, as systemd would.
        ends: Names of processes that ended by themselves, with their status.
        commands: Module and arguments of processes that are not to be started as usual, by name.
    """

    folder: Path
    env: Mapping[str, str]
    api: httpx.Client
    control: httpx.Client
    store: Store
    endpoints: Path
    redis: RedisServer | None = None
    supervised: set[str] = field(default_factory=set)
    processes: dict[str, ForkedProcess] = field(default_factory=dict)
    ends: list[tuple[str, int]] = field(default_factory=list)
    commands: dict[str, list[str]] = field(default_factory=dict)

    # --------------------------------------------------------------- processes

    def start(self, name: str) -> ForkedProcess:
        """Start a process: ``api``, ``scheduler``, ``listener``, or a worker by any other name."""
        doors = ("api", "scheduler", "listener")
        words = [name] if name in doors else ["worker", "--name", name]
        with (self.folder / f"{name}.log").open("ab") as log:
            process = ForkedProcess(self.commands.get(name, ["controller.cli", *words]), self.env, log, log)
        self.processes[name] = process
        self.supervised.add(name)
        return process

    def start_worker(self, name: str) -> ForkedProcess:
        """Start a worker and wait until it is on record."""
        process = self.start(name)
        known = self._alive(name)
        self.until(f"{name} is at work", lambda: self._alive(name) - known)
        return process

    def _alive(self, name: str) -> set[str]:
        return {one.id for one in self.store.processes.alive() if one.name == name}

    def kill(self, name: str) -> None:
        """kill -9, and nobody starts it again."""
        self.supervised.discard(name)
        process = self.processes.pop(name)
        process.kill()
        process.wait()

    def stop(self, name: str) -> int:
        """SIGTERM; the exit status."""
        self.supervised.discard(name)
        process = self.processes.pop(name)
        process.send_signal(signal.SIGCONT)
        process.terminate()
        try:
            return process.wait(60)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise AssertionError(f"{name} does not end:\n{self.log(name)[-4000:]}") from None

    def stop_all(self) -> dict[str, int]:
        """SIGTERM to all processes at once; their exit statuses."""
        for process in self.processes.values():
            process.send_signal(signal.SIGCONT)
            process.terminate()
        return {name: self.stop(name) for name in tuple(self.processes)}

    def tend(self) -> None:
        """Restart the processes that ended."""
        for name in tuple(self.supervised):
            status = self.processes[name].poll()
            if status is not None:
                self.ends.append((name, status))
                self.start(name)

    def log(self, name: str) -> str:
        """The log of a process."""
        return (self.folder / f"{name}.log").read_text(encoding="utf-8", errors="replace")

    def until(self, what: str, holds: Callable[[], Any], seconds: float = PATIENCE, apart: float = 0.1) -> Any:
        """Wait until ``holds`` returns something true, and return it; processes are tended meanwhile.

        Args:
            what: Is to come about.
            apart: Seconds between two queries: many where nothing is to happen right then.
        """
        end = time.monotonic() + seconds
        while not (found := holds()):
            self.tend()
            if time.monotonic() > end:
                logs = "\n".join(f"--- {name}\n{self.log(name)[-3000:]}" for name in self.processes)
                raise AssertionError(f"{what}: did not happen within {seconds:g} s\n{logs}")
            time.sleep(apart)
        return found

    # --------------------------------------------------------------------- API

    def call(self, method: str, path: str, body: Any = None, *, status: int = 200, **headers: str) -> Any:
        """Call the API and see how it answers."""
        answer = self.api.request(method, f"/v1{path}", json=body, headers=headers)
        assert answer.status_code == status, f"{method} {path}: {answer.status_code} {answer.text}"
        return answer.json()

    def answers(self) -> bool:
        """Whether the API is ready."""
        try:
            return self.api.get("/readyz").is_success
        except httpx.HTTPError:
            return False

    def command_line(self) -> CommandLine:
        """The command line of its administrator, on this machine."""
        home, port = Path(self.env["MINKA_HOME"]), int(self.env["MINKA_API_PORT"])
        return CommandLine(home, environment(home, port), str(self.api.base_url).rstrip("/"))

    def load(self, network: Path, **replaced: str) -> None:
        """Make network files the current version; ``replaced`` are texts by file name, with ``_`` for the dot."""
        self.call("PUT", "/network", self.files(network, **replaced))

    def files(self, network: Path, **replaced: str) -> dict[str, Any]:
        """Network files and endpoints, as the API takes them."""
        files = {
            str(path.relative_to(network)): path.read_text(encoding="utf-8")
            for path in sorted(network.rglob("*"))
            if path.suffix in (".yaml", ".csv")
        }
        files |= {name.replace("_", ".", 1): text for name, text in replaced.items()}
        return {"files": files, "endpoints": self.endpoints.read_text(encoding="utf-8")}

    def plan(self, selector: str = "*") -> Plan:
        """Plan, naming the number of stations that it touches where that is asked for."""
        body: dict[str, Any] = {"selector": selector}
        answer = self.api.request("POST", "/v1/plans", json=body)
        touched = re.search(r"touches (\d+) ", answer.text) if answer.status_code == 409 else None
        if touched is not None:
            body["expect_stations"] = int(touched[1])
        return Plan.model_validate(self.call("POST", "/plans", body, status=201))

    def apply(self, plan: Plan, key: str = "", /, **strategy: int | str) -> str:
        """Apply, for a reason that is enough where shares get smaller; the run's id."""
        headers = {"Idempotency-Key": key} if key else {}
        timers = {"check_timeout": 10, "confirm_timeout": 60}
        asked = Outlook.model_validate(self.call("GET", f"/plans/{plan.id}/outlook")).requirements
        given = [one.model_dump() for one in contracts(asked)]
        body = {"plan": plan.id, "strategy": timers | strategy, "contracts": given}
        return str(self.call("POST", "/runs", body, status=202, **headers)["id"])

    def ended(self, run: str, seconds: float = PATIENCE) -> Run:
        """The run when it is done."""
        self.until(f"{run} ends", lambda: self.store.runs.get(run).state.terminal, seconds, 0.2)
        return self.store.runs.get(run)

    def tree(self, station: str) -> dict[str, Any]:
        """The device tree of a station, read now."""
        return dict(self.call("GET", f"/devices/{station}/config")["tree"])

    # ------------------------------------------------------------------ record

    def job(self, run: str, station: str) -> Job:
        """The job of a station."""
        return next(job for job in self.store.runs.jobs(run) if job.station == station)

    def journal(self, run: str, station: str) -> list[JournalEntry]:
        """Rows of a job's transaction, in order."""
        with self.store.database.engine.connect() as connection:
            text = f"SELECT DISTINCT \"transaction\" FROM journal WHERE job = '{self.job(run, station).id}'"
            names = connection.exec_driver_sql(text).scalars().all()
        return [row for name in names for row in self.store.journal.find(name)]

    def assert_recorded(self, run: str) -> None:
        """The run ended once, every job has one outcome and one audit row, the chain is whole, no lease is left."""
        ended = self.store.runs.get(run)
        assert ended.state.terminal
        jobs = self.store.runs.jobs(run)
        assert all(job.outcome is not None for job in jobs)
        assert self.store.audit.verify() is None
        _, rows = self.store.audit.page(Page(limit=100_000))
        for job in jobs:
            finished = [row for row in rows if row.action == "job.finished" and row.object == job.id]
            assert len(finished) <= 1, finished
        moves = [row.detail["after"] for row in rows if row.action == "run.advanced" and row.object == run]
        assert sum(RunState(state).terminal for state in moves) == 1, moves
        assert not self.store.claims.busy(job.station for job in jobs)

    def assert_agree(self, station: str) -> None:
        """Check that the station carries all nodes of the ledger."""
        ledger = self.store.ledger.find([station]).get(station, {})
        missing = set(ledger) - set(self.tree(station))
        assert not missing, missing

    # ---------------------------------------------------------------- stations

    def fault(self, station: str, kind: str, operation: str = "any", **more: Any) -> None:
        """Inject a fault."""
        body = {"kind": kind, "operation": operation, **more}
        answer = self.control.post(f"/stations/{station}/faults", json=body)
        assert answer.status_code == 201, answer.text

    def clear_faults(self, station: str) -> None:
        """Clear all faults."""
        self.control.delete(f"/stations/{station}/faults").raise_for_status()

    def changes(self, station: str, since: int = 0) -> list[str]:
        """Causes of the accepted changes of running after the first ``since``, in order."""
        return [event["detail"]["cause"] for event in self.history(station, "running-changed")][since:]

    def history(self, station: str, kind: str) -> list[dict[str, Any]]:
        """Events of a kind."""
        answer = self.control.get(f"/stations/{station}/history", params={"kind": kind})
        answer.raise_for_status()
        return list(answer.json())


@contextmanager
def process_system(
    folder: Path,
    shape: Shape,
    network: Path,
    postgres: PostgresServer | None = None,
    *,
    listener: bool = False,
    only: Collection[str] = (),
    settings: Mapping[str, str] = MappingProxyType({}),
) -> Iterator[ProcessSystem]:
    """A system with two workers, a scheduler and an API; everything is stopped at the end.

    Args:
        only: Stations that are there; all of the network by default.
        settings: Of its processes, as environment variables.
    """
    with ExitStack() as stack:
        stations = len(only) or len((network / "stations.csv").read_text(encoding="utf-8").splitlines()) - 1
        ports = free_ports(stations + 2)
        env = {
            **os.environ,
            "MINKA_HOME": str(folder / "home"),
            "MINKA_API_PORT": str(ports),
            "MINKA_DEVICE_PASSWORD": "minka-sim",
            "MINKA_RULES": str(folder / "no-rules"),
            "MINKA_RPC_TIMEOUT": "8",
            **settings,
        }
        (folder / "no-rules").mkdir()
        redis = None
        if shape == "servers":
            assert postgres is not None
            redis = stack.enter_context(redis_server())
            env["MINKA_DATABASE_URL"] = stack.enter_context(postgres.database())
            env["MINKA_BROKER_URL"] = redis.url
        endpoints = folder / "endpoints.csv"
        control = stack.enter_context(_simulators(folder, network, ports + 1, env, only))
        (folder / "home").mkdir()
        own = Settings(
            home=folder / "home", database_url=env.get("MINKA_DATABASE_URL", ""), rules=Path(env["MINKA_RULES"])
        )
        env["MINKA_DATABASE_URL"] = own.database
        store = stack.enter_context(closing(open_record(own, SystemClock(), "up")))
        api = stack.enter_context(http.client(base_url=f"http://127.0.0.1:{ports}"))
        stations_api = stack.enter_context(http.client(base_url=control))
        made = ProcessSystem(folder, env, api, stations_api, store, endpoints, redis)
        stack.callback(made.stop_all)
        made.start("api")
        made.until("the API answers", made.answers)
        token = (folder / "home" / "token").read_text(encoding="utf-8").strip()
        api.headers["Authorization"] = f"Bearer {token}"
        for name in ("scheduler", *(["listener"] if listener else [])):
            made.start(name)
        for name in ("worker-1", "worker-2"):
            made.start_worker(name)
        yield made


@contextmanager
def _simulators(
    folder: Path, network: Path, ports: int, env: Mapping[str, str], only: Collection[str]
) -> Iterator[str]:
    """The stations' process; yields the URL of their control interface."""
    words = ["simulators", "up", "--network", str(network), "--settle-seconds", "0.1", "--boot-seconds", "0"]
    words += ["--port-base", str(ports + 1), "--control", f"127.0.0.1:{ports}"]
    words += ["--endpoints-out", str(folder / "endpoints.csv")]
    words += [word for station in only for word in ("--station", station)]
    out, into = os.pipe()
    with os.fdopen(out, "rb") as said, (folder / "simulators.log").open("wb") as log:
        with os.fdopen(into, "wb") as stdout:
            process = ForkedProcess(words, env, stdout, log)
        try:
            line = said.readline()
            assert line, (folder / "simulators.log").read_text(encoding="utf-8")
            yield str(json.loads(line)["control"])
        finally:
            process.terminate()
            process.wait(20)


@contextmanager
def temporary_folder() -> Iterator[Path]:
    """A folder with a short name, as pytest's are too long for some."""
    folder = Path(tempfile.mkdtemp(prefix="minka-system-"))
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
