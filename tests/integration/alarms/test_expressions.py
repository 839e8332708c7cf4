"""Every expression of every rule and panel, asked of a real Prometheus that scrapes a live controller with stations."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from importlib import import_module
from itertools import product
from pathlib import Path
from typing import Any

import pytest
import yaml

from controller.assurance.measured_faults import MeasuredFaults
from controller.models.alarm import (
    MAINS_LOST,
    ON_BATTERY,
    AlarmReport,
    AlarmSource,
    PerceivedSeverity,
)
from controller.models.health import Health
from controller.models.measurement import HOUR, QUARTER, Measured, Subject
from controller.models.metrics import METRIC
from controller.models.settings import Settings
from controller.ports.clock import SystemClock
from controller.store import LoopStore
from deploy.dashboards import DASHBOARDS, FOLDER, expressions, rendered, text_of
from tests.integration.alarms.system import TINY
from tests.support import http
from tests.support.definitions import load_kpis
from tests.support.process_system import ProcessSystem, process_system, temporary_folder
from tests.support.prometheus import DEPLOY, monitoring

#: What may be without data here, and why: metrics, and series of metrics.
EMPTY: Mapping[str, str] = {
    "minka_cell_locked": "nobody locks a cell",
    "minka_cell_off_air": "no cell is off air",
    "minka_cell_unknown": "all stations can be read, and tell",
    "minka_core_link_locked": "nobody locks a link",
    "minka_core_link_unknown": "all stations can be read, and tell",
    'minka_incident_root{probable_cause="radio-unit-lost"}': "all radio units live",
    'minka_incident_root{probable_cause="backhaul-down"}': "nothing is cut off",
    'minka_incident_root{probable_cause=~"core-node-down|remote-end-down"}': "no core node is lost",
    'minka_incident_info{probable_cause="station-diverged"}': "no station diverged",
    'minka_incident_info{severity="CRITICAL"}': "nothing that stands is critical",
    "minka_incident_symptom": "nothing follows from the one fault",
    "minka_repairs_started_total": "all rules observe",
    "minka_command_duration_seconds": "no router is managed",
    "minka_kubernetes_request_duration_seconds": "no pool is adopted",
    "minka_function_restarts_total": "no container is started again",
    "minka_session_openings_total": "no session is refused",
    "minka_calls_refused_total": "no station calls home",
    "minka_collection_age_seconds": "nothing is collected: what was measured is put on record",
    "ALERTS": "it asks for an alert that does not fire",
}
_BOUGHT = "tenant: andes\n    capacity: [{pool: edge-1, cores: 8, gbps: 2}]"
#: A pool that nobody adopted, of which a tenant bought a part: one function has a place there, another one finds none.
_CLOUD = {
    "agreements_yaml": (TINY / "agreements.yaml").read_text(encoding="utf-8").replace("tenant: andes", _BOUGHT, 1),
    "pools_csv": "id,where,region,site,address,port,authority,credential,spare_nodes\n"
    "edge-1,edge,cusco,,127.0.0.1,9,pool-authority,pool-token,0\n",
    "nodes_csv": "pool,id,cpus,memory_gb\nedge-1,node-1,32,128\n",
    "latencies_csv": "pool,site,microseconds\nedge-1,ollanta,40\n",
    "functions_csv": "id,package,max_latency_us\nGW-1,gate,\nGW-2,large,\n",
    "packages_yaml": "packages:\n"
    + "".join(
        f"- {{id: {name}, kind: gateway, vendor: Acme, version: '1.0', cpus: {cpus}, memory_gb: 4, start_seconds: 5,\n"
        f"   image: 'registry.example/{name}@sha256:{cpus:064x}'}}\n"
        for name, cpus in (("gate", 2), ("large", 64))
    ),
}


@dataclass(frozen=True)
class Watched:
    """A controller, and the Prometheus that scrapes it."""

    system: ProcessSystem
    url: str

    def found(self, expression: str) -> list[Any]:
        """Series that an expression gives now. An expression that is none fails the test."""
        answer = http.get(f"{self.url}/api/v1/query", params={"query": expression}).json()
        assert answer["status"] == "success", f"{expression}\n{answer}"
        result: list[Any] = answer["data"]["result"]
        return result


@pytest.fixture(scope="module")
def watched() -> Iterator[Watched]:
    settings = {"MINKA_HEALTH_INTERVAL": "1", "MINKA_RULES": str(Settings().rules)}
    with (
        temporary_folder() as folder,
        process_system(folder, "embedded", TINY, listener=True, settings=settings) as system,
    ):
        system.load(TINY, **_CLOUD)
        system.call("POST", "/devices/adopt", {"selector": "*"})
        run = system.apply(system.plan())
        assert system.ended(run).counts == {"succeeded": 4}, system.store.runs.jobs(run)
        _measure(system)
        _judge(system)
        now = SystemClock().now()
        system.store.healths.save([Health(station="GW-1", at=now, reachable=True, placed={"edge-1": now})])
        system.until("its stations are looked at", lambda: len(system.store.healths.find()) == 5)
        broken = {"link": "condor-condor-mme-1"}
        system.control.post("/stations/T-LTE-1/links/break", json=broken).raise_for_status()
        system.until("an incident is open", system.store.incidents.open)
        _tell(system)
        address, token = system.api.base_url.netloc.decode(), system.api.headers["Authorization"].partition(" ")[2]
        (folder / "monitoring").mkdir()
        with monitoring(folder / "monitoring", address, token, token) as (prometheus, _):
            watched = Watched(system, prometheus)
            # Rates need two scrapes, and what is made of recording rules two evaluations more.
            scrapes = "count_over_time(agreement:minka_outage_burn:rate5m[1m]) > 2"
            system.until("rules are evaluated", lambda: watched.found(scrapes))
            yield watched


def _measure(system: ProcessSystem) -> None:
    """Put on record what cells counted in the newest quarter of an hour."""
    _, network = system.store.networks.get()
    now = SystemClock().now()
    begin = now.replace(minute=now.minute // 15 * 15, second=0, microsecond=0) - timedelta(minutes=15)
    by_plmn = {Subject(plmn=tenant.plmns[0]): 10.0 for tenant in network.tenants}
    counted = {
        name: {Subject(): 50.0, **by_plmn}
        for name in ("RRU.PrbTotDl", "RRU.PrbTotUl", "DRB.PdcpSduVolumeDL", "DRB.PdcpSduVolumeUL", "RRC.ConnMean")
    }
    for station, cells in network.cells_by_station.items():
        of_cells = {cell.id: counted for cell in cells}
        period = Measured(station=station, begin=begin, seconds=QUARTER, covered=QUARTER, cells=of_cells)
        system.store.measurements.put([period])


def _judge(system: ProcessSystem) -> None:
    """Put on record what cells counted in the last hours and in those of the days before, and have that judged."""
    _, network = system.store.networks.get()
    now = SystemClock().now()
    newest = now.replace(minute=0, second=0, microsecond=0)
    plmns = [tenant.plmns[0] for tenant in network.tenants]
    for day, hour in product(range(8), (1, 2)):
        # Half of what is set up today is lost again.
        counted = {
            "ERAB.EstabInitAttNbr": dict.fromkeys(map(Subject, plmns), 500.0),
            "ERAB.EstabInitSuccNbr": dict.fromkeys(map(Subject, plmns), 495.0),
            "ERAB.RelActNbr": dict.fromkeys(map(Subject, plmns), 2.0 if day else 250.0),
            "ERAB.SessionTimeQCI": dict.fromkeys(map(Subject, plmns), 50_000.0),
            "RRC.ConnMean": {Subject(): 12.5},
        }
        begin = newest - timedelta(days=day, hours=hour)
        for station, cells in network.cells_by_station.items():
            of_cells = {cell.id: counted for cell in cells}
            period = Measured(station=station, begin=begin, seconds=HOUR, covered=HOUR, cells=of_cells)
            system.store.measurements.put([period])

    async def judged() -> None:
        loop_store = LoopStore(system.store)
        await MeasuredFaults(loop_store, SystemClock(), lambda _: load_kpis(Settings().kpis), alarms=False).round()
        await loop_store.close()

    asyncio.run(judged())


def _tell(system: ProcessSystem) -> None:
    """Let Alertmanager tell of a fault, and sources on record of those that have alerts by their names."""
    at = SystemClock().now()
    labels = {"alertname": "Odd", "station": "T-NR-1", "severity": "warning"}
    alert = {"status": "firing", "labels": labels, "annotations": {}, "startsAt": at.isoformat(), "fingerprint": "f"}
    system.call("POST", "/webhooks/alertmanager", {"version": "4", "status": "firing", "alerts": [alert]})
    _, network = system.store.networks.get()
    for station, managed_object, cause in (
        (network.stations[0].id, "station", MAINS_LOST),
        (network.stations[1].id, "station", ON_BATTERY),
    ):
        told = {"object": managed_object, "probable_cause": cause, "severity": PerceivedSeverity.MAJOR}
        system.store.alarms.report(AlarmReport(station=station, source=AlarmSource.VES, at=at, **told))


def _rules() -> Iterator[tuple[str, str]]:
    """Every rule by its name, with its expression."""
    text = (DEPLOY / "prometheus" / "rules" / "minka.yml").read_text(encoding="utf-8")
    for group in yaml.safe_load(text)["groups"]:
        yield from ((rule.get("alert") or rule["record"], rule["expr"]) for rule in group["rules"])


def _selectors(expression: str) -> list[str]:
    """The series that an expression is made of."""
    return re.findall(r"(?<![\w:])(?:\w+:)?(?:minka_\w+|ALERTS)(?::\w+)?(?:\{[^}]*\})?", expression)


def _may_be_empty(selector: str) -> bool:
    name = re.sub(r"_(bucket|sum|count)$", "", selector.partition("{")[0])
    assert ":" in name or name == "ALERTS" or name in METRIC, f"there is no metric {name}"
    return name in EMPTY or selector in EMPTY


@pytest.mark.needs("prometheus", "prometheus-alertmanager")
def test_every_expression_gives_data(watched: Watched) -> None:
    panels = [(where, re.sub(r"\$(region|station|tenant|kpi)", ".+", expr)) for where, expr in expressions()]
    rules = list(_rules())
    # An alert is silent as long as all is well: what it is made of must be there all the same.
    parts = [(name, part) for name, expr in rules for part in _selectors(expr)]
    wanted = [*panels, *((name, expr) for name, expr in rules if ":" in name), *parts]
    missing = [one for one in wanted if not any(_may_be_empty(part) for part in _selectors(one[1]))]

    def all_found() -> bool:
        """On a busy machine a scrape may fail, and what it did not bring is stale until the next one."""
        missing[:] = [(where, expr) for where, expr in missing if not watched.found(expr)]
        return not missing

    with suppress(AssertionError):
        watched.system.until("every expression gives data", all_found, apart=1)
    assert not missing
    for _, expr in rules:
        watched.found(expr)
    # What is listed as empty is asked for somewhere, and is a true metric.
    every = [part for _, expr in [*rules, *panels] for part in _selectors(expr)]
    asked = {*every, *(part.partition("{")[0] for part in every)}
    assert set(EMPTY) <= {re.sub(r"_(bucket|sum|count)$", "", name) for name in asked}


@pytest.mark.needs("prometheus", "prometheus-alertmanager")
def test_prometheus_reads_the_page_and_says_what_it_means(watched: Watched) -> None:
    told = http.get(f"{watched.url}/api/v1/metadata").json()["data"]
    help_of = {name.removesuffix("_total"): entries[0]["help"] for name, entries in told.items()}
    families = {metric.family: metric.text for metric in METRIC.values()}
    assert {name: help_of[name] for name in help_of.keys() & families.keys()} == {
        name: families[name] for name in help_of.keys() & families.keys()
    }
    assert len(help_of.keys() & families.keys()) > len(families) / 2
    (target,) = http.get(f"{watched.url}/api/v1/targets").json()["data"]["activeTargets"]
    assert (target["health"], target["lastError"]) == ("up", "")


def test_the_files_are_those_of_the_module() -> None:
    kept = {path.name: path.read_text(encoding="utf-8") for path in FOLDER.glob("*.json")}
    assert kept == {f"{board.uid}.json": text_of(board) for board in DASHBOARDS}, "run: python -m deploy.dashboards"


def test_no_panel_shows_zero_for_what_nobody_counted() -> None:
    """A zero of nothing looks as good as a true one: where nothing was read or judged, a panel has no data."""
    assert [where for where, expr in expressions() if "vector(" in expr] == []


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.uid)
def test_grafana_knows_every_field(board: Any) -> None:
    """Its own types, made of its published schema, read a dashboard and write it again as it was."""
    sdk = "grafana_foundation_sdk"
    import_module(f"{sdk}.cog.plugins").register_default_plugins()
    read = import_module(f"{sdk}.models.dashboard").Dashboard.from_json(rendered(board))
    written = json.loads(import_module(f"{sdk}.cog.encoder").JSONEncoder(sort_keys=True).encode(read))
    assert _without(rendered(board), written) == []


def _without(ours: Any, theirs: Any, path: str = "") -> list[str]:
    """What of ours is missing or different in theirs."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        return [
            one
            for name, value in ours.items()
            for one in (_without(value, theirs[name], f"{path}.{name}") if name in theirs else [f"{path}.{name}"])
        ]
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return [one for pair in zip(ours, theirs, strict=True) for one in _without(*pair, path=f"{path}[]")]
    return [] if ours == theirs else [path]


