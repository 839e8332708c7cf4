"""``make demo``: the main job on the embedded controller and simulated base stations, in a few minutes.

Everything that is shown comes from the ``minka`` command and from the stations themselves. State lives in a
temporary folder; nothing keeps running afterwards unless KEEP=1 is set.
"""

from __future__ import annotations

import argparse
import contextlib
import csv
import io
import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import textwrap
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import cycle
from pathlib import Path
from typing import Any

import httpx
import yaml
from ncclient import manager
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console

from controller.cli.main import main as minka
from controller.models.measurement import Subject
from controller.performance.files import read_file
from controller.performance.vocabulary import measured
from controller.ports.clock import SystemClock

HERE = Path(__file__).parent
MINI = HERE / "networks" / "peru-mini"
NEW_AGREEMENT = HERE / "networks" / "peru-mini-add-entel.yaml"
EDGE = HERE / "networks" / "peru-mini-add-edge.yaml"
REGION = "cusco"
STATION = "PE-CUS-0145"
CELL = "B28-1"
#: The edge that loses a node, the only node there that can carry a vBBU, and a station whose function runs on it.
LOST_POOL, LOST_NODE = "edge-pucallpa-1", "node-1"
VIRTUAL, VIRTUAL_CELL = "PE-UCA-0012", "B4-1"
#: Routers that take part; the other sites' ones are left to somebody else. The first is that of STATION.
ROUTERS = ("RT-CUS-0145", "RT-CUS-0146", "RT-CUS-0147")
NETCONF = "urn:ietf:params:xml:ns:netconf:base:1.0"
NRM = "urn:3gpp:sa5:_3gpp-common-managed-element"
EUTRAN = "urn:minka:eutran-nrm"

#: What to try afterwards.
NEXT = (
    "device list",
    f"device get {STATION}",
    f"hold put {STATION} --reason 'rigger on the mast'",
    "kpi list",
)

CLOCK = SystemClock()
#: Seconds within which all that the demo waits for has to come, on a machine that is busy with other work too.
_PATIENCE = 600
console = Console(highlight=False)


class DemoError(Exception):
    """The demo did not go as it should."""


@dataclass(frozen=True)
class Shares:
    """What a cell gives each PLMN and what is used of it, in percent of its resource blocks.

    Attributes:
        given: Least and most, by PLMN.
        used: By PLMN.
    """

    given: Mapping[str, tuple[int, int]]
    used: Mapping[str, float]


