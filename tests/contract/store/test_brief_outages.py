"""Outages of core links that stations listed, on record: what counts of them, in statements, budgets and for whom."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import timedelta

from controller.api.statements import draft
from controller.intent.brief_outages import BriefOutage, ListRead
from controller.intent.times import seconds
from controller.models.network import network_digest
from controller.models.plan import LedgerNode
from controller.models.run import JournalStep, LedgerEntry, Outcome
from controller.models.statement import StatementKind
from controller.ports.clock import VirtualClock
from controller.store import JobResult, Store
from controller.store.incidents.brief_outages import listed_during
from tests.support.records import make_entry, start_run
from tests.unit.intent.test_outages import BEGIN, network
from tests.unit.performance.test_volume import rows
from tests.unit.plan import samples


class Story:
    """Two stations that carry all, from the begin of the month on; times are seconds after their adoption."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store, self.clock, self.net = store, clock, network()
        clock.pause((BEGIN - clock.now()).total_seconds())
        store.networks.save(self.net, network_digest(self.net), "ana")
        for station in ("S1", "S2"):
            nodes = [LedgerNode(**entry.model_dump(exclude={"station", "plan"})) for entry in self.ledger(station)]
            store.devices.adopt(station, nodes, "n", "ana")

    def ledger(self, station: str) -> list[LedgerEntry]:
        return list(samples.ledger(self.net, station).values())

    def path(self, station: str, tenant: str = "beta") -> str:
        (found,) = (one.path for one in self.ledger(station) if one.path.endswith(f"/EP_S1C[{tenant}-mme]"))
        return found

    def out(self, station: str, since: float, until: float, tenant: str = "beta") -> BriefOutage:
        times = (BEGIN + timedelta(seconds=one) for one in (since, until))
        return BriefOutage(station, self.path(station, tenant), (tenant,), *times)

    def note(self, *outages: BriefOutage, kept: Iterable[str] = ("S1", "S2")) -> None:
        """Reads of both stations."""
        self.store.incidents.note_listed(
            [
                ListRead(one, self.clock.now(), one in kept, tuple(out for out in outages if out.station == one))
                for one in ("S1", "S2")
            ]
        )

    def known(self) -> list[tuple[str, float, float]]:
        """What is on record: station, begin and end."""
        listed = self.store.database.run(lambda tx: listed_during(tx, BEGIN, self.clock.now() + timedelta(days=1)))
        times = ((one.station, one.since - BEGIN, one.until - BEGIN) for one in listed.outages)
        return [(station, since.total_seconds(), until.total_seconds()) for station, since, until in times]

    def parts(self, tenant: str = "beta") -> dict[str, dict[str, float]]:
        """For how long cells of a tenant had no service, by cell and part."""
        now = self.clock.now()
        outages = self.store.incidents.outages(BEGIN, now)
        assert outages is not None
        (agreement,) = (one for one in self.net.agreements if one.tenant == tenant)
        found = outages.agreed_service(agreement, BEGIN, now, now).parts
        return {
            cell: {name: length for name, times in parts._asdict().items() if (length := seconds(times))}
            for cell, parts in found.items()
        }


def test_an_outage_is_lost_once_however_often_it_is_noted_in_budgets_and_in_statements(
    store: Store, clock: VirtualClock
) -> None:
    story = Story(store, clock)
    story.note()
    clock.pause(3600)
    one = story.out("S1", 100, 140)
    story.note(one)
    story.note(one, story.out("S1", 120, 130))
    assert story.parts() == {"S1/L1": {"lost": 40}}
    assert story.parts("alfa") == {}
    store.incidents.count_agreements()
    used = {one.tenant: one.used for one in store.incidents.agreements()}
    assert used == {"alfa": 0, "beta": round(40 / 60, 1)}
    clock.pause(32 * 86400)
    said = draft(store, clock.now(), StatementKind.SLA, "beta", "2026-06")
    lost = [row for row in rows(said, "outages") if row["part"] == "lost"]
    assert [(row["cell"], row["seconds"], row["known_by"]) for row in lost] == [("S1/L1", 40, "station")]
    assert not [
        row
        for row in rows(draft(store, clock.now(), StatementKind.SLA, "alfa", "2026-06"), "outages")
        if row["part"] == "lost"
    ]


