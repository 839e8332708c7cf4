"""A network of tenants, two of them beside each other on one cell, with everything that can be on record of both.

``gamma`` has the primary PLMN everywhere; ``alfa`` is who looks; what ``beta`` has, does and suffers is drawn. Ids that
the record makes up at random are counted for each side by itself, so that one's are the same whatever the other does.
"""

from __future__ import annotations

import asyncio
import hashlib
import itertools
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache, partial
from pathlib import Path
from typing import Any
from unittest.mock import patch

from fastapi import FastAPI
from hypothesis import strategies as st

from controller.access.disclosure import tenant_kpis
from controller.api.services import Services
from controller.drivers.fake import FakeDevices
from controller.drivers.registry import target_of
from controller.intent.impact import object_class_of
from controller.models.alarm import CONFIGURATION_DRIFT, Alarm, AlarmReport, AlarmSource, AlarmState, PerceivedSeverity
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.measurement import HOUR, Measured, Subject, Values
from controller.models.network import Network, network_digest
from controller.models.people import Role
from controller.models.plan import LedgerNode, Plan
from controller.models.run import Outcome, Run, RunState, Strategy
from controller.models.settings import Settings
from controller.nrm.profiles import links, root_spec
from controller.nrm.profiles.function import deployment_path
from controller.observe.exposition import exposition
from controller.performance.kpi_evaluation import Hour, KpiEvaluation
from controller.plan import ledger_nodes
from controller.ports.clock import VirtualClock
from controller.ports.queue import FakeWakeups
from controller.runs.approval.consent import RunOccasion, plan_constraints
from controller.runs.launch import prepare_plan
from controller.runs.planning.importer import Importer
from controller.runs.planning.planner import Planner
from controller.store import JobResult, LoopStore, NewJob, Page, RunRequest, Store, Transition, open_store
from tests.support.apps import app_with
from tests.support.callers import admit
from tests.support.definitions import load_kpis, shipped_files
from tests.support.launch import prepared
from tests.unit.intent import clouds
from tests.unit.plan import samples

TOKENS = {"alfa": "token-of-alfa", "beta": "token-of-beta", "host": "token-of-host"}
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC2cbdLo6XoWJLlGNBaIB6yDmYGs8RZ9jRyWd2hWGYUF"
STATIONS = ("S1", "S2")
KPIS = load_kpis(Settings().kpis)
DEFINITIONS = shipped_files()
#: Incidents that are asked for by id: all of alfa's, and some of beta's.
_INCIDENTS = 8


@dataclass(frozen=True)
class Private:
    """What beta would not like alfa to know."""

    name: str = "Beta"
    octet: int = 2
    vlan: int = 102
    slices: tuple[str, ...] = ("000002",)
    plmns: tuple[str, ...] = ("716-02",)
    share: tuple[int, int, int] = (5, 20, 80)
    second_agreement: bool = False
    consent: str = "standing"
    availability: float = 99.0
    #: Ids of beta's contacts, each with a webhook and the name of the secret that signs its messages.
    contacts: tuple[str, ...] = ()
    drift: int = 0
    links_up: bool = True
    alarms: int = 0
    runs: int = 0
    outcome: Outcome = Outcome.SUCCEEDED
    holds: int = 0
    acts: int = 0
    #: Plans that are another one in beta's part only, and runs of beta's alone that wait for it.
    replans: int = 0
    waiting: int = 0
    #: Where beta's station stands in the run that waits: with alfa's, before it, begun, done, or behind it.
    order: str = "together"
    #: Functions of beta's own.
    functions: int = 0


