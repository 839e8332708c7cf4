from __future__ import annotations

import re
from collections import Counter
from contextlib import closing
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample
from structlog.testing import capture_logs

from controller.assurance.checker import Checker
from controller.drivers.fake import FakeDevices
from controller.drivers.netconf.target import NetconfTarget
from controller.drivers.target import DeviceTarget
from controller.models.alarm import AlarmReport, AlarmState, PerceivedSeverity
from controller.models.cloud import ClusterState
from controller.models.errors import NotFoundError, StoreError
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.measurement import Measured, Subject
from controller.models.metrics import METRIC, METRICS, Figures, MetricKind, Observations, Part
from controller.models.network import Network, network_digest
from controller.models.plan import LedgerNode
from controller.models.rule import EVERYWHERE, RuleMode
from controller.models.run import Outcome
from controller.observe.exposition import ScrapeScope, _family, exposition
from controller.performance.kpi_evaluation import IndicatorValues, KpiEvaluation
from controller.performance.kpis import Level
from controller.ports.clock import VirtualClock
from controller.runs.planning.planner import Planner
from controller.store import JobResult, LoopStore, Store, open_store
from tests.support.definitions import load_kpis
from tests.support.records import start_run
from tests.unit.intent.backhaul_tree import network as backhaul
from tests.unit.plan import samples as plan_samples

ROOT = Path(__file__).parents[3]
AT = datetime(2026, 1, 1, tzinfo=UTC)
CLOCK = VirtualClock()
KPIS = load_kpis(ROOT / "playbooks" / "kpis")


def samples(store: Store) -> list[Sample]:
    """What a Prometheus would read."""
    text = exposition(store, CLOCK).decode()
    return [sample for family in text_string_to_metric_families(text) for sample in family.samples]


def value(store: Store, name: str, **labels: str) -> float:
    (found,) = [sample.value for sample in samples(store) if sample.name == name and sample.labels == labels]
    return found


def make_store() -> Store:
    return open_store("sqlite://", VirtualClock())


def test_the_network_is_reported_station_by_station() -> None:
    links = (
        LinkHealth(path="/ME[A]/EP_S1C[claro-1]", tenant="claro", kind="S1C", state=ServiceState.DOWN),
        LinkHealth(path="/ME[A]/EP_S1C[entel-1]", tenant="entel", kind="S1C", state=ServiceState.DOWN, locked=True),
    )
    with closing(make_store()) as store:
        for station in ("A", "B"):
            store.devices.adopt(station, (), "d", "ana")
        store.healths.save(
            [
                Health(
                    station="A",
                    at=AT,
                    reachable=True,
                    read=AT,
                    cells={"1": ServiceState.UP, "2": ServiceState.DOWN},
                    locked=("2",),
                    links=links,
                    drift=3,
                ),
                Health(station="B", at=AT + timedelta(seconds=1.5), reachable=False, reason="unreachable"),
            ]
        )
        assert value(store, "minka_station_reachable", station="A") == 1
        assert value(store, "minka_station_reachable", station="B") == 0
        assert value(store, "minka_station_seen_timestamp_seconds", station="B") == AT.timestamp() + 1.5
        assert value(store, "minka_station_drift_nodes", station="A") == 3
        assert value(store, "minka_cell_on_air", station="A", cell="1") == 1
        assert value(store, "minka_cell_locked", station="A", cell="2") == 1
        labels = {"station": "A", "tenant": "claro", "kind": "S1C", "object": "/ME[A]/EP_S1C[claro-1]"}
        assert value(store, "minka_core_link_up", **labels) == 0
        # What somebody locked serves nobody either.
        locked = labels | {"tenant": "entel", "object": "/ME[A]/EP_S1C[entel-1]"}
        assert value(store, "minka_core_link_up", **locked) == 0
        assert value(store, "minka_cell_on_air", station="A", cell="2") == 0
        assert [s.labels["tenant"] for s in samples(store) if s.name == "minka_core_link_locked"] == ["entel"]
        of_b = {sample.name for sample in samples(store) if sample.labels.get("station") == "B"}
        assert of_b == {"minka_station_reachable", "minka_station_seen_timestamp_seconds"}


