"""Notices reach the webhook and the contacts of their side, each by itself, and of an incident not of each alarm."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import date
from itertools import pairwise
from typing import Any, cast

import pytest
from sqlalchemy import event

from controller.intent.incident_news import EASED, HOLD_OFF, PAUSE
from controller.models.alarm import (
    CORE_LINK_DOWN,
    CORE_NODE_DOWN,
    Alarm,
    AlarmReport,
    AlarmState,
    ObjectClass,
    PerceivedSeverity,
)
from controller.models.incident import DARK
from controller.models.network import Contact, Network, Validity, network_digest
from controller.models.rule import Proposal, ProposalState, RuleMode
from controller.ports.clock import VirtualClock
from controller.ports.webhook import FakeContacts, FakeWebhook
from controller.runs.approval.notices import Notices
from controller.store import Page, Store, open_store
from controller.store.incidents import incident_notices
from tests.unit.remediation.bench import TurnsStore, tiny

MAJOR, CRITICAL, CLEARED = PerceivedSeverity.MAJOR, PerceivedSeverity.CRITICAL, PerceivedSeverity.CLEARED
LINK = "/ManagedElement[x]/ENBFunction[1]/EP_S1C[andes-andes-mme-1]"


def with_contacts() -> Network:
    """The small network, where andes has two contacts, condor one, and the host one."""
    made = tiny()
    contacts = {
        "andes": ("noc", "tickets"),
        "condor": ("condor-noc",),
        "vicuna": (),
    }

    def of(names: tuple[str, ...]) -> tuple[Contact, ...]:
        return tuple(Contact(id=name, name=name, email=f"{name}@noc.example") for name in names)

    tenants = tuple(one.model_copy(update={"contacts": of(contacts[one.id])}) for one in made.tenants)
    header = made.header.model_copy(update={"contacts": of(("desk",))})
    always = tuple(one.model_copy(update={"validity": Validity(start=date(2020, 1, 1))}) for one in made.agreements)
    return made.model_copy(update={"tenants": tenants, "header": header, "agreements": always})


def without_contacts() -> Network:
    made = with_contacts()
    tenants = tuple(one.model_copy(update={"contacts": ()}) for one in made.tenants)
    header = made.header.model_copy(update={"contacts": ()})
    return made.model_copy(update={"tenants": tenants, "header": header})


class NoticesBench:
    """A record, and schedulers that send what is on it."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store, self.clock = store, clock
        self.contacts, self.webhook = FakeContacts(), FakeWebhook()
        network = with_contacts()
        store.networks.save(network, network_digest(network), "ana")

    def sender(self, *, webhook: bool = False) -> Notices:
        store = cast("Any", TurnsStore(self.store, 1))
        return Notices(store, self.webhook if webhook else None, self.contacts, self.clock)

    async def seconds(self, *senders: Notices, seconds: float) -> None:
        """Rounds of two seconds, as the scheduler makes them."""
        for _ in range(int(seconds / 2)):
            for sender in senders:
                await sender.step()
            for sender in senders:
                await sender.settle()
            await self.clock.advance(2)

    def report(self, severity: PerceivedSeverity, station: str = "T-LTE-1", **more: Any) -> Alarm:
        given = {"object": "station", "probable_cause": "3gpp-power-problem", "source": "check"} | more
        return self.store.alarms.report(AlarmReport(station=station, severity=severity, at=self.clock.now(), **given))

    def sent_to(self, contact: str) -> list[tuple[str, str, int]]:
        """Kind, what is being done, and number of cells, of what a contact was told."""
        said = [content["notice"] for to, content, _ in self.contacts.sent if to == contact]
        return [(one["kind"].removeprefix("incident-"), one["doing"], len(one["cells"])) for one in said]


@pytest.fixture
def bench() -> Iterator[NoticesBench]:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        yield NoticesBench(store, clock)


def link(bench: NoticesBench, station: str, severity: PerceivedSeverity = MAJOR) -> Alarm:
    return bench.report(severity, station, object=LINK, probable_cause=CORE_LINK_DOWN, tenant="andes")


async def test_a_message_does_not_say_when_it_was_sent(bench: NoticesBench) -> None:
    """It would differ from one attempt to the next under the same key."""
    bench.report(CRITICAL)
    await bench.seconds(bench.sender(), seconds=HOLD_OFF.total_seconds() + 10)
    assert bench.contacts.sent
    assert all("sent" not in content["notice"] for _, content, _ in bench.contacts.sent)


