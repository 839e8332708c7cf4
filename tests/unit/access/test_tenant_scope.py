"""What of a network a tenant sees."""

from __future__ import annotations

from datetime import date

from controller.access.tenant_scope import (
    TenantScope,
    is_disclosed,
    is_disclosed_cell,
    listed_scope,
    live_scope,
    tenant_scope,
)
from controller.models.network import Network, network_digest
from tests.unit.intent.clouds import split_gnb
from tests.unit.plan import samples

#: alfa is on both stations, beta on the LTE cell of the second one only.
BASE = samples.network(("alfa", "beta"))
NETWORK = samples.network(
    ("alfa", "beta"),
    agreements=[
        BASE.agreements[0].model_dump(),
        BASE.agreements[1].model_dump() | {"scope": {"cells": ["S2/L1"]}},
    ],
)  # fmt: skip


def betas() -> TenantScope:
    return tenant_scope(network_digest(NETWORK), NETWORK, "beta")


def test_a_tenant_sees_what_its_agreements_reach() -> None:
    assert dict(betas().cells) == {"S2": frozenset({"L1"})}
    network = betas().network
    assert [one.name for one in network.cells] == ["S2/L1"]
    assert [one.id for one in network.stations] == ["S2"]
    assert [one.id for one in network.sites] == ["site-2"]
    assert [one.id for one in network.regions] == ["r"]
    assert [one.id for one in network.tenants] == ["beta"]
    assert [one.id for one in network.agreements] == ["beta-all"]
    assert not network.endpoints
    assert betas().digest == network_digest(network) != network_digest(NETWORK)
    assert betas().tenant == "beta"


def test_a_tenant_sees_its_own_cells_and_nobody_else_s() -> None:
    identity = {"station": "S2", "cell": "L1", "node_id": 9, "node_id_length": 20, "local_id": 1}
    own = [
        {**identity, "tenant": name, "node_id": number, "tac": number}
        for number, name in enumerate(("alfa", "beta", "gamma"), 7)
    ]
    crowded = samples.network(("alfa", "beta", "gamma"), own_cells=own)
    for name in ("alfa", "beta", "gamma"):
        seen = tenant_scope(network_digest(crowded), crowded, f"{name[:2]}{name[2:]}").network
        assert {one.tenant for one in seen.own_cells} == {one.tenant for one in seen.agreements} == {name}
        assert [one.id for one in seen.tenants] == [name]


def test_a_tenant_without_agreements_sees_nothing() -> None:
    nothing = tenant_scope(network_digest(NETWORK), NETWORK, "gamma")
    assert not nothing.cells
    network = nothing.network
    assert not any((network.regions, network.sites, network.stations, network.cells, network.agreements))


def test_shared_objects_are_disclosed_without_what_is_the_hosts_alone() -> None:
    (cell,), (whole,) = betas().network.cells, [one for one in NETWORK.cells if one.name == "S2/L1"]
    for field in ("station", "id", "rat", "local_id", "band", "arfcn_dl", "arfcn_ul", "bandwidth_mhz", "pci", "tac"):
        assert getattr(cell, field) == getattr(whole, field)
    assert cell.primary_plmn == whole.primary_plmn


def test_a_cell_is_known_by_name_and_by_path() -> None:
    assert betas().at_cell("S2", "L1")
    assert not betas().at_cell("S2", "N1")
    assert not betas().at_cell("S1", "L1")
    path = samples.LTE_CELL.replace("S1", "S2")
    for shared in ("S2/L1", path):
        assert betas().is_cell("S2", shared)
    # A station, an object of the cell, other cells and what only begins like one are no shared cells.
    others = ("S2", "S2/N1", "S2/L1/x", "S22/L1", "station", f"{path}/plmnIdList[716,02]", samples.NR_CELL, "/")
    for other in others:
        assert not betas().is_cell("S2", other), other
    assert not betas().is_cell("S1", samples.LTE_CELL)
    assert not betas().is_cell("S1", "S2/L1")
    assert not betas().is_cell("S2", "S1/L1")


def test_of_a_path_that_a_source_of_alarms_names_each_step_is_that_of_the_cell() -> None:
    path = samples.LTE_CELL
    assert is_disclosed_cell(BASE, "S1", path, "beta")
    head, _, cell = path.rpartition("/")
    for other in (
        f"{head}/GammaSecret[716-03]/{cell}",
        f"/GammaSecret[716-03]/{cell}",
        f"/{cell}",
        path.replace("S1", "gamma"),
        f"{path}/GammaSecret[716-03]",
    ):
        assert not is_disclosed_cell(BASE, "S1", other, "beta"), other


def test_names_are_compared_and_not_measured() -> None:
    odd = TenantScope("beta", NETWORK, "", {"S10": frozenset({"L1"})})
    assert odd.is_cell("S10", "S10/L1")
    assert not odd.is_cell("S10", "S10L1")
    read = "".join(("be", "ta"))  # as from a database: equal, and another object
    assert [one.id for one in tenant_scope("another digest", NETWORK, read).network.tenants] == ["beta"]