async def test_figures_do_not_improve_in_a_blackout() -> None:
    clock, net = VirtualClock(), plan_samples.network()
    with closing(open_store("sqlite://", clock)) as store:
        digest = network_digest(net)
        store.networks.save(net, digest, "ana")
        devices, loop_store = FakeDevices(clock), LoopStore(store)
        for name in ("S1", "S2"):
            devices.add(name, plan_samples.PROFILES, plan_samples.carrying(net, name).tree)
            nodes = (
                LedgerNode(**entry.model_dump(exclude={"station", "plan"}))
                for entry in plan_samples.ledger(net, name).values()
            )
            store.devices.adopt(name, tuple(nodes), digest, "ana")
        checker = Checker(loop_store, Planner(loop_store, devices, clock, _target), clock, ())

        async def look() -> None:
            await checker.record([await checker.check(net, name) for name in ("S1", "S2")])

        def unknown(name: str) -> dict[tuple[str, str], int]:
            found = (sample.labels for sample in samples(store) if sample.name == name)
            return dict(Counter((labels["station"], labels["reason"]) for labels in found))

        nobody_looked = samples(store)
        assert share(store, "minka_core_link_up", "tenant") == {"alfa": 0, "beta": 0}
        await look()
        assert share(store, "minka_core_link_up", "tenant") == {"alfa": 1, "beta": 1}
        assert share(store, "minka_cell_on_air", "station") == {"S1": 1, "S2": 1}
        assert unknown("minka_core_link_unknown") == unknown("minka_cell_unknown") == {}
        names = {(sample.name, *sample.labels.values()) for sample in samples(store)}

        devices["S2"].unreachable = "no answer"
        await look()
        assert share(store, "minka_core_link_up", "tenant") == {"alfa": 0.5, "beta": 0.5}
        assert share(store, "minka_cell_on_air", "station") == {"S1": 1, "S2": 0}
        assert unknown("minka_core_link_unknown") == {("S2", "not-read"): 6}
        assert unknown("minka_cell_unknown") == {("S2", "not-read"): 2}
        assert names <= {(sample.name, *sample.labels.values()) for sample in samples(store)}
        assert {(one.name, *one.labels.values()) for one in nobody_looked if "core_link_up" in one.name} <= names

        devices["S1"].unreported = {"EP_NgC", "EP_NgU"}
        await look()
        assert unknown("minka_core_link_unknown") == {("S1", "not-reported"): 4, ("S2", "not-read"): 6}
        await loop_store.close()


def share(store: Store, name: str, label: str) -> dict[str, float]:
    """The average of a metric by a label."""
    found: dict[str, list[float]] = {}
    for sample in samples(store):
        if sample.name == name:
            found.setdefault(sample.labels[label], []).append(sample.value)
    return {key: sum(values) / len(values) for key, values in found.items()}


def _target(_network: Network, station: str) -> DeviceTarget:
    return NetconfTarget(station, plan_samples.PROFILES, "192.0.2.1", 830, "", "minka", "env:X")


def test_of_what_is_not_ours_any_more_nothing_is_reported() -> None:
    with closing(make_store()) as store:
        store.devices.adopt("A", (), "d", "ana")
        store.healths.save([Health(station="A", at=AT, reachable=True, cells={"1": ServiceState.UP})])
        assert value(store, "minka_cell_on_air", station="A", cell="1") == 1
        store.devices.retire("A", "ana")
        assert not [sample for sample in samples(store) if "station" in sample.labels]


def test_the_age_of_health_is_reported_by_quantile() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        assert not [sample for sample in samples(store) if sample.name == "minka_health_age_seconds"]
        for number in range(20):
            store.devices.adopt(f"S{number:02}", (), "d", "ana")
            store.healths.save([Health(station=f"S{number:02}", at=clock.now(), reachable=number % 2 == 0)])
            clock.pause(1)
        store.devices.adopt("S20", (), "d", "ana")
        store.devices.adopt("R", (), "d", "ana")
        store.devices.retire("R", "ana")
        clock.pause(10)
        ages = {
            quantile: value(store, "minka_health_age_seconds", quantile=quantile) for quantile in ("0.5", "0.95", "1")
        }
        assert ages == {"0.5": 20, "0.95": 29, "1": 30}
        assert value(store, "minka_health_interval_seconds") == 30


def test_label_values_are_escaped() -> None:
    nasty = 'a"b\\c\nd'
    with closing(make_store()) as store:
        store.devices.adopt("A", (), "d", "ana")
        store.healths.save([Health(station="A", at=AT, reachable=True, cells={nasty: ServiceState.UP})])
        assert value(store, "minka_cell_on_air", station="A", cell=nasty) == 1


