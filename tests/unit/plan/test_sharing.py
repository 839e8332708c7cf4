"""Which tenants share a cell, as agreed and as configured."""

from __future__ import annotations

from datetime import date
from typing import Any

from controller.models.network import Network
from controller.plan import CellTenant, shared_cells
from tests.unit.plan.samples import DAY, ledger, network


def tenants(net: Network, carried: Network, day: date = DAY) -> dict[str, tuple[CellTenant, ...]]:
    """The tenants of each cell of S1, whose ledger is that of another network."""
    return {shared.cell.id: shared.tenants for shared in shared_cells(net, day, ["S1"], {"S1": ledger(carried, "S1")})}


def both(name: str, number: int, **changes: Any) -> CellTenant:
    plmns = (f"716-0{number}",)
    return CellTenant(name, **{"agreements": (f"{name}-all",), "agreed": plmns, "configured": plmns} | changes)


def test_cells_carry_what_is_agreed() -> None:
    wanted = (both("alfa", 1), both("beta", 2))
    assert tenants(network(), network()) == {"L1": wanted, "N1": wanted}


def test_a_tenant_that_is_agreed_but_not_configured_says_so() -> None:
    found = tenants(network(), network(["alfa"]))
    assert found["L1"] == found["N1"] == (both("alfa", 1), both("beta", 2, configured=()))


def test_a_tenant_that_is_configured_without_an_agreement_says_so() -> None:
    found = tenants(network(["alfa"]), network())
    assert found["L1"] == found["N1"] == (both("alfa", 1), both("beta", 2, agreements=(), agreed=()))


def test_only_agreements_in_force_count() -> None:
    before = tenants(network(), network(), date(2023, 12, 31))
    assert before["L1"] == tuple(both(name, n, agreements=(), agreed=()) for n, name in enumerate(("alfa", "beta"), 1))


def test_an_agreement_counts_on_the_cells_of_its_scope_only() -> None:
    net = network()
    beta = net.agreements[1]
    scope = beta.scope.model_copy(update={"bands": ("n78",)})
    narrow = net.model_copy(update={"agreements": (net.agreements[0], beta.model_copy(update={"scope": scope}))})
    found = tenants(narrow, narrow)
    assert [one.tenant for one in found["L1"]] == ["alfa"]
    assert [one.tenant for one in found["N1"]] == ["alfa", "beta"]
