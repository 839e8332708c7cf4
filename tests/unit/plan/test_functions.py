"""Plans of functions: made before they go, ready before that, and whom a restart interrupts."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.models.behaviour import UNTRUSTED
from controller.models.facts import HOST_OWNED, FunctionFact
from controller.models.plan import Change, Op
from controller.models.run import LedgerEntry
from controller.nrm.profiles import Rendered, render_cloud, root_spec
from controller.nrm.profiles.function import PROFILE, deployment_path
from controller.nrm.profiles.pool import node_path
from controller.nrm.tree import Observed
from controller.plan import PlanOptions, StationView, ledger_nodes, plan_station
from controller.plan.functions import cordoned_change
from controller.runs.approval.consent import effect_of

FACT = FunctionFact(
    function="DU-1",
    owner="host",
    pool="edge-1",
    package="du",
    image=f"registry.example/du@sha256:{1:064x}",
    replicas=1,
    cpus=4,
    memory_gb=8,
    hugepages_gb=0,
    accelerators=0,
    ptp=True,
    priority="minka-vdu",
    address="10.8.0.1",
    owners=HOST_OWNED,
)
HERE, THERE = deployment_path("DU-1", "edge-1"), deployment_path("DU-1", "edge-2")


def view(rendered: Rendered, served: tuple[str, ...] = ("alfa", "beta")) -> StationView:
    nodes = ledger_nodes(root_spec((PROFILE,)), rendered)
    ledger = {node.path: LedgerEntry(station="DU-1", **dict(node)) for node in nodes}
    return StationView(Observed(rendered.tree, behaviour=UNTRUSTED), True, ledger, served=frozenset(served))


def change(before: FunctionFact | None, after: FunctionFact, **options: object) -> Change:
    empty = Rendered({"/Function[DU-1]": {}}, {"/Function[DU-1]": HOST_OWNED}, ())
    seen = view(empty if before is None else render_cloud(before))
    made = plan_station("DU-1", (PROFILE,), render_cloud(after), seen, PlanOptions(**options))  # type: ignore[arg-type]
    assert made.change is not None, made.reason
    return made.change


def test_a_function_that_comes_has_to_be_ready() -> None:
    made = change(None, FACT)
    assert [wait.kind for wait in made.checks] == ["ready"]
    assert made.checks[0].path == HERE
    assert len(made.phases) == 1


def test_one_that_moves_is_ready_there_before_it_goes_here() -> None:
    made = change(FACT, replace(FACT, pool="edge-2"), remove={"host": 4})
    first, second = made.phases
    assert {edit.op for edit in first.edits} == {Op.CREATE}
    assert [(wait.kind, wait.path) for wait in first.wait] == [("ready", THERE)]
    assert {edit.op for edit in second.edits} == {Op.DELETE}
    assert not made.removes, "it is on the other pool"
    assert [wait.path for wait in made.checks] == [THERE]


@pytest.mark.parametrize(
    ("after", "interrupted"),
    [
        (replace(FACT, image=f"registry.example/du@sha256:{2:064x}"), ("alfa", "beta")),
        (replace(FACT, address="10.8.0.9"), ("alfa", "beta")),
        (replace(FACT, pool="edge-2"), ("alfa", "beta")),
        (replace(FACT, replicas=2), ()),
    ],
)
def test_what_restarts_it_interrupts_whom_it_serves(after: FunctionFact, interrupted: tuple[str, ...]) -> None:
    made = change(FACT, after, remove={"host": 4})
    assert made.interrupted == interrupted
    asked = {tenant for tenant, action in effect_of(made).asks if action == "interrupt"}
    assert asked == set(interrupted)


def test_a_tenant_is_asked_before_its_own_function_restarts() -> None:
    own = replace(FACT, owner="alfa", owners=("alfa",))
    seen = view(render_cloud(own), ("alfa",))
    after = render_cloud(replace(own, image=f"registry.example/du@sha256:{2:064x}"))
    made = plan_station("DU-1", (PROFILE,), after, seen, PlanOptions()).change
    assert made is not None
    assert (made.touched, made.interrupted) == (("alfa",), ("alfa",))


@pytest.mark.parametrize("cordoned", [True, False])
def test_a_node_goes_out_of_use_and_back_and_leaves_what_drifted_beside_it(cordoned: bool) -> None:
    """Of the pool's nodes of ours one was put back into use by somebody, and a namespace is gone."""
    own, other, namespace = node_path("p", "n1"), node_path("p", "n2"), "/Pool[p]/Namespace[minka-alfa]"
    out = {"unschedulable": "true"}
    ledger = {
        path: LedgerEntry(station="p", path=path, owners=HOST_OWNED, leaves=leaves)
        for path, leaves in {own: out, other: out, namespace: {"owner": "alfa"}}.items()
        if path != own or not cordoned
    }
    tree = {"/Pool[p]": {}} if cordoned else {"/Pool[p]": {}, own: out}
    made = cordoned_change("p", Observed(tree, behaviour=UNTRUSTED), ledger, "n1", cordoned=cordoned)
    assert made is not None
    edited = {edit.path for phase in made.phases for edit in phase.edits}
    assert edited == {own}
    assert {other, namespace}.isdisjoint([*made.lost, *(node.path for node in made.gained)])
    assert (own in made.lost) is not cordoned
