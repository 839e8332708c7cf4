"""Where functions and pools are reached."""

from __future__ import annotations

from controller.ports.devices import PoolTarget, target_of
from tests.unit.plan import samples

NETWORK = samples.virtual()


def test_a_pool_is_reached_at_its_api() -> None:
    target = target_of(NETWORK, "edge-1")
    assert (target.transport, target.profiles) == ("kubernetes", ("pool",))
    assert target.pools == (PoolTarget("edge-1", "10.9.0.1", 6443, "pools", credential="minka"),)
    assert target.pools[0].credentials == ("pools", "minka")


def test_a_function_is_looked_for_on_all_pools_that_it_may_be_on() -> None:
    target = target_of(NETWORK, "UP-ALFA")
    assert ([pool.station for pool in target.pools], target.namespace) == (["edge-1", "edge-2"], "minka-alfa")
    assert target_of(NETWORK, "CU-1").namespace == "minka-host"


def test_one_that_is_pinned_may_still_be_where_it_was_before() -> None:
    functions = [one.model_dump() | {"pool": "edge-2"} for one in NETWORK.functions]
    pinned = samples.virtual(functions=functions)
    assert pinned.delays.pools_for["DU-1"] == ("edge-2",)
    assert [pool.station for pool in target_of(pinned, "DU-1").pools] == ["edge-1", "edge-2"]
