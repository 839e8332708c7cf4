"""Where functions and pools are reached."""

from __future__ import annotations

from controller.drivers.kubernetes.target import PoolTarget, function_target, pool_target
from tests.unit.plan import samples

NETWORK = samples.virtual()


def test_a_pool_is_reached_at_its_api() -> None:
    target = pool_target(NETWORK, "edge-1")
    assert target.profiles == ("pool",)
    assert target.pools == (PoolTarget("edge-1", "10.9.0.1", 6443, "pools", credential="minka"),)
    assert target.pools[0].credentials == ("pools", "minka")


def test_a_function_is_looked_for_on_all_pools_that_it_may_be_on() -> None:
    target = function_target(NETWORK, "UP-ALFA")
    assert ([pool.device for pool in target.pools], target.namespace) == (["edge-1", "edge-2"], "minka-alfa")
    assert function_target(NETWORK, "CU-1").namespace == "minka-host"


def test_one_that_is_pinned_may_still_be_where_it_was_before() -> None:
    functions = [one.model_dump() | {"pool": "edge-2"} for one in NETWORK.functions]
    pinned = samples.virtual(functions=functions)
    assert pinned.delays.pools_for["DU-1"] == ("edge-2",)
    assert [pool.device for pool in function_target(pinned, "DU-1").pools] == ["edge-1", "edge-2"]
