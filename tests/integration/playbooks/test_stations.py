"""Stations that come and go, and a tenant that leaves its own for shared ones."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest
from lxml import etree
from ncclient import manager

from controller.models.errors import PlanRefusedError
from controller.models.network import Agreement, Cell, Network, Station
from controller.models.run import Outcome, Run, RunState
from controller.runs.planning.undo import undo_plan
from simulators.history import EventKind
from simulators.netconf.faults import Fault, FaultKind
from tests.integration.alarms.system import PLAYBOOKS, until
from tests.integration.playbooks.system import PlaybookSystem, open_system
from tests.integration.playbooks.test_changing import with_tenants
from tests.integration.playbooks.test_undo import AGREED, all_running, apply
from tests.integration.playbooks.test_waiting import MEASURE
from tests.support.callers import ADMINISTRATOR, agree_by_contract

NR, SHARED, OWN = "T-NR-1", "T-LTE-1", "T-LTE-2"


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("simulators.equipment.equipment.RESET_DELAY", 0.2)
    monkeypatch.setattr("simulators.equipment.equipment.STAY", 0.1)
    for name in ("DOWNLOAD", "INSTALL", "ACTIVATE"):
        monkeypatch.setattr(f"simulators.equipment.software.{name}_SECONDS", 0.4)


# ------------------------------------------------------- provision and decommission

SOFTWARE = {"url": "sftp://10.0.0.1/images/station-24.3.0.zip", "version": "24.3.0"}


async def test_a_station_goes_out_of_service_and_comes_back(system: PlaybookSystem) -> None:
    system.load_files(with_tenants({}))
    before, changes = all_running(system), system.changes()
    seen = await system.dry_run("decommission-station", station=NR)
    says = seen.stations[0].steps[0].says
    assert seen.stations[0].steps[0].fails, "whom it would ask is not known yet"
    assert system.changes() == changes
    with_wrong_number = await system.run("decommission-station", station=NR, nodes=3)
    assert system.job(with_wrong_number, NR).detail.endswith(says.rpartition(": ")[2])
    assert system.changes() == changes
    count = int(says.rpartition("nodes=")[2])

    seen = await system.dry_run("decommission-station", station=NR, nodes=count)
    assert not [step for step in seen.stations[0].steps if step.fails or "would fail" in step.says]
    assert system.changes() == changes
    run = await system.succeeds("decommission-station", station=NR, nodes=count)
    assert "Function" not in system.running(NR)
    assert {name for name, text in all_running(system).items() if text != before[name]} == {NR}
    assert system.store.ledger.find([NR]) == {}
    record = system.store.devices.find([NR])[NR]
    assert record.adopted is None
    assert record.retired is not None
    seen = await system.dry_run("audit-drift", where=NR)
    assert "is not adopted" in seen.stations[0].steps[0].says
    with pytest.raises(PlanRefusedError, match=f"{NR}: not adopted"):
        await undo_plan(system.planner, run.id, {}, "ana")
    left = await system.dry_run("onboard-tenant", tenant="condor", where=NR)
    assert left.left_out[NR].startswith("out of service since ")

    changes = system.changes()
    seen = await system.dry_run("provision-station", station=NR)
    assert (seen.refused, system.changes()) == ((), changes)
    assert any(row.what.startswith("cell") for step in seen.stations[0].steps for row in step.diff)
    await system.succeeds("provision-station", station=NR, **SOFTWARE)
    assert all_running(system) == before
    assert system.fleet.stations[NR].equipment.software.version == SOFTWARE["version"]
    assert system.store.devices.find([NR])[NR].retired is None
    health = await system.checker().health(NR)
    assert all(health.cells.values())
    assert health.drift == 0


def _added_by_somebody_else(system: PlaybookSystem, link: str) -> None:
    """A plain client adds an N2 link to the CU-CP of a station, like one that is there."""
    end = system.fleet.endpoint(NR)
    where = {"host": end.address, "port": end.port, "username": "minka", "password": "minka-sim"}
    options = {"hostkey_verify": False, "look_for_keys": False, "allow_agent": False, "timeout": 20}
    with manager.connect(**where, **options) as session:
        running = session.get_config("running").data_ele
        function = next(running.iter("{*}GNBCUCPFunction"))
        first, *others = function.findall("{*}EP_NgC")
        first.find("{*}id").text = link
        for one in [*others, *(part for part in function if part not in (first, *others) and not _is_key(part))]:
            function.remove(one)
        element = function.getparent()
        assert element is not None
        for one in [part for part in element if part is not function and not _is_key(part)]:
            element.remove(one)
        given = etree.Element("{urn:ietf:params:xml:ns:netconf:base:1.0}config")
        given.append(element)
        session.edit_config(etree.tostring(given).decode(), target="candidate")
        session.commit()


def _is_key(part: etree._Element) -> bool:
    return etree.QName(part).localname == "id"


async def test_what_others_have_on_a_station_keeps_it_not_in_service(system: PlaybookSystem) -> None:
    system.load_files(with_tenants({}))
    await asyncio.to_thread(_added_by_somebody_else, system, "rigger")
    ours = len(system.store.ledger.find([NR])[NR])
    seen = await system.dry_run("decommission-station", station=NR)
    says = seen.stations[0].steps[0].says
    count = int(says.rpartition("nodes=")[2])
    assert count < ours
    assert "because of nodes that are not ours stays" in says
    await system.succeeds("decommission-station", station=NR, nodes=count)
    assert "rigger" in system.running(NR)
    assert "NRCellDU" not in system.running(NR)
    assert system.store.ledger.find([NR]) == {}
    assert system.store.devices.find([NR])[NR].retired is not None


async def test_users_that_stay_keep_a_station_in_service(
    system: PlaybookSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.equipment.equipment.STAY", 1000.0)
    system.load_files(with_tenants({}))
    before = all_running(system)
    count = len(system.store.ledger.find([NR])[NR])
    run = await system.run("decommission-station", station=NR, nodes=count, seconds=1)
    assert system.job(run, NR).outcome is Outcome.ROLLED_BACK
    assert all_running(system) == before
    assert system.store.devices.find([NR])[NR].retired is None


async def test_a_station_that_does_not_come_on_air_is_bare_again(system: PlaybookSystem) -> None:
    system.load_files(with_tenants({}))
    count = len(system.store.ledger.find([NR])[NR])
    await system.succeeds("decommission-station", station=NR, nodes=count)
    bare = all_running(system)
    core = {"vlan": 102, "mme_pool": [{"id": "condor-mme-1", "address": "10.42.0.1"}]}
    core |= {"amf_pool": [{"id": "condor-amf-9", "address": "10.42.1.9"}], "upf_pool": []}
    core["upf_pool"] = [{"id": "condor-upf-1", "address": "10.42.2.1"}]
    system.load_files(with_tenants({"condor": {"core": core}}))  # an AMF that does not answer
    run = await system.run("provision-station", impatient(system, "provision-station"), station=NR)
    assert system.job(run, NR).outcome is Outcome.ROLLED_BACK
    assert "EP_NgC[condor-condor-amf-9]" in system.job(run, NR).detail
    assert all_running(system) == bare


def impatient(system: PlaybookSystem, name: str) -> Any:
    """A launcher of a shipped playbook that waits for two seconds only."""
    folder = system.folder / "impatient"
    folder.mkdir()
    text = (PLAYBOOKS / f"{name}.yaml").read_text(encoding="utf-8")
    text = text.replace("check_timeout: 120", "check_timeout: 2").replace("retries: 3", "retries: 0")
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return system.playbooks(folder)


# ------------------------------------------------------------------------ migrate-tenant


def condor_with(stations: Sequence[str]) -> Callable[[Network], Network]:
    """Condor with a station of its own, and an agreement for it and for these shared ones."""

    def change(network: Network) -> Network:
        network = with_tenants({})(network)
        scope = {"stations": [OWN, *stations]}
        return network.model_copy(
            update={
                "stations": tuple(_with(one, {"owner": "condor"} if one.id == OWN else {}) for one in network.stations),
                "cells": tuple(
                    _with(one, {"primary_plmn": "999-02", "tac": 109} if one.station == OWN else {})
                    for one in network.cells
                ),
                "agreements": tuple(
                    _with(one, {"scope": scope, "consents": AGREED} if one.id == "condor-all" else {})
                    for one in network.agreements
                ),
            }
        )

    return change


def _with(noun: Any, changes: dict[str, Any]) -> Any:
    assert isinstance(noun, Station | Cell | Agreement)
    return type(noun).model_validate({**noun.model_dump(mode="json"), **changes})


@pytest.fixture
async def leaving(tmp_path: Path) -> AsyncIterator[PlaybookSystem]:
    """Condor serves its customers from a station of its own; the files want it on the shared ones, too."""
    async with open_system(tmp_path, files=condor_with([])) as system:
        system.load_files(condor_with([SHARED, NR]))
        yield system


def administrative_states(system: PlaybookSystem, station: str) -> list[str]:
    parts = system.running(station).split("<EUtranCellFDD>")[1:]
    return [part.split("<administrativeState>")[1].split("<")[0] for part in parts]


async def test_customers_move_region_by_region_and_back(leaving: PlaybookSystem) -> None:
    system, before = leaving, all_running(leaving)
    assert "<mnc>01</mnc>" not in system.running(OWN)
    changes = system.changes()
    seen = await system.dry_run("migrate-tenant", tenant="condor", expect=3)
    assert system.changes() == changes
    assert {one.station: one.wave for one in seen.stations} == {SHARED: 0, OWN: 1, NR: 2}
    assert seen.reach.tenants == ("condor",)
    others = await system.of_others("condor")
    run = await system.succeeds("migrate-tenant", tenant="condor", soak=0, expect=3)
    now = await system.of_others("condor")
    assert [station for station in now if now[station] != others[station]] == [OWN]  # its cell is the host's to lock
    assert administrative_states(system, OWN) == ["LOCKED"]
    assert "<mnc>02</mnc>" in system.running(SHARED)
    assert system.running("T-BOTH-1") == before["T-BOTH-1"]
    # The way back: own station first.
    counts = {"condor": sum(change.removes.get("condor", 0) for change in await removed(system, run.id))}
    back = await apply(system, await undo_plan(system.planner, run.id, counts, "ana"))
    assert [job.station for job in system.store.runs.jobs(back.id)] == [NR, OWN, SHARED]
    assert all_running(system) == before


async def removed(system: PlaybookSystem, run: str) -> list[Any]:
    """Changes of the plan that undoes a run, whatever it removes."""
    with pytest.raises(PlanRefusedError, match="name condor=") as refused:
        await undo_plan(system.planner, run, {}, "ana")
    count = int(str(refused.value).rpartition("condor=")[2])
    return list((await undo_plan(system.planner, run, {"condor": count}, "ana")).changes)


async def test_nothing_is_shut_down_where_nobody_takes_over(leaving: PlaybookSystem) -> None:
    system, before = leaving, all_running(leaving)
    faults = system.fleet.stations[SHARED].faults
    faults.inject(Fault(FaultKind.FAIL, "commit"))
    run = await system.run("migrate-tenant", tenant="condor", soak=0, expect=3)
    assert run.state is RunState.STOPPED
    outcomes = {job.station: job.outcome for job in system.store.runs.jobs(run.id)}
    assert outcomes == {SHARED: Outcome.FAILED_SAFE, OWN: Outcome.CANCELLED, NR: Outcome.CANCELLED}
    # A shared station that is away is no failure, and yet nobody's customers are sent to it.
    faults.inject(Fault(FaultKind.REFUSE_SESSIONS, count=None))
    for session in list(system.fleet.stations[SHARED].server.sessions.values()):
        session.drop()
    run = await system.run("migrate-tenant", tenant="condor", where="region=cusco", soak=0)
    assert f"condor is not served yet by {SHARED}" in system.job(run, OWN).detail
    assert all_running(system) == before


async def test_users_that_stay_keep_the_own_station_on_air(
    leaving: PlaybookSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.equipment.equipment.STAY", 1000.0)
    system = leaving
    run = await system.run("migrate-tenant", tenant="condor", where="region=cusco", seconds=1, soak=0)
    outcomes = {job.station: job.outcome for job in system.store.runs.jobs(run.id)}
    assert outcomes == {SHARED: Outcome.SUCCEEDED, OWN: Outcome.ROLLED_BACK}
    assert administrative_states(system, OWN) == ["UNLOCKED"]


def with_short_periods(system: PlaybookSystem, name: str = "migrate-tenant", gates: int = 2) -> Any:
    """A launcher of a playbook that judges the few attempts of some seconds, and retries nothing."""
    folder = system.folder / "short"
    folder.mkdir()
    text = (PLAYBOOKS / f"{name}.yaml").read_text(encoding="utf-8").replace("retries: 3", "retries: 0")
    text = text.replace(", settle: 900", "")
    few = 'worst_drop: "{{ worst_drop }}", kpis: [s1-setup-success], min_samples: 0, settle: 1'
    assert text.count('worst_drop: "{{ worst_drop }}"') == gates
    text = text.replace('worst_drop: "{{ worst_drop }}"', few)
    (folder / f"{name}.yaml").write_text(text, encoding="utf-8")
    return system.playbooks(folder)


async def measured(system: PlaybookSystem, station: str) -> None:
    """A measurement job of one-second periods on a station, with a full period behind it."""
    system.fleet.stations[station].datastores.foreign_edit(etree.fromstring(MEASURE.format(station)))
    _, network = system.store.networks.get()

    async def has_attempts() -> bool:
        periods = await system.planner.measurements(network, station)
        attempts = (name for one in periods if not one.suspect for values in one.values.values() for name in values)
        return any(name.startswith("S1SIG.ConnEstabAtt") for name in attempts)

    await until(f"{station} has measured", has_attempts)


async def test_kpis_gate_each_wave_of_a_move(leaving: PlaybookSystem) -> None:
    system, launcher = leaving, with_short_periods(leaving)
    await measured(system, SHARED)
    before = all_running(system)
    given = {"tenant": "condor", "soak": 3}
    seen = await system.dry_run("migrate-tenant", launcher, **given)
    says = {one.station: [step.says for step in one.steps] for one in seen.stations}
    assert says[SHARED][-2] == says[OWN][-1] == "after a soak of 3 s, or the wave is undone"
    assert says[NR][0] == "the station has no measurement job: no indicator will be judged"
    assert says[OWN][-2] == "skipped: {{ kpis is defined and brought.changed }}"

    run = await gets_worse(system, launcher, SHARED, given, expect=3)
    assert run.state is RunState.STOPPED
    outcomes = {job.station: job.outcome for job in system.store.runs.jobs(run.id)}
    assert outcomes == {SHARED: Outcome.ROLLED_BACK, OWN: Outcome.CANCELLED, NR: Outcome.CANCELLED}
    assert "check 'KPIs no worse' after the soak: s1-setup-success: " in system.job(run, SHARED).detail
    assert all_running(system) == before


async def gets_worse(
    system: PlaybookSystem,
    launcher: Any,
    soaking: str,
    given: dict[str, Any],
    name: str = "migrate-tenant",
    expect: int | None = None,
) -> Run:
    """Change something for condor; while a station soaks, the shared one gets worse for another tenant."""
    run = await launcher.start(name, given, asker=ADMINISTRATOR, expect=expect)
    agree_by_contract(system.store, system.clock, run)

    async def soaks() -> bool:
        return system.job(run, soaking).detail == "soaks"

    async def ended() -> bool:
        return system.store.runs.get(run.id).state.terminal

    await until(f"{soaking} soaks", soaks)
    system.fleet.stations[SHARED].equipment.break_link("andes")
    await until("the run ends", ended)
    return system.store.runs.get(run.id)


async def test_kpis_of_the_shared_stations_gate_the_shutdown_too(leaving: PlaybookSystem) -> None:
    system, launcher = leaving, with_short_periods(leaving)
    await measured(system, SHARED)
    given = {"tenant": "condor", "soak": 3, "where": "region=cusco", "measured": "true"}
    run = await gets_worse(system, launcher, OWN, given)
    outcomes = {job.station: job.outcome for job in system.store.runs.jobs(run.id)}
    assert outcomes == {SHARED: Outcome.SUCCEEDED, OWN: Outcome.ROLLED_BACK}
    said = f"check 'KPIs of the shared stations no worse' after the soak: {SHARED}: s1-setup-success: "
    assert said in system.job(run, OWN).detail
    assert administrative_states(system, OWN) == ["UNLOCKED"]
    assert "<mnc>02</mnc>" in system.running(SHARED)


async def test_kpis_gate_a_changed_share_where_a_soak_is_asked_for(tmp_path: Path) -> None:
    async with open_system(tmp_path) as system:
        await measured(system, SHARED)
        before = all_running(system)
        system.load(condor_all={"shares": [{"resource": "PRB", "min": 25, "max": 55}], "consents": AGREED})
        launcher = with_short_periods(system, "change-share", gates=1)
        given = {"tenant": "condor", "where": SHARED, "soak": 3, "measured": "true"}
        run = await gets_worse(system, launcher, SHARED, given, "change-share")
        assert {job.outcome for job in system.store.runs.jobs(run.id)} == {Outcome.ROLLED_BACK}
        assert "check 'KPIs no worse' after the soak: s1-setup-success: " in system.job(run, SHARED).detail
        assert all_running(system) == before


async def test_software_with_which_kpis_are_worse_is_taken_back(tmp_path: Path) -> None:
    async with open_system(tmp_path) as system:
        await measured(system, SHARED)
        launcher = with_short_periods(system, "upgrade-software", gates=1)
        given = {"where": SHARED, "soak": 4, "measured": "true", **SOFTWARE}
        run = await gets_worse(system, launcher, SHARED, given, "upgrade-software")
        job, station = system.job(run, SHARED), system.fleet.stations[SHARED]
        assert job.outcome is Outcome.ROLLED_BACK, job
        assert "check 'KPIs no worse' after the soak: s1-setup-success: " in job.detail
        assert station.equipment.software.version == "24.2.1"
        assert station.history.counts[EventKind.RESTARTED] == 2, "there and back"


async def test_what_could_not_be_judged_is_reported_or_refused(leaving: PlaybookSystem) -> None:
    system, launcher = leaving, with_short_periods(leaving)
    await measured(system, SHARED)
    run = await system.run("migrate-tenant", launcher, tenant="condor", soak=3, measured="true", expect=3)
    outcomes = {job.station: job.outcome for job in system.store.runs.jobs(run.id)}
    assert outcomes == {SHARED: Outcome.SUCCEEDED, OWN: Outcome.SUCCEEDED, NR: Outcome.FAILED_SAFE}
    assert "step 'KPIs before': check failed" in system.job(run, NR).detail
    assert system.job(run, SHARED).detail == ""
    assert "soak" not in {step.name for step in system.steps(run, NR)}
    # Where nothing changes, nobody waits.
    unchanged = await system.succeeds("migrate-tenant", tenant="condor", soak=3600, where="region=cusco")
    assert {job.outcome for job in system.store.runs.jobs(unchanged.id)} == {Outcome.UNCHANGED}
    run = await system.succeeds("migrate-tenant", launcher, tenant="condor", soak=1, where="region=puno")
    assert system.job(run, NR).detail == "KPIs before: the station has no measurement job: no indicator will be judged"
