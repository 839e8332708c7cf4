from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

import pytest

from controller.assurance.health import STATION
from controller.models.alarm import (
    CONFIGURATION_DRIFT,
    CONFIGURATION_LOST,
    FUNCTION_DOWN,
    Alarm,
    AlarmSource,
    AlarmState,
    PerceivedSeverity,
)
from controller.models.network import network_digest
from controller.remediation.guards import GUARDS, GuardInput, Repair
from controller.remediation.rules import Match, RuleGuards, Rung
from controller.store import Page
from tests.unit.intent.clouds import split_gnb
from tests.unit.remediation.bench import LINK, RULES, STATION_ID, Bench, tiny

HOUR = 3600
HOST_KEY = "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIC2cbdLo6XoWJLlGNBaIB6yDmYGs8RZ9jRyWd2hWGYUF"


# ------------------------------------------------------- what was escalated before


async def _drifted_again(bench: Bench) -> Alarm:
    """Drift that came back right after its repair: people are asked."""
    scheduler = bench.scheduler()
    first = bench.drifts()
    await bench.round(scheduler)
    bench.work()
    await bench.round(scheduler)
    assert bench.alarm(first).state is AlarmState.REPAIRED
    second = bench.drifts()
    await bench.round(scheduler)
    assert bench.alarm(second).state is AlarmState.ESCALATED
    return second


async def test_escalated_drift_keeps_no_core_link_waiting(bench: Bench) -> None:
    await _drifted_again(bench)
    link = bench.breaks()
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRING
    bench.work()
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRED


async def test_a_core_link_waits_for_drift_that_is_repaired_first_but_not_for_ever(bench: Bench) -> None:
    bench.checker.drifted.add(STATION_ID)
    link = bench.breaks()
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    assert bench.alarm(link).note == "waits: the configuration drifted, which is repaired first"
    for _ in range(14):
        await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRING, "nobody reported the drift, so nobody repairs it"


def test_a_virtual_station_waits_for_its_central_unit(bench: Bench) -> None:
    """Before that its cells don't come on air, and what was configured there would be taken back."""
    network = split_gnb()
    bench.store.networks.save(network, network_digest(network), "ana")
    rule = RULES[0].model_copy(update={"match": Match(causes=(CONFIGURATION_LOST,))})
    of_station = bench.report("station", CONFIGURATION_LOST, station="S1")
    of_function = bench.report("function", FUNCTION_DOWN, station="DU-1")

    def said(alarm: Alarm, later: float = 1) -> str:
        now = bench.clock.now() + timedelta(seconds=later)
        no = GUARDS["unit"](GuardInput(Repair(alarm, rule), alarm, bench.store, network, now))
        return "" if no is None else no.reason

    assert said(of_station) == said(of_function) == ""
    unit = bench.report("station", CONFIGURATION_LOST, station="CP-E")
    assert said(of_station) == said(of_function) == "its central unit CP-E is repaired first"
    assert said(unit) == said(of_station, rule.verify.within_seconds + 1) == ""
    assert bench.store.alarms.escalate(unit, "no", actor="remediation")
    assert said(of_station) == "", "people see to it"


async def test_a_core_link_waits_for_drift_of_the_router_of_its_site(bench: Bench) -> None:
    """A route that is missing there breaks the link, and no end point made again would repair that."""
    router = tiny().routers[0].model_copy(update={"host_key": HOST_KEY})
    network = tiny().model_copy(update={"routers": (router,)})
    bench.store.networks.save(network, network_digest(network), "ana")
    drift = bench.report("router", CONFIGURATION_DRIFT, station=router.id)
    link, elsewhere = bench.breaks(), bench.breaks(station="T-LTE-2")
    scheduler = bench.scheduler(rules=RULES[:1])
    await bench.round(scheduler)
    assert bench.alarm(link).note == f"waits: the configuration of {router.id} drifted, which is repaired first"
    assert bench.alarm(elsewhere).state is AlarmState.REPAIRING
    bench.work()
    bench.heals(drift)
    await bench.round(scheduler)
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRING


