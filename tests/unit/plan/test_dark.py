"""What a device could not tell, since a pool does not answer: it is neither missing nor surplus."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.drivers.kubernetes.codec import FunctionObjects
from controller.models.errors import UnreachableError
from controller.models.run import LedgerEntry
from controller.nrm.profiles import Rendered, render_cloud, root_spec
from controller.nrm.profiles.function import deployment_path
from controller.nrm.tree import Observed, Path
from controller.plan import StationView, drift, moved_change, reverted_change, scaled_change
from controller.plan.drift import applied, carried_nodes, drifted_nodes
from controller.plan.inputs import PlanOptions
from controller.plan.station import plan_station
from tests.unit.drivers.kubernetes.test_codec import DU

NAME = DU.function
FUNCTION = ("function",)
ROOT = root_spec(FUNCTION)
OBJECTS = FunctionObjects(NAME, "minka-host")
HERE = render_cloud(DU)
DARK = OBJECTS.observed({}, {"edge-1": "edge-1 did not answer."})


def ledger(rendered: Rendered) -> dict[Path, LedgerEntry]:
    """All of it is ours."""
    return {
        path: LedgerEntry(station=NAME, path=path, owners=owners, leaves=rendered.tree[path])
        for path, owners in rendered.owners.items()
    }


def view(observed: Observed, rendered: Rendered = HERE) -> StationView:
    return StationView(observed, adopted=True, ledger=ledger(rendered))


def test_nothing_of_a_dark_pool_has_drifted() -> None:
    assert drift(ROOT, applied(ledger(HERE)), view(DARK)) == ()
    assert drifted_nodes(ROOT, HERE, DARK) == ()
    assert carried_nodes(ROOT, HERE, ledger(HERE), DARK) == ((), ())


def test_nothing_is_planned_on_a_dark_pool_and_nobody_asks_for_it() -> None:
    made = plan_station(NAME, FUNCTION, HERE, view(DARK), PlanOptions())
    assert made.change is None
    (said,) = [found.message for found in made.findings if found.code == "not-read"]
    both = "deployment on pool edge-1 and disruption budget on pool edge-1 are there"
    assert said == f"{NAME}: nobody knows whether {both}: edge-1 did not answer."


def test_what_should_change_on_a_dark_pool_is_named() -> None:
    wanted = render_cloud(replace(DU, replicas=2))
    made = plan_station(NAME, FUNCTION, wanted, view(DARK), PlanOptions())
    assert made.change is None
    assert "what is to change there is not planned" in made.findings[0].message


def test_a_function_leaves_a_dark_pool_and_what_is_there_stays_ours() -> None:
    wanted = render_cloud(replace(DU, pool="edge-2"))
    change = plan_station(NAME, FUNCTION, wanted, view(DARK), PlanOptions(remove={"host": 9})).change
    assert change is not None
    assert not [edit.path for phase in change.phases for edit in phase.edits if "edge-1" in edit.path]
    assert change.lost == ()


def test_a_function_does_not_leave_its_pool_for_a_dark_one() -> None:
    wanted = render_cloud(replace(DU, pool="edge-2"))
    seen = view(replace(DARK, tree=HERE.tree, dark={deployment_path(NAME, "edge-2"): "edge-2 did not answer."}))
    made = plan_station(NAME, FUNCTION, wanted, seen, PlanOptions(remove={"host": 9}))
    assert made.change is None
    assert made.reason.startswith("not-read: deployment on pool edge-2: nothing goes elsewhere")
    with pytest.raises(UnreachableError, match="edge-2 did not answer"):
        moved_change(NAME, seen.observed, seen.ledger, "edge-2", ())  # type: ignore[arg-type]


def test_a_function_on_a_dark_pool_gets_no_replicas_and_no_release() -> None:
    seen = view(DARK)
    with pytest.raises(UnreachableError, match="edge-1 did not answer"):
        scaled_change(NAME, DARK, seen.ledger, 2, ())
    with pytest.raises(UnreachableError, match="edge-1 did not answer"):
        reverted_change(NAME, DARK, seen.ledger, seen.ledger, ())


def test_drift_and_plan_name_who_wrote_it() -> None:
    path = f"/Function[{NAME}]/Deployment[edge-1]"
    tree = {**HERE.tree, path: {**HERE.tree[path], "replicas": "3"}}
    seen = Observed(tree, writers={path: {"replicas": "kubectl-edit"}})
    change = plan_station(NAME, FUNCTION, HERE, view(seen), PlanOptions()).change
    assert change is not None
    for (row,) in (drift(ROOT, applied(ledger(HERE)), view(seen)), change.diff):
        assert (row.what, row.before, row.after) == (
            "deployment on pool edge-1: replicas",
            "3 (written by kubectl-edit)",
            "1",
        )