class Demo:
    """The controller of the demo and the words around it."""

    def __init__(self, home: Path, control: str) -> None:
        self.home = home
        self.network = home / "network"
        self.control = control
        self.began = CLOCK.monotonic()
        self.provisioned = CLOCK.now()
        #: Of CELL, before and after the fourth operator came.
        self.shares: list[Shares] = []
        self._step = 0

    def say(self, title: str, text: str = "") -> None:
        """Begin a step."""
        self._step += 1
        console.print(f"\n[bold cyan]{self._step}. {title}[/] [dim]({CLOCK.monotonic() - self.began:.0f} s)[/]")
        if text:
            console.print(f"[dim]{text}[/]")

    def minka(self, *words: str, fine: tuple[int, ...] = (0,)) -> None:
        """Run a command as a user would, its output straight to the terminal."""
        console.print("[green]$[/] minka " + " ".join(f"'{w}'" if " " in w or "*" in w else w for w in words))
        status = _run(words)
        if status not in fine:
            raise DemoError(f"minka {words[0]} ended with status {status}")

    def ask(self, *words: str) -> Any:
        """Run a command for its JSON, without showing it."""
        with contextlib.redirect_stdout(io.StringIO()) as answer:
            status = _run((*words, "--json"))
        if status not in (0, 10):
            raise DemoError(f"minka {' '.join(words)} ended with status {status}: {answer.getvalue()}")
        return json.loads(answer.getvalue())

    def until(self, what: str, *words: str, holds: Any) -> Any:
        """Ask again until ``holds`` likes the answer."""
        end = CLOCK.monotonic() + _PATIENCE
        while True:
            answer = self.ask(*words)
            if holds(answer):
                return answer
            if CLOCK.monotonic() > end:
                raise DemoError(f"{what} did not happen within {_PATIENCE} s")
            CLOCK.pause(0.5)

    def load(self) -> None:
        """Load the network files, with the addresses and host keys of what is simulated."""
        endpoints = self.home / "endpoints.csv"
        if not (self.network / EDGE.name).exists():
            endpoints = self.home / "endpoints-now.csv"
            with (self.network / "stations.csv").open(encoding="utf-8", newline="") as file:
                known = {row["id"] for row in csv.DictReader(file)}
            _cut(self.home / "endpoints.csv", endpoints, "station", known)
        beside = ("--endpoints", str(endpoints), "--routers", str(self.home / "routers.csv"))
        self.minka("network", "load", str(self.network), *beside)

    def plan(self, selector: str, expect: int) -> str:
        """Show a plan and return its id."""
        self.minka("plan", selector, "--expect", str(expect))
        return str(self.ask("plans", "list")[0]["id"])

    def read(self, words: str, station: str = STATION, cell: str = CELL) -> Shares:
        """Show what a cell broadcasts and how it is shared, read from the station just now; its shares, unused."""
        config = self.ask("device", "get", station, "--filter", f"EUtranCellFDD[{cell}]")
        plmns = [path.rpartition("[")[2].rstrip("]") for path in config["tree"] if "/plmnIdList[" in path]
        shares = {
            path.rpartition("[")[2].rstrip("]").replace(",", "-"): leaves
            for path, leaves in config["tree"].items()
            if "/plmnRadioShareList[" in path
        }
        on_air = next(state["cellState"] for path, state in config["state"].items() if path.endswith(f"[{cell}]"))
        console.print(f"[bold]{words}[/] {station}/{cell} ({on_air}) broadcasts", end=" ")
        console.print(", ".join(plmn.replace(",", "-") for plmn in plmns))
        for plmn, share in shares.items():
            console.print(f"    {plmn}: min {share.get('minRatio', 0)} %, max {share.get('maxRatio', 100)} %")
        given = {plmn: (int(one.get("minRatio", 0)), int(one.get("maxRatio", 100))) for plmn, one in shares.items()}
        return Shares(given, {})

    def used(self, shares: Shares) -> Shares:
        """With what each PLMN used of CELL in the newest seconds in which all of them were on air."""
        end = CLOCK.monotonic() + _PATIENCE
        while True:
            where = f"http://{self.control}/stations/{STATION}/measurements"
            told = httpx.get(where, params={"seconds": 2}).raise_for_status()
            for period in measured(STATION, read_file("A.xml", [told.content])).periods:
                counted = period.cells.get(CELL, {}).get("RRU.PrbTotDl", {})
                by_plmn = {subject.plmn: value for subject, value in counted.items() if subject != Subject()}
                if shares.given.keys() <= by_plmn.keys():
                    return Shares(shares.given, by_plmn)
            if CLOCK.monotonic() > end:
                raise DemoError(f"{STATION} counted nothing for its tenants within {_PATIENCE} s")
            CLOCK.pause(0.5)


def _run(words: Sequence[str]) -> int:
    """Run a command in this process, as each new one would import all of Minka; its exit status."""
    sys.argv = ["minka", *words]
    try:
        minka()
    except SystemExit as ended:
        return int(ended.code or 0)
    return 0


def _free_range(count: int) -> int:
    """First of ``count`` consecutive ports that nobody uses."""
    for base in range(20000, 60000, 100):
        probes = [socket.socket() for _ in range(count)]
        try:
            for offset, probe in enumerate(probes):
                probe.bind(("127.0.0.1", base + offset))
            return base
        except OSError:
            continue
        finally:
            for probe in probes:
                probe.close()
    raise DemoError(f"there are no {count} free ports in a row")