privates = st.builds(
    Private,
    name=st.sampled_from(["Beta", "Betacom", "B"]),
    octet=st.integers(2, 200),
    vlan=st.integers(200, 4000),
    slices=st.lists(st.sampled_from(["0000B1", "0000B2", "0000B3"]), min_size=1, max_size=3, unique=True).map(tuple),
    plmns=st.sampled_from([("716-02",), ("716-02", "716-022"), ("716-17",)]),
    share=st.tuples(st.integers(0, 5), st.integers(6, 40), st.integers(41, 100)),
    second_agreement=st.booleans(),
    consent=st.sampled_from(["standing", "notice", "approval"]),
    availability=st.sampled_from([99.0, 99.9]),
    contacts=st.lists(st.sampled_from(["noc", "desk"]), unique=True).map(tuple),
    drift=st.integers(0, 3),
    links_up=st.booleans(),
    alarms=st.integers(0, 3),
    runs=st.integers(0, 2),
    outcome=st.sampled_from([Outcome.SUCCEEDED, Outcome.ROLLED_BACK, Outcome.DIVERGED, Outcome.DEFERRED]),
    holds=st.integers(0, 2),
    acts=st.integers(0, 2),
    replans=st.integers(0, 2),
    waiting=st.integers(0, 2),
    order=st.sampled_from(["together", "before", "begun", "done", "behind"]),
    functions=st.integers(0, 2),
)


@dataclass
class TenantsBench:
    """One record, and the door to it."""

    store: Store
    clock: VirtualClock
    app: FastAPI
    #: Ids that are on record, by the name of the path parameter that takes them.
    ids: dict[str, set[str]] = field(default_factory=lambda: defaultdict(set))


class _Hasty(VirtualClock):
    """Time passes for whoever sleeps, at once, and for nothing else."""

    async def sleep(self, seconds: float) -> None:
        """See ``Clock.sleep``."""
        self.pause(seconds)
        await asyncio.sleep(0)


class _Sides:
    """Random texts, counted for each side."""

    def __init__(self) -> None:
        self._side = "host"
        self._counts: dict[str, Iterator[int]] = defaultdict(itertools.count)

    @contextmanager
    def of(self, side: str) -> Iterator[None]:
        """Count for a side meanwhile."""
        before, self._side = self._side, side
        try:
            yield
        finally:
            self._side = before

    def token_hex(self, size: int | None = None) -> str:
        """In place of ``secrets.token_hex``."""
        text = f"{self._side} {next(self._counts[self._side])}"
        return hashlib.sha256(text.encode()).hexdigest()[: 2 * (size or 32)]


def network(own: Private, *, alfas_max: int, applied: bool) -> Network:
    """Alfa on one cell, the others everywhere; ``applied`` has what beta changes in the end."""
    base = samples.network()
    content = base.model_dump(mode="json")
    (alfa, beta) = (next(one for one in content["tenants"] if one["id"] == name) for name in ("alfa", "beta"))
    beta |= {"name": own.name, "plmns": own.plmns, "slices": [{"sst": 1, "sd": sd} for sd in own.slices]}
    hooks = {name: f"https://{name}.beta.example/hook" for name in own.contacts}
    beta["contacts"] = [
        {"id": name, "name": name, "webhook": url, "credential": f"beta-{name}"} for name, url in hooks.items()
    ]
    octet, vlan = (own.octet, own.vlan) if applied else (2, 102)
    for kind in ("mme", "amf", "upf"):
        beta["core"][f"{kind}_pool"] = [{"id": kind, "address": f"10.{octet}.0.9"}]
    beta["core"]["vlan"] = vlan
    dedicated, least, most = own.share if applied else (5, 20, 80)
    hers = _agreement("beta-all", "beta", {"everywhere": True}, {"dedicated": dedicated, "min": least, "max": most})
    hers["consents"] = {"configure": own.consent}
    hers["sla"] = {"availability_percent": own.availability}
    hers["prices"] = _prices(own.octet)
    his = _agreement("alfa-one", "alfa", {"cells": ["S1/L1"]}, {"min": 20, "max": alfas_max})
    his["prices"] = _prices(1)
    first = _agreement("gamma-all", "gamma", {"everywhere": True}, {"min": 5, "max": 60})
    content["agreements"] = [his, hers, first]
    content["cells"] = [
        cell | {"primary_plmn": "716-03", "tac": cell["tac"] + STATIONS.index(cell["station"])}
        for cell in content["cells"]
    ]
    if own.second_agreement:
        more = _agreement("beta-more", "beta", {"stations": ["S2"]}, {"min": 0, "max": 90})
        content["agreements"].append(more | {"validity": {"start": "2031-01-01"}})
    content["endpoints"] = [
        {"station": name, "address": f"192.0.2.{n}", "host_key": HOST_KEY} for n, name in enumerate(STATIONS, 1)
    ]
    assert alfa["plmns"] == ["716-01"]
    content |= _functions(own, content["stations"], hers, his)
    return Network.model_validate(content)


