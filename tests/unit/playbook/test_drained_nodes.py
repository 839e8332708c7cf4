"""Which devices a playbook about one node of a pool concerns: the pool, and the functions with a pod on that node."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.models.cloud import ClusterState, NodeReady, NodeState
from controller.models.errors import ConflictError, InputError
from controller.models.network import Network
from controller.nrm.tree import Observed
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.preparation import PlaybookPreparation
from controller.store import RunRequest
from tests.unit.playbook.functions_bench import FunctionBench


async def concerned(bench: FunctionBench, pool: str, node: str, **functions: tuple[str, ...]) -> set[str]:
    """Devices of the run that drains a node, where the pool's nodes have pods of these functions."""
    services = bench.services()
    read = services.planner.read

    async def seen(network: Network, station: str, *, beside: bool = False) -> Observed:
        found = await read(network, station, beside=beside)
        nodes = tuple(NodeState(id=name, ready=NodeReady.READY, functions=there) for name, there in functions.items())
        return replace(found, cluster=ClusterState(nodes=nodes)) if station == pool else found

    services.planner.read = seen  # type: ignore[method-assign]
    asked = RunRequest(playbook="drain-node", parameters={"pool": pool, "node": node}, actor="ana")
    made = await PlaybookPreparation(services, lambda _: bench.library, registry()).prepare(asked)
    return {job.station for job in made.jobs if job.station in bench.network.function_by_id} | (
        {job.station for job in made.jobs} & {pool}
    )


async def test_a_node_that_is_drained_concerns_its_pool_and_the_functions_on_it() -> None:
    bench = FunctionBench()
    await bench.add_pools(ready=True)
    await bench.instantiate("CU-1")
    (pool,) = bench.pools("CU-1")
    assert await concerned(bench, pool, "n1", n1=("CU-1",), n2=()) == {pool, "CU-1"}
    assert await concerned(bench, pool, "n2", n1=("CU-1",), n2=("another",)) == {pool}
    with pytest.raises(InputError, match="n3"):
        await concerned(bench, pool, "n3", n1=("CU-1",), n2=())


async def test_a_node_of_a_pool_that_is_not_adopted_is_not_drained() -> None:
    bench = FunctionBench()
    await bench.instantiate("CU-1")
    (pool,) = bench.pools("CU-1")
    with pytest.raises(ConflictError, match=f"pool {pool} is not adopted: adopt it first, with minka plan pool={pool}"):
        await concerned(bench, pool, "n1", n1=("CU-1",))
