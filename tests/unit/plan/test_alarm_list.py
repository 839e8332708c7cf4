"""A station's list of alarms comes with it: it is unlocked by a plan, and neither created nor deleted."""

from __future__ import annotations

from dataclasses import replace

from lxml import etree

from controller.drivers.netconf.codec import encode_edit
from controller.models.plan import Op
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import root_spec
from controller.plan import Limit, adopted_nodes, applied, carried_nodes, drift, plan_station
from controller.plan.inputs import StationView
from controller.plan.maintenance import removal_plan
from tests.unit.plan.samples import (
    FREELY,
    PROFILES,
    apply,
    carrying,
    factory,
    ledger,
    network,
    only_change,
    plan,
    rendered,
    view,
)

TWO = network()
ROOT = root_spec(PROFILES)
#: Its id is the station's to choose.
LIST = "/ManagedElement[S1]/AlarmList[al]"
LOCKED, UNLOCKED = {LIST: dict[str, str]()}, {LIST: {"administrativeState": "UNLOCKED"}}


def unlocked() -> StationView:
    """A station that carries all, its list unlocked by us."""
    before = view(TWO, edit=LOCKED)
    return apply(TWO, only_change(plan(TWO, {"S1": before})), before)


def test_a_locked_list_is_unlocked_by_an_edit_of_the_host() -> None:
    before = view(TWO, edit=LOCKED)
    change = only_change(plan(TWO, {"S1": before}))
    ((edit,),) = (phase.edits for phase in change.phases)
    assert (edit.op, edit.path, edit.owners, edit.after) == (Op.MERGE, LIST, ("host",), UNLOCKED[LIST])
    assert [(row.what, row.before, row.after) for row in change.diff] == [
        ("list of alarms al: administrative state", "LOCKED", "UNLOCKED")
    ]
    assert (change.touched, change.interrupted, change.outage.interrupts) == ((), (), False)
    after = unlocked()
    assert after.ledger[LIST].leaves == UNLOCKED[LIST]
    assert plan(TWO, {"S1": after}).is_empty
    config = etree.tostring(encode_edit(ROOT, [edit])).decode()
    assert 'administrativeState nc:operation="merge">UNLOCKED' in config
    assert "<AlarmList><id>al</id><attributes>" in config


def test_undo_locks_it_again() -> None:
    before = view(TWO, edit=LOCKED)
    change = only_change(plan(TWO, {"S1": before}))
    after = apply(TWO, change, before)
    assert after.observed
    assert before.observed
    (phase,) = change.phases
    assert apply_edits(ROOT, after.observed.tree, phase.inverse) == before.observed.tree


def test_a_new_station_is_given_its_list_with_all_else() -> None:
    new = factory()
    assert new.observed
    tree = {**new.observed.tree, **LOCKED}
    change = only_change(plan(TWO, {"S1": replace(new, adopted=True, observed=replace(new.observed, tree=tree))}))
    assert LIST in [edit.path for phase in change.phases for edit in phase.edits if edit.op is Op.MERGE]


def test_a_station_without_one_lacks_nothing() -> None:
    assert plan(TWO, {"S1": view(TWO)}).is_empty
    after = unlocked()
    assert after.observed
    gone = replace(after, observed=replace(after.observed, tree=carrying(TWO).tree))
    assert plan(TWO, {"S1": gone}).is_empty
    assert drift(ROOT, applied(gone.ledger), gone) == ()


def test_somebody_elses_lock_of_it_is_drift_as_of_any_node() -> None:
    after = unlocked()
    assert after.observed
    locked = replace(after, observed=replace(after.observed, tree={**after.observed.tree, **LOCKED}))
    (row,) = drift(ROOT, applied(locked.ledger), locked)
    assert (row.before, row.after) == ("LOCKED", "UNLOCKED")
    repair = plan_station("S1", PROFILES, applied(locked.ledger), locked, FREELY)
    assert repair.change
    assert [edit.path for phase in repair.change.phases for edit in phase.edits] == [LIST]


def test_a_repair_unlocks_none_that_nobody_applied() -> None:
    before = view(TWO, edit=LOCKED)
    assert drift(ROOT, applied(before.ledger), before) == ()
    assert plan_station("S1", PROFILES, applied(before.ledger), before, FREELY).change is None


def test_adoption_takes_one_that_is_unlocked_and_leaves_a_locked_one_to_a_plan() -> None:
    for given, ours in ((UNLOCKED, True), (LOCKED, False)):
        seen = carrying(TWO, edit=given)
        assert (LIST in {node.path for node in adopted_nodes(ROOT, rendered(TWO), seen)}) is ours
    known = {node.path: node for node in carried_nodes(ROOT, rendered(TWO), {}, carrying(TWO, edit=UNLOCKED))[0]}
    assert known[LIST].leaves == UNLOCKED[LIST]


def test_a_tenants_plan_leaves_it_alone() -> None:
    options = replace(FREELY, limit=Limit("alfa"))
    assert plan(TWO, {"S1": view(TWO, edit=LOCKED)}, options).is_empty


def test_it_stays_where_all_of_our_nodes_go() -> None:
    after = unlocked()
    assert after.observed
    made = removal_plan("S1", PROFILES, after.observed, after.ledger)
    assert made.change
    assert LIST not in {edit.path for phase in made.change.phases for edit in phase.edits}
    assert set(made.change.lost) == after.ledger.keys()


def test_a_station_that_is_observed_only_says_that_its_alarms_are_not_heard() -> None:
    found = {
        adopted: [
            finding.message
            for finding in plan(TWO, {"S1": replace(view(TWO, edit=given), adopted=adopted)}).findings
            if finding.code == "alarm-list-locked"
        ]
        for adopted, given in ((False, LOCKED), (True, LOCKED))
    }
    (message,) = found[False]
    assert message.startswith("S1 ")
    assert found[True] == []
    seen = StationView(carrying(TWO, edit=UNLOCKED), adopted=False, ledger=ledger(TWO))
    assert "alarm-list-locked" not in {finding.code for finding in plan(TWO, {"S1": seen}).findings}