def _functions(
    own: Private, stations: list[dict[str, Any]], hers: dict[str, Any], his: dict[str, Any]
) -> dict[str, Any]:
    """Gateways of alfa and of beta, which both stations name, on a pool that both bought a part of."""
    names = ["GW-A", *(f"GW-B{n}" for n in range(own.functions))]
    for station in stations:
        station["functions"] = names
    for agreement, cores in ((his, 8), (hers, 2 + own.functions)):
        agreement["capacity"] = [{"pool": "edge", "cores": cores}]
    pool = {"id": "edge", "where": "edge", "region": "r", "address": "192.0.2.99", "authority": "ca"}
    sites = sorted({station["site"] for station in stations})
    return {
        "pools": [pool | {"credential": "token", "spare_nodes": 0}],
        "nodes": clouds.nodes("edge", 1),
        "latencies": [{"pool": "edge", "site": site, "microseconds": 50} for site in sites],
        "packages": [clouds.package("gateway")],
        "functions": [
            clouds.function(name, "gateway", owner="alfa" if name == "GW-A" else "beta", max_latency_us=100)
            for name in names
        ],
    }


def _agreement(name: str, tenant: str, scope: dict[str, Any], share: dict[str, int]) -> dict[str, Any]:
    return {"id": name, "tenant": tenant, "scope": scope, "shares": [share], "validity": {"start": "2024-01-01"}}


def _prices(amount: int) -> dict[str, Any]:
    lines = [{"id": "cells", "per": "cell-month", "amount": amount}, {"id": "volume", "per": "gigabyte", "amount": 999}]
    return {"currency": "PEN", "lines": lines}


@cache
def _drafting() -> ProcessPoolExecutor:
    """The process that works drafts out. It outlives its loop here, since to start one takes longer than all drafts."""
    return ProcessPoolExecutor(1, multiprocessing.get_context("spawn"))


async def _drafted(work: Callable[..., Any], *given: Any, limiter: object) -> Any:
    """In place of ``anyio.to_process.run_sync``."""
    return await asyncio.get_running_loop().run_in_executor(_drafting(), work, *given)


@contextmanager
def tenants_bench(database: Path, own: Private) -> Iterator[TenantsBench]:
    """A world in a fresh copy of an empty record."""
    sides = _Sides()
    with patch("secrets.token_hex", sides.token_hex), patch("anyio.to_process.run_sync", _drafted):
        clock = _Hasty()
        store = open_store(f"sqlite:///{database}", clock)
        devices, loop_store = FakeDevices(clock), LoopStore(store)
        planner = Planner(loop_store, devices, clock, target_of)
        app = app_with(
            Services(
                settings=Settings(home=database.parent),
                store=store,
                devices=devices,
                planner=planner,
                importer=Importer(loop_store, devices, clock),
                wakeups=FakeWakeups(),
                clock=clock,
                exposition=partial(exposition, store, clock, kpis=KPIS),
            )
        )
        made = TenantsBench(store, clock, app)
        try:
            _fill(made, sides, devices, own)
            yield made
        finally:
            store.close()


