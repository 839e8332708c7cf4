"""A node of a pool that a playbook takes out of use and, when a later step fails, back again."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from controller.models.cloud import ClusterState, NodeReady, NodeState
from controller.models.network import Network
from controller.models.run import Outcome
from controller.nrm.tree import Observed
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.context import ActionServices
from controller.playbook.language.library import Library
from tests.unit.playbook.functions_bench import FunctionBench
from tests.unit.runs.group_bench import Mortal

PLAYBOOK = """name: own
description: Take a node out of use, and fail.
targets: "pool=%s"
steps:
  - {name: cordon, action: cordon-node, with: {node: n1}%s}
  - {name: fail, action: read-state, checks: ["{{ output.cells_on_air > 9 }}"]}
"""
BACK = ", undo: {action: cordon-node, with: {node: n1, cordoned: false}}"
OTHER = ", undo: {action: cordon-node, with: {node: n2, cordoned: true}}"
TOLD = ", undo: {action: notify, with: {text: n1 is out of use}}"


class NodesBench(FunctionBench):
    """Its pools have two nodes."""

    def services(self, life: Mortal | None = None) -> ActionServices:
        services = super().services(life)
        read = services.planner.read

        async def seen(network: Network, station: str, *, beside: bool = False) -> Observed:
            found = await read(network, station, beside=beside)
            nodes = tuple(NodeState(id=name, ready=NodeReady.READY) for name in ("n1", "n2"))
            return replace(found, cluster=ClusterState(nodes=nodes)) if station in network.pool_by_id else found

        services.planner.read = seen  # type: ignore[method-assign]
        return services


async def played(tmp_path: Path, undo: str, *, before: str = "") -> tuple[NodesBench, str]:
    """A run that cordons the first node of a pool and fails then; ``before`` it, one that cordoned a node for good."""
    bench = NodesBench()
    await bench.add_pools(ready=True)
    pool = min(bench.network.pool_by_id)
    (tmp_path / "own.yaml").write_text(PLAYBOOK % (pool, undo))
    alone = PLAYBOOK.replace("name: own", "name: alone").partition("  - {name: fail")[0].replace("n1", before)
    (tmp_path / "alone.yaml").write_text(alone % (pool, ""))
    bench.library = Library.in_folder(tmp_path, registry())
    if before:
        assert await bench.play("alone") == {pool: Outcome.SUCCEEDED}
    await bench.start("own")
    return bench, pool


def cordoned(bench: NodesBench, pool: str) -> set[str]:
    """Nodes that are out of use, which the ledger and the pool say alike."""
    running, ledger = (
        {path for path in tree if "/Node[" in path}
        for tree in (bench.devices[pool].running, bench.store.ledger.find([pool]).get(pool, {}))
    )
    assert running == ledger
    return {path.rpartition("[")[2].rstrip("]") for path in running}


@pytest.mark.parametrize(
    ("undo", "before", "outcome", "left"),
    [
        ("", "", Outcome.ROLLED_BACK, set()),
        (BACK, "", Outcome.ROLLED_BACK, set()),
        (BACK, "n2", Outcome.ROLLED_BACK, {"n2"}),
        (BACK, "n1", Outcome.FAILED_SAFE, {"n1"}),
        (OTHER, "", Outcome.DIVERGED, {"n1", "n2"}),
        (TOLD, "", Outcome.DIVERGED, {"n1"}),
    ],
    ids=["by-its-inverse", "by-itself", "another-one-stays", "was-so-before", "by-another-one", "only-told"],
)
async def test_a_cordon_that_led_back_is_rolled_back_and_no_other(
    tmp_path: Path, undo: str, before: str, outcome: Outcome, left: set[str]
) -> None:
    bench, pool = await played(tmp_path, undo, before=before)
    await bench.work()
    assert bench.outcomes == {pool: outcome}, bench.jobs
    assert cordoned(bench, pool) == left


@pytest.mark.parametrize("death", range(1, 40, 3))
async def test_a_worker_that_dies_on_the_way_back_leaves_it_to_the_next(tmp_path: Path, death: int) -> None:
    bench, pool = await played(tmp_path, BACK)
    await bench.work(Mortal(death))
    assert bench.outcomes == {pool: Outcome.ROLLED_BACK}, bench.jobs
    assert cordoned(bench, pool) == set()
