"""Configuration mode: what lines do, what they refuse, and that nothing is undone by a refusal."""

from __future__ import annotations

import pytest

from simulators.history import EventKind
from simulators.routers.addresses import Prefix, read_address
from simulators.routers.config import Interface, text_of
from simulators.routers.factory import Provisioning
from tests.unit.simulators.routers.bench import make_router, type_lines

PART = "GigabitEthernet0/0/1.200"
TENANT = (
    *("vrf definition llama", "rd 65000:200", "address-family ipv4", "exit-address-family"),
    *(f"interface {PART}", "encapsulation dot1Q 200", "vrf forwarding llama", "ip address 10.200.0.1 255.255.255.0"),
    "ip route vrf llama 10.9.0.0 255.255.0.0 10.200.0.2",
)


def prefix(text: str, length: int) -> Prefix:
    return Prefix(read_address(text), length)


def test_a_tenant_is_added_and_taken_away() -> None:
    router = make_router()
    before = router.running
    assert set(type_lines(router, *TENANT)) == {""}
    interface = router.running.interfaces[PART]
    assert interface == Interface(vlan=200, vrf="llama", address=prefix("10.200.0.1", 24))
    assert "ip route vrf llama 10.9.0.0 255.255.0.0 10.200.0.2" in text_of(router.running)
    type_lines(router, f"no interface {PART}", "no vrf definition llama")
    assert router.running == before


def test_unchanged_parts_are_shared() -> None:
    router = make_router()
    before = router.running
    type_lines(router, *TENANT)
    assert router.running.interfaces["GigabitEthernet0/0/0"] is before.interfaces["GigabitEthernet0/0/0"]


def test_lines_before_a_refused_one_stay() -> None:
    router = make_router()
    printed = type_lines(router, "hostname NEW", "interface gi0/0/9", "interface gi0/0/2", "description third")
    assert printed[1].startswith("% Invalid")
    assert router.running.hostname == "NEW"
    assert router.running.interfaces["GigabitEthernet0/0/2"].description == "third"


def test_moving_to_a_vrf_removes_the_address() -> None:
    router = make_router()
    lines = ("interface gi0/0/2.5", "encap dot1q 5", "ip address 10.5.0.1 255.255.255.0", "vrf forwarding andes")
    assert "address(es) removed" in type_lines(router, *lines)[-1]
    assert router.running.interfaces["GigabitEthernet0/0/2.5"].address is None
    assert type_lines(router, "interface gi0/0/2.5", "vrf forwarding andes") == ["", ""]


def test_removing_a_vrf_removes_addresses_and_routes() -> None:
    router = make_router()
    assert "have been removed" in type_lines(router, "no vrf definition andes")[0]
    assert not [route for route in router.running.routes if route.vrf == "andes"]
    part = router.running.interfaces["GigabitEthernet0/0/1.101"]
    assert (part.vrf, part.address, part.vlan) == ("", None, 101)


@pytest.mark.parametrize(
    ("lines", "refusal"),
    [
        (
            ("interface gi0/0/2.5", "ip address 10.5.0.1 255.255.255.0"),
            "% Configuring IP routing on a LAN",
        ),
        (("interface gi0/0/1.5", "encapsulation dot1q 101"), "%Configuration of multiple subinterfaces"),
        (("interface gi0/0/2", "encapsulation dot1q 5"), "% Invalid encapsulation"),
        (("interface gi0/0/2.5", "encapsulation dot1q 4095"), "% Invalid input"),
        (("interface gi0/0/2", "vrf forwarding nobody"), "% VRF nobody does not exist"),
        (("interface gi0/0/2", "ip address 10.5.0.1 255.0.255.0"), "Bad mask 0xFF00FF00"),
        (("interface gi0/0/2", "ip address 10.5.0.0 255.255.255.0"), "Bad mask /24 for address 10.5.0.0"),
        (("interface gi0/0/2", "ip address 224.0.0.1 255.255.255.0"), "Not a valid host address - 224.0.0.1"),
        (("interface gi0/0/2", "ip address 0.0.0.5 255.0.0.0"), "Not a valid host address - 0.0.0.5"),
        (("interface lo1", "ip address 240.1.2.3 255.255.255.255"), "Not a valid host address - 240.1.2.3"),
        (("ip route 10.0.0.0 255.0.0.0 224.0.0.9",), "%Invalid next hop address"),
        (("interface gi0/0/2", "ip address 10.98.0.2 255.255.255.0"), "% 10.98.0.0 overlaps with GigabitEthernet0/0/0"),
        (("interface null0",), "% Interface Null0"),
        (("no interface gi0/0/2",), "% Removal of physical"),
        (("no interface lo5",), "% Interface does not exist"),
        (("ip route 10.0.0.1 255.255.255.0 10.98.0.2",), "%Inconsistent address and mask"),
        (("ip route 10.0.0.0",), "% Incomplete command."),
        (("ip route vrf nobody 10.0.0.0 255.0.0.0 10.98.0.2",), "% VRF nobody does not exist"),
        (("vrf definition x", "exit", "ip route vrf x 10.0.0.0 255.0.0.0 10.98.0.2"), "% IPv4 address family is not"),
        (("ip route 10.0.0.0 255.0.0.0 lo9",), "% Interface Loopback9 does not exist"),
        (("no ip route 10.0.0.0 255.0.0.0",), "%No matching route to delete"),
        (("vrf definition x", "rd 65000:101"), '% Cannot set RD, "65000:101"'),
        (("vrf definition andes", "rd 65000:999"), '% Do "no rd" first'),
        (("no vrf definition nobody",), "% VRF nobody does not exist"),
        (("hostname -x",), "% Hostname contains"),
        (("ip access-list extended web", "permit http any any"), "% Unknown protocol http"),
        (("ip access-list standard web", "10 permit any", "10 deny any"), "% Duplicate sequence"),
        (("ip access-list standard web", "no permit any"), "% Specified access-list entry"),
        (("ip access-list standard web", "exit", "ip access-list extended web"), "% A named list of another type"),
    ],
)
def test_refusals(lines: tuple[str, ...], refusal: str) -> None:
    router = make_router()
    before = lines[:-1]
    assert not any(type_lines(router, *before))
    settled = router.running
    assert type_lines(router, *lines)[-1].startswith(refusal)
    assert router.running == settled


