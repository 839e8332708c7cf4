"""Laws of planning on generated networks: plans reach what is wanted, touch nothing else, and can be taken back."""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.intent import compile_intent
from controller.models.network import HOST, Network, network_digest
from controller.models.plan import Change, Op, Plan
from controller.nrm.apply import apply_edits, siblings
from controller.nrm.diff import diff
from controller.nrm.fingerprint import matches
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Leaves, Observed, Path, Tree, child, name_of
from controller.plan import PlanOptions, StationView, make_plan, open_plmns_change, wanted_by
from tests.strategies.networks import TODAY, sound_networks
from tests.support.soak import rounds
from tests.unit.plan.samples import FREELY, NOW, after_change, states

FEW = settings(max_examples=rounds(20), deadline=None)


def plan(net: Network, views: dict[str, StationView], options: PlanOptions = FREELY) -> Plan:
    return make_plan(net, network_digest(net), compile_intent(net, TODAY), views, options, NOW)


def factory(net: Network) -> dict[str, StationView]:
    """Stations and routers as they come."""
    devices = (*net.station_by_id, *net.router_by_id)
    roots = {name: child("", root_spec(net.profiles_of(name)).name, name) for name in devices}
    return {name: StationView(Observed({root: {}}), True) for name, root in roots.items()}


def applied(net: Network, made: Plan, before: dict[str, StationView]) -> dict[str, StationView]:
    return {**before, **{change.station: _apply(net, change, before[change.station]) for change in made.changes}}


def _apply(net: Network, change: Change, before: StationView) -> StationView:
    profiles = net.profiles_of(change.station)
    assert before.observed is not None
    tree = before.observed.tree
    assert matches(root_spec(profiles), tree, change.fingerprint)
    for phase in change.phases:
        tree = apply_edits(root_spec(profiles), tree, phase.edits)
    return StationView(Observed(tree, states(profiles, tree)), True, after_change(change, before.ledger))


def without(net: Network, tenant: str) -> Network:
    return net.model_copy(update={"agreements": tuple(a for a in net.agreements if a.tenant != tenant)})


@FEW
@given(sound_networks())
def test_applying_a_plan_reaches_what_is_wanted_and_planning_again_is_empty(net: Network) -> None:
    views = applied(net, plan(net, factory(net)), factory(net))
    intent = compile_intent(net, TODAY)
    for device, view in views.items():
        wanted = wanted_by(intent, net, device)
        assert view.observed is not None
        if wanted.tree:
            assert diff(root_spec(net.profiles_of(device)), view.observed.tree, wanted.tree).is_empty
    assert plan(net, views).is_empty


@FEW
@given(sound_networks())
def test_a_tenants_agreement_edits_that_tenants_nodes_only(net: Network) -> None:
    tenant = net.tenants[1].id
    smaller = without(net, tenant)
    before = applied(smaller, plan(smaller, factory(net)), factory(net))
    made = plan(net, before)
    after = applied(net, made, before)
    tested = applied(net, plan(net, before, replace(FREELY, reserved=True)), before)
    for change in made.changes:
        if not before[change.station].ledger:  # its primary PLMN is this tenant's: it was not planned without
            continue
        old, new = before[change.station].observed, after[change.station].observed
        assert old is not None
        assert new is not None
        owners = {owner for phase in change.phases for edit in phase.edits for owner in edit.owners}
        # A carrier of its own (MORAN) is made by the host for this tenant.
        assert owners <= {tenant, HOST}
        assert all(new.tree[path] == leaves for path, leaves in old.tree.items())
        assert change.interrupted == ()
        # Tested by its friendly users and then opened, it is as if it had come at once.
        closed = tested[change.station]
        assert closed.observed is not None
        profiles = net.profiles_of(change.station)
        opening = open_plmns_change(change.station, profiles, closed.observed, tenant, closed.ledger)
        opened = _apply(net, opening, closed) if opening else closed
        assert (opened.observed, opened.ledger) == (after[change.station].observed, after[change.station].ledger)


