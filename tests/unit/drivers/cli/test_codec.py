"""Routers' configuration as text: what is read, what is written, and that one is the other's reverse."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.drivers.cli.codec import command_lines, port_states, ports_without_signal, read_config
from controller.models.errors import DeviceRefusedError
from controller.models.facts import RouterFact, TransportFact
from controller.nrm.profiles import ROUTER_PROFILES, render_routing
from controller.nrm.tree import LONGEST_KEY, MOST_NODES, Observed, Tree, child, shortened

IOS, FRR = ROUTER_PROFILES["cisco_ios"], ROUTER_PROFILES["frr"]
NAME = "R-1"
OWN = RouterFact(NAME, "GigabitEthernet0/0/0", "", "GigabitEthernet0/0/1")
SPARE = replace(OWN, standby="GigabitEthernet0/0/2", gateways=("10.0.0.1", "10.0.1.1"))


def way(tenant: str, vlan: int, side: str = "10.64.0.2/30") -> TransportFact:
    return TransportFact(NAME, tenant, vlan, side, (f"10.{vlan % 200}.0.0/22",), (tenant,))


def wanted(platform: str, *ways: TransportFact, own: RouterFact = OWN) -> Tree:
    return render_routing((platform,), (own, ways)).tree


BRIEF = {
    "cisco_ios": """
Interface              IP-Address      OK? Method Status                Protocol
GigabitEthernet0/0/0   10.128.0.1      YES NVRAM  up                    up
GigabitEthernet0/0/1   unassigned      YES unset  up                    down
GigabitEthernet0/0/1.7 10.64.0.2       YES manual up                    down
GigabitEthernet0/0/2   unassigned      YES unset  administratively down down
GigabitEthernet0/0/3   unassigned      YES unset  down                  down
""",
    "frr": """
Interface       Status  VRF             Addresses
---------       ------  ---             ---------
down0           up      default         10.64.0.2/30
down0.7         up      claro           10.64.0.2/30
up0             down    default
""",
}


@pytest.mark.parametrize(
    ("platform", "up", "down"),
    [
        ("cisco_ios", {"GigabitEthernet0/0/0"}, {"GigabitEthernet0/0/1", "GigabitEthernet0/0/3"}),
        ("frr", {"down0"}, {"up0"}),
    ],
)
def test_which_ports_are_down_though_nobody_shut_them(platform: str, up: set[str], down: set[str]) -> None:
    states = port_states(ROUTER_PROFILES[platform], BRIEF[platform].replace("\n", " \n"), NAME)

    def of(names: set[str]) -> set[str]:
        return {child(f"/Router[{NAME}]", "Port", name) for name in names}

    assert {path for path, leaves in states.items() if leaves == {"line-protocol": "up"}} == of(up)
    assert {path for path, leaves in states.items() if leaves == {"line-protocol": "down"}} == of(down)
    # Of these, those count that carry something of ours, and that the configuration does not say to be shut.
    ledger = [child(f"/Router[{NAME}]", "SubInterface", f"{name}.7") for name in (*up, *down)]
    assert {*ports_without_signal(Observed({}, states), ledger, ())} == of(down)
    shut = {path: {"shutdown": "true"} for path in of(down)}
    assert ports_without_signal(Observed(shut, states), ledger, of(down)) == ()
    assert ports_without_signal(Observed({}, states), (), of(down)) == ()
    # Of what it does not tell nothing changes.
    assert {*ports_without_signal(Observed({}), ledger, of(down))} == of(down)
    assert ports_without_signal(Observed({}), ledger, ()) == ()
    assert port_states(ROUTER_PROFILES[platform], "% Invalid input detected at '^' marker.\n", NAME) == {}


RUNNING = """Building configuration...

Current configuration : 1234 bytes
!
version 17.6
!
hostname R-1
!
vrf definition claro
 rd 65000:1010
 !
 address-family ipv4
  route-target export 1:1
 exit-address-family
