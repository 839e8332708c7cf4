"""Who is on call is called until somebody acknowledges: by one of all schedulers, and though one of them dies."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

import pytest

from controller.models.alarm import Alarm, AlarmReport, AlarmSource, ObjectClass, PerceivedSeverity
from controller.models.definitions import DefinitionFiles
from controller.models.errors import ConflictError, NotFoundError
from controller.models.network import network_digest
from controller.models.on_call import Call
from controller.models.sharing import Contact
from controller.ports.webhook import FakeContacts
from controller.remediation.remediator import Remediator
from controller.store import Page
from controller.store.incidents import on_call
from tests.support.definitions import put_in_force, shipped_files
from tests.unit.remediation.bench import LINK, STATION_ID, Bench, tiny

MINUTE = 60
HOST_FILE = """\
side: host
on_call:
  - name: always
    contacts: [noc, manager]
    repeat_minutes: 10
"""
TENANT_FILE = """\
side: andes
on_call:
  - name: pages
    kinds: [page]
    contacts: [noc]
    repeat_minutes: 15
    calls: 3
"""


def in_force(bench: Bench, **files: str) -> None:
    """Put schedules in force."""
    texts = {f"rules/oncall/{name}.yaml": text for name, text in files.items()}
    bench.store.definitions.put(DefinitionFiles(texts), by="ana", reason="CHG-1")


def with_contacts(bench: Bench, host: str = "noc manager rider", tenant: str = "noc") -> None:
    """Give the host and all tenants contacts."""

    def made(ids: str) -> tuple[Contact, ...]:
        return tuple(Contact(id=one, name=one, email=f"{one}@host.example") for one in ids.split())

    known = tiny()
    header = known.header.model_copy(update={"contacts": made(host)})
    tenants = tuple(one.model_copy(update={"contacts": made(tenant)}) for one in known.tenants)
    network = known.model_copy(update={"header": header, "tenants": tenants})
    bench.store.networks.save(network, network_digest(network), "ana")


@pytest.fixture
def people(bench: Bench) -> FakeContacts:
    with_contacts(bench)
    in_force(bench, host=HOST_FILE)
    return FakeContacts()


def escalated(bench: Bench, kind: str = "page", **report: Any) -> Alarm:
    """An alarm of which people are to be told."""
    alarm = bench.report(report.pop("path", "/x"), report.pop("cause", "no-rule-answers-this"), **report)
    found = bench.store.alarms.escalate(alarm, "it stands", actor="remediation", kind=kind)
    assert found is not None
    return found


async def minutes(bench: Bench, number: int, *schedulers: Remediator) -> None:
    """Rounds for some minutes: one each minute, or each fifth one where they are many."""
    step = 5 if number > 20 else 1
    for _ in range(number // step + 1):
        await bench.round(*schedulers, seconds=step * MINUTE)


def called(people: FakeContacts) -> list[str]:
    """Contacts in the order in which they got a call, with its number."""
    return [f"{contact} {content['call']['number']}" for contact, content, _ in people.sent]


def told(people: FakeContacts) -> list[tuple[str, str]]:
    """Contacts, with the alarms of which they were told, in the order of the messages."""
    return [
        (contact, alarm)
        for contact, said, _ in people.sent
        for alarm in (said["calls"]["alarms"] if "calls" in said else [said["alarm"]["id"]])
    ]


def latest(bench: Bench) -> Call:
    return bench.store.calls.page(Page())[1][0]


def actions(bench: Bench, alarm: Alarm) -> list[str]:
    rows = bench.store.audit.page(Page(limit=500))[1]
    return [row.action for row in rows if row.object == alarm.id and row.action.startswith("call.")][::-1]


async def test_a_call_is_repeated_and_handed_on_until_all_were_called(bench: Bench, people: FakeContacts) -> None:
    one, other = bench.scheduler(contacts=people), bench.scheduler(contacts=people)
    alarm = escalated(bench)
    await minutes(bench, 60, one, other)
    assert called(people) == ["noc 1", "noc 2", "manager 3", "manager 4"]
    assert len({key for _, _, key in people.sent}) == 4
    assert bench.people.sent == [], "the webhook of the settings is for who has no schedule"
    assert bench.store.escalations.pending() == []
    assert actions(bench, alarm) == ["call.made"] * 4 + ["call.nobody-acknowledged"]
    figures = bench.store.status.figures()["minka_calls_unacknowledged"]
    assert figures == {("calling",): 0.0, ("used-up",): 1.0}
    bench.report("/x", "no-rule-answers-this", PerceivedSeverity.CLEARED)
    assert bench.store.status.figures()["minka_calls_unacknowledged"]["used-up",] == 0.0


async def test_nobody_is_called_again_once_somebody_acknowledges(bench: Bench, people: FakeContacts) -> None:
    scheduler = bench.scheduler(contacts=people)
    alarm = escalated(bench)
    await minutes(bench, 12, scheduler)
    assert bench.store.status.figures()["minka_calls_unacknowledged"]["calling",] == 1.0
    calls = bench.store.calls.acknowledge(alarm.id, "host", "rosa")
    again = bench.store.calls.acknowledge(alarm.id, "host", "eva")
    assert [one.acknowledged_by for one in (*calls, *again)] == ["rosa"] * 4, "the first stays on record"
    await minutes(bench, 60, scheduler)
    assert called(people) == ["noc 1", "noc 2"]
    assert actions(bench, alarm) == ["call.made", "call.made", "call.acknowledged"]
    assert bench.store.status.figures()["minka_calls_unacknowledged"]["calling",] == 0.0
    assert bench.store.calls.acknowledge(alarm.id, "andes", "rosa") == [], "nobody of that side was called"


async def test_who_acknowledges_the_incident_acknowledges_its_calls(bench: Bench, people: FakeContacts) -> None:
    scheduler = bench.scheduler(contacts=people)
    alarm = escalated(bench)
    await minutes(bench, 1, scheduler)
    bench.store.calls.acknowledge_incident(bench.alarm(alarm).incident, "rosa")
    await minutes(bench, 30, scheduler)
    assert called(people) == ["noc 1"]


async def test_nobody_is_called_again_for_what_is_over_and_later_for_what_is_shelved(
    bench: Bench, people: FakeContacts
) -> None:
    scheduler = bench.scheduler(contacts=people)
    over, shelved = escalated(bench, path="/over"), escalated(bench, path="/shelved")
    await minutes(bench, 1, scheduler)
    bench.report("/over", "no-rule-answers-this", PerceivedSeverity.CLEARED)
    bench.store.alarms.shelve(shelved.id, bench.clock.now() + timedelta(minutes=30), "rosa", "parts ordered")
    await minutes(bench, 25, scheduler)
    assert sorted(told(people)) == sorted([("noc", over.id), ("noc", shelved.id)]), "once, in one message or in two"
    await minutes(bench, 8, scheduler)
    assert told(people)[2:] == [("noc", shelved.id)]
    assert actions(bench, over) == ["call.made"], "it is no escalation that nobody acknowledged"


async def test_who_takes_no_call_is_no_reason_not_to_call_the_next_one(bench: Bench, people: FakeContacts) -> None:
    people.away.add("noc")
    scheduler = bench.scheduler(contacts=people)
    escalated(bench)
    await minutes(bench, 20, scheduler)
    assert called(people) == ["manager 3"]
    figures = bench.store.status.figures()
    assert figures["minka_deliveries_failing"]["call",] == 1.0, "the second one waits for the first"
    people.away.clear()
    await minutes(bench, 2, scheduler)
    assert sorted(called(people)) == ["manager 3", "noc 1", "noc 2"]
    people.away.add("manager")
    alarm = escalated(bench, path="/2")
    bench.store.calls.hand_over("host", "noc", "manager", bench.clock.now() + timedelta(1), by="rosa", reason="ill")
    await minutes(bench, 2, scheduler)
    assert bench.store.status.figures()["minka_deliveries_failing"]["call",] == 1.0
    bench.store.calls.acknowledge(alarm.id, "host", "rosa")
    assert bench.store.status.figures()["minka_deliveries_failing"]["call",] == 0.0


async def test_a_contact_that_takes_nothing_keeps_no_other_one_waiting(bench: Bench, people: FakeContacts) -> None:
    people.away.add("noc")
    scheduler = bench.scheduler(contacts=people)
    for number in range(30):
        escalated(bench, path=f"/{number}")
    await minutes(bench, 1, scheduler)
    bench.store.calls.hand_over("host", "noc", "rider", bench.clock.now() + timedelta(hours=1), by="rosa", reason="ill")
    escalated(bench, path="/later")
    await minutes(bench, 2, scheduler)
    assert called(people) == ["rider 1"]


async def test_a_scheduler_that_dies_with_a_call_is_followed_by_another(bench: Bench, people: FakeContacts) -> None:
    dies = bench.scheduler(contacts=people)
    alarm = escalated(bench)
    (one,) = bench.store.escalations.pending()
    assert await dies._caller.take(one)  # type: ignore[union-attr]
    bench.store.calls.gather()
    (call,) = bench.store.calls.pending()
    assert bench.store.calls.claim(call), "it dies before it sends"
    successor = bench.scheduler(contacts=people)
    await minutes(bench, 3, successor)
    assert [key for _, _, key in people.sent] == [f"call-{alarm.id}-1-host-1"]


async def test_what_two_schedulers_see_as_due_is_called_once(bench: Bench, people: FakeContacts) -> None:
    scheduler = bench.scheduler(contacts=people)
    escalated(bench)
    await minutes(bench, 1, scheduler)
    (before,) = bench.store.calls.page(Page())[1]
    after = before.model_copy(update={"number": 2, "at": bench.clock.now()})
    assert bench.store.calls.follow(before, after)
    assert not bench.store.calls.follow(before, after)
    assert bench.store.calls.page(Page())[0] == 2


async def test_a_repetition_of_the_first_calls_makes_no_second_ones(bench: Bench, people: FakeContacts) -> None:
    scheduler = bench.scheduler(contacts=people)
    escalated(bench)
    (one,) = bench.store.escalations.pending()
    for _ in range(2):
        assert await scheduler._caller.take(one)  # type: ignore[union-attr]
    assert bench.store.calls.page(Page())[0] == 1


async def test_a_graver_escalation_begins_anew_and_ends_the_calls_of_the_earlier_one(
    bench: Bench, people: FakeContacts
) -> None:
    scheduler = bench.scheduler(contacts=people)
    alarm = escalated(bench)
    await minutes(bench, 25, scheduler)
    bench.store.calls.acknowledge(alarm.id, "host", "rosa")
    graver = bench.report("/x", "no-rule-answers-this", PerceivedSeverity.CRITICAL)
    assert bench.store.alarms.escalate(graver, "it is dark", actor="remediation")
    await minutes(bench, 12, scheduler)
    assert called(people) == ["noc 1", "noc 2", "manager 3", "noc 1", "noc 2"]
    assert [said["reason"] for _, said, _ in people.sent] == ["it stands"] * 3 + ["it is dark"] * 2


async def test_without_a_schedule_or_a_contact_the_webhook_gets_it(bench: Bench) -> None:
    people = FakeContacts()
    scheduler = bench.scheduler(contacts=people)
    without = escalated(bench, path="/1")
    await minutes(bench, 1, scheduler)
    in_force(bench, host=HOST_FILE)
    gone = escalated(bench, path="/2")
    await minutes(bench, 1, scheduler)
    assert [alarm.id for alarm, _ in bench.people.sent] == [without.id, gone.id]
    with_contacts(bench)
    escalated(bench, path="/3")
    await minutes(bench, 1, scheduler)
    assert (len(bench.people.sent), called(people)) == (2, ["noc 1"])


async def test_a_schedule_that_goes_leaves_what_nobody_acknowledged_as_such(bench: Bench, people: FakeContacts) -> None:
    scheduler = bench.scheduler(contacts=people)
    alarm = escalated(bench)
    await minutes(bench, 1, scheduler)
    in_force(bench)
    await minutes(bench, 30, scheduler)
    assert called(people) == ["noc 1"]
    assert actions(bench, alarm) == ["call.made", "call.nobody-acknowledged"]


async def test_a_hand_over_lasts_until_its_end_and_a_newer_one_replaces_it(bench: Bench, people: FakeContacts) -> None:
    scheduler = bench.scheduler(contacts=people)
    now = bench.clock.now()
    for to, hours in (("manager", 9), ("rider", 1)):
        bench.store.calls.hand_over("host", "noc", to, now + timedelta(hours=hours), by="rosa", reason="ill")
    escalated(bench, path="/1")
    await minutes(bench, 61, scheduler)
    assert called(people)[:2] == ["rider 1", "rider 2"]
    escalated(bench, path="/2")
    await minutes(bench, 1, scheduler)
    assert called(people)[-1] == "noc 1"
    made = bench.store.calls.hand_over("host", "noc", "rider", now + timedelta(hours=9), by="rosa", reason="ill")
    with pytest.raises(NotFoundError):
        bench.store.calls.end_hand_over(made.id, "andes", by="mallory")
    assert bench.store.calls.hand_overs(bench.clock.now()) == [made]
    bench.store.calls.end_hand_over(made.id, "host", by="rosa")
    assert bench.store.calls.hand_overs(bench.clock.now()) == []
    for _ in range(on_call.MOST_A_DAY - 3):
        bench.store.calls.hand_over("host", "noc", "rider", now + timedelta(hours=9), by="rosa", reason="ill")
    with pytest.raises(ConflictError, match="the limit"):
        bench.store.calls.hand_over("host", "noc", "rider", now + timedelta(hours=9), by="rosa", reason="ill")


async def test_a_tenant_is_called_about_its_own_part_alone(bench: Bench, people: FakeContacts) -> None:
    bench.clock.pause(timedelta(days=300).total_seconds())  # its agreement is in force
    in_force(bench, host=HOST_FILE, andes=TENANT_FILE)
    scheduler = bench.scheduler(contacts=people)
    mine = escalated(bench, path=LINK, cause="core-link-down", tenant="andes")
    escalated(bench, path="/EP_S1C[two]", cause="core-link-down", tenant="condor")
    escalated(bench, kind="ticket", path="/EP_S1C[three]", cause="core-link-down", tenant="andes")
    await minutes(bench, 1, scheduler)
    told = [content for _, content, key in people.sent if "-andes-" in key]
    assert [one["alarm"]["id"] for one in told] == [mine.id]
    assert told[0].keys() == {"kind", "call", "alarm", "text"}, "neither the reason nor the pack of the host"
    assert (told[0]["alarm"]["station"], STATION_ID in told[0]["text"]) == (STATION_ID, True)
    assert "it stands" not in str(told[0])
    bench.store.calls.acknowledge(mine.id, "host", "rosa")
    await minutes(bench, 20, scheduler)
    assert len([key for _, _, key in people.sent if "-andes-" in key]) == 2, "each side acknowledges for itself"
    assert "rosa" not in str([content for _, content, key in people.sent if "-andes-" in key])


def shipped(bench: Bench) -> None:
    """Put the shipped rules in force as they come, with schedules; nobody promotes any."""
    schedules = {"rules/oncall/host.yaml": HOST_FILE, "rules/oncall/andes.yaml": TENANT_FILE}
    put_in_force(bench.store, files=DefinitionFiles({**shipped_files().texts, **schedules}))


def node_lost(bench: Bench, severity: PerceivedSeverity = PerceivedSeverity.CRITICAL, at: str = "andes-mme-1") -> Alarm:
    report = AlarmReport(
        station="",
        object=at,
        object_class=ObjectClass.CORE_NODE,
        tenant="andes",
        probable_cause="core-node-down",
        severity=severity,
        source=AlarmSource.CHECK,
        at=bench.clock.now(),
    )
    return bench.store.alarms.report(report)


async def test_shipped_rules_call_people_to_a_lost_core_node_though_nobody_promoted_them(
    bench: Bench, people: FakeContacts
) -> None:
    bench.clock.pause(timedelta(days=300).total_seconds())  # an agreement of the tenant is in force
    shipped(bench)
    scheduler = bench.scheduler(rules=None, mode=None, contacts=people)
    node_lost(bench)
    await bench.round(scheduler, seconds=50)
    await bench.round(scheduler, seconds=5)
    assert people.sent == [], "a core that restarts, and links that find another way, call nobody"
    await bench.round(scheduler, seconds=10)
    for _ in range(3):
        await bench.round(scheduler)
    sent = {content["call"]["side"]: content for _, content, _ in people.sent}
    assert sorted(sent) == ["andes", "host"], "the tenant whose core it is hears of it too"
    assert {content["kind"] for content in sent.values()} == {"page"}
    assert "reach that tenant's NOC" in sent["host"]["text"]
    assert bench.runs() == []


@pytest.mark.parametrize(
    ("cause", "path", "station", "kind"),
    [("remote-end-down", "sec-gw-1", "", "page"), ("station-unreachable", "station", STATION_ID, "ticket")],
)
async def test_shipped_rules_tell_people_once_of_what_stays_lost_and_not_of_what_comes_back(
    bench: Bench, people: FakeContacts, cause: str, path: str, station: str, kind: str
) -> None:
    shipped(bench)
    scheduler = bench.scheduler(rules=None, mode=None, contacts=people)
    bench.report(path, cause, station=station)
    await bench.round(scheduler, seconds=45)
    bench.report(path, cause, PerceivedSeverity.CLEARED, station=station)
    await minutes(bench, 20, scheduler)
    assert people.sent == []
    await bench.clock.advance(3600)
    bench.report(path, cause, station=station)
    await bench.round(scheduler, seconds=5)
    # A device may restart, or get another release, for some minutes.
    await minutes(bench, 18, scheduler)
    assert {(content["kind"], content["call"]["side"]) for _, content, _ in people.sent} == {(kind, "host")}
    assert len({content["alarm"]["id"] for _, content, _ in people.sent}) == 1
    assert bench.runs() == []


async def test_nobody_is_called_to_a_core_that_its_tenant_works_on_as_announced(
    bench: Bench, people: FakeContacts
) -> None:
    shipped(bench)
    scheduler = bench.scheduler(rules=None, mode=None, contacts=people)
    now = bench.clock.now()
    bench.store.works.announce("andes", {}, now, now + timedelta(minutes=10), "eva", "upgrade")
    node_lost(bench)
    await minutes(bench, 8, scheduler)
    assert people.sent == []
    await minutes(bench, 6, scheduler)
    assert {content["kind"] for _, content, _ in people.sent} == {"page"}, "it is over, and the node is lost still"


async def test_a_station_that_can_not_be_reached_since_something_wider_failed_calls_nobody_by_itself(
    bench: Bench, people: FakeContacts
) -> None:
    shipped(bench)
    scheduler = bench.scheduler(rules=None, mode=None, contacts=people)
    mains = bench.report("station", "mains-lost")
    dark = bench.report("station", "station-unreachable")
    assert bench.alarm(dark).root == mains.id
    await minutes(bench, 20, scheduler)
    assert [content["alarm"]["id"] for _, content, _ in people.sent if content["alarm"]["id"] == dark.id] == []