def _fill(made: TenantsBench, sides: _Sides, devices: FakeDevices, own: Private) -> None:
    store = made.store
    store.definitions.put(DEFINITIONS, by="ana", reason="the first")
    before, after = (network(own, alfas_max=most, applied=applied) for most, applied in ((80, False), (70, True)))
    for side, name, role in (
        ("alfa", "rosa", Role.TENANT_APPROVER),
        ("beta", "tom", Role.TENANT_APPROVER),
        ("host", "ana", Role.ADMINISTRATOR),
    ):
        with sides.of(side):
            admit(store, TOKENS[side], name, role, side if role.of_tenant else "")
    store.networks.save(before, network_digest(before), "ana")
    for station in STATIONS:
        root = root_spec(samples.PROFILES)
        observed = samples.carrying(before, station)
        nodes = list(ledger_nodes(root, samples.rendered(before, station)))
        store.devices.adopt(station, nodes, network_digest(before), "ana")
        devices.add(station, samples.PROFILES, observed.tree)
        store.healths.save([_health(before, station, own, made.clock)])
    for name in after.function_by_id:
        node = LedgerNode(path=deployment_path(name, "edge"), owners=("alfa" if name == "GW-A" else "beta",))
        store.devices.adopt(name, [node], network_digest(before), "ana")
    store.networks.save(after, network_digest(after), "ana")
    store.measurements.put(_measured(station, own, made.clock) for station in STATIONS)
    store.kpi_evaluations.put(_judged(own, after, made.clock))
    _betas(made, sides, own, before)
    views = {station: samples.view(before, station) for station in STATIONS}
    shared = samples.plan(after, views)
    assert not shared.unplanned, shared.unplanned
    assert [change.station for change in shared.changes if "alfa" in change.touched] == ["S1"]
    # Alfa's is the first id that is made up each time.
    with sides.of("plan"):
        store.plans.save(shared, "ana")
    _replans(made, sides, own)
    with sides.of("run"):
        run = _run(made, shared, {"S1": Outcome.SUCCEEDED, "S2": own.outcome})
    made.ids["run_id"].add(run.id)
    made.ids["plan_id"] |= {shared.id, *store.tenants.handles("alfa", [shared.id]).values()}
    with sides.of("alfa"):
        _alarms_of_alfa(made, before)
        store.audit.append("rosa", "approval.given", run.id, {"reason": "fine", "plan": shared.digest})
    _betas(made, sides, own, before)
    with sides.of("waiting"):
        # The same again, which waits for alfa to agree that it gets less, and for beta as it may be.
        made.ids["run_id"].add(_waiting(made, shared, own).id)


def _replans(made: TenantsBench, sides: _Sides, own: Private) -> None:
    """The same to alfa again, while beta gets another share each time."""
    store = made.store
    _, current = store.networks.get()
    views = {station: samples.view(network(own, alfas_max=80, applied=False), station) for station in STATIONS}
    for number in range(own.replans):
        agreements = [
            one.model_copy(update={"shares": (one.shares[0].model_copy(update={"max": 50 + number}),)})
            if one.id == "beta-all"
            else one
            for one in current.agreements
        ]
        moved = current.model_copy(update={"agreements": tuple(agreements)})
        with sides.of("beta"):
            store.networks.save(moved, network_digest(moved), "ana")
            plan = samples.plan(moved, views)
            store.plans.save(plan, "ana")
            made.ids["plan_id"] |= {plan.id, *store.tenants.handles("beta", [plan.id]).values()}
    store.networks.save(current, network_digest(current), "ana")


def _waiting(made: TenantsBench, plan: Plan, own: Private) -> Run:
    """A run that waits for alfa, while beta's station is where it may be."""
    store = made.store
    waves = {"together": (0, 0), "behind": (0, 1)}.get(own.order, (1, 0))
    there = [change.station for change in plan.changes]
    placed = dict(zip(STATIONS, waves, strict=True)) if len(there) > 1 else {}
    jobs = [NewJob(placed.get(station, 0), station) for station in there]
    _, found = store.networks.get(plan.network_digest)
    constraints = plan_constraints(found, plan, RunOccasion(plan.digest, plan.created))
    run = store.runs.create(
        prepared(plan, "apply", Strategy(), jobs, actor="ana", reason="for beta", constraints=constraints)
    )
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.RUNNING, wave=0))
    if placed and own.order in ("begun", "done"):
        (claim,) = store.claims.take(store.processes.register("w"), 10)
        if own.order == "done":
            store.claims.finish(claim, JobResult(own.outcome, "beta's link came up"))
    store.notices.write()
    return run


