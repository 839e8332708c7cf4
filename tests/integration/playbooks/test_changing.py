"""Slices, cores and recorded states: playbooks that change a part of what stations carry, and their way back."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from controller.models.alarm import (
    CONFIGURATION_DRIFT,
    DIVERGED,
    AlarmReport,
    AlarmSource,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.errors import InputError, NotFoundError, PlanRefusedError
from controller.models.network import Agreement, Network, Tenant
from controller.models.plan import Plan
from controller.models.run import Outcome, RunState
from controller.runs.planning.planner import PlanRequest
from controller.runs.planning.undo import undo_plan
from tests.integration.alarms.system import PLAYBOOKS
from tests.integration.playbooks.system import PlaybookSystem, open_system
from tests.integration.playbooks.test_undo import AGREED, all_running, apply, share

STATION, NR = "T-LTE-1", "T-NR-1"


def with_tenants(changes: Mapping[str, Mapping[str, Any]]) -> Callable[[Network], Network]:
    """Tenants by id with fields replaced; all agreed beforehand to less service."""

    def change(network: Network) -> Network:
        tenants = [
            Tenant.model_validate({**one.model_dump(mode="json"), **changes.get(one.id, {})}) for one in network.tenants
        ]
        agreements = [
            Agreement.model_validate({**one.model_dump(mode="json"), "consents": AGREED}) for one in network.agreements
        ]
        return network.model_copy(update={"tenants": tuple(tenants), "agreements": tuple(agreements)})

    return change


# ------------------------------------------------------------------------------ add-slice

SLICES = [{"sst": 1, "sd": "0000B1"}, {"sst": 2, "sd": "0000B2"}]


async def test_a_slice_comes_alone(system: PlaybookSystem) -> None:
    before = all_running(system)
    core = {"vlan": 102, "mme_pool": [{"id": "condor-mme-1", "address": "10.42.0.1"}]}
    core |= {"amf_pool": [{"id": "condor-amf-9", "address": "10.42.1.9"}]}
    core |= {"upf_pool": [{"id": "condor-upf-1", "address": "10.42.2.1"}]}
    files = with_tenants(
        {"condor": {"slices": SLICES, "core": core}, "andes": {"slices": [{"sst": 3, "sd": "0000A9"}]}}
    )
    system.load_files(files)
    given = {"tenant": "condor", "slice": "2-0000B2", "where": "region=puno"}
    changes = system.changes()
    seen = await system.dry_run("add-slice", **given)
    assert system.changes() == changes
    assert (seen.reach.tenants, seen.refused) == (("condor",), ())
    what = {row.what for preview in seen.stations for step in preview.steps for row in step.diff}
    assert what
    assert all("slice 2-0000B2" in text for text in what), what
    others = await system.of_others("condor")
    run = await system.succeeds("add-slice", **given)
    assert await system.of_others("condor") == others
    for station in (NR, "T-BOTH-1"):
        assert system.running(station).count("0000B2") == 4  # CU, DU, CU-UP and the member of the share
        assert system.running(station).count("0000B1") == before[station].count("0000B1")
    for word in ("10.42.1.9", "0000A9"):
        assert word not in system.running(NR)
    assert system.running(STATION) == before[STATION]
    # What the files say beyond the slice is neither drift nor forgotten.
    assert not any((await system.planner.drift(tuple(before))).values())
    await apply(system, await undo_plan(system.planner, run.id, {"condor": 8}, "ana"))
    assert all_running(system) == before


async def test_the_canary_changes_something(system: PlaybookSystem) -> None:
    system.load_files(with_tenants({"condor": {"slices": SLICES}}))
    given = {"tenant": "condor", "slice": "2-0000B2"}
    await system.succeeds("add-slice", **given, where="T-BOTH-1")
    seen = await system.dry_run("add-slice", **given)
    assert [(one.wave, one.station) for one in seen.stations] == [(0, NR), (1, "T-BOTH-1")]


async def test_a_slice_that_is_none_and_one_without_a_place(system: PlaybookSystem) -> None:
    with pytest.raises(InputError, match="'x' is not a slice: give SST and SD, as in 1-0000D1"):
        await system.run("add-slice", tenant="condor", slice="x")
    with pytest.raises(
        InputError, match="condor has no slice 2-0000B2 in the network files that are loaded; it has 1-0000B1"
    ):
        await system.run("add-slice", tenant="condor", slice="2-0000B2")


# -------------------------------------------------------------------- change-primary-plmn


def led_by_condor(network: Network) -> Network:
    """All cells have the primary PLMN of condor; global node ids keep that of andes."""
    cells = tuple(cell.model_copy(update={"primary_plmn": "999-02"}) for cell in network.cells)
    header = network.header.model_copy(update={"host_plmn": "999-01"})
    return network.model_copy(update={"cells": cells, "header": header})


def first_plmns(system: PlaybookSystem, station: str) -> list[str]:
    """The first PLMN on air in each cell of a station."""
    lists = re.findall(r"<(plmnIdList|pLMNInfoList)>\s*<mcc>(\d+)</mcc>\s*<mnc>(\d+)</mnc>", cells_of(system, station))
    assert lists
    return [f"{mcc}-{mnc}" for _, mcc, mnc in lists]


def cells_of(system: PlaybookSystem, station: str) -> str:
    """The lists of PLMNs that are in order, each cut behind its first entry."""
    text = system.running(station)
    cells = re.findall(r"<(EUtranCellFDD|NRCellDU)[ >](.*?)</\1>", text, re.DOTALL)
    return "".join(found[: found.index("</mnc>") + 6] for _, cell in cells for found in [cell[_list(cell) :]])


def _list(cell: str) -> int:
    return min(at for name in ("<plmnIdList", "<pLMNInfoList") if (at := cell.find(name)) >= 0)


async def test_a_primary_plmn_changes_on_locked_cells_and_comes_back(system: PlaybookSystem) -> None:
    before = all_running(system)
    system.load_files(led_by_condor)
    with pytest.raises(PlanRefusedError, match="primary-plmn-change"):
        await system.run("change-share", tenant="condor")
    seen = await system.dry_run("change-primary-plmn", where="*", stations=4)
    assert all_running(system) == before
    assert (seen.reach.tenants, seen.refused) == (("andes", "condor", "vicuna"), ())
    told = {row.what: (row.before, row.after) for one in seen.stations for step in one.steps for row in step.diff}
    assert told["cell 1: primary PLMN"] == told["cell n78-1: primary PLMN"] == ("999-01", "999-02")
    # The stations of a tracking area move together, each area in a wave of its own.
    waves = {one.station: one.wave for one in seen.stations}
    assert waves[STATION] == waves["T-LTE-2"]
    assert len({waves[station] for station in (STATION, NR, "T-BOTH-1")}) == 3
    run = await system.succeeds("change-primary-plmn", where="*", stations=4)
    for station in before:
        assert set(first_plmns(system, station)) == {"999-02"}
        assert system.running(station).count("UNLOCKED") == before[station].count("UNLOCKED")
    assert not any((await system.planner.drift(tuple(before))).values())
    assert (await system.planner.plan(PlanRequest("*"), "ana")).is_empty
    await apply(system, await undo_plan(system.planner, run.id, {}, "ana"))
    assert all_running(system) == before


def put_first(system: PlaybookSystem, mnc: str) -> None:
    """A foreign client puts a PLMN first in the list of cell 1."""
    entry = "<EUtranCellFDD><id>1</id><attributes><plmnIdList"
    entry += ' xmlns:yang="urn:ietf:params:xml:ns:yang:1" yang:insert="first">'
    system.edit(STATION, f"{entry}<mcc>999</mcc><mnc>{mnc}</mnc></plmnIdList></attributes></EUtranCellFDD>")


async def test_a_listener_that_looks_on_sees_that_another_plmn_was_put_first_and_that_it_is_back(
    system: PlaybookSystem,
) -> None:
    """The nodes stay the same: their order alone says which PLMN is the primary one."""
    checker = system.checker(frozenset(AlarmSource))

    async def drift() -> tuple[int, bool]:
        _, network = system.store.networks.get()
        await checker.record([await checker.check(network, STATION)])
        stands = [one for one in system.alarms() if one.probable_cause == CONFIGURATION_DRIFT and one.cleared is None]
        return system.store.healths.find([STATION])[STATION].drift, bool(stands)

    assert [await drift() for _ in range(2)] == [(0, False)] * 2
    for mnc, found in (("02", (1, True)), ("01", (0, False))):
        put_first(system, mnc)
        assert [await drift() for _ in range(2)][1] == found


# ---------------------------------------------------------------------------- rehome-core


def core_of_andes(*mmes: int) -> Callable[[Network], Network]:
    """The network with these of the two MMEs of andes in its pool."""
    pool = [{"id": f"andes-mme-{number}", "address": f"10.41.0.{number}"} for number in mmes]
    rest = {"vlan": 101, "amf_pool": [{"id": "andes-amf-1", "address": "10.41.1.1"}]}
    rest["upf_pool"] = [{"id": "andes-upf-1", "address": "10.41.2.1"}]
    rest["sgw_pool"] = [{"id": "andes-sgw", "prefix": "10.41.8.0/30"}]
    return with_tenants({"andes": {"core": {**rest, "mme_pool": pool}}})


OLD, NEW = "10.41.0.1", "10.41.0.2"
REHOME: dict[str, Any] = {"tenant": "andes", "where": "region=cusco"}


@pytest.fixture
async def moving(tmp_path: Path) -> AsyncIterator[PlaybookSystem]:
    """Stations that are linked to the first MME of andes, and network files that want the second."""
    async with open_system(tmp_path, files=core_of_andes(1)) as system:
        system.load_files(core_of_andes(2))
        yield system


async def test_new_links_come_up_before_the_old_ones_go(moving: PlaybookSystem) -> None:
    system, before = moving, all_running(moving)
    one = await system.succeeds("rehome-core", **REHOME)
    assert all(address in system.running(STATION) for address in (OLD, NEW))
    with pytest.raises(PlanRefusedError, match="name andes=6"):
        await system.run("rehome-core", **REHOME, nodes=1)
    others = await system.of_others("andes")
    two = await system.succeeds("rehome-core", **REHOME, nodes=6)
    assert await system.of_others("andes") == others
    assert OLD not in system.running(STATION)
    for station in ("T-BOTH-1", NR):
        assert system.running(station) == before[station]
    health = await system.checker().health(STATION)
    assert [link.up for link in health.links] == [True] * 4
    for run in (one, two):
        assert system.steps(run, STATION)[-1].output["endpoints"] == ["EP_S1U[andes-s1u]"]
    # The way back, in two runs as it came.
    await apply(system, await undo_plan(system.planner, two.id, {}, "ana"))
    assert all(address in system.running(STATION) for address in (OLD, NEW))
    await apply(system, await undo_plan(system.planner, one.id, {"andes": 6}, "ana"))
    assert all_running(system) == before


async def test_old_links_stay_where_new_ones_do_not_come_up(moving: PlaybookSystem) -> None:
    system, before = moving, all_running(moving)
    system.load_files(core_of_andes(3))  # a core that does not answer
    folder = system.folder / "impatient"
    folder.mkdir()
    text = (PLAYBOOKS / "rehome-core.yaml").read_text(encoding="utf-8").replace("check_timeout: 60", "check_timeout: 2")
    (folder / "rehome-core.yaml").write_text(text, encoding="utf-8")
    run = await system.run("rehome-core", system.playbooks(folder), **REHOME, nodes=6)
    assert run.state is RunState.STOPPED
    assert {job.outcome for job in system.store.runs.jobs(run.id)} == {Outcome.ROLLED_BACK, Outcome.CANCELLED}
    assert "link-up" in system.job(run, STATION).detail
    assert all_running(system) == before


async def test_both_ways_at_once_links_are_made_before_others_are_broken(moving: PlaybookSystem) -> None:
    system, before, changes = moving, all_running(moving), moving.changes()
    seen = await system.dry_run("rehome-core", **REHOME, nodes=6)
    assert (system.changes(), seen.reach.tenants, seen.refused) == (changes, ("andes",), ())
    assert phases_of(system.store.plans.get(seen.plan)) == [("create", ["link-up"]), ("delete", [])]
    run = await system.succeeds("rehome-core", **REHOME, nodes=6)
    assert OLD not in system.running(STATION)
    plan = await undo_plan(system.planner, run.id, {"andes": 6}, "ana")
    assert phases_of(plan) == [("create", ["link-up"]), ("delete", [])]
    await apply(system, plan)
    assert all_running(system) == before


def phases_of(plan: Plan) -> list[tuple[str, list[str]]]:
    """Operation of the first edit, and what is waited for, of each phase on a station."""
    return [(phase.edits[0].op.value, [wait.kind for wait in phase.wait]) for phase in plan.changes[0].phases]


# ------------------------------------------------------------------------- restore-config


async def test_any_recorded_state_comes_back(system: PlaybookSystem) -> None:
    before, begun = all_running(system), system.clock.now()
    one = await share(system, 55)
    await share(system, 50)
    system.change(STATION, cell="2", administrativeState="LOCKED")
    given = {"where": "*", "state": one.id, "stations": 3}
    changes = system.changes()
    seen = await system.dry_run("restore-config", **given)
    assert system.changes() == changes
    assert seen.left_out == {STATION: "somebody else locked cell 2"}
    await system.succeeds("restore-config", **given)
    now = all_running(system)
    assert {name for name in before if before[name] != now[name]} == {STATION}
    assert "<maxRatio>50</maxRatio>" in now[STATION]
    assert not any((await system.planner.drift(tuple(before))).values())
    system.change(STATION, cell="2", administrativeState="UNLOCKED")
    await system.succeeds("restore-config", where=STATION, state=begun.isoformat())
    assert all_running(system) == before


async def test_states_that_are_not_on_record(system: PlaybookSystem) -> None:
    with pytest.raises(InputError, match="is neither a run, as in r-21748f9c95, nor a time"):
        await system.run("restore-config", where="*", state="yesterday")
    seen = await system.dry_run("restore-config", where=STATION, state="2020-01-01T00:00")
    assert seen.left_out == {STATION: "nothing was ours here then"}
    assert seen.refused
    with pytest.raises(NotFoundError, match="r-0000000000"):
        await system.dry_run("restore-config", where=STATION, state="r-0000000000")
    with pytest.raises(InputError, match="'2199-01-01T00:00' lies in the future: it is 20"):
        await system.dry_run("restore-config", where=STATION, state="2199-01-01T00:00")
    run = await system.succeeds("audit-drift", where=STATION)
    seen = await system.dry_run("restore-config", where=STATION, state=run.id)
    assert "changed nothing of ours here" in seen.left_out[STATION]


async def test_nodes_that_came_since_go_only_if_named(moving: PlaybookSystem) -> None:
    system, before = moving, all_running(moving)
    run = await system.succeeds("rehome-core", **REHOME)
    given = {"where": "region=cusco", "state": run.id}
    seen = await system.dry_run("restore-config", **given)
    assert sum("3 nodes of andes that nothing asks for any more" in one.message for one in seen.findings) == 2
    seen = await system.dry_run("restore-config", **given, remove="andes=?")
    assert "name andes=6" in seen.refused[0]
    await system.succeeds("restore-config", **given, remove="andes=6")
    assert all_running(system) == before


# --------------------------------------------------------------------------- repair-drift


async def test_what_drifts_again_right_after_asks(system: PlaybookSystem) -> None:
    system.change(STATION, tac="77")
    await system.succeeds("repair-drift", where=STATION)
    system.change(STATION, tac="78")
    with pytest.raises(PlanRefusedError, match=r"EUtranCellFDD\[1\] drifted again since run r-\w+ brought it back"):
        await system.run("repair-drift", where=STATION)
    assert "<tac>78</tac>" in system.running(STATION)
    await system.succeeds("repair-drift", where=STATION, again="true")
    assert "<tac>78</tac>" not in system.running(STATION)


async def test_what_is_nobodys_is_left_alone_and_keeps_no_repair_from_staying(system: PlaybookSystem) -> None:
    other = "<plmnIdList><mcc>999</mcc><mnc>77</mnc></plmnIdList>"
    system.edit(STATION, f"<EUtranCellFDD><id>1</id><attributes>{other}<tac>77</tac></attributes></EUtranCellFDD>")
    await system.succeeds("repair-drift", where=STATION)
    assert "<tac>77</tac>" not in system.running(STATION)
    assert other in system.running(STATION)
    await system.succeeds("audit-drift", where=STATION)


async def test_a_displaced_primary_plmn_keeps_no_repair_back_and_the_job_says_what_puts_it_first(
    system: PlaybookSystem,
) -> None:
    before = system.running(STATION)
    system.change(STATION, tac="77")
    put_first(system, "02")
    run = await system.succeeds("repair-drift", where=STATION)
    assert "<tac>77</tac>" not in system.running(STATION)
    assert first_plmns(system, STATION)[0] == "999-02", "no repair changes a global cell identity"
    job = system.job(run, STATION)
    assert job.detail.endswith("cell 1: primary PLMN: 999-02 instead of 999-01; change-primary-plmn puts it first")
    found = await system.run("audit-drift", where=STATION)
    assert "1 managed nodes differ" in system.job(found, STATION).detail, "it is drift all the same"
    with pytest.raises(
        PlanRefusedError, match=r"the plan leaves all devices out: .*; change-primary-plmn puts it first"
    ):
        await system.run("repair-drift", where=STATION)
    await system.succeeds("change-primary-plmn", where=f"device={STATION}")
    assert system.running(STATION) == before
    await system.succeeds("audit-drift", where=STATION)


async def test_a_repair_that_leaves_a_primary_plmn_displaced_does_not_end_the_alarm_that_a_run_diverged(
    system: PlaybookSystem,
) -> None:
    def diverged() -> list[str]:
        return [one.id for one in system.store.alarms.standing([STATION]) if one.probable_cause == DIVERGED]

    raised = AlarmReport(
        station=STATION,
        object=ObjectClass.STATION.value,
        object_class=ObjectClass.STATION,
        probable_cause=DIVERGED,
        severity=PerceivedSeverity.MAJOR,
        source=AlarmSource.CHECK,
        at=system.clock.now(),
    )
    alarm = system.store.alarms.report(raised)
    put_first(system, "02")
    system.change(STATION, tac="77")
    await system.succeeds("repair-drift", where=STATION)
    assert diverged() == [alarm.id], "the station is not as it was applied"
    put_first(system, "01")
    system.change(STATION, tac="78")
    await system.succeeds("repair-drift", where=STATION, again="true")
    assert diverged() == []