@pytest.mark.parametrize("board", DASHBOARDS, ids=lambda board: board.uid)
def test_panels_lie_beside_each_other_and_say_what_they_show(board: Any) -> None:
    panels = rendered(board)["panels"]
    assert len({panel["id"] for panel in panels}) == len(panels)
    taken: set[tuple[int, int]] = set()
    for panel in panels:
        place = panel["gridPos"]
        cells = {
            (x, y)
            for x in range(place["x"], place["x"] + place["w"])
            for y in range(place["y"], place["y"] + place["h"])
        }
        assert place["x"] + place["w"] <= 24
        assert not taken & cells
        taken |= cells
        assert panel["type"] == "row" or (panel["title"] and panel["description"])


def test_grafana_is_provisioned_with_what_the_dashboards_name() -> None:
    folder: Path = DEPLOY / "grafana" / "provisioning"
    (source,) = yaml.safe_load((folder / "datasources" / "minka.yml").read_text(encoding="utf-8"))["datasources"]
    named = {
        panel["datasource"]["uid"] for one in DASHBOARDS for panel in rendered(one)["panels"] if "targets" in panel
    }
    assert named == {source["uid"]}
    (provider,) = yaml.safe_load((folder / "dashboards" / "minka.yml").read_text(encoding="utf-8"))["providers"]
    assert provider["type"] == "file"
