"""Facts of functions: of which package, on which pool, and what has no place."""

from __future__ import annotations

import pytest

from controller.intent import compile_intent
from controller.intent.functions import function_fact
from tests.unit.plan import samples

NETWORK = samples.virtual()


def test_a_function_is_what_its_package_says_on_the_pool_that_it_is_on() -> None:
    fact = function_fact(NETWORK, "UP-ALFA", "edge-2")
    package = NETWORK.package_by_id["up"]
    assert (fact.owner, fact.owners, fact.pool) == ("alfa", ("alfa",), "edge-2")
    assert (fact.image, fact.cpus, fact.memory_gb, fact.priority) == (package.image, 4, 8, "minka-vcu-up")


def test_a_user_plane_carries_what_its_package_says_in_the_network_of_its_owner() -> None:
    packages = [{**one.model_dump(), **({"gbps": 2.5} if one.id == "up" else {})} for one in NETWORK.packages]
    network = samples.virtual(packages=packages)
    facts = [function_fact(network, name, "edge-1") for name in ("UP-ALFA", "UP-1", "DU-1")]
    assert [(fact.mbps, fact.network, fact.vlan) for fact in facts] == [
        (2500, "alfa", 101),
        (2500, "host", 0),
        (0, "", 0),
    ]


@pytest.mark.parametrize("pool", ["edge-1", "edge-2"])
def test_what_runs_stays_where_it_is(pool: str) -> None:
    intent = compile_intent(NETWORK, samples.DAY, ["DU-1"], {"DU-1": (pool,)})
    assert intent.functions["DU-1"].pool == pool
    assert not intent.facts
    assert not intent.findings


def test_one_on_a_pool_that_left_the_files_is_named_with_what_to_do() -> None:
    intent = compile_intent(NETWORK, samples.DAY, ["DU-1"], {"DU-1": ("edge-9", "edge-1")})
    (found,) = intent.findings
    assert (found.code, found.severity, found.station) == ("function-pool-gone", "warning", "DU-1")
    assert found.message == (
        "function DU-1 is on record on edge-9, and the network files have no such pool: if it has a new id, adopt "
        "that and DU-1, and move DU-1 there; else load files that have edge-9"
    )
    assert intent.functions["DU-1"].pool == "edge-1"


def test_functions_are_left_out_where_nobody_knows_what_runs() -> None:
    assert not compile_intent(NETWORK, samples.DAY).functions


def test_one_without_a_place_is_an_error_that_names_it() -> None:
    far = [{**one.model_dump(), "max_latency_us": 10} for one in NETWORK.functions]
    network = samples.virtual(functions=far)
    intent = compile_intent(network, samples.DAY, ["DU-1"], {})
    assert not intent.functions
    (found,) = intent.findings
    assert (found.code, found.severity, found.station) == ("function-unplaced", "error", "DU-1")
    assert "no pool is within 10 µs of its station" in found.message
