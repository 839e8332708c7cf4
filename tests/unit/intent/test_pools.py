"""What pools have for the owners of functions."""

from __future__ import annotations

from typing import Any

import pytest

from controller.intent.pools import pool_facts
from controller.models.facts import PoolFact, PoolShareFact
from tests.unit.plan import samples

NETWORK = samples.virtual()


def test_each_owner_gets_what_its_functions_may_take_there() -> None:
    assert pool_facts(NETWORK, samples.DAY, ["edge-1"], {}) == {
        "edge-1": PoolFact(
            pool="edge-1",
            shares=(
                # One CU-UP of 4 cores, and one more replica.
                PoolShareFact("alfa", 8, 16, 0, 0, 1, ("alfa", "host"), ("alfa",)),
                # Two DUs, a CU-CP and a CU-UP of 4 cores each, and one more replica.
                PoolShareFact("host", 20, 40, 0, 0, 4, ("alfa", "host"), ("host",)),
            ),
            priorities=(("vcu-cp", 900), ("vcu-up", 800), ("vdu", 1000)),
        )
    }


def test_a_tenant_changes_no_share_of_another() -> None:
    more = [one.model_dump() for one in NETWORK.functions]
    more.append({"id": "UP-BETA", "package": "up", "max_latency_us": 1000, "owner": "beta"})
    stations = [one.model_dump() for one in NETWORK.stations]
    stations[1]["functions"] = [*stations[1]["functions"], "UP-BETA"]
    other = samples.virtual(functions=more, stations=stations)
    alone, together = (pool_facts(net, samples.DAY, ["edge-1"], {})["edge-1"].shares for net in (NETWORK, other))
    assert together[0] == alone[0]
    assert [share.owner for share in together] == ["alfa", "beta", "host"]


def test_a_pool_that_nothing_may_run_on_has_nothing() -> None:
    pinned = [one.model_dump() | {"pool": "edge-1"} for one in NETWORK.functions]
    assert pool_facts(samples.virtual(functions=pinned), samples.DAY, ["edge-2"], {}) == {
        "edge-2": PoolFact("edge-2", (), ())
    }


@pytest.mark.parametrize(
    ("buys", "running", "cores"),
    [
        ({"capacity": [{"pool": "edge-1", "cores": 16}]}, {}, 16 + 4),
        ({"capacity": [{"pool": "edge-1", "cores": 16}], "functions": ["UP-ALFA"]}, {}, 16 + 4 + 4),
        ({"capacity": [{"pool": "edge-2", "cores": 16}]}, {}, 0 + 4),
        # What runs keeps its room when nothing is bought any more.
        ({}, {"UP-ALFA": ("edge-1",)}, 4 + 4),
        ({}, {"UP-ALFA": ("edge-2",)}, 0 + 4),
        (
            {"capacity": [{"pool": "edge-1", "cores": 16}], "validity": {"start": "2020-01-01", "end": "2020-02-01"}},
            {},
            4,
        ),
    ],
)
def test_a_tenant_may_take_the_cores_that_it_bought_and_one_replica_more(
    buys: dict[str, Any], running: dict[str, tuple[str, ...]], cores: int
) -> None:
    agreements = [
        one.model_dump() | {"functions": []} | (buys if one.tenant == "alfa" else {}) for one in NETWORK.agreements
    ]
    shares = pool_facts(samples.virtual(agreements=agreements), samples.DAY, ["edge-1"], running)["edge-1"].shares
    assert {share.owner: share.cpus for share in shares} == {"alfa": cores, "host": 20}