def test_a_station_and_a_cell_are_disclosed_as_the_whole_sight_has_them() -> None:
    path = samples.LTE_CELL
    for network in (BASE, NETWORK, split_gnb()):
        for tenant in (*network.tenant_by_id, "nobody"):
            seen = tenant_scope(network_digest(network), network, tenant)
            for station in network.station_by_id:
                assert is_disclosed(network, station, tenant) is (station in seen.cells), (station, tenant)
                objects = [f"{station}/L1", f"{station}/N1", "S2/L1", path.replace("S1", station), f"{path}/x[1]", "/"]
                for one in objects:
                    told = is_disclosed_cell(network, station, one, tenant)
                    assert told is seen.is_cell(station, one), (station, one, tenant)


def test_each_network_is_distinguished_from_others_by_its_digest() -> None:
    both = tenant_scope(network_digest(BASE), BASE, "beta")
    assert set(both.cells) == {"S1", "S2"}
    assert tenant_scope(network_digest(NETWORK), NETWORK, "beta") is betas()
    assert tenant_scope(network_digest(NETWORK), NETWORK, "alfa") is not betas()


def test_states_are_seen_on_the_days_of_agreements_alone() -> None:
    march = {"start": "2026-03-10", "end": "2026-03-20"}
    lte = NETWORK.agreements[1].model_dump() | {"validity": march}
    nr = lte | {"id": "beta-nr", "scope": {"cells": ["S1/N1"]}, "validity": {"start": "2026-03-15"}}
    net = samples.network(("alfa", "beta"), agreements=[NETWORK.agreements[0].model_dump(), lte, nr])

    def told(first: date, last: date | None = None) -> dict[str, frozenset[str]]:
        return dict(live_scope(network_digest(net), net, "beta", first, last).cells)

    early, late = {"S2": frozenset({"L1"})}, {"S1": frozenset({"N1"})}
    assert [told(date(2026, 3, day)) for day in (9, 10, 14, 15, 20, 21)] == [
        *({}, early, early),
        *(late | early, late | early, late),
    ]
    assert told(date(2026, 3, 1), date(2026, 3, 10)) == early, "of several days"
    assert told(date(2026, 3, 1), date(2026, 3, 31)) == late | early
    # Network files are seen before: its people prepare for what comes.
    assert set(live_scope(network_digest(net), net, "beta", date(2026, 3, 9)).network.station_by_id) == {"S1", "S2"}


def test_cells_are_listed_until_the_end_of_their_agreement() -> None:
    lte = NETWORK.agreements[1].model_dump() | {"validity": {"start": "2026-03-10", "end": "2026-03-20"}}
    longer = {"start": "2026-03-15", "end": "2026-03-31"}
    nr = lte | {"id": "beta-nr", "scope": {"cells": ["S1/N1"]}, "validity": longer}
    net = samples.network(("alfa", "beta"), agreements=[NETWORK.agreements[0].model_dump(), lte, nr])
    seen = [listed_scope(network_digest(net), net, "beta", date(2026, month, day)) for month, day in DAYS]
    assert [[cell.name for cell in one.network.cells] for one in seen] == [
        *(["S1/N1", "S2/L1"], ["S1/N1", "S2/L1"]),
        *(["S1/N1"], ["S1/N1"], []),
    ]
    assert [[one.id for one in seen[day].network.sites] for day in (0, 2, 4)] == [["site-1", "site-2"], ["site-1"], []]
    for one in seen:
        assert [agreement.id for agreement in one.network.agreements] == ["beta-all", "beta-nr"], "they stay told"
        assert one.digest == network_digest(one.network)
    moved = samples.network(
        ("alfa", "beta"),
        agreements=[one.model_dump(mode="json") for one in net.agreements],
        cells=[one.model_dump() | ({"pci": 77} if one.name == "S2/L1" else {}) for one in net.cells],
    )
    later = listed_scope(network_digest(moved), moved, "beta", date(2026, 3, 21))
    assert later.digest == seen[2].digest, "a change of a cell after the end is not told"
    assert listed_scope(network_digest(moved), moved, "beta", date(2026, 3, 20)).digest != seen[1].digest


#: Before both agreements, on the last day of the first one, after it, on the last day of the second one, after it.
DAYS = ((3, 9), (3, 20), (3, 21), (3, 31), (4, 1))


def test_central_units_have_states_for_whom_they_carry_on_the_day() -> None:
    made = split_gnb().model_dump(mode="json")
    (alfas,) = [one for one in made["agreements"] if one["tenant"] == "alfa"]
    alfas["validity"] = {"start": "2026-03-10"}
    net = Network.model_validate(made)
    live = [set(live_scope(network_digest(net), net, "alfa", date(2026, 3, day)).cells) for day in (9, 10)]
    assert live == [set(), {"S1", "S2", "CP-E", "UP-E"}]
