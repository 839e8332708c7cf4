"""Agreements that come into force while a run waits are asked before its steps act, whatever its plan follows from."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import date, time, timedelta
from typing import Any

import pytest

from controller.models.network import Network, network_digest
from controller.models.plan import Edit, Op
from controller.models.run import Job, Outcome
from controller.models.sharing import ActionClass, Consent, MaintenanceWindow, Validity
from controller.nrm.profiles import administrative_state, cells
from tests.unit.playbook.functions_bench import FunctionBench
from tests.unit.playbook.test_takeover import LOCK, PlaybookBench, Rests
from tests.unit.playbook.test_undoing import UNLOCK
from tests.unit.playbook.test_waiting import ASK
from tests.unit.playbook.test_wrong_consent import THEIRS

STANDING = dict.fromkeys(ActionClass, Consent.STANDING)
NOTICE = {**STANDING, ActionClass.INTERRUPT: Consent.NOTICE}
APPROVAL = {**STANDING, ActionClass.INTERRUPT: Consent.APPROVAL}
OTHERWISE = {**STANDING, ActionClass.REDUCE: Consent.APPROVAL}
AGAIN = LOCK.replace("name: lock", "name: again").replace(", register: locked", "")
#: The bench begins at 12:00 UTC on 2026-06-15, 07:00 in Lima.
TODAY = date(2026, 6, 15)
AT_NIGHT = (MaintenanceWindow(start=time(1), end=time(4)),)
MORE = "agreements in force now ask for more than the run was accepted under: ask again"


def _agreeing(network: Network, consents: Mapping[ActionClass, Consent], **other: object) -> Network:
    agreements = (one.model_copy(update={"consents": consents, **other}) for one in network.agreements)
    return network.model_copy(update={"agreements": tuple(agreements)})


def _renamed(network: Network) -> Network:
    return network.model_copy(update={"header": network.header.model_copy(update={"name": "Another"})})


async def _waiting(consents: Mapping[ActionClass, Consent]) -> FunctionBench:
    """A run that locks a cell is accepted, and nobody has begun it."""
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    bench.load(_agreeing(bench.network, consents))
    await bench.start("lock-cell", station="S1", cell="L1")
    return bench


def _locked(bench: FunctionBench) -> bool:
    running = bench.devices["S1"].running
    path = next(entry.path for entry in cells(running) if entry.cell == "L1")
    return administrative_state(running, path) == "LOCKED"


def _refused(job: Job) -> None:
    assert job.outcome is not None
    assert not job.outcome.good
    assert MORE in job.detail


@pytest.mark.parametrize(
    ("before", "after", "other"),
    [(STANDING, APPROVAL, {}), (STANDING, NOTICE, {}), (NOTICE, APPROVAL, {}), (NOTICE, NOTICE, {"windows": AT_NIGHT})],
)
async def test_a_step_that_agreements_in_force_ask_more_about_is_not_carried_out(
    before: Mapping[ActionClass, Consent], after: Mapping[ActionClass, Consent], other: dict[str, Any]
) -> None:
    bench = await _waiting(before)
    bench.load(_agreeing(bench.network, after, **other))
    await bench.work()
    (job,) = bench.jobs
    _refused(job)
    assert not _locked(bench)


@pytest.mark.parametrize(("before", "after"), [(NOTICE, NOTICE), (NOTICE, STANDING), (STANDING, OTHERWISE)])
async def test_a_step_goes_on_about_which_they_ask_no_more(
    before: Mapping[ActionClass, Consent], after: Mapping[ActionClass, Consent]
) -> None:
    bench = await _waiting(before)
    bench.load(_renamed(_agreeing(bench.network, after)))
    await bench.work()
    (job,) = bench.jobs
    assert job.outcome is Outcome.SUCCEEDED, job
    assert _locked(bench)


async def test_an_agreement_that_begins_on_the_day_is_asked_though_no_files_are_loaded() -> None:
    bench = FunctionBench()
    await bench.instantiate("DU-1")
    now = _agreeing(bench.network, STANDING, validity=Validity(start=date(2024, 1, 1), end=TODAY))
    later = _agreeing(bench.network, APPROVAL, validity=Validity(start=TODAY + timedelta(days=1)))
    renamed = (one.model_copy(update={"id": f"{one.id}-anew"}) for one in later.agreements)
    bench.load(now.model_copy(update={"agreements": (*now.agreements, *renamed)}))
    await bench.start("lock-cell", station="S1", cell="L1")
    bench.clock.pause(timedelta(hours=18).total_seconds())
    await bench.work()
    _refused(bench.jobs[0])
    assert not _locked(bench)


async def test_what_the_ledger_says_is_brought_back_by_the_agreements_of_the_day_too() -> None:
    """The plan of such a run follows from no network files, so it is not judged by them before it begins."""
    restoring = {**STANDING, ActionClass.RESTORE: Consent.APPROVAL}
    for after, good in ((STANDING, True), (restoring, False)):
        bench = FunctionBench()
        await bench.instantiate("DU-1")
        bench.load(_agreeing(bench.network, STANDING))
        running = bench.devices["S1"].running
        cell = next(entry.path for entry in cells(running) if entry.cell == "L1")
        (leaf,) = {"pci", "nRPCI"} & running[cell].keys()
        edit = Edit(op=Op.MERGE, path=cell, before={leaf: running[cell][leaf]}, after={leaf: "7"}, owners=())
        bench.devices["S1"].foreign_edit([edit])
        await bench.start("repair-drift", where="station=S1")
        bench.load(_renamed(_agreeing(bench.network, after)))
        await bench.work()
        (job,) = bench.jobs
        assert job.outcome is not None
        assert job.outcome.good is good, job
        assert (MORE in job.detail) is not good


@pytest.mark.parametrize("loaded", [True, False])
async def test_a_job_that_was_begun_before_goes_no_further_and_is_undone(loaded: bool) -> None:
    """Its agreements let it interrupt with a notice, of which the bench's run has none."""
    asks = tuple((tenant, action) for tenant in ("alfa", "beta") for action in ActionClass)
    bench = PlaybookBench(LOCK + UNLOCK + ASK + AGAIN, asks=asks)
    bench.store.devices.adopt(bench.device.station, THEIRS, "", "ana")
    with pytest.raises(Rests, match="waits for an answer"):
        await bench.work()
    if loaded:
        network = _renamed(bench.group.network)
        bench.store.networks.save(network, network_digest(network), "ana")
    bench.store.questions.answer(bench.run, "yes", actor="eva")
    job = await bench.work()
    if loaded:
        _refused(job)
    acted = [row.name for row in bench.rows() if row.changed and not row.undo]
    assert acted == (["lock", "unlock"] if loaded else ["lock", "unlock", "again"])
