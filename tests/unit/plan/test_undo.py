"""What was done is taken back in inverse order, and the station and the ledger are as they were."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import pytest

from controller.drivers.netconf.codec import decode, encode_edit
from controller.models.errors import ConflictError
from controller.models.outage import FOR_GOOD, NO_OUTAGE, UNTIL_UNLOCKED
from controller.models.plan import Change, Op, PhaseKind
from controller.models.run import LedgerBefore
from controller.nrm.apply import apply_edits
from controller.nrm.fingerprint import matches
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Observed, Tree, class_of, parent, step
from controller.plan import StationView, administrative_state_change, still_named, undo_change, undo_job
from controller.plan.maintenance import removal_plan
from simulators.datastore import PROFILE_MODULES, Config, load_schema
from tests.unit.plan.samples import (
    FREELY,
    LTE_CELL,
    PROFILES,
    after_change,
    apply,
    carrying,
    network,
    only_change,
    plan,
    rendered,
    view,
)

TWO, THREE = network(), network(("alfa", "beta", "gamma"))
ROOT = root_spec(PROFILES)


@dataclass
class Done:
    """What a job did: tenant gamma came, and then a cell was locked."""

    start: StationView
    changes: tuple[Change, ...]
    seen: tuple[StationView, ...]

    @property
    def before(self) -> LedgerBefore:
        return LedgerBefore(absent=tuple(node.path for node in self.changes[0].gained))

    def undone(self, observed: Observed | None = None) -> Change:
        end = self.seen[-1]
        assert end.observed is not None
        return undo_job(PROFILES, self.changes, observed or end.observed, self.before, end.ledger)


@pytest.fixture
def done() -> Done:
    start = view(TWO)
    came = only_change(plan(THREE, {"S1": start}, FREELY))
    middle = apply(THREE, came, start)
    assert middle.observed is not None
    owners = {path: entry.owners for path, entry in middle.ledger.items()}
    locked = administrative_state_change("S1", PROFILES, middle.observed, ["L1"], owners, "LOCKED")
    assert locked is not None
    return Done(start, (came, locked), (start, middle, apply(THREE, locked, middle)))


def tree_of(seen: StationView) -> Tree:
    assert seen.observed is not None
    return seen.observed.tree


def test_the_last_phase_goes_first_and_each_finds_what_it_was_made_for(done: Done) -> None:
    back = done.undone()
    forth = [phase for change in done.changes for phase in change.phases]
    assert [phase.edits for phase in back.phases] == [phase.inverse for phase in reversed(forth)]
    assert back.phases[0].kind is PhaseKind.UNLOCK
    trees = [tree_of(done.seen[-1])]
    for phase in back.phases:
        trees.append(apply_edits(ROOT, trees[-1], phase.edits))
    assert trees[-1] == tree_of(done.start)
    for (one, other), phase in zip(pairwise(trees), back.phases, strict=True):
        assert apply_edits(ROOT, other, phase.inverse) == one
    assert [(row.before, row.after) for row in back.diff] == [
        (row.after, row.before) for change in reversed(done.changes) for row in change.diff
    ]


def test_it_is_bound_to_the_station_as_the_job_left_it(done: Done) -> None:
    back = done.undone()
    assert matches(ROOT, tree_of(done.seen[-1]), back.fingerprint)
    assert not matches(ROOT, tree_of(done.seen[1]), back.fingerprint)
    assert set(back.fingerprint.paths) == {path for one in done.changes for path in one.fingerprint.paths}
    gone = {path: leaves for path, leaves in tree_of(done.seen[-1]).items() if "716,03" not in path}
    with pytest.raises(ConflictError, match="S1 was changed since: "):
        done.undone(Observed(gone))


def test_the_ledger_says_again_what_it_said_and_what_goes_is_counted(done: Done) -> None:
    back = done.undone()
    came, locked = done.changes
    assert after_change(back, done.seen[-1].ledger) == done.start.ledger
    gone = tree_of(done.seen[-1]).keys() - tree_of(done.start).keys()
    assert back.removes == {"gamma": len(gone)}
    assert set(back.lost) == {node.path for node in came.gained}
    assert (back.touched, back.interrupted) == (("gamma",), ("alfa", "beta"))
    # The lock kept the cell off the air; to take it back ends that.
    assert (locked.outage, came.outage, back.outage) == (UNTIL_UNLOCKED, NO_OUTAGE, NO_OUTAGE)


def test_a_tenant_whose_plmns_an_undo_removes_loses_service_for_good_and_no_other_does(done: Done) -> None:
    back = done.undone()
    assert done.changes[0].withdrawn == {}, "a tenant that comes takes nothing from anybody"
    assert back.withdrawn == {"gamma": ("L1", "N1")}, "the cell that is unlocked on the way counts, too"
    assert [back.outage_of(tenant) for tenant in ("gamma", "alfa")] == [FOR_GOOD, NO_OUTAGE]
    assert back.worst_outage == FOR_GOOD


def test_what_was_in_the_ledger_before_enters_it_again(done: Done) -> None:
    entry = done.start.ledger[LTE_CELL]
    end = done.seen[-1]
    assert end.observed is not None
    back = undo_job(
        PROFILES, done.changes[1:], end.observed, LedgerBefore(entries=(entry,), absent=("/a",)), end.ledger
    )
    assert (back.gained, back.lost, back.removes) == ((entry.node,), (), {})


def test_a_repair_of_lost_nodes_that_is_taken_back_leaves_nothing_of_them_in_the_ledger() -> None:
    """The ledger had them before the run, when the field had lost them; the undo takes them away for good."""
    whole = view(THREE)
    assert whole.observed is not None
    gammas = {path for path in tree_of(whole) if "716,03" in path or "gamma" in whole.ledger[path].owners}
    field = StationView(carrying(THREE, "S1", dict.fromkeys(gammas)), adopted=True, ledger=whole.ledger)
    repair = only_change(plan(THREE, {"S1": field}, FREELY))
    end = apply(THREE, repair, field)
    assert tree_of(end) == tree_of(whole)
    before = LedgerBefore(entries=tuple(whole.ledger[path] for path in sorted(gammas)))
    assert end.observed is not None
    back = undo_job(PROFILES, [repair], end.observed, before, end.ledger)
    assert back.removes == {"gamma": len(gammas)}
    assert set(back.lost) == gammas
    assert after_change(back, end.ledger).keys() == tree_of(apply(THREE, back, end)).keys() & whole.ledger.keys()


def test_it_waits_for_what_comes_back_and_checks_what_stays(done: Done) -> None:
    back = done.undone()
    assert [(wait.kind, wait.path) for wait in back.phases[0].wait] == [("cell-on-air", LTE_CELL)]
    # Links of the tenant that goes are expected by nobody, nor is the cell that was locked expected off the air.
    assert not any("gamma" in check.tenant or check.kind == "cell-off-air" for check in back.checks)
    links = [check for check in done.changes[0].checks if check.kind == "link-up" and check.path in tree_of(done.start)]
    assert set(links) <= set(back.checks)


def test_it_waits_for_no_cell_whose_state_it_does_not_switch() -> None:
    changed = only_change(plan(TWO, {"S1": view(TWO, edit={LTE_CELL: {"tac": "9"}})}, FREELY))
    after = apply(TWO, changed, view(TWO, edit={LTE_CELL: {"tac": "9"}}))
    back = undo_change(PROFILES, changed, Observed(tree_of(after)))
    assert [[(wait.kind, wait.path) for wait in phase.wait] for phase in back.phases] == [
        [("cell-off-air", LTE_CELL)],
        [],
        [("cell-on-air", LTE_CELL)],
    ]
    # All that was checked then is checked again: who was interrupted is so once more.
    assert set(back.checks) == set(changed.checks)
    assert {check.kind for check in back.checks} == {"cell-on-air", "link-up"}


def test_links_that_went_first_are_up_again_before_others_go(done: Done) -> None:
    """Where a change brought one link and took another, its undoing brings the one and waits for it."""
    came = done.changes[0]
    first = came.phases[0]
    links = [check for check in came.checks if check.kind == "link-up"]
    assert links
    took = first.model_copy(update={"edits": first.inverse, "inverse": first.edits, "wait": ()})
    swapped = came.model_copy(update={"phases": (first.model_copy(update={"wait": tuple(links)}), took)})
    back = undo_change(PROFILES, swapped, Observed(tree_of(done.start)))
    created = {edit.path for edit in back.phases[0].edits if edit.op is Op.CREATE}
    waited = {wait.path for wait in back.phases[0].wait if wait.kind == "link-up"}
    assert waited
    assert waited <= created
    assert not [wait for wait in back.phases[1].wait if wait.kind == "link-up"]
    assert (back.touched, back.interrupted, back.outage) == (
        came.touched,
        came.interrupted,
        came.outage,
    )


#: The cell of S1 has a neighbour at S2 that is NR, which needs a frequency beside the managed element.
NEIGHBOURS = [{"station": "S1", "cell": "N1", "neighbour_station": "S2", "neighbour_cell": "N1", "handover": True}]


@pytest.mark.parametrize("way", ["undone", "rolled back", "removed"])
def test_a_bring_up_from_nothing_goes_whole_by_the_rules_of_a_server(way: str) -> None:
    """Judged by the simulator's datastore, which knows what is below what from the YANG only."""
    net, bare = network(neighbours=NEIGHBOURS), StationView(Observed({}), adopted=True)
    change = only_change(plan(net, {"S1": bare}, FREELY))
    after = apply(net, change, bare)
    assert after.observed is not None
    if way == "undone":
        before = LedgerBefore(absent=tuple(node.path for node in change.gained))
        back = [phase.edits for phase in undo_job(PROFILES, [change], after.observed, before, after.ledger).phases]
    elif way == "rolled back":
        back = [phase.inverse for phase in reversed(change.phases)]
    else:
        removal = removal_plan("S1", PROFILES, after.observed, after.ledger).change
        assert removal is not None
        assert set(removal.lost) == after.ledger.keys()
        back = [phase.edits for phase in removal.phases]
    nothing = station = Config.empty(
        load_schema([module for profile in PROFILES for module in PROFILE_MODULES[profile]])
    )
    for phase in change.phases:
        station = station.edit(encode_edit(ROOT, phase.edits), "none")
    up = decode(ROOT, f"<data>{station.to_text()}</data>".encode(), "S1").tree
    assert {class_of(path) for path in up if not parent(path)} == {"ManagedElement", "NRNetwork"}
    assert up.keys() == tree_of(after).keys()
    for edits in back:
        station = station.edit(encode_edit(ROOT, edits), "none")
    if way == "removed":  # the managed element comes with a station and stays
        assert decode(ROOT, f"<data>{station.to_text()}</data>".encode(), "S1").tree.keys() == {"/ManagedElement[S1]"}
    else:
        assert station == nothing


