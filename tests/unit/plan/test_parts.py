"""Plans of a part of what is wanted, links made before others are broken, jobs undone, stations emptied."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.models.errors import PlanRefusedError
from controller.models.network import HOST, CoreNode, Network, Snssai
from controller.models.plan import Change
from controller.models.run import LedgerBefore
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Tree, parent
from controller.plan import Limit, StationView, applied, drifted_nodes, undo_job
from controller.plan.maintenance import removal_plan
from tests.strategies.networks import sound_networks
from tests.support.soak import rounds
from tests.unit.plan.samples import (
    FREELY,
    LTE,
    LTE_CELL,
    NR_CELL,
    PROFILES,
    apply,
    carrying,
    network,
    only_change,
    view,
)
from tests.unit.plan.samples import plan as plan_of
from tests.unit.plan.test_properties import applied as carried_out
from tests.unit.plan.test_properties import factory, plan, without

FEW = settings(max_examples=rounds(20), deadline=None)
ROOT = root_spec(PROFILES)
TWO = network()


def operations(change: Change) -> list[list[tuple[str, str]]]:
    return [[(edit.op.value, edit.path.rpartition("/")[2]) for edit in phase.edits] for phase in change.phases]


def with_tenant(name: str, **changes: Any) -> Network:
    """The network with something else of one tenant."""
    tenants = tuple(one.model_copy(update=changes if one.id == name else {}) for one in TWO.tenants)
    return TWO.model_copy(update={"tenants": tenants})


# ----------------------------------------------------------------------------- limits


@FEW
@given(sound_networks())
def test_plans_limited_to_tenants_add_up_to_the_whole(net: Network) -> None:
    """What is the host's comes first, then tenant after tenant; each alone is blind to all others."""
    empty = net.model_copy(update={"agreements": net.agreements[:1]})
    views = carried_out(empty, plan(empty, factory(net)), factory(net))
    for tenant in net.tenants:
        made = plan(net, views, replace(FREELY, limit=Limit(tenant.id)))
        for change in made.changes:
            assert set(change.touched) <= {tenant.id}
            assert all(edit.owners == (tenant.id,) for phase in change.phases for edit in phase.edits)
            assert all(node.owners == (tenant.id,) for node in change.gained)
        views = carried_out(net, made, views)
        assert plan(net, views, replace(FREELY, limit=Limit(tenant.id))).is_empty
        for station in net.stations:
            seen = views[station.id]
            assert seen.observed is not None
            assert drifted_nodes(root_spec(station.profiles), applied(seen.ledger), seen.observed) == ()


def test_a_slice_comes_with_what_it_stands_in_and_alone() -> None:
    slices = (Snssai(sst=1, sd="000002"), Snssai(sst=2, sd="0000AA"))
    wanted = with_tenant("beta", slices=slices)
    policy = f"{NR_CELL}/RRMPolicyRatio[beta-prb]"
    limit = Limit("beta", Snssai(sst=2, sd="0000AA"))
    foreign = {f"{LTE_CELL}/plmnRadioShareList[716,02]": {"maxRatio": "50"}}
    made = only_change(plan_of(wanted, {"S1": view(TWO, edit=foreign)}, replace(FREELY, limit=limit)))
    paths = {edit.path for phase in made.phases for edit in phase.edits}
    assert all("[716,02,0000AA,2]" in path for path in paths)
    assert len(paths) == 4
    assert {node.path for node in made.gained} == paths
    # Where the share is gone it comes with its member; the cell itself is not the tenant's to bring.
    bare = view(TWO, edit={policy: None})
    made = only_change(plan_of(wanted, {"S1": bare}, replace(FREELY, limit=limit)))
    assert policy in {edit.path for phase in made.phases for edit in phase.edits}
    refused = plan_of(wanted, {"S1": view(TWO, edit={NR_CELL: None})}, replace(FREELY, limit=limit))
    assert refused.unplanned["S1"] == "not-there: cell N1: it has to be applied first"


# ------------------------------------------------------------------- make before break


def moved(name: str) -> Network:
    """Alfa with an MME of this name alone."""
    core = next(one.core for one in TWO.tenants if one.id == "alfa")
    pool = (CoreNode.model_validate({"id": name, "address": f"10.9.0.{ord(name[-1])}"}),)
    return with_tenant("alfa", core=core.model_copy(update={"mme_pool": pool}))


