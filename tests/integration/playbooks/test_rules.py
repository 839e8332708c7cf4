"""A rule that runs a playbook: the station's own alarm, a reset, and the alarm cleared."""

from __future__ import annotations

import random

import pytest

from controller.models.alarm import AlarmState
from controller.models.run import RunState
from controller.observe.rounds import repeat
from controller.ports.notifier import FakeNotifier
from tests.integration.alarms.system import rules, until
from tests.integration.playbooks.system import PlaybookSystem

STATION, CAUSE = "T-LTE-1", "radio-unit-lost"
ASKED = {"consents": {"interrupt": "approval"}}


def curable() -> str:
    """A seed whose lost unit is cured by a reset."""
    seeds = (str(number) for number in range(100))
    return next(one for one in seeds if random.Random(f"{one}/radio-unit-lost/ru-1/1").random() < 0.6)


async def test_a_lost_radio_unit_is_reset_without_asking_whom_it_serves_no_more(
    system: PlaybookSystem, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("simulators.equipment.faults._draw", lambda dice, span: 0.5)
    monkeypatch.setattr("controller.models.equipment.SUPERVISION_SECONDS", 2)
    system.load(andes_all=ASKED, condor_all=ASKED)
    notifier, checker = FakeNotifier(), system.checker()
    # Cells have less time to come on air than they should: a rule about them would act before the unit counts as lost.
    remediator = system.remediator(notifier, [one for one in rules() if one.name == "radio-unit-lost"])
    system.listen()
    await system.observed()
    system.fleet.stations[STATION].equipment.begin_fault("radio-unit-lost", "ru-1", curable())
    system.attend(repeat("remediation", remediator.step, system.clock, 0.1))

    async def repaired() -> bool:
        found = [one for one in system.alarms(STATION) if one.probable_cause == CAUSE]
        return bool(found) and found[-1].state in (AlarmState.REPAIRED, AlarmState.ESCALATED)

    await until("the unit is reset", repaired)
    (alarm,) = [one for one in system.alarms(STATION) if one.probable_cause == CAUSE]
    assert alarm.state is AlarmState.REPAIRED, (alarm, notifier.sent)
    run = system.store.runs.get(alarm.run)
    assert (run.procedure, run.state, run.cause) == ("reset-radio-unit", RunState.SUCCEEDED, f"alarm:{alarm.id}")
    assert run.parameters["unit"] == "ru-1"
    assert run.requested_by == "rule:radio-unit-lost"
    standing = system.store.approvals.standing(run.id)
    assert standing is not None
    assert standing.constraints.requirements == ()
    assert {tenant for _, tenant in standing.constraints.spared[STATION]} == {"andes", "condor"}
    assert all((await checker.health(STATION)).cells.values())