def test_the_controllers_figures_come_from_the_record() -> None:
    with closing(make_store()) as store:
        start_run(store, ["A", "B"])
        worker = store.processes.register("worker-0")
        store.processes.heartbeat(worker, 7)
        store.processes.heartbeat(store.processes.register("worker-1"), 2)
        (claim,) = store.claims.take(worker, 1)
        store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
        alarm = store.alarms.report(
            AlarmReport(
                station="A", object="x", probable_cause="c", severity=PerceivedSeverity.MAJOR, source="check", at=AT
            )
        )
        store.repairs.record("core-link-down", "A:x", alarm.id, claim.run.id)
        assert value(store, "minka_runs", state="running") == 1
        assert value(store, "minka_jobs", state="ready") == 1
        assert value(store, "minka_jobs_ended_total", outcome="succeeded") == 1
        assert value(store, "minka_sessions", role="worker", instance="worker-0") == 7
        assert value(store, "minka_sessions", role="worker", instance="worker-1") == 2
        assert value(store, "minka_process_up", role="worker", instance="worker-0") == 1
        assert value(store, "minka_processes_ready", role="worker") == 2
        # What did not happen yet is there as 0, so that the first one is an increase.
        assert value(store, "minka_jobs_ended_total", outcome="diverged") == 0
        assert value(store, "minka_runs_ended_total", state="failed") == 0
        assert value(store, "minka_alarms_escalated_total") == 0
        assert value(store, "minka_alarms", state=AlarmState.RAISED, severity="MAJOR", probable_cause="c") == 1
        assert value(store, "minka_repairs_started_total", rule="core-link-down") == 1
        store.alarms.escalate(alarm, "why", actor="rule")
        assert value(store, "minka_alarms_escalated_total") == 1


async def test_the_age_of_waiting_work_grows() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        assert value(store, "minka_oldest_claimable_job_age_seconds") == 0
        start_run(store, ["A"])
        await clock.advance(60)
        assert value(store, "minka_oldest_claimable_job_age_seconds") == 60


def test_a_database_that_is_away_is_an_error_not_an_empty_page(monkeypatch: pytest.MonkeyPatch) -> None:
    def away(*_: object) -> None:
        raise StoreError

    with closing(make_store()) as store:
        monkeypatch.setattr(store.healths, "find", away)
        with pytest.raises(StoreError):
            exposition(store, CLOCK)


def test_incidents_are_counted_named_and_their_symptoms_listed() -> None:
    with closing(make_store()) as store:
        shared = backhaul()
        store.networks.save(shared, network_digest(shared), "ana")
        cut_off = {"source": "check", "at": AT, "probable_cause": "station-unreachable", "object": "station"}
        dark = AlarmReport(station="S3", severity=PerceivedSeverity.MAJOR, **cut_off)
        router = AlarmReport(station="R1", severity=PerceivedSeverity.MINOR, **cut_off | {"object": "router"})
        mains = AlarmReport(
            station="S3", severity=PerceivedSeverity.CRITICAL, **cut_off | {"probable_cause": "mains-lost"}
        )
        of_power, _, alone = (one.incident for one in store.alarms.report_all([mains, dark, router]))
        assert value(store, "minka_incidents", severity="CRITICAL", state="new") == 1
        assert value(store, "minka_incidents", severity="MINOR", state="new") == 1
        store.incidents.acknowledge(of_power, "ana")
        store.incidents.take(alone, "ana")
        assert value(store, "minka_incidents", severity="CRITICAL", state="acknowledged") == 1
        assert value(store, "minka_incidents", severity="MINOR", state="taken") == 1
        found = samples(store)
        assert [one.labels for one in found if one.name == "minka_incident_symptom"] == [
            {"incident": of_power, "station": "S3", "object": "station", "probable_cause": "station-unreachable"}
        ]
        assert {one.labels["incident"] for one in found if one.name == "minka_incident_info"} == {of_power, alone}
        roots = {one.labels["probable_cause"]: one.labels for one in found if one.name == "minka_incident_root"}
        assert roots.keys() == {"mains-lost", "station-unreachable"}
        assert (roots["mains-lost"]["station"], roots["station-unreachable"]["station"]) == ("S3", "R1")