def test_everything_has_a_no() -> None:
    router = make_router(provisioning=Provisioning.BARE)
    before = router.running
    printed = type_lines(
        router,
        *("vrf definition x", "description d", "rd 1:1", "address-family ipv4", "exit", "no description", "no rd"),
        *("interface gi0/0/2.7", "description d", "encapsulation dot1Q 7", "ip vrf forwarding x"),
        *("ip address 10.7.0.1 255.255.255.0", "shutdown", "ip access-group 10 in", "ip access-group 10 out"),
        *("ip route vrf x 10.8.0.0 255.255.0.0 gi0/0/2.7 10.7.0.2 200", "access-list 10 permit any", "hostname h"),
    )
    assert set(printed) == {""}
    full = router.running
    assert len(text_of(full)) > len(text_of(before))
    printed = type_lines(
        router,
        *("interface gi0/0/2.7", "no ip access-group 10 in", "no ip access-group out", "no shutdown", "no ip address"),
        *("no description", "no encapsulation", "no vrf forwarding", "exit"),
        *("no ip route vrf x 10.8.0.0 255.255.0.0 gi0/0/2.7 10.7.0.2", "vrf definition x", "no address-family ipv4"),
        *("no interface gi0/0/2.7", "no vrf definition x", "no access-list 10", f"hostname {before.hostname}"),
    )
    assert [line for line in printed if line and "removed" not in line] == []
    assert router.running == before
    type_lines(router, "no hostname")
    assert router.running.hostname == "Router"


def test_routes_to_one_target_are_taken_away_together() -> None:
    router = make_router()
    type_lines(router, "ip route 10.0.0.0 255.0.0.0 10.98.0.2", "ip route 10.0.0.0 255.0.0.0 null0 250")
    assert len(router.running.routes) == 10
    type_lines(router, "ip route 10.0.0.0 255.0.0.0 null0 240")
    assert len(router.running.routes) == 10
    type_lines(router, "no ip route 10.0.0.0 255.0.0.0")
    assert len(router.running.routes) == 8


def test_access_lists_number_their_entries() -> None:
    router = make_router()
    type_lines(
        router,
        *("ip access-list extended web", "permit tcp any  any eq 80", "15 deny ip any any", "permit tcp any any eq 80"),
        *("permit udp any any", "no 15", "no permit udp any any"),
    )
    assert router.running.access_lists["web"].entries == ((10, "permit tcp any any eq 80"),)


def test_every_change_is_in_the_history() -> None:
    router = make_router()
    type_lines(router, "hostname A", "hostname A", "bogus", "interface gi0/0/2", "no shutdown")
    changes = router.history.events(EventKind.RUNNING_CHANGED)
    assert [event.detail["line"] for event in changes] == ["hostname A", "no shutdown"]
    assert [event.detail["revision"] for event in changes] == [1, 2]
    assert changes[0].user == "technician"


def test_default_interface() -> None:
    router = make_router()
    assert type_lines(router, "default interface gi0/0/1.101")[0].endswith("set to default configuration")
    assert router.running.interfaces["GigabitEthernet0/0/1.101"] == Interface()