def _files(home: Path, pool_ports: int) -> None:
    """The files of the small network with a few of its routers, and beside them what is simulated: an edge as well."""
    network, simulated = home / "network", home / "simulated"
    shutil.copytree(MINI, network)
    _cut(MINI / "routers.csv", network / "routers.csv", "id", ROUTERS)
    shutil.copytree(network, simulated)
    edge = yaml.safe_load(EDGE.read_text(encoding="utf-8"))
    for number, pool in enumerate(edge["pools"]):
        pool |= {"address": "127.0.0.1", "port": pool_ports + number}
    (simulated / EDGE.name).write_text(yaml.safe_dump(edge), encoding="utf-8")


def _cut(source: Path, to: Path, column: str, wanted: Collection[str]) -> None:
    """Write the rows of a CSV file that have a wanted value in a column."""
    with source.open(encoding="utf-8", newline="") as file:
        rows = list(csv.DictReader(file))
    with to.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(row for row in rows if row[column] in wanted)


@contextlib.contextmanager
def _controller(home: Path) -> Iterator[Demo]:
    """``minka up`` with simulated stations, taken down at the end unless KEEP=1."""
    devices = 24 + 3 + len(ROUTERS)
    api = _free_range(2 + devices + 2)
    control, ports = f"127.0.0.1:{api + 1}", api + 2
    os.environ.update(
        MINKA_HOME=str(home),
        MINKA_API_PORT=str(api),
        MINKA_DEVICE_PASSWORD="minka-sim",  # noqa: S106 - the simulators' own default
        MINKA_HEALTH_INTERVAL="5",
        MINKA_PAGER="",  # it runs through
        MINKA_RULES=str(HERE.parent / "playbooks" / "rules"),
    )
    _files(home, ports + devices)
    words = [
        "up",
        "--sim",
        str(home / "simulated"),
        "--sim-routers",
        "--sim-ports",
        str(ports),
        "--sim-control",
        control,
    ]
    log = (home / "up.log").open("wb")
    up = subprocess.Popen([sys.executable, "-m", "controller.cli", *words], stdout=log, stderr=log)
    try:
        demo = Demo(home, control)
        _wait_ready(up, api, control)
        yield demo
    finally:
        log.close()
        if os.environ.get("KEEP") == "1" and up.poll() is None:
            console.print(f"\nKEEP=1: it runs on. Stop it with: kill {up.pid}")
            console.print(f"export MINKA_HOME={home} MINKA_API_PORT={api} MINKA_SIMULATORS_CONTROL={control}")
        else:
            up.send_signal(signal.SIGTERM)
            up.wait(timeout=_PATIENCE)


def _wait_ready(up: subprocess.Popen[bytes], api: int, control: str) -> None:
    end = CLOCK.monotonic() + _PATIENCE
    for url in (f"http://127.0.0.1:{api}/readyz", f"http://{control}/stations"):
        while not _answers(url):
            if up.poll() is not None or CLOCK.monotonic() > end:
                raise DemoError("the controller did not come up; see up.log and logs/ in its folder")
            CLOCK.pause(0.2)


def _answers(url: str) -> bool:
    try:
        return httpx.get(url, timeout=30).is_success
    except httpx.HTTPError:
        return False