@FEW
@given(sound_networks())
def test_a_named_removal_leaves_all_other_nodes_identical(net: Network) -> None:
    tenant = net.tenants[-1].id
    if any(agreement.tenant == tenant and agreement.sharing == "MORAN" for agreement in net.agreements):
        net = net.model_copy(
            update={"agreements": tuple(a for a in net.agreements if not (a.tenant == tenant and a.sharing == "MORAN"))}
        )
    full = applied(net, plan(net, factory(net)), factory(net))
    smaller = without(net, tenant)
    assert plan(smaller, full).is_empty
    count = sum(entry.owners == (tenant,) for view in full.values() for entry in view.ledger.values())
    emptied = applied(smaller, plan(smaller, full, replace(FREELY, remove={tenant: count} if count else {})), full)
    for station, view in emptied.items():
        old = full[station]
        assert old.observed is not None
        assert view.observed is not None
        kept = {p: v for p, v in old.observed.tree.items() if p not in old.ledger or old.ledger[p].owners != (tenant,)}
        assert view.observed.tree == kept


@FEW
@given(sound_networks(), st.data())
def test_what_relations_name_is_there_in_each_phase(net: Network, data: st.DataObject) -> None:
    kept = tuple(one for one in net.neighbours if data.draw(st.booleans()))
    fewer = net.model_copy(update={"neighbours": kept})
    views = factory(net)
    for wanted in (net, fewer, net):
        intent = compile_intent(wanted, TODAY)
        trees = {name: wanted_by(intent, wanted, name).tree for name in views}
        count = sum(path not in trees[name] for name, view in views.items() for path in view.ledger)
        made = plan(wanted, views, replace(FREELY, remove={HOST: count} if count else {}))
        for change in made.changes:
            root, seen = root_spec(net.profiles_of(change.station)), views[change.station].observed
            assert seen is not None
            tree = seen.tree
            for phase in change.phases:
                tree = apply_edits(root, tree, phase.edits)
                assert not _dangling(change.station, tree)
        views = applied(wanted, made, views)
        for name, view in views.items():
            assert view.observed is not None
            assert (
                name not in net.station_by_id or view.observed.tree.keys() >= trees[name].keys() == view.ledger.keys()
            )


def _dangling(station: str, tree: Tree) -> set[str]:
    """Names of objects of the station itself in a tree that has no such object."""
    names, leaves = {name_of(path) for path in tree}, ("adjacentCell", "adjacentNRCellRef", "nRFrequencyRef")
    named = {str(one[leaf]) for one in tree.values() for leaf in leaves if leaf in one}
    own = (f"ManagedElement={station},", "NRNetwork=", "EUtraNetwork=")
    return {name for name in named - names if name.startswith(own)}


@FEW
@given(sound_networks(), st.data())
def test_drift_is_repaired_and_every_phase_can_be_taken_back_exactly(net: Network, data: st.DataObject) -> None:
    views = applied(net, plan(net, factory(net)), factory(net))
    drifted = {name: _drift(net, name, view, data) for name, view in views.items()}
    made = plan(net, drifted)
    for change in made.changes:
        root = root_spec(net.profiles_of(change.station))
        seen = drifted[change.station].observed
        assert seen is not None
        trees = [seen.tree]
        for phase in change.phases:
            trees.append(apply_edits(root, trees[-1], phase.edits))
        assert all(path in trees[-1] for path in seen.tree if "999,99" in path)
        for phase, earlier, later in zip(change.phases, trees, trees[1:], strict=False):
            restored = apply_edits(root, later, phase.inverse)
            assert restored == earlier
            assert all(siblings(restored, path) == siblings(earlier, path) for path in earlier if "mnIdList[" in path)
        assert all(
            edit.op is not Op.DELETE or "localAddress[" in edit.path for phase in change.phases for edit in phase.edits
        )
    assert plan(net, applied(net, made, drifted)).is_empty


def _drift(net: Network, name: str, view: StationView, data: st.DataObject) -> StationView:
    """Somebody takes nodes away, changes leaves, adds a PLMN, moves a VLAN."""
    assert view.observed is not None
    tree: dict[Path, Leaves] = dict(view.observed.tree)
    paths = [path for path in tree if path.count("/") > 2]
    for path in data.draw(st.lists(st.sampled_from(paths), max_size=3)) if paths else ():
        if path not in tree:
            continue
        if "localAddress[" in path:
            del tree[path]
            tree[path[: path.rindex(",")] + ",4000]"] = {}
        elif "tac" in tree[path]:
            tree[path] = {**tree[path], "tac": "4242"}
            tree[f"{path}/plmnIdList[999,99]"] = {}
        else:
            tree = {p: v for p, v in tree.items() if p != path and not p.startswith(path + "/")}
    return replace(view, observed=Observed(tree, states(net.profiles_of(name), tree)))
