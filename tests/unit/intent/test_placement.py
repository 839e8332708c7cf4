"""Where functions run: near, with room, as long as they may, and why."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import date
from operator import le

import pytest

from controller.intent.packing import FailureCase, Load, Size
from controller.intent.placement import (
    UNPLACED_US,
    Closures,
    NodeLoss,
    Placement,
    jobs,
    lower_bound,
    place,
    scaling_refusal,
    worst_losses,
)
from controller.models.cloud import Node
from controller.models.network import Network
from tests.unit.intent.clouds import VALID, cloud, function, nodes, package, random_cloud

DAY = date(2026, 6, 15)
_DUS = {f"S{n}": (f"DU-{n}",) for n in range(1, 5)}
_FOUR = [function(f"DU-{n}") for n in range(1, 5)]
_NEAR = dict.fromkeys(_DUS, 50)
_FAR = dict.fromkeys(_DUS, 90)


def where(placement: Placement) -> dict[str, str]:
    return {name: choice.pool for name, choice in placement.choices.items()}


def used_cores(placement: Placement, pool: str) -> dict[str, int]:
    return {side: has.used_cores for side, has in placement.pools[pool].sides.items() if has.used_cores}


def running(placement: Placement) -> dict[str, tuple[str, ...]]:
    return {name: (choice.pool,) for name, choice in placement.choices.items() if choice.pool}


def test_a_function_goes_to_the_nearest_pool() -> None:
    found = place(cloud({"far": _FAR, "near": _NEAR}, _FOUR, _DUS), DAY)
    assert where(found) == dict.fromkeys(("DU-1", "DU-2", "DU-3", "DU-4"), "near")
    assert found.choices["DU-1"].latency_us == 50
    assert found.choices["DU-1"].reason == "the nearest of 2 pools: 50 µs away of 1000 that it bears"
    assert (found.cost_us, found.moves, found.unplaced) == (200, (), ())
    assert (found.pools["near"].capacity.cpus, found.pools["near"].used.cpus) == (32, 32)


def test_who_finds_no_room_goes_to_the_next_pool_and_is_told_why() -> None:
    five = {**_DUS, "S5": ("DU-5",)}
    network = cloud({"near": dict.fromkeys(five, 50), "far": dict.fromkeys(five, 90)}, [*_FOUR, function("DU-5")], five)
    found = place(network, DAY)
    assert where(found)["DU-5"] == "far"
    assert found.choices["DU-5"].reason == (
        "the nearest with room: 90 µs away of 1000 that it bears; near not: 0 cores are free and it takes 8"
    )
    assert found.cost_us == 4 * 50 + 90


def test_who_finds_no_room_at_all_is_told_why() -> None:
    full = place(cloud({"near": _NEAR}, _FOUR, _DUS, servers=nodes("near", 1, cpus=30)), DAY)
    assert [choice.function for choice in full.unplaced] == ["DU-4"]
    assert full.choices["DU-4"].reason == "no room: near: 6 cores are free and it takes 8"
    assert full.cost_us == 150 + UNPLACED_US
    far = [function("DU-1", max_latency_us=40), *_FOUR[1:]]
    assert place(cloud({"near": _NEAR}, far, _DUS), DAY).choices["DU-1"].reason == (
        "no pool is within 40 µs of its station"
    )
    unused = place(cloud({"near": _NEAR}, [*_FOUR, function("DU-9")], _DUS), DAY).choices["DU-9"]
    assert (unused.pool, unused.reason) == ("", "no station names it, so there is nothing that it has to be near")


def test_the_reserve_is_a_failure_domain_that_may_go() -> None:
    one_rack = [{**node, "failure_domain": "rack" if node["id"] < "n3" else None} for node in nodes("near", 3)]
    assert len(place(cloud({"near": _NEAR}, _FOUR, _DUS, servers=nodes("near", 2), spare=1), DAY).unplaced) == 0
    assert place(cloud({"near": _NEAR}, _FOUR, _DUS, servers=one_rack, spare=1), DAY).pools["near"].capacity.cpus == 32
    assert len(place(cloud({"near": _NEAR}, _FOUR, _DUS, servers=nodes("near", 1), spare=1), DAY).unplaced) == 4
    smaller = [*nodes("near", 1), {**nodes("near", 2)[1], "cpus": 16}]
    found = place(cloud({"near": _NEAR}, _FOUR, _DUS, servers=smaller, spare=1), DAY)
    assert len(found.unplaced) == 2
    assert found.choices["DU-4"].reason == "no room: near: 0 cores are free beside its reserve and it takes 8"


def test_what_a_function_needs_must_be_on_one_node() -> None:
    halves = nodes("near", 4, cpus=12)
    assert len(place(cloud({"near": _NEAR}, _FOUR, _DUS, servers=halves), DAY).unplaced) == 0
    thirds = nodes("near", 8, cpus=7)
    found = place(cloud({"near": _NEAR}, _FOUR, _DUS, servers=thirds), DAY)
    assert found.choices["DU-1"].reason == "no room: near: no node has 8 cores and 16 GiB free together"
    clocks = [package("vdu", ptp=True, accelerators=1)]
    servers = [*nodes("near", 1, ptp=True, accelerators=2), {**nodes("near", 2)[1], "accelerators": 2}]
    found = place(cloud({"near": _NEAR}, _FOUR, _DUS, packages=clocks, servers=servers), DAY)
    assert len(found.unplaced) == 2
    found = place(cloud({"near": _NEAR}, _FOUR, _DUS, packages=clocks, servers=nodes("near", 1, accelerators=9)), DAY)
    assert found.choices["DU-1"].reason == "no room: near: no node has PTP"


def _split(about: dict[str, dict[str, object]], *ways: tuple[str, str, int], **of_cu: object) -> Network:
    """Two stations with a DU each on an edge, and a CU for both that may go to a regional pool, too."""
    pools = {"edge-1": {"S1": 50, "S2": 90}, "edge-2": {"S1": 90, "S2": 50}, "centre": {"S1": 900, "S2": 950}}
    for pool, station, us in ways:
        pools[pool] = {**pools[pool], station: us}
    functions = [
        *(function(f"DU-{n}", max_latency_us=100) for n in (1, 2)),
        function("CP", "vcu-cp", **{"max_latency_us": 2000, **of_cu}),
    ]
    places = {pool: {"where": "regional" if pool == "centre" else "edge", **about.get(pool, {})} for pool in pools}
    return cloud(pools, functions, {f"S{n}": (f"DU-{n}", "CP") for n in (1, 2)}, about=places)


def test_midhaul_is_counted_from_pool_to_pool_wherever_the_dus_go() -> None:
    over_sites = _split({})
    assert over_sites.delays.ways_us("CP", "S1") == {"edge-1": 140, "edge-2": 140, "centre": 990}
    assert over_sites.delays.ways_us("DU-1", "S1") == {"edge-1": 50, "edge-2": 90, "centre": 900}
    at_a_site = _split({"edge-1": {"site": "site-2"}, "edge-2": {"site": "site-2"}}, ("edge-1", "S2", 0))
    assert at_a_site.delays.between_us["centre"] == {"centre": 0, "edge-1": 950, "edge-2": 950}
    assert at_a_site.delays.ways_us("CP", "S1")["centre"] == 950
    assert _split({}, max_latency_us=989).delays.pools_for["CP"] == ("edge-1", "edge-2")
    assert _split({}, max_latency_us=139).delays.pools_for["CP"] == ()
    pinned = over_sites.model_dump(mode="json")
    pinned["functions"][0]["pool"] = pinned["functions"][1]["pool"] = "edge-1"
    alone = Network.model_validate(pinned)
    assert alone.delays.ways_us("CP", "S1") == {"edge-1": 0, "edge-2": 140, "centre": 950}
    assert place(alone, DAY).choices["CP"].latency_us == 1040


def test_cus_leave_edges_to_dus_where_a_regional_pool_is_near_enough() -> None:
    found = place(_split({}), DAY)
    assert where(found) == {"DU-1": "edge-1", "DU-2": "edge-2", "CP": "centre"}
    assert found.choices["CP"].reason == (
        "the only regional pool near enough, which leaves edges to DUs: 1040 µs away of 2000 that it bears"
    )
    there = place(_split({}), DAY, {"CP": ("edge-1",)})
    assert where(there)["CP"] == "edge-1", "what runs stays"
    assert there.choices["CP"].reason.endswith(", though centre would do, which leaves edges to DUs")
    assert where(place(_split({}), DAY, {"CP": ("edge-1",)}, rebalance=True))["CP"] == "centre"
    full = _split({}).model_dump(mode="json")
    for node in full["nodes"]:
        node["cpus"] = 2 if node["pool"] == "centre" else node["cpus"]
    on_edge = place(Network.model_validate(full), DAY)
    assert where(on_edge)["CP"] == "edge-1"
    assert on_edge.choices["CP"].reason.endswith("; centre not: 2 cores are free and it takes 4")
    assert (found.cost_us, on_edge.cost_us) == (2 * 50 + 900 + 950, 2 * 50 + 50 + 90 + 2 * 2000)
    near = place(_split({}, max_latency_us=200), DAY).choices["CP"]
    assert (near.pool, near.reason) == ("edge-1", "the nearest of 2 pools: 140 µs away of 200 that it bears")


def test_functions_apart_are_on_different_pools() -> None:
    pair = [function("DU-1", apart_from=["DU-2"]), *_FOUR[1:]]
    found = place(cloud({"near": _NEAR, "far": _FAR}, pair, _DUS), DAY)
    assert sorted((where(found)["DU-1"], where(found)["DU-2"])) == ["far", "near"]
    (moved,) = (one for one in found.choices.values() if one.pool == "far")
    other = "DU-2" if moved.function == "DU-1" else "DU-1"
    assert moved.reason.endswith(f"near not: {other} is there")
    assert len(place(cloud({"near": _NEAR}, pair, _DUS), DAY).unplaced) == 1


def test_a_pinned_function_is_where_the_files_say() -> None:
    pinned = [function("DU-1", pool="far"), *_FOUR[1:]]
    network = cloud({"near": _NEAR, "far": _FAR}, pinned, _DUS)
    found = place(network, DAY, {"DU-1": ("near",)})
    assert (where(found)["DU-1"], found.choices["DU-1"].was) == ("far", ("near",))
    assert found.choices["DU-1"].reason == (
        "moves since near has no place for it (the files pin it elsewhere); pinned to far by the network files"
    )


def test_what_runs_stays_though_another_pool_is_nearer_until_all_is_to_be_balanced() -> None:
    network = cloud({"near": _NEAR, "far": _FAR}, _FOUR, _DUS)
    # On two pools is what moved away from one that does not answer: where it came to last is named first.
    here = {"DU-1": ("far",), "DU-2": ("near", "far"), "DU-3": ("far", "near")}
    found = place(network, DAY, here)
    assert where(found) == {"DU-1": "far", "DU-2": "near", "DU-3": "far", "DU-4": "near"}
    assert found.choices["DU-1"].reason == (
        "runs there and may stay: 90 µs away of 1000 that it bears, though near is nearer"
    )
    assert not found.moves
    balanced = place(network, DAY, here, rebalance=True)
    assert set(where(balanced).values()) == {"near"}
    assert [(one.function, one.was) for one in balanced.moves] == [("DU-1", ("far",))]


def test_what_may_not_stay_moves_and_is_told_why() -> None:
    network = cloud({"near": _NEAR, "far": _FAR}, [function("DU-1", max_latency_us=60), *_FOUR[1:]], _DUS)
    found = place(network, DAY, {"DU-1": ("far",), "DU-2": ("gone",)})
    assert [(one.function, one.pool) for one in found.moves] == [("DU-1", "near"), ("DU-2", "near")]
    assert found.choices["DU-1"].reason == (
        "moves since far has no place for it (too far away); the only pool near enough: 50 µs away of 60 that it bears"
    )
    assert "gone has no place for it (the network files have no such pool)" in found.choices["DU-2"].reason


def test_where_a_pool_shrank_what_serves_most_stations_stays() -> None:
    stations = {"S1": ("DU-1", "CP", "UP"), "S2": ("DU-2", "CP", "UP"), "S3": ("DU-3", "CP", "UP")}
    functions = [*_FOUR[:3], function("CP", "vcu-cp"), function("UP", "vcu-up")]
    pools = {"near": dict.fromkeys(stations, 50), "far": dict.fromkeys(stations, 90)}
    shrunk = [*nodes("near", 1, cpus=18), *nodes("far", 1)]
    network = cloud(pools, functions, stations, servers=shrunk)
    found = place(network, DAY, dict.fromkeys(("CP", "UP", "DU-1", "DU-2", "DU-3"), ("near",)))
    assert where(found) == {"CP": "near", "UP": "near", "DU-1": "near", "DU-2": "far", "DU-3": "far"}


def test_what_runs_and_has_no_other_place_stays_though_the_reserve_is_gone() -> None:
    network = cloud({"near": _NEAR}, _FOUR, _DUS, servers=nodes("near", 2, cpus=20), spare=1)
    found = place(network, DAY, dict.fromkeys(("DU-1", "DU-2", "DU-3"), ("near",)))
    assert where(found) == {"DU-1": "near", "DU-2": "near", "DU-3": "near", "DU-4": ""}
    assert found.choices["DU-3"].reason == (
        "runs there and stays, though that takes from the pool's reserve: "
        "no room: near: 0 cores are free beside its reserve and it takes 8"
    )
    gone = cloud({"near": _NEAR}, _FOUR, _DUS, servers=nodes("near", 1, cpus=7))
    assert len(place(gone, DAY, dict.fromkeys(("DU-1", "DU-2"), ("near",))).unplaced) == 4


def test_one_function_makes_way_for_the_next_as_long_as_none_runs() -> None:
    """DU-1 fits on a alone, where DU-2 would be nearest; DU-2 then takes the place of DU-3, which goes to c."""
    stations = {f"S{n}": (f"DU-{n}",) for n in (1, 2, 3)}
    pools = {"a": {"S1": 50, "S2": 20}, "b": {"S2": 30, "S3": 20}, "c": {"S3": 300}}
    servers = [*nodes("a", 1, cpus=8), *nodes("b", 1, cpus=8), *nodes("c", 1, cpus=8)]
    network = cloud(pools, _FOUR[:3], stations, servers=servers)
    assert where(place(network, DAY)) == {"DU-1": "a", "DU-2": "b", "DU-3": "c"}
    before = {"DU-2": ("a",), "DU-3": ("b",)}
    assert where(place(network, DAY, before)) == {"DU-1": "", "DU-2": "a", "DU-3": "b"}
    assert where(place(network, DAY, before, rebalance=True)) == {"DU-1": "a", "DU-2": "b", "DU-3": "c"}


def _own(agreements: Sequence[dict[str, object]]) -> Network:
    held = [{"id": "alfa-all", "tenant": "alfa", "scope": {"everywhere": True}, "validity": VALID}, *agreements]
    functions = [*_FOUR, function("UP-B", "vcu-up", owner="beta")]
    stations = {**_DUS, "S1": ("DU-1", "UP-B")}
    return cloud({"near": _NEAR, "far": _FAR}, functions, stations, agreements=held)


def _buys(**more: object) -> dict[str, object]:
    return {"id": "b", "tenant": "beta", "scope": {"everywhere": True}, "validity": VALID, **more}


def test_none_is_left_without_a_place_where_there_is_room() -> None:
    """Though the cheapest chain to the pool with room ends with a function that may not go there."""
    sizes = [package("vdu", f"du-{cpus}", cpus=cpus, memory_gb=memory) for cpus, memory in ((4, 8), (8, 8), (12, 48))]
    ways = {"p0": {"A": 90, "B": 24, "C": 24}, "p1": {"A": 76, "E": 102}, "p2": {"A": 24, "C": 72, "D": 36, "E": 180}}
    functions = [
        function("DU-A", "du-12", max_latency_us=120),
        function("DU-B", "du-8", max_latency_us=120, apart_from=["DU-A"]),
        function("DU-C", "du-8", max_latency_us=90, apart_from=["DU-A"]),
        function("DU-D", "du-4", max_latency_us=120, apart_from=["DU-A"]),
        function("DU-E", "du-8", max_latency_us=200),
    ]
    servers = [
        {"pool": pool, "id": "n", "cpus": cpus, "memory_gb": memory}
        for pool, cpus, memory in (("p0", 8, 64), ("p1", 16, 64), ("p2", 24, 32))
    ]
    stations = {one[-1]: (one,) for one in ("DU-A", "DU-B", "DU-C", "DU-D", "DU-E")}
    network = cloud(ways, functions, stations, servers=servers, packages=sizes)
    assert where(place(network, DAY)) == {"DU-A": "p1", "DU-B": "p0", "DU-C": "p2", "DU-D": "p2", "DU-E": "p2"}


def test_a_cu_of_many_stations_comes_before_a_du_of_one() -> None:
    """Whichever DU has to go for it: the first that is tried leaves too small a node."""
    sizes = [package("vdu", f"du-{cpus}", cpus=cpus) for cpus in (8, 12)]
    ways = {"edge": {"A": 90, "B": 10}, "small": {"A": 200, "B": 200}}
    functions = [
        function("DU-A", "du-8", max_latency_us=100),
        function("DU-B", "du-12", max_latency_us=100),
        function("CP", "vcu-cp"),
    ]
    servers = [
        {"pool": pool, "id": f"n{cpus}", "cpus": cpus, "memory_gb": 128}
        for pool, cpus in (("edge", 10), ("edge", 14), ("small", 4))
    ]
    stations = {"A": ("DU-A", "CP"), "B": ("DU-B", "CP")}
    packages = [*sizes, package("vcu-cp", cpus=12)]
    found = place(cloud(ways, functions, stations, servers=servers, packages=packages), DAY)
    assert where(found) == {"CP": "edge", "DU-A": "edge", "DU-B": ""}


def test_a_tenants_own_function_runs_where_it_bought_cores_or_as_itself() -> None:
    nothing = place(_own([_buys()]), DAY)
    assert nothing.choices["UP-B"].reason == (
        "no room: near: beta bought 0 cores there and would take 6, far: beta bought 0 cores there and would take 6"
    )
    cores = place(_own([_buys(capacity=[{"pool": "far", "cores": 6}])]), DAY)
    assert where(cores)["UP-B"] == "far"
    assert used_cores(cores, "far") == {"beta": 6}
    few = place(_own([_buys(capacity=[{"pool": "far", "cores": 5}])]), DAY)
    assert "far: beta bought 5 cores there and would take 6" in few.choices["UP-B"].reason
    ended = _buys(capacity=[{"pool": "far", "cores": 6}], validity={"start": "2020-01-01", "end": "2026-06-14"})
    assert not where(place(_own([ended]), DAY))["UP-B"]
    whole = place(_own([_buys(functions=["UP-B"])]), DAY)
    assert not whole.unplaced
    assert {side for pool in whole.pools for side in used_cores(whole, pool)} == {"host"}
    lapsed = place(_own([_buys()]), DAY, {"UP-B": ("near",)})
    assert where(lapsed)["UP-B"] == "near"  # nothing disappears by itself


def test_who_would_have_to_go_is_named_beside_what_was_not_bought() -> None:
    """Else people would move the one in vain."""
    pair = [function("GW-1", "gateway", pool="p"), function("GW-2", "gateway", owner="beta", apart_from=["GW-1"])]
    found = place(cloud({"p": {"S1": 5}}, pair, {"S1": ("GW-1", "GW-2")}), DAY)
    (left,) = found.unplaced
    assert left.reason == "no room: p: GW-1 is there and beta bought 0 cores there and would take 2"


def test_cores_that_were_sold_are_kept_unless_overbooking_was_agreed() -> None:
    firm = place(_own([_buys(capacity=[{"pool": "near", "cores": 16}])]), DAY)
    assert sorted(where(firm).values()) == ["far", "far", "near", "near", "near"]
    assert used_cores(firm, "near") == {"beta": 6, "host": 16}
    moved = next(one for one in firm.choices.values() if one.pool == "far")
    assert moved.reason.endswith("near not: 40 of 32 cores would be taken or kept for whoever bought them")
    half = place(_own([_buys(capacity=[{"pool": "near", "cores": 16, "overbooking_percent": 50}])]), DAY)
    assert used_cores(half, "near") == {"beta": 6, "host": 24}


def test_a_function_scales_as_far_as_its_pool_has_room_and_its_tenant_bought() -> None:
    network = _own([_buys(capacity=[{"pool": "near", "cores": 12}])])
    here = {"DU-1": ("near",), "UP-B": ("near",)}
    assert [scaling_refusal(network, DAY, here, "UP-B", count) for count in (1, 2)] == ["", ""]
    assert scaling_refusal(network, DAY, here, "UP-B", 3) == "beta bought 12 cores there and would take 18"
    assert scaling_refusal(network, DAY, here, "DU-1", 9).endswith("cores are free and it takes 72")
    assert scaling_refusal(network, DAY, {}, "DU-1", 9) == "", "it runs nowhere"


def test_replicas_that_were_applied_beyond_the_files_take_room() -> None:
    """So that no further function is promised the same room before a plan brings the number of the network files."""
    network = _own([_buys(capacity=[{"pool": "near", "cores": 18}])])
    here = {"DU-1": ("near",), "UP-B": ("near",)}
    used = [used_cores(place(network, DAY, here, applied={"UP-B": count}), "near")["beta"] for count in (1, 2, 3)]
    assert used == [6, 12, 18]
    assert scaling_refusal(network, DAY, here, "UP-B", 3, {"UP-B": 2}) == "", "its own replicas do not count twice"
    assert not place(network, DAY, here, applied={"UP-B": 3}).moves
    small = cloud({"near": _NEAR}, _FOUR, _DUS, servers=nodes("near", 1))
    assert not place(small, DAY, {"DU-1": ("near",)}).unplaced
    (homeless,) = place(small, DAY, {"DU-1": ("near",)}, applied={"DU-1": 2}).unplaced
    assert "cores are free" in homeless.reason
    both = {"DU-1": ("near",), "DU-2": ("near",)}
    two = {"S1": ("DU-1",), "S2": ("DU-2",)}
    half = cloud({"near": dict.fromkeys(two, 50)}, _FOUR[:2], two, servers=nodes("near", 1))
    assert scaling_refusal(half, DAY, both, "DU-2", 3) == ""
    assert scaling_refusal(half, DAY, both, "DU-2", 3, {"DU-1": 2}).endswith("cores are free and it takes 24")


def test_links_are_sold_too() -> None:
    fast = [package("vdu"), package("vcu-up", gbps=5)]
    narrow = {"id": "near", "where": "edge", "region": "r", "address": "a", "authority": "ca", "credential": "t"}
    network = _own([_buys(capacity=[{"pool": "near", "cores": 6, "gbps": 4}])])
    parts = network.model_dump() | {"packages": fast, "pools": [narrow | {"uplink_gbps": 10, "spare_nodes": 0}]}
    parts["latencies"] = [one for one in parts["latencies"] if one["pool"] == "near"]
    parts["functions"] = [one for one in parts["functions"] if one["id"] in ("DU-1", "UP-B")]
    parts["stations"] = [one for one in parts["stations"] if one["id"] == "S1"]
    slow = Network.model_validate(parts)
    assert place(slow, DAY).choices["UP-B"].reason == ("no room: near: beta bought 4 Gbit/s there and would take 5")
    parts["agreements"] = [parts["agreements"][0], _buys(capacity=[{"pool": "near", "cores": 6, "gbps": 5}])]
    assert where(place(Network.model_validate(parts), DAY))["UP-B"] == "near"
    parts["pools"] = [narrow | {"uplink_gbps": 4, "spare_nodes": 0}]
    parts["agreements"] = [parts["agreements"][0], _buys(functions=["UP-B"])]
    assert place(Network.model_validate(parts), DAY).choices["UP-B"].reason == (
        "no room: near: 5 of 4 Gbit/s would be taken or kept for whoever bought them"
    )
    parts["pools"] = [narrow | {"uplink_gbps": 5, "spare_nodes": 0}]
    assert where(place(Network.model_validate(parts), DAY))["UP-B"] == "near", "a link may be taken to its last bit"


# ------------------------------------------------------------------ properties

_SEEDS = range(24)


@pytest.mark.parametrize("seed", _SEEDS)
def test_nearly_full_pools(seed: int) -> None:
    """What holds for any network: room, order, stability; and hardly anything better can be found."""
    network = random_cloud(seed)
    found = place(network, DAY)
    _assert_fits(network, found)
    assert _shuffled(network, seed) == found
    now = running(found)
    assert where(place(network, DAY, now)) == where(found)
    more = network.model_copy(update={"functions": (*network.functions, network.functions[0].model_copy(update=_NEW))})
    stations = [one.model_copy(update={"functions": (*one.functions, "GW")}) for one in more.stations[:1]]
    later = place(more.model_copy(update={"stations": (*stations, *more.stations[1:])}), DAY, now)
    assert {name: pool for name, pool in where(later).items() if name != "GW" and name in now} == {
        name: pool for name, (pool,) in now.items()
    }
    assert lower_bound(network, DAY) <= found.cost_us


def test_hardly_anything_better_can_be_found_in_nearly_full_pools() -> None:
    """Against the best of all placements there are: no function more without a place in nearly all networks."""
    gaps = []
    for network in map(random_cloud, _SEEDS):
        found, best = place(network, DAY).cost_us, _best(network)
        assert lower_bound(network, DAY) <= best <= found
        gaps.append((found // UNPLACED_US - best // UNPLACED_US, (found - best) % UNPLACED_US / (best % UNPLACED_US)))
    assert sum(unplaced for unplaced, _ in gaps) <= 4
    alike = [gap for unplaced, gap in gaps if not unplaced]
    assert sum(alike) / len(alike) <= 0.02


_NEW = {"id": "GW", "max_latency_us": 200}


def _shuffled(network: Network, seed: int) -> Placement:
    draw = random.Random(seed)
    parts = {
        kind: tuple(draw.sample(getattr(network, kind), len(getattr(network, kind))))
        for kind in ("pools", "nodes", "latencies", "packages", "functions", "stations", "agreements")
    }
    return place(network.model_copy(update=parts), DAY)


def _assert_fits(network: Network, found: Placement) -> None:
    for pool, servers in network.nodes_of.items():
        sizes = [_cpus(network, name) for name, at in where(found).items() if at == pool]
        assert _packs(sorted(sizes, reverse=True), [node.cpus for node in servers]), (pool, sizes)


def _cpus(network: Network, name: str) -> int:
    return network.package_by_id[network.function_by_id[name].package].cpus


def _packs(sizes: list[int], free: list[int]) -> bool:
    """Whether there is any packing at all, by trying all."""
    if not sizes:
        return True
    for number, have in enumerate(free):
        fits = have >= sizes[0] and have not in free[:number]
        if fits and _packs(sizes[1:], [*free[:number], have - sizes[0], *free[number + 1 :]]):
            return True
    return False


def _best(network: Network) -> int:
    """The least cost of all placements there are: branch and bound."""
    known = list(jobs(network, DAY).values())
    servers = {pool: [node.cpus for node in found] for pool, found in network.nodes_of.items()}
    least = [0] * (len(known) + 1)
    for number in range(len(known) - 1, -1, -1):
        job = known[number]
        least[number] = least[number + 1] + min((job.cost(pool) for pool in job.near), default=job.cost(""))
    best = sum(job.cost("") for job in known)

    def look(number: int, cost: int, on: dict[str, list[int]]) -> None:
        nonlocal best
        if cost + least[number] >= best:
            return
        if number == len(known):
            best = cost
            return
        job = known[number]
        for pool in (*job.near, ""):
            sizes = sorted([*on.get(pool, []), job.load.cpus], reverse=True)
            if not pool or _packs(sizes, servers[pool]):
                look(number + 1, cost + job.cost(pool), {**on, pool: sizes})

    look(0, 0, {})
    return best


@pytest.mark.parametrize("seed", range(60))
def test_a_packing_is_found_where_there_is_one(seed: int) -> None:
    """By cores, accelerators and PTP, on nodes of two sorts; however functions come, and none where there is none."""
    draw = random.Random(seed)
    shapes = [(Size(draw.choice((12, 16)), 64, 0, draw.choice((0, 2, 3))), draw.random() < 0.6) for _ in range(3)]
    machines = [
        Node(pool="p", id=f"n{n}", cpus=size.cpus, memory_gb=64, accelerators=size.accelerators, ptp=ptp)
        for n, (size, ptp) in enumerate(shapes)
    ]
    case, there = FailureCase(machines), list[Load]()
    for n in range(9):
        size = Size(draw.choice((3, 4, 5, 7)), 1, 0, draw.choice((0, 1)))
        load = Load(f"F{n}", size, 1, draw.random() < 0.4, "host", 0, 1)
        possible = _packs_all([*there, load], [(ptp, list(size)) for size, ptp in shapes])
        assert case.add(load) is possible, (load, there)
        there += [load] if possible else []
    for load in there:
        (node,) = case.nodes_of(load.function)
        assert node.ptp or not load.ptp
    for node in machines:
        here = [load.size for load in there if case.nodes_of(load.function) == (node,)]
        assert sum(size.cpus for size in here) <= node.cpus
        assert sum(size.accelerators for size in here) <= node.accelerators


def _packs_all(loads: list[Load], free: list[tuple[bool, list[int]]]) -> bool:
    """Whether there is any packing at all, by trying all."""
    if not loads:
        return True
    size = loads[0].size
    for ptp, have in free:
        if (ptp or not loads[0].ptp) and all(map(le, size, have)):
            for part, want in enumerate(size):
                have[part] -= want
            found = _packs_all(loads[1:], free)
            for part, want in enumerate(size):
                have[part] += want
            if found:
                return True
    return False


def test_replicas_are_packed_apart_also_where_all_is_packed_anew() -> None:
    case = FailureCase([Node(pool="p", id=f"n{n}", cpus=10, memory_gb=64) for n in range(3)])
    for name, cpus in (("A", 4), ("B", 4), ("C", 3), ("D", 3)):
        assert case.add(Load(name, Size(cpus, 1, 0, 0), 1, False, "host", 0, 1))
    assert case.add(Load("CP", Size(6, 1, 0, 0), 2, False, "host", 0, 1))
    assert len(set(case.nodes_of("CP"))) == 2


def test_networks_without_functions_have_nothing_to_place() -> None:
    network = cloud({"near": {}}, [], {"S1": ()})
    found = place(network, DAY)
    assert (dict(found.choices), found.cost_us, lower_bound(network, DAY)) == ({}, 0, 0)


def test_who_has_to_leave_a_pool_goes_to_another_and_nobody_else_does() -> None:
    network = cloud({"near": _NEAR, "far": _FAR}, _FOUR, _DUS)
    before = place(network, DAY)
    assert set(where(before).values()) == {"near"}
    found = place(network, DAY, running(before), avoid={"DU-2": ("near",)})
    assert where(found) == {**where(before), "DU-2": "far"}
    assert found.choices["DU-2"].reason.startswith("moves since near has no place for it (it has to leave it); ")
    nowhere = place(network, DAY, running(before), avoid={"DU-2": ("near", "far")})
    assert [choice.function for choice in nowhere.unplaced] == ["DU-2"]


# ------------------------------------------------------------- pools that take nothing new


def test_nothing_comes_to_a_pool_that_is_closed_and_what_runs_there_stays() -> None:
    network = cloud({"near": _NEAR, "far": _FAR}, _FOUR, _DUS)
    closures = Closures({"near": "it does not answer"}, fixed=["near"])
    found = place(network, DAY, {"DU-1": ("near",)}, closures)
    assert where(found) == {"DU-1": "near", "DU-2": "far", "DU-3": "far", "DU-4": "far"}
    assert found.choices["DU-2"].reason == (
        "the nearest with room: 90 µs away of 1000 that it bears; near not: it does not answer"
    )
    leaving = place(network, DAY, {"DU-1": ("far",)}, closures, avoid={"DU-1": ("far",)})
    assert leaving.choices["DU-1"].reason == "no room: far: it has to leave it, near: it does not answer"
    assert where(place(network, DAY, {"DU-1": ("near",)}, closures, avoid={"DU-1": ("near",)}))["DU-1"] == "far"


def test_to_balance_moves_nothing_from_a_pool_that_is_fixed_but_from_one_that_is_only_full() -> None:
    network = cloud({"near": _NEAR, "far": _FAR}, _FOUR, _DUS)
    here = {"DU-1": ("far",), "DU-2": ("near",)}
    full = place(network, DAY, here, Closures({"far": "its nodes take no further pods"}), rebalance=True)
    assert set(where(full).values()) == {"near"}
    held = place(network, DAY, here, Closures({"far": "hold on far"}, fixed=["far"]), rebalance=True)
    assert where(held) == {"DU-1": "far", "DU-2": "near", "DU-3": "near", "DU-4": "near"}
    assert held.choices["DU-1"].reason == "stays there: hold on far"
    assert not held.moves


def test_a_freeze_where_a_pool_stands_keeps_those_away_that_it_does_not_bind() -> None:
    at = {"near": {"site": "site-1"}}
    network = cloud({"near": _NEAR, "far": _FAR}, _FOUR, _DUS, about=at)
    frozen = Closures(frozen={"site:site-1": "freeze of site:site-1", "site:site-4": "freeze of site:site-4"})
    found = place(network, DAY, {}, frozen)
    assert where(found) == {"DU-1": "near", "DU-2": "far", "DU-3": "far", "DU-4": "far"}
    assert found.choices["DU-2"].reason.endswith("; near not: freeze of site:site-1")
    running = {"DU-2": ("near",), "DU-3": ("far",)}
    assert where(place(network, DAY, running, frozen, rebalance=True)) == {**where(found), "DU-2": "near"}
    assert set(where(place(network, DAY, {}, Closures(frozen={"region:r": "freeze of region:r"}))).values()) == {"near"}


def test_a_pool_that_is_short_of_nodes_takes_what_has_no_other_place() -> None:
    network = cloud({"near": _NEAR, "far": _FAR}, _FOUR, _DUS, servers=[*nodes("near", 1), *nodes("far", 1, cpus=16)])
    short = Closures(short={"near": "2 of its 3 nodes take no pods"})
    found = place(network, DAY, {}, short)
    assert sorted(where(found).values()) == ["far", "far", "near", "near"]
    far = next(one for one in found.choices.values() if one.pool == "far")
    assert far.reason.endswith("; near not: 2 of its 3 nodes take no pods")
    assert set(where(place(network, DAY, dict.fromkeys(where(found), ("near",)), short)).values()) == {"near"}


# ---------------------------------------------------------------------- lost nodes


def _lost(network: Network, count: int = 1) -> list[NodeLoss]:
    return list(worst_losses(network, DAY, count))


def test_a_lost_node_of_a_pool_with_a_reserve_costs_a_restart() -> None:
    (loss,) = _lost(cloud({"near": _NEAR}, _FOUR, _DUS, servers=nodes("near", 2), spare=1))
    assert (loss.pool, len(loss.nodes), loss.down, dict(loss.moving)) == ("near", 1, (), {})
    assert 0 < len(loss.restarting) == len(loss.stations) <= 4
    assert (loss.seconds, loss.tenants) == (60, ("alfa", "beta"))


def test_a_lost_node_without_a_reserve_costs_a_move_or_a_function() -> None:
    network = cloud(
        {"near": _NEAR, "far": {"S1": 90, "S2": 90}}, _FOUR, _DUS, servers=[*nodes("near", 1), *nodes("far", 1)]
    )
    (loss,) = _lost(network)
    assert (loss.pool, loss.restarting, loss.down) == ("near", (), ("DU-3", "DU-4"))
    assert dict(loss.moving) == {"DU-1": "far", "DU-2": "far"}
    assert loss.stations == ("S1", "S2", "S3", "S4")
    both = cloud({"near": _NEAR}, _FOUR, _DUS, servers=nodes("near", 3), spare=1)
    assert not _lost(both)[0].down
    assert len(_lost(both, 2)[0].nodes) == 2
    assert len(_lost(both, 3)[0].down) == 4
    assert place(network, DAY).choices == place(network, DAY).choices


@pytest.mark.parametrize(
    ("sizes", "servers"), [((4, 4, 3, 3, 3, 3), (10, 10)), ((6, 5, 5, 4, 4, 3, 3), (15, 15)), ((8, 8, 7, 7), (15, 15))]
)
def test_what_runs_on_a_full_pool_is_packed_anew(sizes: tuple[int, ...], servers: tuple[int, ...]) -> None:
    """However the first of them would best lie, a packing is found, so that the reserve is known to hold."""
    names = [f"DU-{n}" for n in range(len(sizes))]
    stations = {f"S{n}": (name,) for n, name in enumerate(names)}
    packages = [package("vdu", f"du-{n}", cpus=n, memory_gb=1) for n in sorted(set(sizes))]
    machines = [
        {"pool": "near", "id": f"n{n}", "cpus": cpus, "memory_gb": 99} for n, cpus in enumerate([*servers, servers[0]])
    ]
    network = cloud(
        {"near": dict.fromkeys(stations, 50)},
        [function(name, f"du-{size}") for name, size in zip(names, sizes, strict=True)],
        stations,
        servers=machines,
        packages=packages,
        spare=1,
    )
    (loss,) = worst_losses(network, DAY, 1, dict.fromkeys(names, ("near",)))
    assert not loss.down


def test_replicas_on_other_nodes_go_on() -> None:
    stations = {"S1": ("CP",)}
    network = cloud({"near": {"S1": 50}}, [function("CP", "vcu-cp", replicas=2)], stations, servers=nodes("near", 2))
    (loss,) = _lost(network)
    assert (loss.restarting, loss.stations, loss.tenants, loss.seconds) == ((), (), (), 0)


def test_a_rack_is_lost_as_a_whole() -> None:
    racks = [{**node, "failure_domain": f"rack-{n // 2}"} for n, node in enumerate(nodes("near", 4))]
    (loss,) = _lost(cloud({"near": _NEAR}, _FOUR, _DUS, servers=racks))
    assert loss.nodes in (("n1", "n2"), ("n3", "n4"))


@pytest.mark.parametrize("part", range(4))
def test_a_function_has_room_in_total_if_what_stands_aside_for_it_leaves_as_much_of_each_resource(part: int) -> None:
    """Five nodes with 2 of each resource are full of five replicas; three of another size come in their place."""
    each = {"cpus": 2, "memory_gb": 2, "hugepages_gb": 2, "accelerators": 2}
    case = FailureCase([Node(pool="p", id=f"n{n}", **each) for n in range(5)])
    old = Load("OLD", Size(2, 2, 2, 2), 5, False, "host", 0, 1)
    assert case.may_take(old)
    assert case.add(old)
    for most, may in ((3, True), (4, False)):
        coming = Load("NEW", Size(*(most if number == part else 1 for number in range(4))), 3, False, "host", 0, 1)
        assert case.may_take(coming, instead_of=old) is may
        assert not case.may_take(coming), "nothing is free"