async def test_a_tenant_whose_mme_is_lost_everywhere_is_told_once_within_a_minute_and_nobody_else_is(
    bench: NoticesBench,
) -> None:
    sender = bench.sender()
    began = bench.clock.now()
    stations = [one.id for one in bench.store.networks.get()[1].stations if "LTE" in one.id]
    for station in stations:
        link(bench, station)
        await bench.seconds(sender, seconds=2)
    bench.report(
        CRITICAL,
        "",
        object="andes-andes-mme-1",
        object_class=ObjectClass.CORE_NODE,
        probable_cause=CORE_NODE_DOWN,
        tenant="andes",
    )
    await bench.seconds(sender, seconds=60)
    (raised,) = [content["notice"] for to, content, _ in bench.contacts.sent if to == "noc"]
    assert (raised["kind"], raised["what"], raised["severity"]) == ("incident-raised", CORE_NODE_DOWN, "CRITICAL")
    assert len(raised["cells"]) >= len(stations) > 1
    assert raised["doing"] == "nobody has begun yet"
    (notice, *_) = bench.store.notices.page(Page(), "andes")[1]
    assert notice.sent is not None
    assert (notice.sent - began).total_seconds() <= 60
    assert {to for to, _, _ in bench.contacts.sent} == {"noc", "tickets", "desk"}
    for one in stations:
        link(bench, one, CLEARED)
    bench.report(
        CLEARED,
        "",
        object="andes-andes-mme-1",
        object_class=ObjectClass.CORE_NODE,
        probable_cause=CORE_NODE_DOWN,
        tenant="andes",
    )
    await bench.seconds(sender, seconds=30)
    assert [kind for kind, _, _ in bench.sent_to("tickets")] == ["raised", "cleared"]
    assert bench.store.notices.page(Page(), "condor") == (0, [])


async def test_why_a_contact_takes_nothing_is_on_record_once(bench: NoticesBench) -> None:
    sender = bench.sender()
    bench.contacts.away = {"desk"}
    bench.report(MAJOR)
    await bench.seconds(sender, seconds=300)
    rows = [row for row in bench.store.audit.page(Page(limit=1000))[1] if row.action == "notice.not-sent"]
    assert [row.detail for row in rows] == [{"to": "desk", "reason": "desk is away"}]
    bench.contacts.away = set()
    await bench.seconds(sender, seconds=70)
    assert bench.sent_to("desk")


async def test_what_grows_or_becomes_worse_is_told_again_but_not_all_the_time(bench: NoticesBench) -> None:
    sender = bench.sender()
    bench.report(MAJOR)
    await bench.seconds(sender, seconds=24)
    assert bench.sent_to("condor-noc")[0][:2] == ("raised", "nobody has begun yet")
    for severity in (CRITICAL, MAJOR, CRITICAL):
        bench.report(severity)
        await bench.seconds(sender, seconds=24)
    kinds = [kind for kind, _, _ in bench.sent_to("condor-noc")]
    assert kinds == ["raised", "updated"]
    alarm = bench.store.alarms.page(Page())[1][0]
    bench.store.incidents.take(alarm.incident, "ana")
    await bench.seconds(sender, seconds=PAUSE.total_seconds() + 30)
    assert bench.sent_to("condor-noc")[-1][:2] == ("updated", "people know of it")
    assert len(bench.sent_to("condor-noc")) == 3
    bench.report(CLEARED)
    await bench.seconds(sender, seconds=24)
    assert [kind for kind, _, _ in bench.sent_to("condor-noc")] == ["raised", "updated", "updated", "cleared"]