def test_a_root_that_is_shelved_calls_nobody_until_that_ends() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        of = {"station": "S3", "object": "station", "probable_cause": "mains-lost"}
        report = AlarmReport(severity=PerceivedSeverity.MAJOR, source="check", at=clock.now(), **of)
        alarm = store.alarms.report(report)
        root = {"incident": alarm.incident, **of}

        def calls() -> bool:
            return root in [one.labels for one in samples(store) if one.name == "minka_incident_root"]

        assert calls()
        store.alarms.shelve(alarm.id, clock.now() + timedelta(hours=1), "ana", "a new mast")
        assert not calls()
        clock.pause(3601)
        assert calls()


def test_every_metric_is_served_and_no_other() -> None:
    with closing(make_store()) as store:
        text = exposition(store, CLOCK).decode()
    assert re.findall(r"^# TYPE (\S+) ", text, re.MULTILINE) == [metric.name for metric in METRICS]


def test_names_and_labels_are_as_prometheus_wants_them() -> None:
    assert len(METRIC) == len(METRICS)
    for metric in METRICS:
        assert re.fullmatch(r"minka_[a-z]+(_[a-z]+)*", metric.name)
        assert metric.name.endswith("_total") == (metric.kind is MetricKind.COUNTER)
        assert metric.name.endswith("_info") == (metric.kind is MetricKind.INFO)
        assert bool(metric.bounds) == (metric.kind is MetricKind.HISTOGRAM)
        assert list(metric.bounds) == sorted(metric.bounds)
        assert metric.text.endswith(".")
        assert not {"|", "\\", "\n"} & {*metric.text, *metric.most}
        # A tenant's page tells of others by no label.
        assert not metric.for_tenants or not {"instance", "role", "incident"} & {*metric.labels}


def test_rules_use_only_metrics_that_exist() -> None:
    rules = (ROOT / "deploy" / "prometheus" / "rules" / "minka.yml").read_text()
    # Names of recording rules have colons.
    named = {re.sub(r"_(bucket|sum|count)$", "", name) for name in re.findall(r"(?<![\w:])minka_\w+", rules)}
    assert named <= METRIC.keys()


def test_openmetrics_tells_the_same() -> None:
    with closing(make_store()) as store:
        _loaded(store)
        first = store.processes.register("w")
        measured = Observations()
        measured.took("minka_rpc_duration_seconds", 0.3, "lock", "answered")
        measured.count("minka_session_openings_total", "opened")
        store.processes.heartbeat(first, observed=measured.encoded())
        text = exposition(store, CLOCK, ScrapeScope(openmetrics=True)).decode()
        assert text.endswith("# EOF\n")
        families = list(openmetrics(text))  # type: ignore[no-untyped-call]
        assert [family.name for family in families] == [metric.family for metric in METRICS]
        assert [family.type for family in families] == [metric.kind for metric in METRICS]
        mine = [sample for family in families for sample in family.samples]
        assert [(one.name, one.labels, one.value) for one in mine] == [
            (one.name, one.labels, one.value) for one in samples(store)
        ]


def test_the_network_files_are_told_and_what_agreements_give() -> None:
    with closing(make_store()) as store:
        net = _loaded(store)
        found = samples(store)
        stations = [one.labels for one in found if one.name == "minka_station_info"]
        assert {(one["station"], one["region"]) for one in stations} == {
            (station.id, net.region_of(station.id)) for station in net.stations
        }
        site = net.site_by_id[stations[0]["site"]]
        assert (float(stations[0]["latitude"]), float(stations[0]["longitude"])) == (site.latitude, site.longitude)
        assert sum(one.name == "minka_cell_info" for one in found) == len(net.cells)
        for agreement in net.agreements:
            labels = {"tenant": agreement.tenant, "agreement": agreement.id}
            cells = {(cell.station, cell.id) for cell in net.cells_of(agreement)}
            assert value(store, "minka_agreement_cells", **labels) == len(cells)
            shared = [one.labels for one in found if one.name == "minka_cell_shared"]
            assert {(one["station"], one["cell"]) for one in shared if one["agreement"] == agreement.id} == cells
            owed = agreement.sla.availability_percent / 100
            assert value(store, "minka_agreement_availability_target_ratio", **labels) == pytest.approx(owed)
            (share,) = agreement.shares
            given = value(store, "minka_agreement_share_ratio", **labels, resource=share.resource, limit="max")
            assert given == pytest.approx(share.max / 100)
        assert sum(one.name == "minka_tenant_info" for one in found) == len(net.tenants)