async def test_what_was_escalated_is_repaired_again_when_its_cool_down_is_over(bench: Bench) -> None:
    drift = await _drifted_again(bench)
    scheduler = bench.scheduler()
    await bench.round(scheduler, seconds=HOUR / 2)
    await bench.round(scheduler)
    assert bench.alarm(drift).state is AlarmState.ESCALATED
    await bench.clock.advance(HOUR / 2)
    await bench.round(scheduler)
    assert bench.alarm(drift).state is AlarmState.REPAIRING
    bench.work()
    await bench.round(scheduler)
    assert bench.alarm(drift).state is AlarmState.REPAIRED
    assert [run.cause for run in bench.runs()].count(f"alarm:{drift.id}") == 1
    assert len(bench.people.sent) == 1


async def test_what_fails_again_after_its_cool_down_is_reported_again_by_a_run_of_its_own(bench: Bench) -> None:
    link = bench.breaks()
    scheduler = bench.scheduler()
    for _ in range(2):
        await bench.round(scheduler)
        bench.work({link.id})
        await bench.round(scheduler, seconds=61)
        await bench.round(scheduler)
        await bench.round(scheduler, seconds=HOUR)
    ours = [run for run in bench.runs() if run.cause == f"alarm:{link.id}"]
    assert len(ours) == 2
    assert bench.people.keys == [f"escalate-{link.id}", f"escalate-{link.id}-2"]


