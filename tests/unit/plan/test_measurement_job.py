"""Minka's measurement job is a node like any other: planned, the host's, part of drift. Others' jobs are theirs."""

from __future__ import annotations

from dataclasses import replace

from lxml import etree

from controller.drivers.netconf.codec import decode, encode_edit
from controller.models.network import Network, PerformanceData
from controller.models.plan import Op
from controller.nrm import namespaces as ns
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Leaves, Observed
from controller.performance.vocabulary import COUNTERS
from controller.plan import adopted_nodes, applied, drift
from controller.plan.inputs import StationView
from tests.unit.plan.samples import PROFILES, apply, carrying, network, only_change, plan, rendered, view

PLAIN = network()
ROOT = root_spec(PROFILES)
JOB, THEIRS = "/ManagedElement[S1]/PerfMetricJob[minka]", "/ManagedElement[S1]/PerfMetricJob[vendor]"
FAMILIES = ("CARR", "DRB", "ERAB", "HO", "MM", "QF", "QosFlow", "RRC", "RRU", "S1SIG", "SM", "UECNTX")


def measuring(**fields: object) -> Network:
    performance = PerformanceData.model_validate(fields)
    return PLAIN.model_copy(update={"header": PLAIN.header.model_copy(update={"performance": performance})})


def seen(before: StationView, edit: dict[str, Leaves]) -> StationView:
    assert before.observed
    return replace(before, observed=replace(before.observed, tree={**before.observed.tree, **edit}))


def with_job() -> StationView:
    change = only_change(plan(measuring(), {"S1": view(PLAIN)}))
    return apply(measuring(), change, view(PLAIN))


def test_a_network_that_asks_for_data_gets_a_job_on_each_station() -> None:
    assert plan(PLAIN, {"S1": view(PLAIN)}).is_empty
    assert plan(measuring(jobs=False), {"S1": view(PLAIN)}).is_empty
    change = only_change(plan(measuring(metrics=["acme-Extra"], granularity_minutes=5), {"S1": view(PLAIN)}))
    ((edit,),) = (phase.edits for phase in change.phases)
    assert (edit.op, edit.path, edit.owners) == (Op.CREATE, JOB, ("host",))
    assert edit.after == {
        "performanceMetrics": (*FAMILIES, "acme-Extra"),
        "granularityPeriod": "300",
        "fileReportingPeriod": "5",
    }
    assert (change.touched, change.interrupted, change.outage.interrupts) == ((), (), False)
    config = etree.tostring(encode_edit(ROOT, [edit])).decode()
    assert 'PerfMetricJob nc:operation="create"><id>minka</id><attributes><performanceMetrics>CARR<' in config
    assert plan(measuring(), {"S1": with_job()}).is_empty


def test_families_of_the_profiles_are_those_of_the_vocabulary() -> None:
    mine = {"CARR", "DRB", "ERAB", "HO", "MM", "QF", "QosFlow", "RRC", "RRU", "S1SIG", "SM", "UECNTX"}
    assert {one.name.partition(".")[0] for one in COUNTERS} - mine <= {"PEE", "UEContext"}


def test_what_others_make_of_our_job_is_drift() -> None:
    there = with_job()
    ours = dict(there.ledger[JOB].leaves)
    for change in ({"administrativeState": "LOCKED"}, {"granularityPeriod": "3600"}):
        (row,) = drift(ROOT, applied(there.ledger), seen(there, {JOB: {**ours, **change}}))
        assert row.what.startswith("measurement job minka: ")
    assert there.observed
    gone = replace(there.observed, tree={path: one for path, one in there.observed.tree.items() if path != JOB})
    (row,) = drift(ROOT, applied(there.ledger), replace(there, observed=gone))
    assert (row.what, row.before) == ("measurement job minka", "–")


def test_jobs_of_others_are_neither_reported_nor_touched() -> None:
    theirs: dict[str, Leaves] = {THEIRS: {"granularityPeriod": "60", "performanceMetrics": ("RRC",)}}
    made = plan(PLAIN, {"S1": seen(view(PLAIN), theirs)})
    assert made.is_empty
    assert not [finding for finding in made.findings if finding.code == "unknown-node"]
    there = seen(with_job(), theirs)
    assert drift(ROOT, applied(there.ledger), there) == ()
    assert plan(measuring(), {"S1": there}).is_empty


def test_a_station_without_the_feature_lacks_nothing() -> None:
    before = view(PLAIN)
    assert before.observed
    without = replace(before.observed, lacks=frozenset({"PerfMetricJob"}))
    made = plan(measuring(), {"S1": replace(before, observed=without)})
    assert made.is_empty
    (finding,) = [one for one in made.findings if one.code == "not-offered"]
    assert (finding.station, finding.message) == ("S1", "S1 does not offer PerfMetricJob, which was left out")
    nodes = {node.path for node in adopted_nodes(ROOT, rendered(measuring()), without)}
    assert JOB not in nodes
    assert nodes == {node.path for node in adopted_nodes(ROOT, rendered(PLAIN), carrying(PLAIN))}


def test_a_job_reads_the_same_in_whatever_order_its_metrics_come() -> None:
    def read(*metrics: str) -> Observed:
        named = "".join(f"<performanceMetrics>{one}</performanceMetrics>" for one in metrics)
        text = (
            f'<ManagedElement xmlns="{ns.MANAGED_ELEMENT}"><id>S1</id><PerfMetricJob><id>minka</id><attributes>'
            f"<administrativeState>UNLOCKED</administrativeState><operationalState>ENABLED</operationalState>{named}"
            "<granularityPeriod>0900</granularityPeriod></attributes></PerfMetricJob></ManagedElement>"
        )
        return decode(ROOT, text.encode(), "S1")

    assert read("RRU", "DRB") == read("DRB", "RRU")
    assert read("DRB").tree[JOB] == {"performanceMetrics": ("DRB",), "granularityPeriod": "900"}
