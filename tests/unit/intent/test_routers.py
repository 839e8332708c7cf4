"""Intent of routers: each tenant's way follows from the links of the site's stations, whatever other tenants do."""

from __future__ import annotations

from dataclasses import replace
from datetime import date
from ipaddress import IPv4Address, IPv4Interface, IPv4Network, ip_address
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intent import compile_intent
from controller.intent.routers import station_side
from controller.inventory.load import load_network
from controller.models.facts import HOST_OWNED, CoreLinkFact, RouterFact, TransportFact
from controller.models.network import Neighbour, Network, Router, Tenant
from controller.models.sharing import SecurityGateway

NETWORKS = Path(__file__).parents[2] / "fixtures" / "networks"
TODAY = date(2026, 6, 15)
ROUTER = "R-OLLANTA"


def tiny(**changes: object) -> Network:
    """The tiny network with its router managed."""
    network = load_network(NETWORKS / "tiny")
    router = network.routers[0].model_copy(update={"host_key": "ssh-ed25519 AAAA", **changes})
    return network.model_copy(update={"routers": (router,)})


def test_a_router_is_managed_once_its_host_key_is_known() -> None:
    network = load_network(NETWORKS / "tiny")
    assert network.routers
    assert compile_intent(network, TODAY).routers == {}


def test_a_router_carries_the_tenants_that_its_stations_link_to() -> None:
    own, transports = compile_intent(tiny(), TODAY).routers[ROUTER]
    assert own == RouterFact(ROUTER, "GigabitEthernet0/0/0", "", "GigabitEthernet0/0/1")
    assert transports == (
        TransportFact(
            ROUTER, "andes", 101, "10.99.0.2/30", ("10.41.0.1/32", "10.41.0.2/32", "10.41.8.0/30"), ("andes",)
        ),
        TransportFact(ROUTER, "condor", 102, "10.99.0.2/30", ("10.42.0.1/32", "10.42.8.0/30"), ("condor",)),
    )


def test_a_router_carries_x2_and_xn_to_stations_of_other_sites_in_a_vrf_for_each_vlan() -> None:
    network = tiny()
    by_name = {cell.name: cell for cell in network.cells}
    here, lte, nr = "T-LTE-1/1", "T-BOTH-1/1", "T-BOTH-1/n78-1"
    assert by_name.keys() >= {here, lte, nr}

    def ways(*pairs: tuple[str, str], **vlans: int) -> dict[str, tuple[int, tuple[str, ...], tuple[str, ...]]]:
        rows = [
            Neighbour(station=one[0], cell=one[1], neighbour_station=other[0], neighbour_cell=other[1])
            for one, other in (tuple(name.split("/") for name in pair) for pair in pairs)
        ]
        listed = network.model_copy(
            update={"neighbours": tuple(rows), "header": network.header.model_copy(update=vlans)}
        )
        transports = compile_intent(listed, TODAY).routers[ROUTER][1]
        return {one.vrf: (one.vlan, one.networks, one.owners) for one in transports if one.owners == HOST_OWNED}

    far = str(IPv4Network(int(network.station_by_id["T-BOTH-1"].transport_address)))
    assert ways((here, nr)) == {}
    assert ways((nr, here), x2_vlan=900) == {}, "no relation needs X2 that leads from NR to LTE"
    assert ways((here, nr), (lte, here), x2_vlan=900, xn_vlan=901) == {"host-900": (900, (far,), HOST_OWNED)}
    assert ways((here, "T-LTE-1/2"), x2_vlan=900) == {}, "within a station there is no X2"
    site = network.site_of("T-LTE-1")
    stations = (one.model_copy(update={"site": site}) for one in network.stations)
    network = network.model_copy(update={"stations": tuple(stations)})
    assert ways((here, nr), (lte, here), x2_vlan=900, xn_vlan=901) == {}, "within a site no router carries it"


def test_facts_of_some_devices_are_the_same_as_of_all() -> None:
    network = tiny()
    whole = compile_intent(network, TODAY)
    some = compile_intent(network, TODAY, [ROUTER, "T-NR-1"])
    assert some.routers == whole.routers
    assert some.facts == {"T-NR-1": whole.facts["T-NR-1"]}