def test_a_region_or_a_part_is_scraped_alone() -> None:
    with closing(make_store()) as store:
        net = _loaded(store, "north", "south")
        for station in net.stations:
            store.devices.adopt(station.id, (), "d", "ana")
            store.healths.save([Health(station=station.id, at=AT, reachable=True)])
        of_region = {name: _stations(exposition(store, CLOCK, ScrapeScope(region=name))) for name in ("north", "south")}
        assert of_region == {"north": {"S1"}, "south": {"S2"}}
        with pytest.raises(NotFoundError, match="no region 'east'"):
            exposition(store, CLOCK, ScrapeScope(region="east"))
        with pytest.raises(NotFoundError, match="no tenant 'nobody'"):
            exposition(store, CLOCK, ScrapeScope(tenant="nobody"))
        parts = [exposition(store, CLOCK, ScrapeScope(frozenset({part}))) for part in Part]
        assert b"".join(parts) == exposition(store, CLOCK)


def test_a_tenant_is_told_of_its_links_and_of_cells_shared_with_it_alone() -> None:
    with closing(make_store()) as store:
        net = _loaded(store)
        (first, *_) = net.agreements
        cells = {(cell.station, cell.id) for cell in net.cells_of(first)}
        links = tuple(
            LinkHealth(path=f"/x[{name}]", tenant=name, kind="S1C", state=ServiceState.UP) for name in net.tenant_by_id
        )
        for station in net.stations:
            store.devices.adopt(station.id, (), "d", "ana")
            on_air = {cell.id: ServiceState.UP for cell in net.cells_by_station[station.id]}
            store.healths.save(
                [Health(station=station.id, at=AT, reachable=True, read=AT, cells=on_air, links=links, drift=7)]
            )
        page = exposition(store, CLOCK, ScrapeScope(tenant=first.tenant)).decode()
        found = [one for family in text_string_to_metric_families(page) for one in family.samples]
        assert {one.labels["tenant"] for one in found if "tenant" in one.labels} == {first.tenant}
        assert {(one.labels["station"], one.labels["cell"]) for one in found if "cell" in one.labels} == cells
        assert {one.labels["station"] for one in found if "station" in one.labels} == {name for name, _ in cells}
        assert {METRIC[one.name].for_tenants for one in found} == {True}
        assert {"minka_core_link_up", "minka_cell_on_air", "minka_agreement_outage_allowed_seconds"} <= {
            one.name for one in found
        }


@pytest.mark.parametrize(("day", "disclosed"), [(1, False), (2, True), (5, True), (6, False)])
def test_a_tenants_page_has_states_and_counts_for_the_days_of_its_agreement(day: int, disclosed: bool) -> None:
    made = plan_samples.network(("alfa", "beta"))
    content = [one.model_dump() for one in made.agreements]
    content[1]["validity"] = {"start": "2026-03-02", "end": "2026-03-05"}
    net = plan_samples.network(("alfa", "beta"), agreements=content)
    live = {"minka_station_reachable", "minka_cell_on_air", "minka_measured_end", "minka_cell_tenant_volume_bytes"}
    clock = VirtualClock(now := datetime(2026, 3, day, 12, tzinfo=UTC))
    with closing(open_store("sqlite://", clock)) as store:
        store.networks.save(net, network_digest(net), "ana")
        volume = {"DRB.PdcpSduVolumeDL": {Subject(): 8.0, Subject(net.tenants[1].plmns[0]): 8.0}}
        begin = now - timedelta(seconds=900)
        store.measurements.put([Measured(station="S1", begin=begin, seconds=900, covered=900, cells={"L1": volume})])
        store.devices.adopt("S1", (), "d", "ana")
        store.healths.save([Health(station="S1", at=now, reachable=True, read=now, cells={"L1": ServiceState.UP})])
        page = exposition(store, clock, ScrapeScope(tenant="beta")).decode()
        assert {name for name in live if re.search(rf"^{name}\w*{{", page, re.MULTILINE)} == (
            live if disclosed else set()
        )
        assert 'minka_station_info{station="S1"' in page, "network files are told of all the time"


