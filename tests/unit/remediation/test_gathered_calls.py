"""A storm is few calls of who is on call: each escalation is in one message, and what it did not tell is not known."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.intent.gathering import NAMED, gather_calls
from controller.models.alarm import AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.errors import MessageRefusedError, NotTakenError
from controller.models.on_call import Call, CalledAlarm, CallMessage
from controller.models.sharing import Contact
from controller.ports.clock import VirtualClock
from controller.ports.webhook import FakeContacts
from controller.remediation.remediator import Remediator
from controller.store import Page, open_store
from controller.store.incidents.on_call import HOLD
from tests.security.test_disclosed_fields import EMPTY
from tests.unit.remediation.bench import STATION_ID, Bench, tiny
from tests.unit.remediation.test_on_call import HOST_FILE, TENANT_FILE, in_force, with_contacts

CRITICAL, MAJOR, MINOR = PerceivedSeverity.CRITICAL, PerceivedSeverity.MAJOR, PerceivedSeverity.MINOR
REPEAT, BAD = 600, "/part[3]"
CAUSES = ("fan-failure", "rectifier-failure")


@pytest.fixture
def people(bench: Bench) -> FakeContacts:
    with_contacts(bench)
    in_force(bench, host=HOST_FILE)
    return FakeContacts()


def storm(bench: Bench, count: int, begin: int = 0) -> list[str]:
    """Escalated faults without a common root, each an incident of its own; ids of their alarms."""
    reports = [
        AlarmReport(
            station=STATION_ID,
            object=f"/part[{number}]",
            probable_cause=CAUSES[number % 3 == 0],
            severity=MINOR,
            source=AlarmSource.CHECK,
            at=bench.clock.now(),
        )
        for number in range(begin, begin + count)
    ]
    found = bench.store.alarms.report_all(reports)
    for alarm in found:
        assert bench.store.alarms.escalate(alarm, "it stands", actor="remediation")
    return [alarm.id for alarm in found]


async def seconds(bench: Bench, number: int, scheduler: Remediator, step: int = 1) -> None:
    for _ in range(number // step):
        await bench.round(scheduler, seconds=step)


def alarms_in(content: dict[str, Any]) -> list[str]:
    return [content["alarm"]["id"]] if "alarm" in content else content["calls"]["alarms"]


def told(people: FakeContacts, to: str = "noc") -> list[dict[str, Any]]:
    return [content for contact, content, _ in people.sent if contact == to]


async def test_a_storm_is_a_first_call_and_one_message_of_all_else_until_somebody_acknowledges(
    bench: Bench, people: FakeContacts
) -> None:
    found = set(storm(bench, 50))
    scheduler = bench.scheduler(contacts=people)
    await seconds(bench, 30, scheduler, step=5)
    (first,) = told(people)
    await seconds(bench, int(HOLD.total_seconds()), scheduler, step=20)
    (_, every) = told(people)
    assert sorted([*alarms_in(first), *alarms_in(every)]) == sorted(found), "each in one message"
    said = every["calls"]
    assert (said["side"], said["contact"], every["kind"]) == ("host", "noc", "page")
    assert [(one["what"], one["severity"]) for one in said["causes"]] == [(CAUSES[0], "MINOR"), (CAUSES[1], "MINOR")]
    assert said["places"]["incidents"] == len(said["incidents"]) == len(said["alarms"])
    assert (len(said["first"]), said["more"]) == (NAMED, len(said["alarms"]) - NAMED)
    assert f"minka oncall acknowledge {said['id']}" in every["text"]
    assert said["first"][0]["reason"] == "it stands"
    assert bench.store.status.figures()["minka_calls_unacknowledged"]["calling",] == 50.0
    bench.store.calls.acknowledge(said["id"], "host", "rosa")
    left = float(len(alarms_in(first)))
    assert bench.store.status.figures()["minka_calls_unacknowledged"]["calling",] == left
    await seconds(bench, 4 * REPEAT, scheduler, step=60)
    assert {alarm for content in told(people)[2:] for alarm in alarms_in(content)} == set(alarms_in(first))
    assert len(people.sent) <= 2 + 4, "what was acknowledged is told no more"


async def test_what_nobody_acknowledges_is_repeated_and_passed_on_as_few_messages(
    bench: Bench, people: FakeContacts
) -> None:
    found = set(storm(bench, 30))
    scheduler = bench.scheduler(contacts=people)
    await seconds(bench, 5 * REPEAT, scheduler, step=30)
    for to in ("noc", "manager"):
        each = Counter(alarm for content in told(people, to) for alarm in alarms_in(content))
        assert set(each) == found
        assert set(each.values()) == {2}, "as often as the schedule says"
        assert len(told(people, to)) <= 4
    assert bench.store.status.figures()["minka_calls_unacknowledged"] == {("calling",): 0.0, ("used-up",): 30.0}


async def test_a_graver_one_calls_at_once_in_a_storm(bench: Bench, people: FakeContacts) -> None:
    found = storm(bench, 25)
    scheduler = bench.scheduler(contacts=people)
    await seconds(bench, 30, scheduler, step=5)
    (first,) = told(people)
    grave = bench.report("/grave", "no-rule-answers-this", CRITICAL)
    assert bench.store.alarms.escalate(grave, "it is dark", actor="remediation")
    await seconds(bench, 3, scheduler)
    (_, said) = told(people)
    assert alarms_in(said)[0] == grave.id
    assert said["calls"]["severity"] == "CRITICAL"
    assert sorted([*alarms_in(first), *alarms_in(said)]) == sorted([*found, grave.id])


async def test_a_tenant_reads_of_its_own_alarms_alone(bench: Bench, people: FakeContacts) -> None:
    bench.clock.pause(300 * 86_400.0)  # its agreement is in force
    in_force(bench, host=HOST_FILE, andes=TENANT_FILE)
    mine = set()
    for number in range(6):
        for tenant in ("andes", "condor"):
            alarm = bench.report(f"/part[{number}{tenant}]", f"fault-{number}", tenant=tenant)
            assert bench.store.alarms.escalate(alarm, "secret of the host", actor="remediation")
            mine |= {alarm.id} if tenant == "andes" else set()
    await seconds(bench, 400, bench.scheduler(contacts=people), step=20)
    sides = {key: content for _, content, key in people.sent}
    its = [content for content in sides.values() if (content.get("calls") or content["call"])["side"] == "andes"]
    assert {alarm for content in its for alarm in alarms_in(content)} == mine
    assert [content for content in its if "calls" in content]
    assert "secret" not in str(its)
    assert "condor" not in str(its)
    first = {
        host: [
            one
            for content in sides.values()
            if "calls" in content and (content not in its) is host
            for one in content["calls"]["first"]
        ]
        for host in (True, False)
    }
    for field in EMPTY["CalledAlarm"].split():
        assert all(one[field] for one in first[True]), "the host reads it"
        assert not any(one[field] for one in first[False]), "no tenant does"


async def test_a_message_of_calls_to_the_host_names_the_tenants_concerned_and_not_all_that_share_the_cells(
    bench: Bench, people: FakeContacts
) -> None:
    scheduler = bench.scheduler(contacts=people)
    for number in range(4):
        alarm = bench.report(f"/part[{number}]", f"fault-{number}", tenant="andes")
        assert alarm.tenants == ("andes",)
        assert bench.store.alarms.escalate(alarm, "it stands", actor="remediation")
    await seconds(bench, 400, scheduler, step=20)
    listed = next(content["calls"] for content in told(people) if "calls" in content)
    assert listed["side"] == "host"
    assert listed["places"]["tenants"] == ["andes"]
    assert {tenant for one in listed["first"] for tenant in one["tenants"]} == {"andes"}


def test_the_gravest_and_the_most_frequent_cause_stand_first() -> None:
    network, at = tiny(), VirtualClock().now()
    call = Call(alarm="a-1", escalation=1, side="host", number=1, duty="always", place=0, nth=1, contact="noc", at=at)
    kinds = [("fan", MINOR), ("mains", CRITICAL), ("fan", MAJOR), ("door", MINOR)]
    called = [
        CalledAlarm(
            alarm=f"a-{number}",
            incident=f"i-{number}",
            what=what,
            severity=severity,
            station=STATION_ID,
            object="/x",
            since=at,
            number=1,
            duty="always",
        )
        for number, (what, severity) in enumerate(kinds)
    ]
    made = gather_calls(CallMessage(message="m-1", call=call), called, network)
    assert [(one.what, one.severity, one.places.incidents) for one in made.causes] == [
        ("mains", CRITICAL, 1),
        ("fan", MAJOR, 2),
        ("door", MINOR, 1),
    ]
    assert made.alarms == ("a-1", "a-2", "a-0", "a-3")
    first = made.text.splitlines()[0]
    assert first.startswith(
        f"page m-1 of host to noc: 4 alarms in 4 incidents, worst CRITICAL at 1 station: {STATION_ID}"
    )


class Shaky(FakeContacts):
    """Contacts that are away, or refuse what they like not, or whose sender dies after they took it, as it is drawn."""

    def __init__(self, dice: list[int]) -> None:
        super().__init__()
        self._dice = dice

    async def notify(self, contact: Contact, content: Any, key: str) -> None:
        turn = self._dice.pop() if self._dice else 0
        if turn == 1:
            raise NotTakenError("away")
        body = content.model_dump(mode="json")
        about = [body["alarm"]] if "alarm" in body else body["calls"]["first"]
        if BAD in {one["object"] for one in about}:
            raise MessageRefusedError("it refuses that")
        await super().notify(contact, content, key)
        if turn == 2:
            raise asyncio.CancelledError


@settings(max_examples=4, deadline=None)
@given(
    waves=st.lists(st.tuples(st.integers(1, 6), st.integers(0, 20)), min_size=1, max_size=2),
    dice=st.lists(st.sampled_from((0, 0, 0, 1, 2)), max_size=10),
)
async def test_every_call_is_in_exactly_one_message_whatever_refuses_is_away_or_dies(
    waves: list[tuple[int, int]], dice: list[int]
) -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        bench, contacts = Bench(store, clock), Shaky(list(dice))
        found: list[str] = []
        with_contacts(bench)
        in_force(bench, host=HOST_FILE.replace("    repeat_minutes: 10\n", "").replace(", manager", ""))
        scheduler = bench.scheduler(contacts=contacts)
        for count, apart in waves:
            found += storm(bench, count, begin=len(found))
            await _play(bench, scheduler, apart)
        for _ in range(3):  # A scheduler that died is followed by another one, which takes its claims over.
            await _play(bench, bench.scheduler(contacts=contacts), 400, 40)
        keys: dict[str, list[str]] = {}
        for _, content, key in contacts.sent:
            assert keys.setdefault(key, alarms_in(content)) == alarms_in(content), "the same under a key"
        refused = {one.alarm for one in store.calls.page(Page(limit=100))[1] if one.sent is None}
        assert Counter(one for its in keys.values() for one in its) == Counter(
            one for one in found if one not in refused
        )
        assert {store.alarms.get(one).object for one in refused} <= {BAD}


async def _play(bench: Bench, scheduler: Remediator, seconds: int, step: int = 5) -> None:
    for _ in range(seconds // step + 1):
        await scheduler.step()
        try:
            await scheduler.settle()
        except asyncio.CancelledError:
            return
        await bench.clock.advance(step)
