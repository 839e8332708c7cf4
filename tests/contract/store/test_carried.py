"""From when to when PLMNs, shares and core links were carried: what adoptions, runs and undoes left, for good."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, timedelta
from itertools import pairwise

import pytest

from controller.intent.delivery import Delivery
from controller.intent.times import Times
from controller.models.enums import RecordChoice
from controller.models.health import Health
from controller.models.network import HOST, network_digest
from controller.models.plan import LedgerNode
from controller.models.record import CarriedNodes
from controller.models.run import Outcome
from controller.nrm.profiles import link_kind, share_parts
from controller.nrm.schema import LeafRole
from controller.ports.clock import VirtualClock
from controller.store import JobResult, Store
from controller.store.network.devices import delivery_during, locks_during
from controller.store.network.ledger import KEPT, ledger_history, links_during
from tests.support.records import start_run
from tests.unit.plan import samples

HOUR = timedelta(hours=1)
NETWORK = samples.network(("alfa", "beta"))
NODES = [entry.node for entry in samples.ledger(NETWORK).values()]
OF_ALFA, OF_BETA = ([one for one in NODES if one.owners == (tenant,)] for tenant in ("alfa", "beta"))
OF_HOST = [one for one in NODES if one.owners == (HOST,)]


class Story:
    """What happens to station S1, an hour after the other."""

    def __init__(self, store: Store, clock: VirtualClock) -> None:
        self.store, self.clock, self.begun = store, clock, clock.now()
        store.networks.save(NETWORK, network_digest(NETWORK), "ana")
        self._runs = 0

    def at(self, hour: float) -> None:
        self.clock.pause((self.begun + hour * HOUR - self.clock.now()).total_seconds())

    def adopt(self, *nodes: LedgerNode) -> None:
        self.store.devices.adopt("S1", nodes, network_digest(NETWORK), "ana")

    def run(self, begun: float, ended: float, result: JobResult) -> None:
        self.at(begun)
        self._runs += 1
        start_run(self.store, ["S1"], salt=str(self._runs))
        (claim,) = self.store.claims.take(self.store.processes.register(f"w-{self._runs}"), 1)
        self.at(ended)
        self.store.claims.finish(claim, result)

    def delivery(self, until: float) -> Delivery:
        self.at(until)
        return self.store.database.run(lambda tx: delivery_during(tx, self.begun, self.clock.now()))

    def carried(self, tenant: str, until: float, cell: str = "S1/L1") -> list[tuple[float, float]]:
        """Hours in which a cell carried the PLMN of a tenant."""
        plmn = {"alfa": "716-01", "beta": "716-02", "gamma": "716-03"}[tenant]
        found = self.delivery(until)
        lacking = found.lacking((cell,), tenant, [plmn], self.begun, self.begun + until * HOUR)
        times = _without(((self.begun, self.begun + until * HOUR),), lacking)
        return [((since - self.begun) / HOUR, (end - self.begun) / HOUR) for since, end in times]

    def shares(self, tenant: str, until: float, cell: str = "L1") -> set[tuple[str, int, float, float]]:
        """Slices, percent and hours in which a cell guaranteed a tenant a share."""
        self.at(until)
        found = self.store.ledger.guarantees(tenant, self.begun, self.clock.now()).carried
        return {
            (one.slice, one.percent, (one.since - self.begun) / HOUR, (one.until - self.begun) / HOUR)
            for one in found
            if one.station == "S1" and cell in one.cells
        }

    def links(self, tenant: str, until: float) -> set[tuple[float, float]]:
        """Hours in which the station carried the core links of a tenant."""
        self.at(until)
        found = self.store.database.run(lambda tx: links_during(tx, ["S1"], self.begun, self.clock.now()))
        times = [(one.since, one.until) for one in found.get("S1", ()) if one.tenant == tenant]
        return {((since - self.begun) / HOUR, (end - self.begun) / HOUR) for since, end in times}


def _without(whole: Times, lacking: Times) -> list[tuple[datetime, datetime]]:
    """By the points in time at which anything changes: it shares no code with ``controller.intent.times``."""
    ((begin, end),) = whole
    points = sorted({begin, end, *(at for one in lacking for at in one)})
    return [(a, b) for a, b in pairwise(points) if not any(since <= a < until for since, until in lacking)]


@pytest.fixture
def story(store: Store, clock: VirtualClock) -> Story:
    return Story(store, clock)


def test_what_stood_at_the_station_is_carried_from_its_adoption_on(story: Story) -> None:
    story.at(2)
    story.adopt(*OF_HOST, *OF_ALFA)
    assert story.carried("alfa", 5) == [(2, 5)]
    assert story.carried("alfa", 5, "S1/N1") == [(2, 5)]
    assert story.carried("beta", 5) == []
    assert story.carried("alfa", 5, "S2/L1") == []


def test_a_run_counts_from_its_end_and_an_undo_until_its_end(story: Story) -> None:
    story.adopt(*OF_HOST, *OF_ALFA)
    story.run(1, 3, JobResult(Outcome.SUCCEEDED, gained=tuple(OF_BETA), applied=True))
    story.run(6, 7, JobResult(Outcome.SUCCEEDED, lost=tuple(one.path for one in OF_BETA)))
    assert story.carried("beta", 10) == [(3, 7)]
    assert story.carried("alfa", 10) == [(0, 10)]
    story.run(11, 12, JobResult(Outcome.SUCCEEDED, gained=tuple(OF_BETA), applied=True))
    assert story.carried("beta", 13) == [(3, 7), (12, 13)]
    assert story.links("beta", 13) == {(3, 7), (12, 13)}
    assert story.links("alfa", 13) == {(0, 13)}


def test_a_run_that_is_under_way_or_was_taken_back_delivers_nothing(story: Story) -> None:
    """A confirmed commit that was rolled back, and a run that was withdrawn, leave the ledger as it was."""
    story.adopt(*OF_HOST, *OF_ALFA)
    for begun, outcome in ((1, Outcome.ROLLED_BACK), (3, Outcome.WITHDRAWN), (5, Outcome.REFUSED)):
        story.run(begun, begun + 1, JobResult(outcome, "not confirmed"))
    start_run(story.store, ["S1"], salt="open")
    assert story.store.claims.take(story.store.processes.register("w"), 1)
    assert story.carried("beta", 9) == []
    assert story.carried("alfa", 9) == [(0, 9)]


def test_a_node_that_changes_or_moves_within_the_cell_is_carried_all_the_time(story: Story) -> None:
    story.adopt(*OF_HOST, *OF_ALFA)
    slices = [one for one in OF_ALFA if "NRCellDU[N1]/pLMNInfoList" in one.path]
    moved = [one.model_copy(update={"path": one.path.replace("000001", "000009")}) for one in slices]
    assert {one.path for one in moved}.isdisjoint(one.path for one in slices)
    gone = tuple(one.path for one in slices)
    story.run(1, 2, JobResult(Outcome.SUCCEEDED, gained=tuple(moved), lost=gone, applied=True))
    assert story.carried("alfa", 4, "S1/N1") == [(0, 4)]


def test_a_plmn_that_moves_to_another_tenant_is_carried_for_it_once_a_run_made_it_so(story: Story) -> None:
    story.adopt(*OF_HOST, *OF_ALFA)
    owned = tuple(one.model_copy(update={"owners": ("beta",)}) for one in OF_ALFA)
    story.run(2, 3, JobResult(Outcome.SUCCEEDED, gained=owned, applied=True))
    found = story.delivery(5)
    begin, end = story.begun, story.begun + 5 * HOUR
    assert found.lacking(("S1/L1",), "beta", ["716-01"], begin, end) == ((begin, begin + 3 * HOUR),)
    assert found.lacking(("S1/L1",), "alfa", ["716-01"], begin, end) == ((begin + 3 * HOUR, end),)


def test_a_station_out_of_service_carries_nothing_until_it_is_adopted_again(story: Story) -> None:
    story.adopt(*OF_HOST, *OF_ALFA)
    story.at(2)
    story.store.devices.retire("S1", "ana")
    story.at(4)
    story.adopt()
    assert story.carried("alfa", 5) == [(0, 2), (4, 5)], "its ledger is the one that it had"
    assert story.links("alfa", 5) == {(0, 2), (4, 5)}


def with_share(nodes: Iterable[LedgerNode], percent: str) -> tuple[LedgerNode, ...]:
    """Those of these nodes that are radio shares, with another guarantee."""
    return tuple(
        node.model_copy(update={"leaves": {**node.leaves, part.name: percent}})
        for node in nodes
        for part in share_parts(node.path)
        if LeafRole.SHARE_MIN in part.roles
    )


def test_a_share_is_guaranteed_from_the_end_of_a_run_until_the_end_of_the_next(story: Story) -> None:
    story.adopt(*OF_HOST, *OF_ALFA)
    story.run(1, 3, JobResult(Outcome.SUCCEEDED, gained=with_share(OF_ALFA, "60"), applied=True))
    story.run(4, 5, JobResult(Outcome.ROLLED_BACK, "not confirmed"))
    story.run(6, 7, JobResult(Outcome.SUCCEEDED, gained=with_share(OF_ALFA, "20"), applied=True))
    assert story.shares("alfa", 9) == {("", 20, 0, 3), ("", 60, 3, 7), ("", 20, 7, 9)}
    of = "1-000001"
    assert story.shares("alfa", 9, "N1") == {(of, 20, 0, 3), (of, 60, 3, 7), (of, 20, 7, 9)}
    assert story.carried("alfa", 9) == [(0, 9)]
    assert story.shares("beta", 9) == set()
    found = story.store.ledger.guarantees("alfa", story.begun + 4 * HOUR, story.begun + 6 * HOUR).carried
    assert {one.percent for one in found} == {60}, "the others were over, or began later"


def test_a_share_counts_while_the_ledger_has_it_with_what_it_is_of(story: Story) -> None:
    """A member of a share on NR leaves the ledger, then the share on LTE; the station is out of service for a while."""
    story.adopt(*OF_HOST, *OF_ALFA)
    shares = [one.path for one in with_share(OF_ALFA, "0")]
    (member,) = (one.path for one in OF_ALFA if any(one.path.startswith(f"{share}/") for share in shares))
    story.run(1, 2, JobResult(Outcome.SUCCEEDED, lost=(member,)))
    assert story.shares("alfa", 3, "N1") == {("1-000001", 20, 0, 2)}
    story.at(4)
    story.store.devices.retire("S1", "ana")
    story.at(6)
    story.adopt()
    on_lte = tuple(one for one in shares if "EUtranCell" in one)
    story.run(7, 8, JobResult(Outcome.SUCCEEDED, lost=on_lte))
    assert story.shares("alfa", 9) == {("", 20, 0, 4), ("", 20, 6, 8)}


@pytest.mark.parametrize(("said", "percent"), [("35", 35), ("4294967296", 100), ("x", None), ("-1", None), ("²", None)])
def test_what_a_station_says_of_a_share_after_a_restore_is_bounded(
    story: Story, said: str, percent: int | None
) -> None:
    """A station with another share that people take for right; what is no percentage guarantees nothing."""
    story.adopt(*OF_HOST, *OF_ALFA)
    story.at(1)
    assert story.store.integrity.check_fences({"S1": 1_000}).doubt
    story.at(30)
    carried = CarriedNodes(station="S1", nodes=with_share(OF_ALFA, said), lost=())
    story.store.integrity.decide(RecordChoice.DEVICES, "ana", "they are right", [carried])
    since = set() if percent is None else {("", percent, 30, 32)}
    assert story.shares("alfa", 32) == {("", 20, 0, 30), *since}


def test_people_who_take_the_stations_for_right_after_a_restore_change_it_too(story: Story) -> None:
    story.adopt(*OF_HOST, *OF_ALFA)
    story.at(1)
    assert story.store.integrity.check_fences({"S1": 1_000}).doubt
    story.at(30)
    gone = tuple(one.path for one in OF_ALFA)
    carried = [CarriedNodes(station="S1", nodes=tuple(OF_BETA), lost=gone)]
    story.store.integrity.decide(RecordChoice.DEVICES, "ana", "they are right", carried)
    assert story.carried("alfa", 32) == [(0, 1)], "nobody knows when the run ended that took it away"
    assert story.carried("beta", 32) == [(30, 32)]


@pytest.mark.parametrize(("hole", "ends"), [(2.0, 3.0), (0.1, 3.1)])
def test_what_a_run_took_away_that_a_restore_lost_is_carried_until_the_last_check_before(
    story: Story, hole: float, ends: float
) -> None:
    """The backup is of hour 3; checks go on after the hole, find the PLMN gone, and the record is doubted later."""
    story.adopt(*OF_HOST, *OF_ALFA, *OF_BETA)
    lacks = {"missing": (("L1", "716-01", "alfa", "/PLMN[716-01]"),)}
    for tenth in range(31):
        story.at(tenth / 10)
        story.store.healths.save([Health(station="S1", at=story.clock.now(), reachable=True)])
    for tenth in range(10):
        story.at(3 + hole + tenth / 10)
        story.store.healths.save([Health(station="S1", at=story.clock.now(), reachable=True, **lacks)])
    assert story.store.integrity.check_fences({"S1": 1_000}).doubt
    story.at(20)
    gone = tuple(one.path for one in OF_ALFA)
    carried = [CarriedNodes(station="S1", nodes=(), lost=gone)]
    story.store.integrity.decide(RecordChoice.DEVICES, "ana", "they are right", carried)
    assert story.carried("alfa", 32) == [(0, ends)]
    assert story.carried("beta", 32) == [(0, 32)], "it is still there"
    assert (story.links("alfa", 32), story.links("beta", 32)) == ({(0, ends)}, {(0, 32)})


def test_it_goes_back_further_than_the_history_of_the_ledger(story: Story) -> None:
    story.at(1)
    story.adopt(*OF_HOST, *OF_ALFA)
    busy = OF_HOST[0].path
    for number in range(KEPT + 5):
        story.at(2 + number)
        story.adopt(LedgerNode(path=busy, owners=(HOST,), leaves={"userLabel": str(number)}))
    oldest = min(row.at for row in story.store.database.run(lambda tx: tx.execute(ledger_history.select()).all()))
    assert oldest > story.begun + 2 * HOUR, "the change that brought alfa is forgotten there"
    assert story.carried("alfa", 2 * KEPT) == [(1, 2 * KEPT)]


def test_a_run_that_changes_core_links_alone_is_on_record(story: Story) -> None:
    story.adopt(*OF_HOST, *OF_ALFA)
    gone = next(one for one in OF_ALFA if link_kind(one.path))
    story.run(1, 2, JobResult(Outcome.SUCCEEDED, lost=(gone.path,)))
    assert story.links("alfa", 3) == {(0, 2), (0, 3)}
    assert story.carried("alfa", 3) == [(0, 3)]


def test_a_check_that_comes_after_a_later_one_notes_no_lock_and_nothing_missing(story: Story) -> None:
    """As one that began while a run had locked the cell, and whose answer was put on record after the next check's."""
    store = story.store
    story.adopt(*NODES)

    def check(minute: int, *, well: bool) -> Health:
        more: dict[str, object] = (
            {} if well else {"locked": ("L1",), "missing": (("L1", "716-01", "alfa", "/PLMN[716-01]"),)}
        )
        return Health.model_validate(
            {"station": "S1", "at": story.begun + timedelta(minutes=minute), "reachable": True, **more}
        )

    def noted() -> tuple[dict[str, Times], Delivery]:
        begin, end = story.begun, story.clock.now()
        return store.database.run(lambda tx: (locks_during(tx, begin, end), delivery_during(tx, begin, end)))

    store.healths.save([check(0, well=True)])
    store.healths.save([check(20, well=True)])
    story.at(1)
    before = noted()
    store.healths.save([check(10, well=False)])
    assert noted() == before
    # Nor does a late one end what a later one saw.
    store.healths.save([check(30, well=False)])
    lasting = noted()
    assert lasting[0]["S1/L1"]
    store.healths.save([check(25, well=True)])
    assert noted() == lasting