def test_what_stations_counted_is_told_of_the_newest_whole_period() -> None:
    with closing(make_store()) as store:
        net = _loaded(store)
        plmn = {tenant.id: Subject(plmn=tenant.plmns[0]) for tenant in net.tenants}
        (cell, *_) = (one for one in net.cells if one.station == "S1")
        volume = {Subject(): 16.0, plmn["alfa"]: 8.0, plmn["beta"]: 4.0}
        prb = {Subject(): 60.0, plmn["alfa"]: 25.0}
        counted = {"DRB.PdcpSduVolumeDL": volume, "RRU.PrbTotDl": prb, "RRC.ConnMean": {Subject(): 12.5}}
        at = CLOCK.now().replace(minute=0, second=0, microsecond=0)
        for minutes, more in ((30, {}), (15, {"suspect": True})):
            begin = at - timedelta(minutes=minutes)
            period = Measured(
                station="S1",
                begin=begin,
                seconds=900,
                covered=900,
                cells={cell.id: counted},
                **more,
            )
            store.measurements.put([period])
        where = {"station": "S1", "cell": cell.id}
        ended = (at - timedelta(minutes=15)).timestamp()
        assert value(store, "minka_measured_end_timestamp_seconds", station="S1") == ended
        assert value(store, "minka_cell_users", **where) == 12.5
        assert value(store, "minka_cell_prb_used_ratio", **where, direction="down") == pytest.approx(0.6)
        alfas = where | {"tenant": "alfa", "direction": "down"}
        assert value(store, "minka_cell_tenant_prb_used_ratio", **alfas) == pytest.approx(0.25)
        assert value(store, "minka_cell_tenant_volume_bytes", **alfas) == pytest.approx(1e6)
        page = exposition(store, CLOCK, ScrapeScope(tenant="beta")).decode()
        assert 'minka_cell_tenant_volume_bytes{station="S1",' in page
        assert "alfa" not in page
        assert "minka_cell_prb_used_ratio" not in page


def test_indicators_are_told_as_they_were_judged_and_no_longer_than_three_hours() -> None:
    with closing(make_store()) as store:
        _loaded(store)
        bad, good = (
            IndicatorValues({"retainability": 0.75}, {"retainability": 1.5}),
            IndicatorValues({"retainability": 0.25}),
        )
        own, cells = {"alfa": bad, "beta": good}, {"L1": good}
        now = CLOCK.now()
        places: list[dict[str, Any]] = [
            {"level": Level.STATION, "of": "S1", "cells": cells},
            {"level": Level.STATION, "of": "S2", "end": now - timedelta(hours=3)},
            {"level": Level.STATION, "of": "not in the network"},
            {"level": Level.REGION, "of": "r"},
            {"level": Level.NETWORK, "of": "*", "verdicts": {"users": {"judged": 1, "too-few": 0, "unmeasured": 3}}},
        ]
        common = {"end": now, "whole": bad, "tenants": own}
        store.kpi_evaluations.put(KpiEvaluation(**common | one) for one in places)
        retained = {"kpi": "retainability"}
        for of in ({"station": "S1"}, {"region": "r"}, {}):
            (kind,) = of.keys() or ("network",)
            assert value(store, f"minka_{kind}_kpi", **of, **retained) == 0.75
            assert value(store, f"minka_{kind}_kpi_degradation_ratio", **of, **retained) == 1.5
        assert value(store, "minka_cell_kpi", station="S1", cell="L1", **retained) == 0.25
        for name, labels in (("station_tenant", {"station": "S1"}), ("region_tenant", {"region": "r"}), ("tenant", {})):
            assert value(store, f"minka_{name}_kpi", **labels, tenant="beta", **retained) == 0.25
        assert value(store, "minka_tenant_kpi_degradation_ratio", tenant="alfa", **retained) == 1.5
        assert value(store, "minka_kpi_stations", kpi="users", verdict="unmeasured") == 3
        assert value(store, "minka_kpi_end_timestamp_seconds") == now.timestamp()
        judged = [one.labels["station"] for one in samples(store) if one.name == "minka_station_kpi"]
        assert judged == ["S1"], "of the others it is too old, or there is no such station"
        # Of the network it is told how old it is, and nothing else.
        later = VirtualClock(now + timedelta(hours=4))
        page = exposition(store, later).decode()
        assert "kpi=" not in page
        assert f"minka_kpi_end_timestamp_seconds {now.timestamp()}" in page
        _told_to_alfa(store)