def _technician(endpoint: dict[str, Any]) -> None:
    """Somebody with a laptop and a stock NETCONF client takes Claro off a cell and retunes a share."""
    edit = f"""
    <config xmlns="{NETCONF}" xmlns:nc="{NETCONF}"><ManagedElement xmlns="{NRM}"><id>{STATION}</id>
      <ENBFunction xmlns="{EUTRAN}"><id>1</id><EUtranCellFDD><id>{CELL}</id><attributes>
        <plmnIdList nc:operation="delete"><mcc>716</mcc><mnc>10</mnc></plmnIdList>
        <plmnRadioShareList><mcc>716</mcc><mnc>06</mnc><minRatio>80</minRatio></plmnRadioShareList>
      </attributes></EUtranCellFDD></ENBFunction></ManagedElement></config>"""
    with manager.connect(
        host=endpoint["address"],
        port=endpoint["port"],
        username="minka",
        password=os.environ["MINKA_DEVICE_PASSWORD"],
        hostkey_verify=False,
        look_for_keys=False,
        allow_agent=False,
    ) as session:
        session.edit_config(target="candidate", config=edit)
        session.commit()


def _provision(demo: Demo) -> None:
    demo.say("Load the network files", "24 real places in Cusco and Ucayali; three operators share every station.")
    demo.minka("network", "check", str(demo.network))
    demo.load()
    demo.say(
        "Provision the bare stations and routers",
        "They come from the factory: no cells, no tenants. First they are adopted.",
    )
    demo.minka("device", "adopt", "*")
    plan = demo.ask("plan", "*", "--expect", str(24 + len(ROUTERS)))
    console.print(f"plan {plan['id']}: {sum(len(change['diff']) for change in plan['changes'])} lines of change")
    demo.minka("apply", plan["id"], "--canary", "2", "--wave-size", "12", "--reason", "provisioning")
    demo.provisioned = CLOCK.now()


def _fourth_tenant(demo: Demo) -> None:
    demo.say(f"A fourth operator joins all of {REGION}", f"One more agreement: {NEW_AGREEMENT.name}. Routers go first.")
    shutil.copy(NEW_AGREEMENT, demo.network / "agreements-entel.yaml")
    demo.load()
    plan = demo.plan(f"region={REGION}", 13 + len(ROUTERS))
    demo.shares.append(demo.used(demo.read("before:")))
    demo.minka("apply", plan, "--canary", "1", "--wave-size", "6", "--reason", "Entel joins Cusco")
    demo.shares.append(demo.used(demo.read("after: ")))
    demo.minka("device", "get", ROUTERS[0], "--filter", "entel")


def _drift(demo: Demo) -> None:
    demo.say("Somebody changes a cell behind the controller's back", "Automatic repair is stopped, to look first.")
    demo.minka("remediation", "stop")
    endpoint = next(one for one in demo.ask("network", "show", "endpoints") if one["station"] == STATION)
    _technician(endpoint)
    demo.read("now:   ")
    demo.minka("device", "drift", f"region={REGION}", "--exit-code", fine=(10,))
    demo.say("Repair the drift")
    demo.minka("apply", demo.plan(STATION, 1), "--reason", "repair drift")
    demo.minka("device", "drift", f"region={REGION}", "--exit-code")
    demo.minka("remediation", "resume")


def _break_links(demo: Demo) -> None:
    demo.say(
        "Let a rule repair by itself",
        "Rules as they come only observe. A person, here the administrator of this demo, lets this one act.",
    )
    demo.minka("rules", "promote", "core-link-down", "--mode", "auto", "--reason", "the demo shows a repair", "--yes")
    demo.say(
        "Break a tenant's core links",
        "The station raises an alarm for each; if they stand for 60 s, a rule re-creates all endpoints in one run.",
    )
    httpx.post(f"http://{demo.control}/stations/{STATION}/links/break", json={"link": "bitel"}).raise_for_status()


def _edge(demo: Demo) -> None:
    demo.say(
        "Meanwhile, virtual base stations join",
        "Three stations of Pucallpa are functions (vBBU): pods on the Kubernetes pools of two edges.",
    )
    shutil.copy(demo.home / "simulated" / EDGE.name, demo.network)
    demo.load()
    demo.minka("device", "adopt", "pool=*")
    pools = demo.ask("plan", "pool=*", "--expect", "2")
    demo.minka("apply", pools["id"], "--reason", "two edges")
    demo.minka("playbook", "run", "instantiate-function", "where=function=*", "--reason", "virtual")
    demo.minka("function", "list")
    demo.read("before:", VIRTUAL, VIRTUAL_CELL)


