"""A storm is one message to each receiver of a side: everything that is due is in one of them, and told once."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sqlalchemy import event

from controller.intent.gathering import NAMED, gather
from controller.intent.impact import Sharing
from controller.intent.incident_news import HOLD_OFF
from controller.models.alarm import AlarmReport, AlarmSource, PerceivedSeverity
from controller.models.approval import Notice, NoticeKind
from controller.models.errors import NotTakenError
from controller.models.network import Contact
from controller.ports.clock import VirtualClock
from controller.ports.webhook import FakeContacts
from controller.store import Page, open_store
from controller.store.incidents.notices import INTERVAL
from tests.security.test_disclosed_fields import EMPTY
from tests.unit.runs.test_notices import NoticesBench, link, with_contacts

MINOR, MAJOR, CRITICAL = PerceivedSeverity.MINOR, PerceivedSeverity.MAJOR, PerceivedSeverity.CRITICAL
STATIONS = ("T-LTE-1", "T-NR-1")
SOON = HOLD_OFF.total_seconds() + 10


@pytest.fixture
def bench() -> Iterator[NoticesBench]:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        yield NoticesBench(store, clock)


def storm(bench: NoticesBench, count: int) -> set[str]:
    """Faults without a common root, each an incident; their ids."""
    made = [
        AlarmReport(
            station=STATIONS[number % 2],
            object=f"/part[{number}]",
            probable_cause=("fan-failure", "3gpp-power-problem")[number % 3 == 0],
            severity=CRITICAL if number == 7 else MINOR,
            source=AlarmSource.CHECK,
            at=bench.clock.now(),
        )
        for number in range(count)
    ]
    calls = (made[begin : begin + 100] for begin in range(0, count, 100))
    return {alarm.incident for some in calls for alarm in bench.store.alarms.report_all(some)}


def told(contacts: FakeContacts, to: str) -> list[dict[str, Any]]:
    return [content for one, content, _ in contacts.sent if one == to]


def incidents_in(content: dict[str, Any]) -> list[str]:
    return [content["notice"]["incident"]] if "notice" in content else content["notices"]["incidents"]


async def test_3000_incidents_at_once_are_one_message_to_each_receiver_and_few_transactions(
    bench: NoticesBench,
) -> None:
    found = storm(bench, 3000)
    assert len(found) == 3000
    await bench.clock.advance(SOON)
    sender, begun = bench.sender(), [0]
    event.listen(bench.store.database.engine, "commit", lambda *_: begun.__setitem__(0, begun[0] + 1))
    await sender.step()
    await sender.settle()
    for contact in ("desk", "noc", "tickets", "condor-noc"):
        (content,) = told(bench.contacts, contact)
        assert set(incidents_in(content)) == found
        assert len(incidents_in(content)) == len(found)
        said = content["notices"]
        assert (said["places"]["incidents"], said["severity"], said["more"]) == (3000, "CRITICAL", 3000 - NAMED)
        assert len(said["notices"]) == NAMED
        assert said["notices"][0]["severity"] == "CRITICAL", "the gravest first"
        assert content["text"].endswith(f"and {3000 - NAMED} more: minka notices")
    # A few for each round of 200 incidents, and for each of the four messages; none for each incident.
    assert begun[0] <= 3000 // 200 * 3 + 4 * 6, begun
    await bench.seconds(sender, seconds=60)
    assert len(bench.contacts.sent) == 4, "and nothing is told twice"
    assert all(one.sent is not None for one in bench.store.notices.page(Page(limit=1000), "andes")[1])


async def test_a_first_critical_incident_alone_is_told_as_soon_as_ever_and_what_follows_is_one_message(
    bench: NoticesBench,
) -> None:
    bench.report(CRITICAL, "T-LTE-1", object="/part[1]")
    sender = bench.sender()
    await bench.seconds(sender, seconds=HOLD_OFF.total_seconds() + 2)
    (content,) = told(bench.contacts, "noc")
    assert content["notice"]["kind"] == "incident-raised"
    for number in range(2, 26):
        bench.report(CRITICAL, "T-LTE-1", object=f"/part[{number}]")
        await bench.clock.advance(1)
    await bench.seconds(sender, seconds=HOLD_OFF.total_seconds() + INTERVAL.total_seconds() + 4)
    assert len(told(bench.contacts, "noc")) <= 3
    every = [incident for content in told(bench.contacts, "noc") for incident in incidents_in(content)]
    assert len(every) == len(set(every)) == 25


async def test_what_becomes_of_each_incident_is_told_on_after_the_storm(bench: NoticesBench) -> None:
    sender = bench.sender()
    storm(bench, 12)
    await bench.seconds(sender, seconds=SOON)
    alarms = bench.store.alarms.page(Page(limit=100))[1]
    bench.store.incidents.take(alarms[0].incident, "ana")
    bench.report(
        PerceivedSeverity.CLEARED, alarms[1].station, object=alarms[1].object, probable_cause=alarms[1].probable_cause
    )
    await bench.seconds(sender, seconds=120)
    (_, *later) = told(bench.contacts, "noc")
    said = [
        one
        for content in later
        for one in ([content["notice"]] if "notice" in content else content["notices"]["notices"])
    ]
    assert {(one["incident"], one["kind"]) for one in said} == {
        (alarms[0].incident, "incident-updated"),
        (alarms[1].incident, "incident-cleared"),
    }
    assert next(one for one in said if one["kind"] == "incident-updated")["doing"] == "people know of it"


async def test_a_message_to_a_tenant_names_no_other_tenant_and_nothing_of_its_own_cells(bench: NoticesBench) -> None:
    storm(bench, 30)
    await bench.seconds(bench.sender(), seconds=SOON)
    cells = bench.store.networks.get()[1].cells_by_station
    for contact, mine, others in (
        ("noc", "andes", ("condor", "vicuna")),
        ("condor-noc", "condor", ("andes", "vicuna")),
    ):
        (content,) = told(bench.contacts, contact)
        assert content["notices"]["side"] == mine
        assert not [other for other in others if other in str(content)]
        places = content["notices"]["places"]
        assert set(places["named"]) <= set(cells)
        assert not any(places[field] for field in EMPTY["GatheredPlaces"].split())
        hidden = EMPTY["ToldNotice"].split()
        assert not any(one[field] for one in content["notices"]["notices"] for field in hidden)
    (host,) = told(bench.contacts, "desk")
    assert all(host["notices"]["places"][field] for field in EMPTY["GatheredPlaces"].split())
    assert {"andes", "condor"} <= set(host["notices"]["places"]["tenants"])


async def test_a_message_to_the_host_names_the_tenants_concerned_and_not_all_that_share_the_cells(
    bench: NoticesBench,
) -> None:
    """Links of andes alone are broken, at cells that condor shares: from what is raised until all of it is over."""
    sender = bench.sender()
    for severity, kind in ((MAJOR, "incident-raised"), (PerceivedSeverity.CLEARED, "incident-cleared")):
        found = [link(bench, station, severity) for station in STATIONS]
        await bench.seconds(sender, seconds=120)
        content = told(bench.contacts, "desk")[-1]
        assert len(incidents_in(content)) == len(STATIONS)
        assert {one["kind"] for one in content["notices"]["notices"]} == {kind}
        cells = {cell for one in content["notices"]["notices"] for cell in one["cells"]}
        network = bench.store.networks.get()[1]
        assert "condor" in Sharing(network, network.day(bench.clock.now())).tenants_at(cells)
        assert {tenant for alarm in found for tenant in alarm.tenants} == {"andes"}
        places = [content["notices"]["places"], *(one["places"] for one in content["notices"]["causes"])]
        assert [one["tenants"] for one in places] == [["andes"]] * 2
        assert "; tenants andes\n" in content["text"]


async def test_notices_on_record_name_tenants_to_the_host_alone(bench: NoticesBench) -> None:
    link(bench, "T-LTE-1")
    bench.report(MAJOR, "T-NR-1")
    await bench.seconds(bench.sender(), seconds=SOON)
    kept = bench.store.notices.page(Page(limit=100))[1]
    named = {one.tenant: one.tenants for one in kept if one.stations == ("T-LTE-1",)}
    for field in EMPTY["Notice"].split():
        assert all(getattr(one, field) for one in kept if one.tenant == "host")
        assert not [one for one in kept if one.tenant != "host" and getattr(one, field)]
    assert named == {"host": ("andes",), "andes": ()}


async def test_what_names_no_cell_names_its_object_to_the_host(bench: NoticesBench) -> None:
    bench.report(MAJOR, "", object="probe-17", probable_cause="alert")
    await bench.seconds(bench.sender(), seconds=SOON)
    (content,) = told(bench.contacts, "desk")
    assert "at probe-17; " in content["notice"]["text"]


class Shaky(FakeContacts):
    """Contacts that are away, or refuse what they like not, or whose sender dies after they took it, as it is drawn."""

    def __init__(self, dice: list[int], bad: str) -> None:
        super().__init__()
        self._dice, self._bad = dice, bad

    async def notify(self, contact: Contact, content: Any, key: str) -> None:
        self.refused = {self._bad}
        turn = self._dice.pop() if self._dice else 0
        if turn == 1:
            raise NotTakenError("away")
        await super().notify(contact, content, key)
        if turn == 2:
            raise asyncio.CancelledError


@settings(max_examples=15, deadline=None)
@given(
    waves=st.lists(st.tuples(st.integers(1, 9), st.integers(0, 40)), min_size=1, max_size=4),
    dice=st.lists(st.sampled_from((0, 0, 0, 1, 2)), max_size=12),
)
async def test_every_incident_that_is_due_is_in_exactly_one_message_to_each_receiver_of_its_side(
    waves: list[tuple[int, int]], dice: list[int]
) -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        bench = NoticesBench(store, clock)
        bench.contacts = Shaky(list(dice), "/part[3]")
        sender, number, found = bench.sender(), 0, set()
        for count, apart in waves:
            for _ in range(count):
                number += 1
                found.add(bench.report(MAJOR, STATIONS[number % 2], object=f"/part[{number}]").incident)
            await _play(bench, sender, apart)
        for _ in range(4):  # A scheduler that died is followed by another one, which takes its claims over.
            await _play(bench, bench.sender(), 200)
    for contact in ("desk", "noc", "tickets", "condor-noc"):
        keys: dict[str, list[str]] = {}
        for to, content, key in bench.contacts.sent:
            if to == contact:
                assert keys.setdefault(key, incidents_in(content)) == incidents_in(content), "the same under a key"
        assert Counter(one for its in keys.values() for one in its) == Counter(found)


async def _play(bench: NoticesBench, sender: Any, seconds: int) -> None:
    for _ in range(seconds // 2):
        await sender.step()
        try:
            await sender.settle()
        except asyncio.CancelledError:
            return
        await bench.clock.advance(2)


def test_causes_stand_first_and_the_gravest_before_all() -> None:
    network = with_contacts()
    at = VirtualClock().now()

    def notice(number: int, what: str, severity: PerceivedSeverity, kind: NoticeKind) -> Notice:
        return Notice(
            id=f"n-{number}",
            incident=f"i-{number}",
            tenant="host",
            kind=kind,
            at=at,
            stations=(STATIONS[number % 2],),
            what=what,
            severity=severity,
            text=f"{what} {number}",
        )

    raised, over = NoticeKind.INCIDENT_RAISED, NoticeKind.INCIDENT_CLEARED
    said = gather(
        [
            notice(1, "fan", MINOR, raised),
            notice(2, "fire", CRITICAL, over),
            notice(3, "mains", CRITICAL, raised),
            notice(4, "fan", MAJOR, raised),
        ],
        network,
    )
    assert [(one.what, one.severity, one.places.incidents) for one in said.causes] == [
        ("mains", CRITICAL, 1),
        ("fan", MAJOR, 2),
        ("fire", None, 1),
    ]
    assert said.incidents == ("i-3", "i-4", "i-1", "i-2")
    first = said.text.splitlines()[0]
    assert first.startswith(
        "4 incidents (1 cleared, 3 raised), worst CRITICAL at 2 stations: T-LTE-1, T-NR-1; 2 sites in "
    )
    assert said.more == 0