def _betas(made: TenantsBench, sides: _Sides, own: Private, net: Network) -> None:
    """What beta and the host do and suffer, before and after what concerns alfa."""
    store, clock = made.store, made.clock
    with sides.of("beta"):
        for number in range(own.runs):
            wanted = network(own, alfas_max=80, applied=True)
            moved = wanted.model_copy(update={"header": net.header.model_copy(update={"name": f"{number}"})})
            plan = samples.plan(moved, {"S2": samples.view(net, "S2")})
            if plan.changes:
                store.plans.save(plan, "ana")
                run = _run(made, plan, {"S2": own.outcome})
                made.ids["run_id"].add(run.id)
                made.ids["plan_id"] |= {plan.id, *store.tenants.handles("beta", [plan.id]).values()}
                for _ in range(own.waiting):
                    # As a rule would restore it, by the ledger: a door refuses it, since network files came since.
                    again = RunRequest(plan=plan, actor="rule", strategy=Strategy(), cause="alarm:a")
                    asked = RunOccasion(plan.digest, plan.created, automatic=True, restores=True)
                    constraints = plan_constraints(moved, plan, asked)
                    restored = prepare_plan(store, again, plan.created)
                    restored = replace(restored, constraints=constraints, from_files=False)
                    made.ids["run_id"].add(store.runs.create(restored).id)
        path = next(link.path for link in links(samples.rendered(net, "S1").tree) if own.plmns[0] in link.plmns)
        for number in range(own.alarms):
            for station, managed_object, tenant, cause in (
                ("S1", path, "beta", f"core-link-down-{number}"),
                ("S1", path, "", f"odd-{number}"),
                ("S1", f"{path}/x[1]", "", f"odd-{number}"),
                ("S1", "EP_S1C=beta-elsewhere", "", f"odd-{number}"),
                ("S1", "S1/N1", "", f"cell-off-air-{number}"),
                ("S1", "station", "beta", f"odd-{number}"),
                ("S2", "station", "", "station-unreachable"),
                ("S2", "ru-1", "", f"o-ran-fault-{number}"),
            ):
                report = _report(clock, station, managed_object, tenant, cause)
                _known(made, store.alarms.report(report))
            drift = _report(clock, "S1", "station", "", CONFIGURATION_DRIFT)
            named = drift.model_copy(update={"specific_problem": f"beta's {number}"})
            _known(made, store.alarms.report(named))
            unit = _report(clock, "S1", f"ru-of-beta-{number}", "", "o-ran-fault-30")
            _known(made, store.alarms.report(unit.model_copy(update={"cells": ("S1/N1",)})))
        for number in range(own.holds):
            store.holds.add("S1", "ana", f"beta works there {number}", None)
        for number in range(own.acts):
            store.audit.append("tom", "approval.given", f"r-{number}", {})
            store.audit.append("ana", "playbook.rehearsed", "onboard-beta", {"number": str(number)})


def _health(net: Network, station: str, own: Private, clock: VirtualClock) -> Health:
    owners = samples.rendered(net, station).owners
    found = links(samples.rendered(net, station).tree)
    return Health(
        station=station,
        at=clock.now(),
        reachable=True,
        cells={"L1": ServiceState.UP, "N1": _served(own.links_up)},
        locked=() if own.links_up else ("N1",),
        links=tuple(
            LinkHealth(
                path=link.path,
                tenant=owners[link.path][0],
                kind=link.kind,
                state=_served(own.links_up or owners[link.path] == ("alfa",)),
            )
            for link in found
        ),
        drift=own.drift,
    )


