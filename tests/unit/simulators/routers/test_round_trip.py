"""What show running-config prints, typed into another router, makes an equal configuration."""

from __future__ import annotations

from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from simulators.routers import show
from simulators.routers.factory import Provisioning
from simulators.routers.router import Router
from tests.unit.simulators.routers.bench import make_router, type_lines

_NAMES = st.sampled_from(["andes", "condor", "x-1", "Loop_2"])
_PARTS = st.sampled_from(["gi0/0/0", "gi0/0/1", "gi0/0/1.7", "gi0/0/1.8", "gi0/0/2.7", "lo0", "lo3"])
_ADDRESSES = st.sampled_from(["10.1.0.1", "10.1.0.2", "10.1.1.1", "172.16.0.1", "10.98.0.2", "0.0.0.0", "10.1.0.0"])
_MASKS = st.sampled_from(["255.255.255.0", "255.255.255.252", "255.255.0.0", "255.255.255.255", "0.0.0.0"])
_LETTERS = st.characters(min_codepoint=33, max_codepoint=0x2FF, categories=["L", "N", "P", "S", "Zs"])
_TEXTS = st.text(_LETTERS, min_size=1, max_size=20)
_RULES = st.sampled_from(["permit any", "deny 10.0.0.0 0.255.255.255", "permit ip any any", "15 deny tcp any any"])
_PLAIN = (
    *("shutdown", "no shutdown", "exit", "address-family ipv4", "no address-family ipv4", "no ip address"),
    *("no encapsulation", "no vrf forwarding", "default interface gi0/0/1"),
)
_TEMPLATES: tuple[tuple[str, tuple[st.SearchStrategy[object], ...]], ...] = (
    ("vrf definition {}", (_NAMES,)),
    ("no vrf definition {}", (_NAMES,)),
    ("rd {}:1", (st.integers(1, 4),)),
    ("description {}", (_TEXTS,)),
    ("interface {}", (_PARTS,)),
    ("no interface {}", (_PARTS,)),
    ("encapsulation dot1Q {}", (st.integers(5, 9),)),
    ("vrf forwarding {}", (_NAMES,)),
    ("ip address {} {}", (_ADDRESSES, _MASKS)),
    ("ip access-group {} in", (_NAMES,)),
    ("ip route {} {} {}", (_ADDRESSES, _MASKS, _ADDRESSES)),
    ("ip route vrf {} {} {} {}", (_NAMES, _ADDRESSES, _MASKS, _PARTS)),
    ("ip route {} {} {} {}", (_ADDRESSES, _MASKS, _ADDRESSES, st.integers(1, 255))),
    ("ip access-list extended {}", (_NAMES,)),
    ("ip access-list standard {}", (_NAMES,)),
    ("access-list {} permit any", (st.integers(1, 99),)),
    ("hostname {}", (_NAMES,)),
)
_LINES = st.one_of(
    *(st.builds(template.format, *arguments) for template, arguments in _TEMPLATES), _RULES, st.sampled_from(_PLAIN)
)


def emptied(router: Router, names: Iterable[str]) -> Router:
    """A router without what another lacks, and without what a factory adds."""
    parts = [f"no interface {name}" for name in router.running.interfaces if name not in names]
    ports = [(f"default interface gi0/0/{number}") for number in range(4)]
    type_lines(router, *parts, *ports, "no ip route 0.0.0.0 0.0.0.0")
    return router


@given(st.lists(_LINES, max_size=40))
@settings(max_examples=200, deadline=None)
def test_round_trip(lines: list[str]) -> None:
    router = make_router()
    type_lines(router, *lines)
    other = emptied(make_router(provisioning=Provisioning.BARE), router.running.interfaces)
    text = show.running(router.running)
    typed = [line for line in text[text.index("\n!\n") :].splitlines() if line.strip(" !")]
    assert [line for line in type_lines(other, *typed) if line] == []
    assert other.running == router.running
    assert show.running(other.running) == text


@given(st.lists(st.text(max_size=40) | _LINES, max_size=20))
@settings(max_examples=100, deadline=None)
def test_nothing_typed_breaks_a_router(lines: list[str]) -> None:
    router = make_router()
    type_lines(router, *lines)
    assert show.running(router.running).endswith("\nend\n")
    for text in (show.interfaces, show.ip_interface_brief, show.ip_route, show.vrfs, show.vlans, show.access_lists):
        assert "None" not in text(router.running)