@given(st.sets(st.sampled_from(["andes-all", "condor-all"])), st.integers(1, 4094))
def test_an_agreement_changes_its_own_tenants_way_only(gone: set[str], vlan: int) -> None:
    network = tiny()
    before = {fact.vrf: fact for fact in compile_intent(network, TODAY).routers[ROUTER][1]}
    kept = tuple(one for one in network.agreements if one.id not in gone)
    tenants = tuple(
        one.model_copy(update={"core": one.core.model_copy(update={"vlan": vlan})}) if one.id == "andes" else one
        for one in network.tenants
    )
    changed = network.model_copy(update={"agreements": kept, "tenants": tenants})
    after = {fact.vrf: fact for fact in compile_intent(changed, TODAY).routers[ROUTER][1]}
    assert set(after) == set(before) - {name.removesuffix("-all") for name in gone}
    if "condor" in after:
        assert after["condor"] == before["condor"]


@given(st.sets(st.integers(1, 4000), min_size=1, max_size=6))
def test_the_station_side_is_in_the_stations_network_and_free(hosts: set[int]) -> None:
    stations = [IPv4Address((10 << 24) + host) for host in hosts]
    side = station_side(stations)
    assert side is not None
    assert side.ip not in stations
    for address in (*stations, side.ip):
        assert address in side.network
        assert address not in (side.network.network_address, side.network.broadcast_address)


def test_a_given_address_is_taken_and_ipv6_has_none() -> None:
    (_, (first, *_)) = compile_intent(tiny(station_side=IPv4Interface("10.99.0.14/28")), TODAY).routers[ROUTER]
    assert first.station_side == "10.99.0.14/28"
    assert station_side([ip_address("2001:db8::1")]) is None


PREFIX = st.builds(
    lambda number, length: IPv4Network(((10 << 24) + (100 << 16) + number, length), strict=False),
    st.integers(0, 2**16 - 1),
    st.integers(18, 32),
)


@given(st.lists(PREFIX, max_size=4), st.lists(st.integers(1, 2**16 - 2), min_size=1, max_size=4), st.integers(0, 2**16))
def test_routes_hold_what_the_tenant_names_and_no_other_address(
    gateways: list[IPv4Network], mmes: list[int], somewhere: int
) -> None:
    """The oracle asks address by address."""
    start, network = int(IPv4Address("10.100.0.0")), tiny()
    core = {
        "vlan": 7,
        "mme_pool": [{"id": f"mme-{n}", "address": IPv4Address(start + mme)} for n, mme in enumerate(mmes)],
        "sgw_pool": [{"id": f"sgw-{n}", "prefix": prefix} for n, prefix in enumerate(gateways)],
        "amf_pool": [{"id": "amf", "address": "10.100.255.1"}],  # the site has LTE only
    }
    andes = network.tenant_by_id["andes"].model_dump() | {"core": core}
    changed = network.model_copy(update={"tenants": (Tenant.model_validate(andes), *network.tenants[1:])})
    (_, (way, *_)) = compile_intent(changed, TODAY).routers[ROUTER]
    routes = [IPv4Network(text) for text in way.networks]
    ends = [
        end for prefix in gateways for end in (int(prefix[0]) - 1, int(prefix[0]), int(prefix[-1]), int(prefix[-1]) + 1)
    ]
    for number in (*ends, *(start + mme for mme in mmes), *(start + mme + 1 for mme in mmes), start + somewhere):
        address = IPv4Address(number)
        named = number - start in mmes or any(address in prefix for prefix in gateways)
        assert named is any(address in route for route in routes)


def test_a_site_that_gets_nr_gets_the_ways_to_amf_and_upf() -> None:
    network = tiny()
    stations = tuple(
        one.model_copy(update={"site": "ollanta"}) if one.id == "T-NR-1" else one for one in network.stations
    )
    (_, (andes, *_)) = compile_intent(network.model_copy(update={"stations": stations}), TODAY).routers[ROUTER]
    assert {"10.41.1.1/32", "10.41.2.1/32"} <= set(andes.networks)