async def test_what_becomes_less_grave_and_worse_again_is_told_with_both_severities_and_not_all_the_time(
    bench: NoticesBench,
) -> None:
    sender = bench.sender()

    def said() -> list[tuple[str, str]]:
        told = [content["notice"] for to, content, _ in bench.contacts.sent if to == "condor-noc"]
        return [(one["severity"], one["text"].partition(" since")[0].partition(" ")[2]) for one in told]

    bench.report(CRITICAL)
    await bench.seconds(sender, seconds=EASED.total_seconds() + 30)
    bench.report(MAJOR)
    await bench.seconds(sender, seconds=HOLD_OFF.total_seconds() + 4)
    assert said() == [("CRITICAL", "(CRITICAL)"), ("MAJOR", "(MAJOR, was CRITICAL)")]
    # It goes up and down between two rungs, each for a minute.
    for severity in (CRITICAL, MAJOR) * 6:
        bench.report(severity)
        await bench.seconds(sender, seconds=60)
    news = said()[2:]
    assert news[0] == ("CRITICAL", "(CRITICAL, was MAJOR)")
    assert len(news) <= 2 * (12 * 60 // EASED.total_seconds() + 1), "most of what was in between is no news"
    assert all(f"was {before}" in text for (before, _), (_, text) in pairwise(news)), "no notice says it wrongly"
    await bench.seconds(sender, seconds=EASED.total_seconds())
    assert said()[-1] == ("MAJOR", "(MAJOR, was CRITICAL)"), "in the end each side knows how grave it is"


async def test_after_a_rung_that_failed_a_side_does_not_read_that_nobody_has_begun(bench: NoticesBench) -> None:
    sender = bench.sender()
    alarm = bench.report(MAJOR)
    repairing = bench.store.alarms.move(alarm, AlarmState.REPAIRING, actor="remediation", run="r-1")
    assert repairing is not None
    await bench.seconds(sender, seconds=HOLD_OFF.total_seconds() + 4)
    failed = Proposal(
        id="",
        alarm=alarm.id,
        station=alarm.station,
        rule="one",
        digest="d",
        rung=0,
        mode=RuleMode.AUTO,
        playbook="restart-station",
        parameters={},
        state=ProposalState.FAILED,
        seen="",
        at=bench.clock.now(),
    )
    bench.store.rules.propose(failed)
    bench.store.alarms.move(repairing, AlarmState.RAISED, actor="remediation", note="it did not help")
    # The next rung waits, such as for a window.
    await bench.seconds(sender, seconds=PAUSE.total_seconds() + HOLD_OFF.total_seconds() + 4)
    doing = [said for _, said, _ in bench.sent_to("condor-noc")]
    assert doing == ["a repair is under way", "a repair was tried and did not cure it"]


async def test_a_station_that_goes_dark_on_its_battery_is_news_to_all_that_it_served(bench: NoticesBench) -> None:
    sender = bench.sender()
    mains = bench.report(MAJOR, probable_cause="mains-lost")
    await bench.seconds(sender, seconds=PAUSE.total_seconds() + 30)
    assert [kind for kind, _, _ in bench.sent_to("condor-noc")] == ["raised"]
    dark = bench.report(MAJOR, probable_cause="station-unreachable")
    assert bench.store.alarms.get(dark.id).incident == mains.incident
    await bench.seconds(sender, seconds=HOLD_OFF.total_seconds() + 10)
    assert bench.store.incidents.get(mains.incident).severity is CRITICAL
    for contact in ("condor-noc", "noc", "desk"):
        assert [kind for kind, _, _ in bench.sent_to(contact)] == ["raised", "updated"]
        last = [content["notice"] for to, content, _ in bench.contacts.sent if to == contact][-1]
        assert (last["severity"], last["what"]) == ("CRITICAL", "mains-lost")
        assert DARK in last["text"]
    (series,) = bench.store.status.figures()["minka_incident_info"]
    assert series == (mains.incident, "T-LTE-1", "mains-lost", "CRITICAL", "new")


async def test_what_is_over_before_anybody_was_told_is_no_message(bench: NoticesBench) -> None:
    sender = bench.sender()
    bench.report(MAJOR)
    await bench.seconds(sender, seconds=HOLD_OFF.total_seconds() - 4)
    bench.report(CLEARED)
    await bench.seconds(sender, seconds=60)
    assert (bench.contacts.sent, bench.store.notices.page(Page())[0]) == ([], 0)


async def test_of_announced_work_a_tenant_is_told_once_that_is_over_and_its_fault_is_not(bench: NoticesBench) -> None:
    sender, now = bench.sender(), bench.clock.now()
    bench.store.works.announce("andes", {}, now, now + 10 * HOLD_OFF, "eva", "upgrade")
    link(bench, "T-LTE-1")
    await bench.seconds(sender, seconds=100)
    assert bench.contacts.sent == []
    await bench.seconds(sender, seconds=130)
    assert [kind for kind, _, _ in bench.sent_to("noc")] == ["raised"]


async def test_a_contact_that_is_away_keeps_no_other_waiting_and_is_told_later(bench: NoticesBench) -> None:
    senders = bench.sender(webhook=True), bench.sender(webhook=True)
    bench.contacts.away = {"noc"}
    link(bench, "T-LTE-1")
    await bench.seconds(*senders, seconds=40)
    assert {to for to, _, _ in bench.contacts.sent} == {"tickets", "desk"}
    assert len(bench.webhook.sent) == 2  # of the tenant and of the host
    bench.contacts.away = set()
    await bench.seconds(*senders, seconds=64)
    keys = [key for _, _, key in bench.contacts.sent]
    assert len(keys) == len(set(keys)) == 3
    assert bench.store.notices.pending() == []


async def test_where_nobody_passes_them_on_they_are_on_record_only(bench: NoticesBench) -> None:
    network = without_contacts()
    bench.store.networks.save(network, network_digest(network), "ana")
    bench.report(MAJOR)
    await bench.seconds(bench.sender(), seconds=30)
    assert bench.store.notices.page(Page())[0] > 0
    await bench.seconds(bench.sender(webhook=True), seconds=10)
    assert (bench.webhook.sent, bench.contacts.sent) == ({}, [])


async def test_a_contact_that_left_the_files_is_told_nothing(bench: NoticesBench) -> None:
    bench.contacts.away = {"noc", "tickets", "desk"}
    sender = bench.sender()
    link(bench, "T-LTE-1")
    await bench.seconds(sender, seconds=30)
    network = without_contacts()
    bench.store.networks.save(network, network_digest(network), "ana")
    bench.contacts.away = set()
    await bench.seconds(sender, seconds=64)
    assert (bench.contacts.sent, bench.store.notices.pending()) == ([], [])


async def test_a_round_in_which_nobody_is_to_be_told_reads_the_same_however_many_notices_there_are(
    bench: NoticesBench,
) -> None:
    sender = bench.sender()
    bench.report(MAJOR)
    await bench.seconds(sender, seconds=30)
    said: list[str] = []
    event.listen(bench.store.database.engine, "before_cursor_execute", lambda *given: said.append(given[2]))
    await sender.step()
    assert not bench.store.database.run(incident_notices.due)
    assert not [one for one in said if one.startswith(("UPDATE", "INSERT"))]
    assert len([one for one in said if one.startswith("SELECT")]) <= 7, said
