"""What hellos and modules mean, and which servers are not trusted with confirmed commit."""

from __future__ import annotations

import pytest

from controller.drivers.netconf.capabilities import (
    Announced,
    capabilities_of,
    capabilities_with,
    features_in,
    listed_in,
)
from controller.drivers.netconf.requests import BASE_1_1
from controller.nrm import namespaces as ns
from simulators.datastore import PROFILE_MODULES, load_schema
from simulators.netconf.capabilities import modules_of_station, of_station
from simulators.netconf.profiles import PROFILES
from tests.unit.drivers.netconf.server import Server, hello_of, modules_state, session_with, yang_library

C = "urn:ietf:params:netconf:capability:"
BASE = ("urn:ietf:params:netconf:base:1.0", "urn:ietf:params:netconf:base:1.1", f"{C}candidate:1.0")
OLDER, NEWER = (f"{{{ns.YANG_LIBRARY}}}{name}" for name in ("modules-state", "yang-library"))
TOP = f"{{{ns.MANAGED_ELEMENT}}}ManagedElement"


def simulator(profile: str) -> tuple[str, ...]:
    """The hello of a simulated station."""
    schema = load_schema(PROFILE_MODULES["nr-28541"])
    return of_station(modules_of_station(schema.modules, PROFILES[profile]), PROFILES[profile])


@pytest.mark.parametrize(
    ("profile", "safe"),
    [("standard", True), ("confirmed-commit-1.0", False), ("plain-commit", False), ("writable-running", False)],
)
def test_what_the_hello_of_a_simulated_station_offers(profile: str, safe: bool) -> None:
    assert capabilities_of(simulator(profile)).safe_commit is safe


def test_what_the_hello_of_netconfd_offers() -> None:
    assert capabilities_of(hello_of("netconfd-2.14")).safe_commit


def test_persist_needs_version_1_1() -> None:
    assert not capabilities_of((*BASE, f"{C}confirmed-commit:1.0")).confirmed_commit
    assert capabilities_of((*BASE, f"{C}confirmed-commit:1.1")).safe_commit


def test_a_plain_device_offers_nothing() -> None:
    plain = capabilities_of((BASE[0], f"{C}writable-running:1.0", f"{C}startup:1.0"))
    assert (plain.candidate, plain.safe_commit, plain.validate) == (False, False, False)
    assert plain.writable_running
    assert plain.startup


@pytest.mark.parametrize(
    ("name", "library", "trusted"),
    [
        ("netconfd-2.14", {OLDER: modules_state(ns.MANAGED_ELEMENT)}, True),
        ("netopeer2-2.4.5", {NEWER: yang_library(ns.MANAGED_ELEMENT, "http://www.sysrepo.org/yang/sysrepo")}, False),
        ("netopeer2-2.4.5", {NEWER: yang_library(ns.MANAGED_ELEMENT, "urn:sysrepo:plugind")}, False),
        ("netopeer2-2.4.5", {NEWER: yang_library(ns.MANAGED_ELEMENT)}, True),
        ("clixon-7.8", {NEWER: yang_library(ns.MANAGED_ELEMENT, "http://clicon.org/lib")}, False),
        ("clixon-7.8", {OLDER: modules_state(ns.MANAGED_ELEMENT, "http://clicon.org/lib")}, False),
    ],
)
async def test_servers_known_to_get_it_wrong_are_known_by_their_library(
    name: str, library: dict[str, str], trusted: bool
) -> None:
    session = await session_with(Server(hello_of(name), {TOP: "", **library}))
    assert session.capabilities.safe_commit  # as far as its hello goes
    await session.read()
    assert session.capabilities.confirmed_commit
    assert session.capabilities.safe_commit is trusted


def test_software_is_named_by_what_it_announces() -> None:
    hello = hello_of("netopeer2-2.4.5")
    modules = Announced({"urn:a": "2026-01-01"}, whole=True)
    name = capabilities_with(hello, modules).software
    assert name
    # An id that is counted up at each start is no other software; another module or revision is.
    again = tuple(uri.replace("content-id=12", "content-id=13") for uri in hello)
    assert capabilities_with(tuple(reversed(again)), modules).software == name
    for other in ({"urn:a": "2026-02-02"}, {"urn:b": "2026-01-01"}):
        assert capabilities_with(hello, Announced(other, whole=True)).software != name
    assert capabilities_with((*hello, f"{C}url:1.0?scheme=file"), modules).software != name
    # So is another version of the protocol: netconfd takes no ``persist`` on base:1.0.
    older = tuple(uri for uri in hello if uri != BASE_1_1)
    assert len(older) == len(hello) - 1
    assert capabilities_with(older, modules).software != name


def test_modules_of_a_hello() -> None:
    assert listed_in(hello_of("clixon-7.8")) == {}
    assert listed_in(hello_of("netconfd-2.14"))[ns.MANAGED_ELEMENT] == "2026-11-01"
    assert listed_in(simulator("standard"))[ns.NR_CELL_DU] == "2026-11-01"  # which is deviated
    assert not any(name.startswith("urn:ietf:params:netconf:capability") for name in listed_in(simulator("standard")))
    assert (ns.MANAGED_ELEMENT, "FmUnderManagedElement") in features_in(simulator("standard"))
    assert features_in(hello_of("clixon-7.8")) == frozenset()