def test_what_most_stations_that_keep_a_list_lost_is_the_core_of_the_tenant(store: Store, clock: VirtualClock) -> None:
    story = Story(store, clock)
    story.note()
    clock.pause(3600)
    story.note(story.out("S1", 100, 140), story.out("S2", 102, 141))
    assert story.parts() == {"S1/L1": {"own_core": 40}, "S2/L1": {"own_core": 39}}
    store.incidents.count_agreements()
    assert {one.used for one in store.incidents.agreements()} == {0}


def test_a_station_that_keeps_a_list_from_later_on_could_not_tell(store: Store, clock: VirtualClock) -> None:
    """With two stations, both have to have lost it: one of them alone is no core, whoever keeps a list."""
    story = Story(store, clock)
    story.note(kept=("S1",))
    clock.pause(3600)
    story.note(story.out("S1", 100, 140))
    assert story.parts() == {"S1/L1": {"lost": 40}}
    story.note(kept=())
    clock.pause(60)
    listed = store.database.run(lambda tx: listed_during(tx, BEGIN, clock.now()))
    assert listed.kept == {"S1": ((BEGIN, BEGIN + timedelta(hours=1)),)}


def test_time_in_which_a_run_changed_the_station_is_left_out(store: Store, clock: VirtualClock) -> None:
    """From its first edit to its end; before that, and at other stations, it is time like any other."""
    story = Story(store, clock)
    start_run(store, ["S1"])
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    for number, (step, second) in enumerate(
        [(JournalStep.OPENED, 100), (JournalStep.EDITING, 110), (JournalStep.FINISHED, 170)]
    ):
        clock.pause((BEGIN + timedelta(seconds=second) - clock.now()).total_seconds())
        store.journal.append(make_entry(claim, number, step).model_copy(update={"at": clock.now()}), claim)
    clock.pause(10)
    store.claims.finish(claim, JobResult(Outcome.SUCCEEDED))
    spans = [(90, 100), (105, 130), (140, 150), (160, 185), (190, 200)]
    story.note(*(story.out("S1", *one) for one in spans), story.out("S2", 140, 150))
    own = [(90, 100), (105, 110), (180, 185), (190, 200)]
    assert story.known() == [*(("S1", *one) for one in own), ("S2", 140, 150)]


def test_while_a_run_changes_the_station_nothing_counts_until_now(store: Store, clock: VirtualClock) -> None:
    story = Story(store, clock)
    start_run(store, ["S1"])
    (claim,) = store.claims.take(store.processes.register("w"), 1)
    clock.pause(100)
    store.journal.append(make_entry(claim, 0, JournalStep.EDITING).model_copy(update={"at": clock.now()}), claim)
    clock.pause(60)
    story.note(story.out("S1", 90, 150))
    assert story.known() == [("S1", 90, 100)]


def test_a_station_that_makes_outages_up_fills_no_record(store: Store, clock: VirtualClock) -> None:
    """The later ones of a day are not kept; those of other stations, and of the next day, are."""
    story = Story(store, clock)
    clock.pause(86_400)
    for hour in range(11):
        begins = (hour * 3600 + 10 * n for n in range(200))
        story.note(*(story.out("S1", one, one + 1) for one in begins), story.out("S2", hour, hour + 0.5))
    assert [sum(one[0] == name for one in story.known()) for name in ("S1", "S2")] == [2000, 11]
    clock.pause(86_400)
    story.note(story.out("S1", 2 * 86_400 - 50, 2 * 86_400 - 40))
    assert story.known()[-1] != ("S1", 0, 1)
    assert ("S1", 2 * 86_400 - 50, 2 * 86_400 - 40) in story.known()