async def test_what_can_not_be_repaired_again_is_not_reported_again(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    link = await _escalated_link(bench)
    bench.checker.down.clear()  # the station finds nothing wrong, yet the alarm stands
    scheduler = bench.scheduler()
    for _ in range(5):
        await bench.round(scheduler, seconds=HOUR)
    assert bench.alarm(link).state is AlarmState.ESCALATED
    assert len(bench.people.sent) == 1
    assert len(bench.runs()) == 1


async def test_what_was_escalated_and_cleared_is_a_new_alarm_when_it_comes_back(bench: Bench) -> None:
    link = await _escalated_link(bench)
    bench.heals(link)
    await bench.clock.advance(HOUR)
    again = bench.breaks()
    assert again.id != link.id
    await bench.round(bench.scheduler())
    assert bench.alarm(again).state is AlarmState.REPAIRING


async def test_a_link_that_flaps_is_one_incident_repaired_once_in_a_cool_down(bench: Bench) -> None:
    scheduler = bench.scheduler()
    links = []
    for _ in range(6):
        links.append(bench.breaks())
        await bench.round(scheduler)
        bench.work()
        bench.heals(links[-1])
        await bench.round(scheduler)
    await bench.round(scheduler)
    assert len(set(links)) == 6
    assert [run.cause for run in bench.runs()] == [f"alarm:{links[0].id}"]
    states = [bench.alarm(link).state for link in links]
    assert states == [AlarmState.REPAIRED, AlarmState.ESCALATED, *[AlarmState.CLEARED] * 4]
    assert len(bench.people.sent) == 1, "one escalation for the incident, not one for each return"
    assert "it is back after 1 repairs" in bench.alarm(links[1]).note
    (incident,) = bench.store.incidents.page(Page())[1]
    assert {one.id for one in bench.store.incidents.alarms(incident.id)} == {link.id for link in links}


async def _escalated_link(bench: Bench) -> Alarm:
    """A link that its repair did not bring back."""
    link = bench.breaks()
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    bench.work({link.id})
    await bench.round(scheduler, seconds=61)
    await bench.round(scheduler)
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.ESCALATED
    return link


# ----------------------------------------------------------------------- guards


async def test_a_symptom_is_not_repaired_and_what_outlives_its_root_settles_anew(bench: Bench) -> None:
    link = bench.breaks()
    root = bench.report(STATION, "mains-lost")
    (settling, _) = (rule.model_copy(update={"guards": RuleGuards(settle_seconds=30)}) for rule in RULES)
    scheduler = bench.scheduler(rules=(settling,))
    for _ in range(12):
        await bench.round(scheduler)
    assert (bench.runs(), bench.launcher.asked) == ([], [])
    assert bench.alarm(link).note == f"waits: it follows from alarm {root.id}, whose fault has to end"
    bench.heals(root)
    await bench.round(scheduler, seconds=29)
    await bench.round(scheduler, seconds=1)
    assert bench.runs() == []
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRING


async def test_a_root_that_shows_while_the_repair_was_planned_keeps_it_from_starting(bench: Bench) -> None:
    link = bench.breaks()
    bench.launcher.meanwhile = lambda: bench.report(STATION, "mains-lost")
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    assert (len(bench.launcher.asked), bench.runs()) == (1, [])
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.RAISED
    assert "it follows from alarm" in bench.alarm(link).note


async def test_a_hold_put_while_the_repair_was_planned_keeps_it_from_starting(bench: Bench) -> None:
    link = bench.breaks()
    bench.launcher.meanwhile = lambda: bench.store.holds.add(STATION_ID, "ana", "rigger on the mast", None)
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    assert len(bench.launcher.asked) == 1
    assert bench.runs() == []
    await bench.round(scheduler)
    assert (bench.alarm(link).state, bench.alarm(link).note) == (
        AlarmState.RAISED,
        f"waits: hold on {STATION_ID} by ana",
    )


async def test_what_refuses_the_playbook_is_reported_and_a_hold_is_waited_for(bench: Bench) -> None:
    drift = bench.drifts()
    bench.launcher.refusal = "the node drifted again"
    bench.launcher.meanwhile = lambda: bench.store.holds.add(STATION_ID, "ana", "rigger on the mast", None)
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    assert bench.alarm(drift).note == f"waits: hold on {STATION_ID} by ana"
    bench.launcher.meanwhile = None
    (hold,) = bench.store.holds.find(bench.clock.now())
    bench.store.holds.end(hold.id, "ana")
    await bench.round(scheduler)
    assert bench.alarm(drift).state is AlarmState.ESCALATED
    assert bench.alarm(drift).note == "no repair could be planned: the node drifted again"
    assert bench.runs() == []


async def test_a_site_without_a_router_is_named_in_plain_words(bench: Bench) -> None:
    link = bench.breaks()
    rung = Rung(playbook="switch-backhaul", parameters={"router": "{{ alarm.router }}"})
    rules = [RULES[0].model_copy(update={"ladder": (rung,)})]
    await bench.round(bench.scheduler(rules=rules))
    assert bench.alarm(link).note == (
        f"no repair could be planned: the network files have no router with a host_key at the site of {STATION_ID}"
    )
    assert not bench.launcher.asked


@pytest.mark.parametrize("meanwhile", [False, True])
async def test_a_public_warning_keeps_off_a_repair_that_would_interrupt_service_and_no_other(
    bench: Bench, meanwhile: bool
) -> None:
    def warn() -> None:
        now = bench.clock.now()
        bench.store.freezes.warn("tsunami-17", ["region:cusco"], now, now + timedelta(hours=1), "cbe", "Tsunami")

    link = bench.breaks()
    bench.launcher.interrupts = True
    if meanwhile:
        bench.launcher.meanwhile = warn
    else:
        warn()
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    assert bench.runs() == []
    assert bench.alarm(link).note.startswith("waits: public warning tsunami-17 in region:cusco until ")
    # A link that comes back without an interruption is what the warning needs.
    bench.launcher.interrupts, bench.launcher.meanwhile = False, None
    await bench.round(scheduler, seconds=61)
    assert len(bench.runs()) == 1
    assert bench.alarm(link).state is AlarmState.REPAIRING


async def test_a_plan_that_finds_nothing_to_change_makes_no_run(bench: Bench) -> None:
    drift = bench.drifts()
    bench.launcher.idle = True
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    assert (bench.alarm(drift).state, bench.runs()) == (AlarmState.RAISED, [])
    await bench.round(scheduler, seconds=61)
    await bench.round(scheduler)
    assert bench.alarm(drift).state is AlarmState.ESCALATED
    assert "reports no fault" in bench.alarm(drift).note


async def test_a_rule_asks_with_its_alarm_as_cause_and_a_key_for_each_repair(bench: Bench) -> None:
    link = bench.breaks()
    await bench.round(bench.scheduler())
    (asked,) = bench.launcher.asked
    assert (asked.playbook, asked.parameters) == ("recreate-core-endpoint", {"object": LINK})
    assert (asked.actor, asked.cause, asked.key) == ("rule:core-link-down", f"alarm:{link.id}", f"alarm:{link.id}")
    assert asked.automatic


async def test_cleared_is_not_repaired_while_the_station_says_that_its_object_is_not_healthy(bench: Bench) -> None:
    link = bench.breaks()
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    bench.work()
    bench.checker.down.add((STATION_ID, LINK))
    await bench.round(scheduler)
    assert bench.alarm(link).cleared is not None
    assert bench.alarm(link).state is AlarmState.REPAIRING
    await bench.clock.advance(60)
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.ESCALATED
    assert bench.alarm(link).note.endswith("the alarm is cleared, but its object is not healthy")


async def test_each_station_has_a_cool_down_of_its_own(bench: Bench) -> None:
    scheduler = bench.scheduler()
    for station in (STATION_ID, "T-LTE-2"):
        drift = bench.drifts(station)
        await bench.round(scheduler)
        assert bench.alarm(drift).state is AlarmState.REPAIRING, "an object of the same name elsewhere was repaired"
        bench.work()
        await bench.round(scheduler)


async def test_each_object_of_a_station_has_a_cool_down_of_its_own(bench: Bench) -> None:
    scheduler = bench.scheduler()
    for path in (LINK, "/EP_S1C[two]"):
        link = bench.breaks(path)
        await bench.round(scheduler)
        assert bench.alarm(link).state is AlarmState.REPAIRING
        bench.work()
        await bench.round(scheduler)


# ------------------------------------------------------------------------ notes


async def test_an_alarm_that_no_rule_answers_says_so_once(bench: Bench) -> None:
    alarm = bench.report("/x", "no-rule-answers-this")
    scheduler = bench.scheduler()
    for _ in range(3):
        await bench.round(scheduler, seconds=61)
    assert bench.alarm(alarm).note == "no rule answers it: it stands until its source clears it"
    acts = [row for row in bench.store.audit.page(Page())[1] if row.object == alarm.id]
    assert len(acts) == 2


# ------------------------------------------------------------------------- rounds


async def test_a_round_reads_only_alarms_that_changed_or_are_due(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    alarms = [bench.report(f"/x{number}", "no-rule-answers-this") for number in range(20)]
    scheduler = bench.scheduler()
    for _ in range(2):  # the second round sees what the first one noted
        await bench.round(scheduler)
    read: list[str] = []
    find = bench.store.alarms.find

    def count(alarm_ids: Iterable[str]) -> list[Alarm]:
        read.extend(alarm_ids)
        return find(alarm_ids)

    monkeypatch.setattr(bench.store.alarms, "find", count)
    monkeypatch.setattr(bench.store.alarms, "get", None)
    monkeypatch.setattr(bench.store.alarms, "standing", None)
    for _ in range(3):
        await bench.round(scheduler, seconds=61)
    assert read == []
    bench.report("/x7", "no-rule-answers-this", PerceivedSeverity.CRITICAL)
    await bench.round(scheduler)
    assert read == [alarms[7].id]


async def test_symptoms_and_what_has_to_settle_are_looked_at_again_only_when_that_is_over(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    patient = RULES[0].model_copy(update={"guards": RuleGuards(settle_seconds=100)})
    scheduler = bench.scheduler(rules=(patient,))
    tenant, node = "andes", "andes-mme-1"
    links = [bench.breaks(f"/ManagedElement[{n}]/EP_S1C[{node}]", tenant=tenant) for n in range(20)]
    await bench.round(scheduler)
    assert {bench.alarm(link).note for link in links} == {"waits: it has to stand for 100 s"}
    root = bench.report(node, "core-node-down", station="", tenant=tenant)
    await bench.round(scheduler)
    notes = {bench.alarm(link).note for link in links}
    assert notes == {f"waits: it follows from alarm {root.id}, whose fault has to end"}
    await bench.round(scheduler)  # which sees what the one before noted
    with monkeypatch.context() as patched:
        patched.setattr(bench.store.alarms, "find", None)
        for _ in range(5):
            await bench.round(scheduler, seconds=100)
    bench.report(node, "core-node-down", PerceivedSeverity.CLEARED, station="", tenant=tenant)
    await bench.round(scheduler)
    assert {bench.alarm(link).note for link in links} == {"waits: it has to stand for 100 s"}
    await bench.round(scheduler, seconds=60)
    await bench.round(scheduler, seconds=60)
    assert bench.runs() == []
    await bench.round(scheduler)
    assert {bench.alarm(link).state for link in links} == {AlarmState.REPAIRING}


async def test_what_changes_while_it_is_worked_on_is_looked_at_in_the_next_round(bench: Bench) -> None:
    link = bench.breaks()
    bench.launcher.meanwhile = lambda: bench.heals(link)
    scheduler = bench.scheduler()
    await bench.round(scheduler, seconds=0)
    await bench.round(scheduler, seconds=0)
    assert bench.alarm(link).state is AlarmState.CLEARED
    assert bench.runs() == []


async def test_a_warning_expires_unless_it_stands_in_a_list_that_clears_it(bench: Bench) -> None:
    notified = bench.report("ru-1", "o-ran-fault-9", PerceivedSeverity.WARNING, source=AlarmSource.ORAN_FM)
    listed = bench.report("fan-1", "3gpp-fan", PerceivedSeverity.WARNING, source=AlarmSource.ALARM_LIST)
    scheduler = bench.scheduler()
    await bench.round(scheduler, seconds=25 * HOUR)
    await bench.round(scheduler)
    assert (bench.alarm(notified).state, bench.alarm(notified).note) == (AlarmState.CLEARED, "expired")
    assert bench.alarm(listed).state is AlarmState.RAISED


async def test_what_a_tenant_announced_on_its_core_is_repaired_only_once_that_is_over(bench: Bench) -> None:
    link = bench.breaks(tenant="andes")
    other = bench.breaks("/EP_S1C[two]", tenant="condor")
    now = bench.clock.now()
    work = bench.store.works.announce("andes", {"mme": "one"}, now, now + timedelta(minutes=10), "eva", "upgrade")
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    assert bench.alarm(other).state is AlarmState.REPAIRING
    assert bench.alarm(link).note == f"waits: announced work {work.id} of andes until {work.ends:%Y-%m-%d %H:%M} UTC"
    await bench.round(scheduler, seconds=600)
    assert [run.cause for run in bench.runs()] == [f"alarm:{other.id}"]
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRING


async def test_a_repair_that_fails_during_announced_work_calls_nobody_before_that_is_over(bench: Bench) -> None:
    link = bench.breaks(tenant="andes")
    scheduler = bench.scheduler()
    await bench.round(scheduler)
    now = bench.clock.now()
    bench.store.works.announce("andes", {}, now, now + timedelta(hours=1), "eva", "upgrade")
    bench.work(incurable=[link.id])
    for _ in range(4):
        await bench.round(scheduler, seconds=60)
    assert (bench.alarm(link).state, bench.people.sent) == (AlarmState.REPAIRING, [])
    await bench.round(scheduler, seconds=3600)
    for _ in range(2):
        await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.ESCALATED
    assert len(bench.people.sent) == 1


async def test_a_shelved_alarm_is_repaired_once_that_is_over(bench: Bench) -> None:
    link = bench.breaks()
    bench.store.alarms.shelve(link.id, bench.clock.now() + timedelta(minutes=10), "ana", "parts ordered")
    scheduler = bench.scheduler()
    await bench.round(scheduler, seconds=600)
    assert (bench.alarm(link).note, bench.runs()) == ("waits: shelved by ana", [])
    await bench.round(scheduler)
    assert bench.alarm(link).state is AlarmState.REPAIRING