def _node_lost(demo: Demo) -> None:
    demo.say(
        "A node of an edge dies",
        f"No other node of {LOST_POOL} has accelerators, so its functions can run at the other edge only.",
    )
    where = f"http://{demo.control}/pools/{LOST_POOL}/faults"
    httpx.post(where, json={"fault": "node-lost", "target": LOST_NODE}).raise_for_status()
    lost = {one["function"] for one in demo.ask("function", "list") if LOST_POOL in one["running"]}

    def down(alarms: list[dict[str, Any]]) -> bool:
        return {alarm["station"] for alarm in alarms if alarm["probable_cause"] == "function-down"} == lost

    def none_down(alarms: list[dict[str, Any]]) -> bool:
        return not any(alarm["probable_cause"] == "function-down" for alarm in alarms)

    demo.until("the alarms of the functions", "alarms", "list", "--state", "raised", holds=down)
    console.print(f"alarm function-down: {', '.join(sorted(lost))}")
    demo.minka("playbook", "run", "heal-function", "where=function=*", "seconds=0")
    demo.until("the end of their alarms", "alarms", "list", "--state", "raised", holds=none_down)
    demo.minka("function", "list")
    demo.read("after: ", VIRTUAL, VIRTUAL_CELL)
    demo.minka("device", "drift", "region=ucayali", "--exit-code")


def _repaired(demo: Demo) -> None:
    def ended(alarms: list[dict[str, Any]]) -> bool:
        mine = [alarm for alarm in alarms if alarm["probable_cause"] in ("core-link-down", "user-plane-down")]
        return bool(mine) and all(alarm["state"] not in ("raised", "repairing") for alarm in mine)

    demo.say("The rule has repaired the core links")
    demo.until("the repair", "alarms", "list", "--all", holds=ended)
    demo.minka("alarms", "list", "--all")
    demo.minka("device", "show", STATION)


_BAR = 30
_COLOURS = ("cyan", "magenta", "yellow", "green")


def _pictures(demo: Demo, api: str) -> None:
    demo.say("Three pictures", "Of what the stations counted and what is on record.")
    _picture_of_shares(demo.shares[0], demo.shares[1])
    _picture_of_availability(demo, api)
    _picture_of_repair(demo)


def _picture_of_shares(*both: Shares) -> None:
    """The guaranteed part of each share, what may be used beyond it, and what is used."""
    console.print(f"\n[bold]Downlink of {STATION}/{CELL}[/]: █ used, ▒ guaranteed, ░ allowed where it is free")
    for when, shares in zip(("before", "after"), both, strict=True):
        for colour, (plmn, (least, most)) in zip(_COLOURS, sorted(shares.given.items()), strict=False):
            used = shares.used.get(plmn, 0.0)
            ends = [round(_BAR * percent / 100) for percent in (used, max(used, least), max(used, most))]
            bar = "█" * ends[0] + "▒" * (ends[1] - ends[0]) + "░" * (ends[2] - ends[1])
            words = f"uses {used:4.1f} % of {least} to {most} %"
            console.print(f"  {when:6} {plmn:7} [{colour}]{bar:{_BAR}}[/] {words}", soft_wrap=True)