def behind_a_gateway(network: Network, **gateway: object) -> Network:
    """The same, where core links of condor go through a security gateway."""
    said = SecurityGateway.model_validate({"address": "10.49.0.1", **gateway})
    tenants = tuple(
        one.model_copy(update={"core": one.core.model_copy(update={"security_gateway": said})})
        if one.id == "condor"
        else one
        for one in network.tenants
    )
    return network.model_copy(update={"tenants": tenants})


@pytest.mark.parametrize(
    ("gateway", "ways"),
    [
        ({}, ("10.49.0.1/32",)),
        ({"protects": ["user"]}, ("10.42.0.1/32", "10.49.0.1/32")),
        ({"protects": ["control"]}, ("10.42.8.0/30", "10.49.0.1/32")),
    ],
)
def test_routes_lead_to_a_security_gateway_and_not_to_what_is_behind(
    gateway: dict[str, object], ways: tuple[str, ...]
) -> None:
    before, after = (compile_intent(one, TODAY) for one in (tiny(), behind_a_gateway(tiny(), **gateway)))
    andes, condor = after.routers[ROUTER][1]
    assert andes == before.routers[ROUTER][1][0]
    assert condor.networks == ways
    ends = [
        [replace(link, networks=()) for facts in one.facts.values() for link in facts if isinstance(link, CoreLinkFact)]
        for one in (before, after)
    ]
    assert ends[0] == ends[1]  # inside the tunnel nothing changes


def test_a_security_gateway_that_routers_can_not_carry_is_told() -> None:
    network = behind_a_gateway(tiny(), address="2001:db8::1")
    told = [one.message for one in compile_intent(network, TODAY).findings if one.code == "router-unenforceable"]
    assert told == [f"router {ROUTER}: condor's 2001:db8::1/128 is IPv6, and routers carry IPv4 only"]


def renamed(network: Network, tenant: str) -> Network:
    """The network with andes by another name."""
    text = network.model_dump_json().replace('"andes"', f'"{tenant}"')
    return Network.model_validate_json(text)


@pytest.mark.parametrize(
    "tenant", ["andes\n", "andes\rreload", "andes reload", "andes?", "andes\x1a", "Andes", "-a", ""]
)
def test_no_name_of_a_tenant_ends_a_line(tenant: str) -> None:
    kept = load_network(NETWORKS / "tiny").tenant_by_id["andes"].model_dump()
    with pytest.raises(ValueError):
        Tenant.model_validate({**kept, "id": tenant})


FRR = {"platform": "frr", "uplink": "up0", "downlink": "down0"}


@pytest.mark.parametrize(
    ("tenant", "router", "reason"),
    [
        ("default", FRR, "means something else"),
        ("default", {}, "means something else"),
        ("global", {}, "means something else"),
        ("up0", FRR, "means something else"),
        ("a" * 16, FRR, "at most 15"),
        ("a" * 33, {}, "at most 32"),
        ("andes", FRR | {"downlink": "enp101s0f0np0"}, "enp101s0f0np0.101 is too long a name for an interface"),
    ],
)
def test_a_name_that_a_router_can_not_bear_is_told(tenant: str, router: dict[str, str], reason: str) -> None:
    intent = compile_intent(renamed(tiny(**router), tenant), TODAY)
    assert tenant not in {way.vrf for way in intent.routers[ROUTER][1]}
    (found,) = [one for one in intent.findings if one.station == ROUTER and one.tenant == tenant]
    assert found.code == "router-unenforceable"
    assert reason in found.message
    assert {way.vrf for way in compile_intent(tiny(**FRR), TODAY).routers[ROUTER][1]} == {"andes", "condor"}


@pytest.mark.parametrize(
    "wrong",
    [
        {"uplink": "Gi0/0/1", "downlink": "Gi0/0/1"},
        {"standby": "GigabitEthernet0/0/1"},
        {"standby_gateway": "10.0.0.1"},
        {"station_side": "10.0.0.1"},
        {"uplink": "GigabitEthernet0/0/0\nno vrf definition claro"},
    ],
)
def test_wrong_routers_are_refused(wrong: dict[str, str]) -> None:
    with pytest.raises(ValueError):
        Router.model_validate({"id": "R", "site": "s", "address": "10.0.0.1", **wrong})
