"""Radio that the backhaul can't carry: found where the link is too small, and told once for all alike."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.intent import compile_intent
from controller.intent.backhaul import busy_hour_mbps
from controller.models.facts import Finding
from controller.models.network import Network
from tests.unit.intent.test_checks import TODAY, sound


def network(nodes: dict[str, tuple[str, int, str | None]], hangs: list[str | None]) -> Network:
    """Stations with a cell of 10 MHz LTE and one of 100 MHz NR (17 and 247.5 Mbit/s), each at a node of its own."""
    draft = sound()
    draft["backhaul"] = [
        {"id": name, "kind": kind, "capacity_mbps": capacity, "parent": parent}
        for name, (kind, capacity, parent) in nodes.items()
    ]
    draft["sites"] = [
        {"id": f"site-{n}", "name": "S", "region": "here", "latitude": 0, "longitude": 0, "backhaul": node}
        for n, node in enumerate(hangs)
    ]
    pattern: dict[str, Any] = draft["stations"][0]
    draft["stations"] = [
        pattern | {"id": f"S{n}", "site": f"site-{n}", "enb_id": n, "gnb_id": n, "transport_address": f"10.9.0.{n + 1}"}
        for n in range(len(hangs))
    ]
    draft["cells"] = [cell | {"station": f"S{n}", "pci": n} for n in range(len(hangs)) for cell in draft["cells"][:2]]
    return Network.model_validate(draft)


def found(net: Network) -> list[Finding]:
    return [one for one in compile_intent(net, TODAY).findings if one.code == "backhaul-capacity"]


TREE = {"core": ("fibre", 10_000, None), "hill": ("microwave", 300, "core")}


def test_radio_that_a_link_can_not_carry_is_told_with_what_shares_mean_there() -> None:
    nodes = {**TREE, **{f"sat-{n}": ("satellite", 20, "core") for n in range(5)}}
    net = network(nodes, ["hill", *(f"sat-{n}" for n in range(5))])
    (one,) = found(net)
    assert (one.severity, one.station, one.tenant) == ("warning", "", "")
    assert one.message == (
        "5 satellite links of 20 Mbit/s (sat-0, sat-1, sat-2 and 2 more) can't carry the radio behind them (5 stations "
        "next to them): 264 Mbit/s in the busy hour at sat-0; at most 8 % of that radio is ever filled, so that the "
        "link decides who gets what, and guaranteed shares (dedicated, min) of a, b guarantee nothing there"
    )
    assert sum(map(busy_hour_mbps, net.cells_by_station["S0"])) == pytest.approx(264.5)


def test_a_link_that_is_too_small_is_not_found_again_above() -> None:
    """Above it no more arrives than it passes on: 20 + 264.5 are less than 300."""
    nodes = {**TREE, "sat": ("satellite", 20, "hill")}
    assert [one.message[:16] for one in found(network(nodes, ["hill", "sat"]))] == ["1 satellite link"]
    assert [one.message[:16] for one in found(network(nodes, ["hill", "sat", "hill"]))] == [
        "1 microwave link",
        "1 satellite link",
    ]


def test_facts_of_stations_behind_the_link_come_with_the_same_finding() -> None:
    net = network({**TREE, "sat": ("satellite", 20, "core")}, ["hill", "sat"])
    some = compile_intent(net, TODAY, ["S1"])
    assert ([one.code for one in some.findings], some.elsewhere) == (["backhaul-capacity"], 0)
    others = compile_intent(net, TODAY, ["S0"])
    assert (others.findings, others.elsewhere) == ((), 1)


@settings(max_examples=50, deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, 30), st.integers(1, 2000)), min_size=1, max_size=8),
    st.lists(st.integers(0, 7), min_size=1, max_size=6),
)
def test_a_link_is_named_where_more_arrives_than_it_carries(tree: list[tuple[int, int]], hangs: list[int]) -> None:
    """The oracle asks each node for what arrives, from above."""
    nodes = {f"n{n}": ("fibre", capacity, f"n{above % n}" if n else None) for n, (above, capacity) in enumerate(tree)}
    placed = [f"n{at % len(nodes)}" for at in hangs]

    def arrives(name: str) -> float:
        below = [child for child, (_, _, parent) in nodes.items() if parent == name]
        return 264.5 * placed.count(name) + sum(min(arrives(child), nodes[child][1]) for child in below)

    small = sum(arrives(name) > nodes[name][1] + 1e-6 for name in nodes)
    assert sum(int(one.message.split(" ")[0]) for one in found(network(nodes, list(placed)))) == small