def _picture_of_availability(demo: Demo, api: str) -> None:
    """Cell-time with service, of the time since the network was provisioned."""
    token = (demo.home / "token").read_text(encoding="utf-8").strip()
    page = httpx.get(f"{api}/metrics", headers={"Authorization": f"Bearer {token}"}, params={"part": "tenant"}).text
    told: dict[str, dict[str, float]] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            if "agreement" in sample.labels and "resource" not in sample.labels:
                told.setdefault(sample.labels["agreement"], {})[sample.name] = sample.value
    seconds = (CLOCK.now() - demo.provisioned).total_seconds()
    console.print(f"\n[bold]Availability per agreement[/] in the {seconds:.0f} s since provisioning; from 90 to 100 %")
    for colour, (agreement, one) in zip(cycle(_COLOURS), sorted(told.items()), strict=False):
        cells, lost = one["minka_agreement_cells"], one["minka_agreement_outage_seconds"]
        available = 100 * (1 - lost / (cells * seconds))
        bar = "█" * round(_BAR * max(0.0, available - 90) / 10)
        owed = 100 * one["minka_agreement_availability_target_ratio"]
        words = f"{available:7.3f} %, owed {owed:g} %"
        console.print(f"  {agreement:20} [{colour}]{bar:{_BAR}}[/] {words}", soft_wrap=True)


def _picture_of_repair(demo: Demo) -> None:
    """What was done about the broken link, second by second."""
    (incident, *_) = demo.ask("incidents", "list", "--station", STATION, "--state", "open", "--state", "closed")
    rows = demo.ask("incidents", "show", incident["id"])["timeline"]
    times = [datetime.fromisoformat(row["at"]) for row in rows]
    whole = max((times[-1] - times[0]).total_seconds(), 1)
    console.print(f"\n[bold]The repair on the time line[/]: {whole:.0f} s from the first to the last act")
    acts: dict[int, dict[str, None]] = {}
    for row, at in zip(rows, times, strict=True):
        acts.setdefault(round((at - times[0]).total_seconds()), {})[row["action"]] = None
    for after, names in acts.items():
        place = round(_BAR * after / whole)
        line = f"  {'─' * place}[bold green]●[/]{' ' * (_BAR - place)} {after:3} s  "
        first, *more = textwrap.wrap(", ".join(names), 38)
        console.print("\n".join((line + first, *(" " * (_BAR + 11) + one for one in more))), soft_wrap=True)


def _summary(demo: Demo, api: str) -> None:
    demo.say("What is on record")
    demo.minka("runs")
    demo.minka("audit", "--limit", "5")
    wanted = ("minka_jobs_ended_total", "minka_repairs_started_total", "minka_alarms{", "minka_stations_adopted")
    console.print(f"\n[bold]Metrics to look at[/] ({api}/metrics):")
    token = (demo.home / "token").read_text(encoding="utf-8").strip()
    for line in httpx.get(f"{api}/metrics", headers={"Authorization": f"Bearer {token}"}).text.splitlines():
        if line.startswith(wanted):
            console.print("  " + line, markup=False)


def main() -> int:
    """Run the demo; 0 if everything went as it should. It takes no arguments, and says so before it begins."""
    argparse.ArgumentParser(prog="make demo", description=__doc__).parse_args()
    home = Path(tempfile.mkdtemp(prefix="minka-demo-"))
    try:
        with _controller(home) as demo:
            _provision(demo)
            _fourth_tenant(demo)
            _drift(demo)
            _break_links(demo)
            _edge(demo)
            _repaired(demo)
            api = f"http://127.0.0.1:{os.environ['MINKA_API_PORT']}"
            _pictures(demo, api)
            _node_lost(demo)
            _summary(demo, api)
            console.print("\n[bold]Next[/]: KEEP=1 make demo keeps it running; then try")
            for words in NEXT:
                console.print(f"  minka {words}")
            console.print(f"\n[bold green]Done[/] in {CLOCK.monotonic() - demo.began:.0f} s.")
    except DemoError as error:
        console.print(f"[bold red]The demo failed:[/] {error}\nLogs are in {home}", markup=True)
        return 1
    if os.environ.get("KEEP") != "1":
        shutil.rmtree(home)
    return 0


if __name__ == "__main__":
    sys.exit(main())