!
interface GigabitEthernet0/0/0
 description backhaul
 ip address 10.128.0.1 255.255.255.252
 negotiation auto
!
interface GigabitEthernet0/0/1.1010
 description claro
 encapsulation dot1Q 1010
 vrf forwarding claro
 ip address 10.64.0.2 255.255.255.252
 ip mtu 1400
 ip access-group 10 in
!
interface GigabitEthernet0/0/1.99
 encapsulation dot1Q 99
 ip address 10.9.0.1 255.255.255.0
 shutdown
!
ip route 0.0.0.0 0.0.0.0 10.128.0.2
ip route vrf claro 10.10.0.0 255.255.252.0 169.254.0.1
ip route vrf claro 10.11.0.0 255.255.252.0 GigabitEthernet0/0/0.5 169.254.0.5 250
ip route vrf claro 10.12.0.0 255.255.252.0 169.254.0.1 name why
!
end
"""


def test_what_ios_says_is_read() -> None:
    seen = read_config(IOS, RUNNING, NAME)
    top = "/Router[R-1]"
    assert seen.tree == {
        top: {},
        f"{top}/Vrf[claro]": {"rd": "65000:1010", "ipv4": "enabled"},
        f"{top}/Vrf[claro]/Route[10.10.0.0%2F22,169.254.0.1]": {},
        f"{top}/Vrf[claro]/Route[10.11.0.0%2F22,GigabitEthernet0%2F0%2F0.5 169.254.0.5]": {"distance": "250"},
        f"{top}/Port[GigabitEthernet0%2F0%2F0]": {"description": "backhaul", "address": "10.128.0.1/30"},
        f"{top}/SubInterface[GigabitEthernet0%2F0%2F1.1010]": {
            "description": "claro",
            "vlan": "1010",
            "vrf": "claro",
            "address": "10.64.0.2/30",
            "accessIn": "10",
        },
        f"{top}/SubInterface[GigabitEthernet0%2F0%2F1.99]": {
            "vlan": "99",
            "address": "10.9.0.1/24",
            "shutdown": "true",
        },
        f"{top}/Route[0.0.0.0%2F0,10.128.0.2]": {},
    }
    assert seen.unknown == (
        f"{top}/Vrf[claro]/route-target export 1:1",
        f"{top}/SubInterface[GigabitEthernet0%2F0%2F1.1010]/ip mtu 1400",
        f"{top}/Vrf[claro]/ip route vrf claro 10.12.0.0 255.255.252.0 169.254.0.1 name why",
    )


def test_banners_say_nothing_about_the_configuration() -> None:
    banner = "banner login ^C\ninterface GigabitEthernet0/0/1.7\n ip address 10.9.9.1 255.255.255.0\nend\n^C\n"
    text = RUNNING.replace("vrf definition claro", f"{banner}banner motd ^C keep out ^C\nvrf definition claro")
    assert read_config(IOS, text, NAME) == read_config(IOS, RUNNING, NAME)


@pytest.mark.parametrize(
    ("line", "block"),
    [
        (f"encapsulation dot1Q {'9' * 5000}", "interface GigabitEthernet0/0/1.7"),
        ("ip address 10.0.0.1 255.0.255.0", "interface GigabitEthernet0/0/1.7"),
        ("description one\n description two", "interface GigabitEthernet0/0/1.7"),
        (f"ip route 10.1.0.0 255.255.0.0 10.0.0.1 {'9' * 5000}", "vrf definition claro"),
        ("ip route 10.1.0.0 255.255.0.0 10.0.0.1 \u0663", "vrf definition claro"),
        ("ip route 10.1.0.0 255.255.0.0 10.0.0.1\n ip route 10.1.0.0 255.255.0.0 10.0.0.1 9", "vrf definition claro"),
    ],
)
def test_what_makes_no_sense_is_reported_and_not_taken(line: str, block: str) -> None:
    seen = read_config(IOS, f"{block}\n {line}\n!\nend\n", NAME)
    (unknown,) = seen.unknown
    assert unknown.endswith(f"/{shortened(line.rpartition(chr(10))[2].strip())}")
    for before, after in ((seen.tree, {"/Router[R-1]": {}}), ({"/Router[R-1]": {}}, seen.tree)):
        assert command_lines(IOS, before, after)


@pytest.mark.timeout(30)
@pytest.mark.parametrize(
    "block", ["interface g.{}\n odd\n", "vrf definition v{}\n odd\n", "ip route vrf v 10.{}.0.0/16 x y z\n"]
)
def test_a_configuration_without_end_is_read_in_its_time(block: str) -> None:
    text = "vrf definition v\n" + "".join(block.format(number) for number in range(20_000))
    assert len(read_config(IOS, text, NAME).unknown) == 20_000


@pytest.mark.parametrize("block", ["interface g.{}\n", "vrf definition v{}\n", "ip route vrf v 10.{}.0.0/16 x y z\n"])
def test_a_router_that_lists_too_many_nodes_is_refused_by_name(block: str) -> None:
    text = "".join(block.format(number) for number in range(MOST_NODES + 1))
    with pytest.raises(DeviceRefusedError, match=f"{NAME} lists more than {MOST_NODES} nodes"):
        read_config(IOS, text, NAME)


def test_a_router_that_lists_too_many_ports_is_refused_by_name() -> None:
    text = "".join(f"Gi{number} unassigned YES unset up up\n" for number in range(MOST_NODES + 1))
    with pytest.raises(DeviceRefusedError, match=f"{NAME} lists more than {MOST_NODES} nodes"):
        port_states(IOS, text, NAME)


@pytest.mark.parametrize("head", ["vrf definition", "interface", "ip route 10.0.0.0 255.0.0.0"])
def test_a_name_that_is_too_long_is_unknown_since_all_paths_below_would_repeat_it(head: str) -> None:
    long = f"{head} {'g' * (LONGEST_KEY + 1)}"
    seen = read_config(IOS, f"{long}\n description odd\n!\nend\n", NAME)
    assert (seen.tree, seen.unknown) == ({f"/Router[{NAME}]": {}}, (f"/Router[{NAME}]/{shortened(long)}",))


@pytest.mark.parametrize("text", ["who is there?", "Ñuñoa", "a\tb", "wakeups \x07", "end \x1a", "\ufffd"])
@pytest.mark.parametrize("platform", ["cisco_ios", "frr"])
def test_what_would_press_keys_is_not_typed(platform: str, text: str) -> None:
    before = wanted(platform, way("claro", 1010))
    path = "/Router[R-1]/SubInterface[GigabitEthernet0%2F0%2F1.1010]"
    after = {**before, path: {**before[path], "description": text}}
    with pytest.raises(DeviceRefusedError, match="can't be typed"):
        command_lines(ROUTER_PROFILES[platform], before, after)


def test_a_tenant_that_comes_to_ios() -> None:
    before = read_config(IOS, RUNNING, NAME).tree
    after = {**before, **wanted("cisco_ios", way("bitel", 1015))}
    assert command_lines(IOS, before, after) == (
        "vrf definition bitel",
        " rd 65000:1015",
        " address-family ipv4",
        " exit-address-family",
        "exit",
        "interface GigabitEthernet0/0/0.1015",
        " description bitel",
        " encapsulation dot1Q 1015",
        " vrf forwarding bitel",
        " ip address 169.254.0.2 255.255.255.252",
        "exit",
        "interface GigabitEthernet0/0/1.1015",
        " description bitel",
        " encapsulation dot1Q 1015",
        " vrf forwarding bitel",
        " ip address 10.64.0.2 255.255.255.252",
        "exit",
        "ip route vrf bitel 10.15.0.0 255.255.252.0 169.254.0.1",
    )


def test_a_tenant_that_goes_from_ios() -> None:
    both = wanted("cisco_ios", way("bitel", 1015), way("claro", 1010))
    assert command_lines(IOS, both, wanted("cisco_ios", way("claro", 1010))) == (
        "no interface GigabitEthernet0/0/0.1015",
        "no interface GigabitEthernet0/0/1.1015",
        "no vrf definition bitel",
    )


def test_an_interface_that_moves_gets_its_address_again() -> None:
    before = dict(wanted("cisco_ios", way("bitel", 1015), way("claro", 1010)))
    path = "/Router[R-1]/SubInterface[GigabitEthernet0%2F0%2F1.1010]"
    moved = {**before, path: {**before[path], "vrf": "bitel"}}
    assert command_lines(IOS, moved, before) == (
        "interface GigabitEthernet0/0/1.1010",
        " vrf forwarding claro",
        " ip address 10.64.0.2 255.255.255.252",
        "exit",
    )


def test_the_way_that_shall_count_is_raised_first() -> None:
    before = dict(wanted("cisco_ios", way("claro", 1010), own=SPARE))
    top, vrf = "/Router[R-1]/Route[0.0.0.0%2F0,", "/Router[R-1]/Vrf[claro]/Route[10.10.0.0%2F22,"
    other = {f"{top}10.0.0.1]": "250", f"{top}10.0.1.1]": "1", f"{vrf}169.254.0.1]": "250", f"{vrf}169.254.0.5]": "1"}
    after = {**before, **{path: {"distance": text} if text != "1" else {} for path, text in other.items()}}
    assert command_lines(IOS, before, after) == (
        "ip route vrf claro 10.10.0.0 255.255.252.0 169.254.0.5",
        "ip route 0.0.0.0 0.0.0.0 10.0.1.1",
        "ip route vrf claro 10.10.0.0 255.255.252.0 169.254.0.1 250",
        "ip route 0.0.0.0 0.0.0.0 10.0.0.1 250",
    )


def test_an_interface_in_use_outside_any_vrf_is_not_touched() -> None:
    before = read_config(IOS, RUNNING, NAME).tree
    after = {**before, **wanted("cisco_ios", way("bitel", 99))}
    with pytest.raises(DeviceRefusedError, match=r"0/0/1\.99 is in use outside any VRF"):
        command_lines(IOS, before, after)


def test_a_vrf_does_not_go_under_an_interface_that_stays() -> None:
    before = read_config(IOS, RUNNING, NAME).tree
    after = {path: leaves for path, leaves in before.items() if "/Vrf[" not in path}
    with pytest.raises(DeviceRefusedError, match="is in VRF claro"):
        command_lines(IOS, before, after)


def test_frr_speaks_of_what_the_system_made() -> None:
    own = RouterFact(NAME, "up0", "up1", "down0")
    tree = wanted("frr", way("claro", 1010), own=own)
    assert command_lines(FRR, {"/Router[R-1]": {}}, tree) == (
        *("interface up0.1010", " description claro", " ip address 169.254.0.2/30", "exit"),
        *("interface up1.1010", " description claro", " ip address 169.254.0.6/30", "exit"),
        *("interface down0.1010", " description claro", " ip address 10.64.0.2/30", "exit"),
        *("vrf claro", " ip route 10.10.0.0/22 169.254.0.1", "exit-vrf"),
        *("vrf claro", " ip route 10.10.0.0/22 169.254.0.5 250", "exit-vrf"),
    )
    assert command_lines(FRR, tree, {"/Router[R-1]": {}}) == (
        *("interface up0.1010", " no ip address 169.254.0.2/30", " no description", "exit"),
        *("interface up1.1010", " no ip address 169.254.0.6/30", " no description", "exit"),
        *("interface down0.1010", " no ip address 10.64.0.2/30", " no description", "exit"),
        *("vrf claro", " no ip route 10.10.0.0/22 169.254.0.1", "exit-vrf"),
        *("vrf claro", " no ip route 10.10.0.0/22 169.254.0.5 250", "exit-vrf"),
    )


# ------------------------------------------------------------- one is the other's reverse

TENANTS = st.lists(
    st.sampled_from(["andes", "bitel", "claro", "d-4"]).flatmap(
        lambda name: st.builds(way, st.just(name), st.just(1000 + sum(map(ord, name))))
    ),
    unique_by=lambda fact: fact.vrf,
    max_size=4,
)


def execute(lines: tuple[str, ...]) -> str:
    """A configuration as a router would list it that was told just these lines."""
    blocks: dict[str, list[str]] = {}
    head = ""
    for line in lines:
        if line.startswith(" "):
            blocks[head].append(line)
        elif not line.startswith("exit"):
            head = line
            blocks.setdefault(line, [])
    return "\n".join(text for head, below in blocks.items() for text in (head, *below, "!"))


@given(st.sampled_from(["cisco_ios", "frr"]), TENANTS, st.booleans())
def test_what_is_written_is_read_back(platform: str, ways: list[TransportFact], spare: bool) -> None:
    profile = ROUTER_PROFILES[platform]
    tree = wanted(platform, *ways, own=SPARE if spare else OWN)
    lines = command_lines(profile, {"/Router[R-1]": {}}, tree)
    assert read_config(profile, execute(lines), NAME).tree == tree


@given(st.sampled_from(["cisco_ios", "frr"]), TENANTS, TENANTS)
def test_lines_concern_tenants_that_differ_only(
    platform: str, before: list[TransportFact], after: list[TransportFact]
) -> None:
    profile = ROUTER_PROFILES[platform]
    lines = command_lines(profile, wanted(platform, *before), wanted(platform, *after))
    same = {fact for fact in before if fact in after}
    for fact in same:
        assert not any(fact.vrf in line or f".{fact.vlan}" in line for line in lines)
    assert bool(lines) == (set(before) != set(after))


def test_another_route_distinguisher_takes_the_place_of_the_one_before() -> None:
    """IOS refuses a second one until the first is gone."""
    tree = wanted("cisco_ios", way("claro", 1010))
    vrf = next(path for path in tree if path.endswith("/Vrf[claro]"))
    before, after = ({**tree, vrf: {**tree[vrf], "rd": rd}} for rd in ("65000:1", "65000:2"))
    lines = command_lines(IOS, before, after)
    assert [line.strip() for line in lines if " rd " in f" {line.strip()} "] == ["no rd 65000:1", "rd 65000:2"]
    described = {**after, vrf: {**after[vrf], "description": "x"}}
    assert not any("rd " in line for line in command_lines(IOS, after, described))


# --------------------------------------------------------------------- line by line

TOP = "/Router[R-1]"
PORT, SUB = f"{TOP}/Port[GigabitEthernet0%2F0%2F0]", f"{TOP}/SubInterface[GigabitEthernet0%2F0%2F1.1010]"
IN_VRF = {"vlan": "1010", "vrf": "claro", "address": "10.64.0.2/30"}
FAMILY = {"rd": "65000:1010", "ipv4": "enabled"}


def between(platform: str, path: str, before: dict[str, str], after: dict[str, str]) -> list[str]:
    """The lines that change one entry, with a VRF that stays; without those that open and close its block."""
    rest: Tree = {TOP: {}, f"{TOP}/Vrf[claro]": FAMILY}
    lines = command_lines(ROUTER_PROFILES[platform], {**rest, path: before}, {**rest, path: after})
    assert lines[-1:] in ((), ("exit",))
    return [line.strip() for line in lines[1:-1]]


@pytest.mark.parametrize(
    ("path", "before", "after", "lines"),
    [
        (SUB, IN_VRF, {**IN_VRF, "description": "x"}, ["description x"]),
        (SUB, {**IN_VRF, "description": "x"}, IN_VRF, ["no description"]),
        (SUB, {**IN_VRF, "shutdown": "true"}, IN_VRF, ["no shutdown"]),
        (SUB, IN_VRF, {**IN_VRF, "shutdown": "true"}, ["shutdown"]),
        (SUB, IN_VRF, {**IN_VRF, "accessIn": "10"}, ["ip access-group 10 in"]),
        (SUB, {**IN_VRF, "accessOut": "11"}, IN_VRF, ["no ip access-group 11 out"]),
        (SUB, IN_VRF, {"vlan": "1010", "vrf": "claro"}, ["no ip address 10.64.0.2 255.255.255.252"]),
        # What moves to another VLAN or VRF loses its address.
        (
            SUB,
            {**IN_VRF, "vlan": "7"},
            IN_VRF,
            ["encapsulation dot1Q 1010", "ip address 10.64.0.2 255.255.255.252"],
        ),
        (SUB, {"vlan": "1010"}, IN_VRF, ["vrf forwarding claro", "ip address 10.64.0.2 255.255.255.252"]),
        # A port may have its address outside any VRF.
        (PORT, {"address": "10.0.0.1/30"}, {"address": "10.0.0.1/30", "description": "x"}, ["description x"]),
        (f"{TOP}/Vrf[claro]", FAMILY, {**FAMILY, "description": "x"}, ["description x"]),
        (f"{TOP}/Vrf[claro]", FAMILY, {"rd": "65000:1010"}, ["no address-family ipv4"]),
        (f"{TOP}/Vrf[claro]", FAMILY, {"ipv4": "enabled"}, ["no rd 65000:1010"]),
        (
            f"{TOP}/Vrf[claro]",
            {"rd": "65000:1010"},
            FAMILY,
            ["address-family ipv4", "exit-address-family"],
        ),
    ],
)
def test_ios_is_told_what_differs_and_no_more(
    path: str, before: dict[str, str], after: dict[str, str], lines: list[str]
) -> None:
    assert between("cisco_ios", path, before, after) == lines


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ({"address": "10.0.0.1/30"}, {"address": "10.0.0.1/30", "description": "x"}, ["description x"]),
        (
            {"address": "10.0.0.1/30"},
            {"address": "10.0.0.5/30"},
            ["no ip address 10.0.0.1/30", "ip address 10.0.0.5/30"],
        ),
        ({"address": "10.0.0.1/30"}, {"shutdown": "true"}, ["no ip address 10.0.0.1/30", "shutdown"]),
        ({"shutdown": "true"}, {"address": "10.0.0.1/30"}, ["ip address 10.0.0.1/30", "no shutdown"]),
    ],
)
def test_frr_is_told_what_differs_and_no_more(before: dict[str, str], after: dict[str, str], lines: list[str]) -> None:
    assert between("frr", f"{TOP}/SubInterface[up0.1010]", before, after) == lines


@pytest.mark.parametrize(
    ("platform", "route", "lines"),
    [
        ("cisco_ios", f"{TOP}/Route[10.0.0.0%2F8,10.1.1.1]", ["ip route 10.0.0.0 255.0.0.0 10.1.1.1"]),
        (
            "cisco_ios",
            f"{TOP}/Vrf[claro]/Route[10.0.0.0%2F8,10.1.1.1]",
            ["ip route vrf claro 10.0.0.0 255.0.0.0 10.1.1.1"],
        ),
        ("frr", f"{TOP}/Route[10.0.0.0%2F8,10.1.1.1]", ["ip route 10.0.0.0/8 10.1.1.1"]),
        (
            "frr",
            f"{TOP}/Vrf[claro]/Route[10.0.0.0%2F8,10.1.1.1]",
            ["vrf claro", " ip route 10.0.0.0/8 10.1.1.1", "exit-vrf"],
        ),
    ],
)
@pytest.mark.parametrize("distance", ["", "250"])
def test_a_route_comes_and_goes_in_one_line(platform: str, route: str, lines: list[str], distance: str) -> None:
    profile = ROUTER_PROFILES[platform]
    stays: Tree = {TOP: {}, f"{TOP}/Vrf[claro]": {}}
    there: Tree = {**stays, route: {"distance": distance} if distance else {}}
    far = [f"{line} {distance}" if distance and "route" in line else line for line in lines]
    assert list(command_lines(profile, stays, there)) == far
    # IOS takes a route away whatever its distance is.
    gone = lines if platform == "cisco_ios" else far
    assert list(command_lines(profile, there, stays)) == [line.replace("ip route", "no ip route") for line in gone]


def test_what_stays_outside_any_vrf_stops_nobody() -> None:
    outside = {f"{TOP}/SubInterface[GigabitEthernet0%2F0%2F1.99]": {"vlan": "99", "address": "10.9.0.1/24"}}
    before, after = ({TOP: {}, **{path: dict(leaves) for path, leaves in outside.items()}} for _ in range(2))
    assert command_lines(IOS, before, {**after, PORT: {"description": "x"}})


def test_no_vrf_is_what_only_bears_its_name() -> None:
    wanting: Tree = {TOP: {}, f"{TOP}/Port[claro]": {}, f"{TOP}/Route[0.0.0.0%2F0,claro]": {}, SUB: IN_VRF}
    with pytest.raises(DeviceRefusedError, match="is in VRF claro, which would not be there"):
        command_lines(IOS, {TOP: {}}, wanting)


@pytest.mark.parametrize("platform", ["cisco_ios", "frr"])
def test_what_is_empty_is_there_only_where_it_was_made(platform: str) -> None:
    """FRRouting lists interfaces and VRFs of the system; those without a word of its own are none that it was told."""
    vrf, port = f"{TOP}/Vrf[claro]", f"{TOP}/Port[up0]"
    empty = read_config(ROUTER_PROFILES[platform], "vrf claro\n!\ninterface up0\n!\n", NAME)
    assert empty.tree == ({TOP: {}, vrf: {}, port: {}} if platform == "cisco_ios" else {TOP: {}})
    odd = read_config(ROUTER_PROFILES[platform], "vrf claro\n odd\n!\ninterface up0.7\n odd\n!\n", NAME)
    assert odd.tree == {TOP: {}, vrf: {}, f"{TOP}/SubInterface[up0.7]": {}}
    assert odd.unknown == (f"{vrf}/odd", f"{TOP}/SubInterface[up0.7]/odd")


@pytest.mark.parametrize(
    ("rest", "route", "distance"),
    [
        ("10.0.0.0/8 up0", "10.0.0.0%2F8,up0", ""),
        ("10.0.0.0/8 up0 1", "10.0.0.0%2F8,up0", ""),
        ("10.0.0.0/8 up0 5", "10.0.0.0%2F8,up0", "5"),
        ("10.0.0.0/8 up0 10.1.1.1", "10.0.0.0%2F8,up0 10.1.1.1", ""),
        ("10.0.0.0 255.0.0.0 10.1.1.1 250", "10.0.0.0%2F8,10.1.1.1", "250"),
        ("10.0.0.0/8", None, ""),
        ("10.0.0.0", None, ""),
        ("10.0.0.1/8 up0", None, ""),
        ("10.0.0.0/8 up0 up1", None, ""),
        ("10.0.0.0/8 up0 10.1.1.1 5 6", None, ""),
    ],
)
def test_routes_that_are_read(rest: str, route: str | None, distance: str) -> None:
    """Those of a VRF that are not understood are reported; those outside any are none of our business."""
    for vrf, above in (("vrf claro ", f"{TOP}/Vrf[claro]"), ("", TOP)):
        seen = read_config(FRR, f"vrf definition claro\n description x\n!\nip route {vrf}{rest}\n", NAME)
        expected = {} if route is None else {f"{above}/Route[{route}]": {"distance": distance} if distance else {}}
        assert seen.tree == {TOP: {}, f"{TOP}/Vrf[claro]": {"description": "x"}} | expected
        assert seen.unknown == ((f"{above}/ip route {vrf}{rest}",) if vrf and route is None else ())