def test_links_are_made_before_others_are_broken_and_back() -> None:
    old, new = moved("old"), moved("new")
    before = StationView(carrying(old), True, view(old).ledger)
    named = replace(FREELY, remove={"alfa": 3})
    change = only_change(plan_of(new, {"S1": before}, named))
    first, second = operations(change)
    assert first[0] == ("create", "EP_S1C[alfa-new]")
    assert second == [("delete", "EP_S1C[alfa-old]")]
    assert [(wait.kind, wait.path) for wait in change.phases[0].wait] == [("link-up", f"{LTE}/EP_S1C[alfa-new]")]
    after = apply(new, change, before)
    assert after.observed is not None
    paths = {node.path for node in change.gained}
    known = {path: entry for path, entry in before.ledger.items() if path in {*paths, *change.lost}}
    was = LedgerBefore(entries=tuple(known.values()), absent=tuple(sorted(paths - known.keys())))
    back = undo_job(PROFILES, [change], after.observed, was, after.ledger)
    first, second = operations(back)
    assert first[0] == ("create", "EP_S1C[alfa-old]")
    assert [wait.path for wait in back.phases[0].wait] == [f"{LTE}/EP_S1C[alfa-old]"]
    assert second[0] == ("delete", "EP_S1C[alfa-new]")
    assert back.removes == {"alfa": 3}
    restored = apply(old, back, after)
    assert restored.observed is not None
    assert restored.observed.tree == carrying(old).tree
    assert {path: entry.node for path, entry in restored.ledger.items()} == {
        path: entry.node for path, entry in before.ledger.items()
    }


# ------------------------------------------------------------------------------- undo


@FEW
@given(sound_networks(), st.data())
def test_jobs_of_several_changes_are_undone_exactly(net: Network, data: st.DataObject) -> None:
    views = carried_out(net, plan(net, factory(net)), factory(net))
    tenants = data.draw(st.permutations([tenant.id for tenant in net.tenants]))
    smaller = net
    steps: dict[str, list[tuple[Change, StationView]]] = {}
    for tenant in tenants[:2]:
        smaller = without(smaller, tenant)
        gone = sum(entry.owners == (tenant,) for one in views.values() for entry in one.ledger.values())
        try:
            made = plan(smaller, views, replace(FREELY, remove={tenant: gone} if gone else {}))
        except PlanRefusedError:  # its cells do not stay without it
            return
        after = carried_out(smaller, made, views)
        for change in made.changes:
            steps.setdefault(change.station, []).append((change, views[change.station]))
        views = after
    for station, done in steps.items():
        first = done[0][1]
        now = views[station]
        assert now.observed is not None
        assert first.observed is not None
        changed = {path for change, _ in done for path in (*change.lost, *(node.path for node in change.gained))}
        entries = tuple(entry for path, entry in first.ledger.items() if path in changed)
        was = LedgerBefore(entries=entries, absent=tuple(sorted(changed - first.ledger.keys())))
        profiles = net.profiles_of(station)
        back = undo_job(profiles, [change for change, _ in done], now.observed, was, now.ledger)
        tree: Tree = now.observed.tree
        for phase in back.phases:
            tree = apply_edits(root_spec(profiles), tree, phase.edits)
        assert list(tree.items()) == list(first.observed.tree.items()) or dict(tree) == dict(first.observed.tree)
        ledger = {path: entry.node for path, entry in now.ledger.items() if path not in back.lost}
        ledger |= {node.path: node for node in back.gained}
        assert ledger == {path: entry.node for path, entry in first.ledger.items()}


# ----------------------------------------------------------------------------- removal


def test_all_that_is_ours_goes_and_nothing_else() -> None:
    mine = view(TWO)
    assert mine.observed is not None
    made = removal_plan("S1", PROFILES, mine.observed, mine.ledger)
    assert made.change is not None
    after = apply(TWO, made.change, mine)
    assert after.observed is not None
    assert list(after.observed.tree) == ["/ManagedElement[S1]"]
    assert after.ledger == {}
    kinds = [phase.kind.value for phase in made.change.phases]
    assert kinds == ["lock", "edit"]
    assert made.change.removes.keys() == {"alfa", "beta", HOST}
    foreign = view(TWO, edit={f"{LTE}/EP_S1C[theirs]": {"remoteAddress": "10.8.8.8"}})
    assert foreign.observed is not None
    kept = removal_plan("S1", PROFILES, foreign.observed, foreign.ledger).change
    assert kept is not None
    left = apply(TWO, kept, foreign)
    assert left.observed is not None
    assert f"{LTE}/EP_S1C[theirs]" in left.observed.tree
    assert {parent(path) for path in left.observed.tree} <= {"", "/ManagedElement[S1]", LTE}