def _measured(station: str, own: Private, clock: VirtualClock) -> Measured:
    """A quarter of an hour: alfa carried 7 Mbit on S1/L1, beta whatever it did, and cells were off air for a while."""
    alfas = {"DRB.PdcpSduVolumeDL": 7.0, "ERAB.EstabInitAttNbr": 200.0, "ERAB.EstabInitSuccNbr": 190.0}
    alfas |= {"ERAB.RelActNbr": 3.0, "ERAB.SessionTimeQCI": 40_000.0}
    counted: dict[str, dict[str, Values]] = {}
    for cell in ("L1", "N1"):
        counted[cell] = {"RRU.CellUnavailableTime.fault": {Subject(): 90.0}}
        for number, (name, value) in enumerate(alfas.items()):
            betas = own.octet * (number + 1.0)
            values: Values = {Subject(plmn): betas for plmn in own.plmns} | {Subject(): value + len(own.plmns) * betas}
            values |= {Subject(slice=f"1-{sd}"): betas for sd in own.slices}
            if (station, cell) == ("S1", "L1"):
                values[Subject("716-01", 9)] = value
            counted[cell][name] = values
    now = clock.now().timestamp()
    begin = datetime.fromtimestamp(now - now % 900 - 900, UTC)
    return Measured(station=station, begin=begin, seconds=900, covered=900, cells=counted)


def _judged(own: Private, net: Network, clock: VirtualClock) -> list[KpiEvaluation]:
    """The last hour as indicators judge it: four times what ``_measured`` has."""
    quarters = [_measured(station, own, clock) for station in STATIONS]
    end = quarters[0].begin + timedelta(minutes=15)
    hour, begin = Hour(KPIS, [kpi.name for kpi in tenant_kpis(KPIS)], net, end), end - timedelta(hours=1)
    whole = [one.model_copy(update={"begin": begin, "seconds": HOUR, "covered": HOUR}) for one in quarters]
    return [*(hour.take(one.station, [one])[0] for one in whole), *hour.areas()]


def _served(up: bool) -> ServiceState:
    return ServiceState.UP if up else ServiceState.DOWN


def _alarms_of_alfa(made: TenantsBench, net: Network) -> None:
    (own,) = (link for link in links(samples.rendered(net, "S1").tree) if "716-01" in link.plmns)
    for station, managed_object, tenant, cause in (
        ("S1", own.path, "alfa", "core-link-down"),
        ("S1", "S1/L1", "", "cell-off-air"),
        ("S1", "ru-beside-beta", "", "o-ran-fault-9"),
        ("S1", "station", "", "station-unreachable"),
    ):
        alarm = made.store.alarms.report(_report(made.clock, station, managed_object, tenant, cause))
        _known(made, alarm)
    made.store.alarms.move(alarm, AlarmState.REPAIRING, actor="rule", note="beta's turn")


def _known(made: TenantsBench, alarm: Alarm) -> None:
    made.ids["alarm_id"].add(alarm.id)
    if len(made.ids["incident_id"]) < _INCIDENTS:
        made.ids["incident_id"].add(alarm.incident)


def _report(clock: VirtualClock, station: str, managed_object: str, tenant: str, cause: str) -> AlarmReport:
    return AlarmReport(
        station=station,
        object=managed_object,
        object_class=object_class_of(None, station, managed_object),
        tenant=tenant,
        probable_cause=cause,
        severity=PerceivedSeverity.MAJOR,
        text="words of beta" if not tenant else f"words of {tenant}",
        source=AlarmSource.ALERTMANAGER,
        at=clock.now(),
    )


def _run(made: TenantsBench, plan: Plan, outcomes: dict[str, Outcome]) -> Run:
    """A run whose stations end, one wave after the other."""
    store = made.store
    jobs = [NewJob(wave, change.station) for wave, change in enumerate(reversed(plan.changes))]
    run = store.runs.create(prepared(plan, "apply", Strategy(), jobs, actor="ana", reason="for beta"))
    worker = store.processes.register("w")
    for wave in range(len(jobs)):
        opened = Transition(RunState.RUNNING, wave=wave)
        store.runs.advance(run.id, lambda _run, _jobs, opened=opened: opened)  # type: ignore[misc]
        for claim in store.claims.take(worker, 10):
            store.claims.finish(claim, JobResult(outcomes[claim.job.station], "beta's link came up"))
    store.runs.advance(run.id, lambda _run, _jobs: Transition(RunState.PARTIAL))
    assert store.runs.page(Page())[0]
    return run