def test_each_rule_has_its_mode_and_one_that_was_changed_observes() -> None:
    with closing(make_store()) as store:
        for rule, scope, mode, digest in (
            ("lock", EVERYWHERE, RuleMode.ASK, "old"),
            ("lock", EVERYWHERE, RuleMode.AUTO, "now"),
            ("lock", "region:r", RuleMode.OBSERVE, "now"),
            ("changed", EVERYWHERE, RuleMode.AUTO, "old"),
            ("gone", EVERYWHERE, RuleMode.AUTO, "now"),
        ):
            store.rules.set_mode(rule, scope, mode, by="ana", reason="", digest=digest)
        begin = {"lock": RuleMode.OBSERVE, "changed": RuleMode.ASK, "new": RuleMode.ASK}
        page = exposition(store, CLOCK, rules={name: (mode, "now") for name, mode in begin.items()}).decode()
        assert set(re.findall(r'minka_rule_mode{mode="(.*)",rule="(.*)",scope="(.*)"} 1.0', page)) == {
            ("auto", "lock", ""),
            ("observe", "lock", "region:r"),
            ("observe", "changed", ""),
            ("ask", "new", ""),
        }


def _told_to_alfa(store: Store) -> None:
    page = exposition(store, CLOCK, ScrapeScope(tenant="alfa"), kpis=KPIS).decode()
    found = [one for family in text_string_to_metric_families(page) for one in family.samples if "kpi" in one.name]
    assert {one.name for one in found} == {
        "minka_kpi_info",
        "minka_station_kpi_end_timestamp_seconds",
        "minka_station_tenant_kpi",
        *(f"minka_{of}_kpi{end}" for of in ("tenant", "region_tenant") for end in ("", "_degradation_ratio")),
    }
    assert {one.labels["tenant"] for one in found if "tenant" in one.labels} == {"alfa"}
    told = {one.labels["kpi"] for one in found if one.name == "minka_kpi_info"}
    assert "retainability" in told
    assert not told & {"accessibility", "users"}
    everything = exposition(store, CLOCK, kpis=KPIS).decode()
    assert 'minka_kpi_info{kpi="accessibility",title="Accessibility",unit="%",better="higher"} 1.0' in everything


def _loaded(store: Store, *regions: str) -> Network:
    """A network on record; with two regions, one of its stations in each."""
    net = plan_samples.network()
    if regions:
        first, *_ = net.sites
        sites = tuple(first.model_copy(update={"id": name, "region": name}) for name in regions)
        stations = tuple(
            station.model_copy(update={"site": name}) for station, name in zip(net.stations, regions, strict=True)
        )
        (region, *_) = net.regions
        named = tuple(region.model_copy(update={"id": name}) for name in regions)
        net = net.model_copy(update={"regions": named, "sites": sites, "stations": stations})
    store.networks.save(net, network_digest(net), "ana")
    store.incidents.count_agreements()
    return net


def _stations(page: bytes) -> set[str]:
    return set(re.findall(r'station="([^"]+)"', page.decode()))


@pytest.mark.parametrize("odd", [2 * int(1.7e308), -(10**400)])
def test_an_odd_value_of_one_device_costs_no_other_sample(odd: int) -> None:
    network = plan_samples.virtual()
    function, pool = network.functions[0].id, network.pools[0].id
    with closing(make_store()) as store:
        store.networks.save(network, network_digest(network), "ana")
        store.devices.adopt(pool, (), "d", "ana")
        for restarts in ({function: odd}, {function: 3}):
            health = Health(station=pool, at=AT, reachable=True, read=AT, cluster=ClusterState(restarts=restarts))
            store.healths.save([health.model_copy(update={"drift": restarts[function]})])
            with capture_logs() as logged:
                named = {one.name for one in samples(store)}
            told = {"minka_function_restarts_total", "minka_station_drift_nodes"}
            assert named >= {"minka_station_reachable", "minka_pool_nodes", "minka_build_info"}
            assert named & told == (told if restarts[function] == 3 else set())
            left_out = [one["samples"] for one in logged if one["event"] == "metrics.left-out"]
            assert left_out == ([] if restarts[function] == 3 else [dict.fromkeys(told, 1)])


def test_a_sample_that_is_no_finite_number_is_left_out_and_logged() -> None:
    figures: Figures = {("alfa",): 1.0, ("beta",): float("inf"), ("gamma",): float("nan"), ("delta",): 10.0**300}
    with capture_logs() as logged:
        family = _family(METRIC["minka_tenant_incidents"], figures, {})
    assert [one.labels["tenant"] for one in family.samples] == ["alfa", "delta"]
    assert [one["samples"] for one in logged] == [{"minka_tenant_incidents": 2}]
