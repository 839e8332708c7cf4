"""Routing tables, and whether a router joins a station to a core node."""

from __future__ import annotations

import pytest

from simulators.network import Core, ends
from simulators.routers import forwarding
from simulators.routers.addresses import read_address
from simulators.routers.factory import Provisioning, provisioned
from simulators.routers.router import UnknownPortError
from tests.unit.simulators.routers.bench import make_router, tiny, type_lines

VLAN, STATION, NODE = 101, read_address("10.99.0.1"), read_address("10.41.0.1")


def test_a_provisioned_router_carries_every_tenant() -> None:
    router = make_router()
    for core in tiny().cores:
        for node in (*core.mme, *(end for network in core.sgw for end in ends(network))):
            assert router.carries(core.vlan, STATION, read_address(node))


def test_a_provisioned_router_leads_where_its_stations_need_it_and_nowhere_else() -> None:
    """The site of this router has LTE only."""
    router = make_router()
    (andes,) = (core for core in tiny().cores if core.tenant == "andes")
    beyond = ("10.41.0.3", "10.41.7.255", "10.41.8.4")
    for node in (*andes.amf, *andes.upf, *beyond):
        assert not router.carries(VLAN, STATION, read_address(node))


def test_tenants_stay_apart() -> None:
    assert not make_router().carries(102, STATION, NODE)


def test_a_bare_router_carries_nobody() -> None:
    assert not make_router(provisioning=Provisioning.BARE).carries(VLAN, STATION, NODE)


@pytest.mark.parametrize(
    "lines",
    [
        ("interface gi0/0/1.101", "shutdown"),
        ("interface gi0/0/1", "shutdown"),
        ("interface gi0/0/0.101", "shutdown"),
        ("interface gi0/0/1.101", "encapsulation dot1q 999"),
        ("interface gi0/0/1.101", "no ip address"),
        ("interface gi0/0/1.101", "vrf forwarding condor"),
        ("no interface gi0/0/1.101",),
        ("no vrf definition andes",),
        ("vrf definition andes", "no address-family ipv4"),
        ("no ip route vrf andes 10.41.0.1 255.255.255.255 169.254.0.1",),
        ("no ip route vrf andes 10.41.0.1 255.255.255.255", "ip route vrf andes 10.41.0.1 255.255.255.255 null0"),
        ("no ip route vrf andes 10.41.0.1 255.255.255.255", "ip route vrf andes 10.41.0.1 255.255.255.255 gi0/0/1.101"),
    ],
)
def test_what_breaks_the_way(lines: tuple[str, ...]) -> None:
    router = make_router()
    assert not any(line.startswith("%") for line in type_lines(router, *lines) if "removed" not in line)
    assert not router.carries(VLAN, STATION, NODE)


def test_a_longer_prefix_and_a_shorter_distance_win() -> None:
    router = make_router()
    type_lines(
        router,
        "ip route vrf andes 10.41.0.0 255.255.0.0 null0",
        "ip route vrf andes 10.41.0.1 255.255.255.255 null0 200",
    )
    assert router.carries(VLAN, STATION, NODE)
    table = forwarding.table(router.running, "andes")
    assert [entry.interface for entry in table].count("Null0") == 1


def test_a_lost_path_is_left_by_whoever_prefers_another_port_and_by_nobody_else() -> None:
    router = make_router()
    router.lose_path("GigabitEthernet0/0/0")
    assert not router.carries(VLAN, STATION, NODE)
    assert router.reachable
    type_lines(
        router,
        *("interface GigabitEthernet0/0/2", "no shutdown", "interface GigabitEthernet0/0/2.101"),
        *("encapsulation dot1Q 101", "vrf forwarding andes", "ip address 169.254.0.6 255.255.255.252"),
        "ip route vrf andes 10.41.0.1 255.255.255.255 169.254.0.5 250",
    )
    assert not router.carries(VLAN, STATION, NODE), "the floating route waits"
    type_lines(
        router,
        "no ip route vrf andes 10.41.0.1 255.255.255.255 169.254.0.1",
        "ip route vrf andes 10.41.0.1 255.255.255.255 169.254.0.1 251",
    )
    assert router.carries(VLAN, STATION, NODE)
    router.lose_path("GigabitEthernet0/0/2")
    assert not router.carries(VLAN, STATION, NODE)
    router.restore_path("GigabitEthernet0/0/2")
    assert router.carries(VLAN, STATION, NODE)
    with pytest.raises(UnknownPortError, match="its ports are GigabitEthernet0/0/0, "):
        router.lose_path("GigabitEthernet0/0/0.101")


def test_routes_are_resolved_over_routes() -> None:
    router = make_router()
    type_lines(
        router,
        *("no ip route vrf andes 10.41.0.1 255.255.255.255", "ip route vrf andes 10.41.0.1 255.255.255.255 172.16.0.1"),
        *(
            "ip route vrf andes 172.16.0.0 255.240.0.0 169.254.0.1",
            "ip route vrf andes 10.50.0.0 255.255.0.0 10.50.0.1",
        ),
    )
    assert router.carries(VLAN, STATION, NODE)
    assert forwarding.lookup(forwarding.table(router.running, "andes"), read_address("10.50.0.9")) is None


@pytest.mark.parametrize(
    ("lines", "reachable"),
    [
        ((), True),
        (("interface gi0/0/0", "shutdown"), False),
        (("no ip route 0.0.0.0 0.0.0.0",), False),
        (("interface gi0/0/0", "no ip address"), False),
        (("vrf definition m", "address-family ipv4", "interface gi0/0/0", "vrf forwarding m"), False),
        (("interface gi0/0/1", "shutdown"), True),
    ],
)
def test_management_can_be_lost(lines: tuple[str, ...], reachable: bool) -> None:
    router = make_router()
    type_lines(router, *lines)
    assert router.reachable is reachable


def test_stations_of_a_site_share_a_network_with_room_for_the_router() -> None:
    core = Core("t", 7, frozenset({"10.1.0.1"}), frozenset(), frozenset({"10.1.0.1", "fd00::1"}))
    config = provisioned("R", read_address("10.98.0.1"), ["10.99.0.1", "10.99.0.2", "fd00::2"], (core,))
    for station in ("10.99.0.1", "10.99.0.2"):
        assert forwarding.carries(config, 7, read_address(station), read_address("10.1.0.1"))
    six = Core("six", 8, frozenset({"fd00::1"}), frozenset(), frozenset())
    assert "six" not in provisioned("R", read_address("10.98.0.1"), [], (six,)).vrfs