def test_what_entries_of_others_name_beside_the_managed_element_is_known_before_it_goes() -> None:
    alone, near = network(), network(neighbours=NEIGHBOURS)
    bare = StationView(Observed({}), adopted=True)
    up = apply(alone, only_change(plan(alone, {"S1": bare}, FREELY)), bare)
    change = only_change(plan(near, {"S1": up}, FREELY))
    view = apply(near, change, up)
    assert view.observed is not None
    ours = {path: view.observed.tree[path] for path in view.observed.tree.keys() - tree_of(up).keys()}
    relation = next(path for path in ours if "Relation[" in path)
    undone = undo_job(PROFILES, [change], view.observed, LedgerBefore(absent=tuple(ours)), view.ledger)
    assert still_named(PROFILES, undone, view.observed.tree) == {}
    learned = relation.replace(step(relation)[1][0], "anr-1")
    assert learned != relation
    tree = {**view.observed.tree, learned: ours[relation]}
    assert list(still_named(PROFILES, undone, tree).values()) == [(learned,)]


def test_what_an_older_version_left_beside_the_managed_element_is_seen_and_taken_on() -> None:
    net = network(neighbours=NEIGHBOURS)
    left = {path: leaves for path, leaves in rendered(net).tree.items() if path.startswith("/NRNetwork[minka]")}
    assert left
    bare = StationView(Observed(left), adopted=True)
    change = only_change(plan(net, {"S1": bare}, FREELY))
    assert left.keys().isdisjoint(edit.path for phase in change.phases for edit in phase.edits)
    assert left.keys() <= {node.path for node in change.gained}
