"""Only what a server has is asked for, and what it refused all the same is left out the next time."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from lxml import etree

from controller.drivers.netconf import capabilities
from controller.drivers.netconf.capabilities import KnownModules
from controller.models.equipment import Equipment
from controller.models.errors import DeviceRefusedError
from controller.nrm import namespaces as ns
from tests.unit.drivers.netconf.server import (
    ALARMS,
    ELEMENT,
    STATION,
    Server,
    hello_of,
    modules_state,
    refusal,
    session_with,
    yang_library,
)

TOP = f"{{{ns.MANAGED_ELEMENT}}}ManagedElement"
LIST = f"{{{ns.ORAN_FM}}}active-alarm-list"
ALARM_LIST = f"{{{ns.MANAGED_ELEMENT}}}AlarmList"
OLDER, NEWER = (f"{{{ns.YANG_LIBRARY}}}{name}" for name in ("modules-state", "yang-library"))
NR = (ns.MANAGED_ELEMENT, ns.GNBCUCP_FUNCTION, ns.GNBCUUP_FUNCTION, ns.GNBDU_FUNCTION)
PLAIN = ("urn:ietf:params:netconf:base:1.1", "urn:ietf:params:netconf:capability:candidate:1.0")
ELEMENT_TREE = {f"/ManagedElement[{STATION}]": {"priorityLabel": "1"}}


@pytest.mark.parametrize(
    ("hello", "library"),
    [
        ("netconfd-2.14", {OLDER: modules_state(*NR)}),
        ("netopeer2-2.4.5", {NEWER: yang_library(*NR, imported=[ns.ORAN_FM])}),
        ("clixon-7.8", {NEWER: yang_library(*NR)}),
        ("clixon-7.8", {OLDER: modules_state(*NR)}),
    ],
    ids=["RFC 7895", "RFC 8525", "either, the newer", "either, the older"],
)
async def test_who_has_a_library_without_alarms_is_not_asked_for_them(hello: str, library: dict[str, str]) -> None:
    server = Server(hello_of(hello), {TOP: ELEMENT, **library})
    session = await session_with(server)
    assert (await session.read()).tree == ELEMENT_TREE
    assert (await session.read()).tree == ELEMENT_TREE
    assert server.asked[-2:] == [["ManagedElement"]] * 2


async def test_alarms_that_only_the_library_announces_are_read() -> None:
    """A hello leaves out modules of YANG 1.1."""
    server = Server(hello_of("netopeer2-2.4.5"), {TOP: ELEMENT, LIST: ALARMS, NEWER: yang_library(*NR, ns.ORAN_FM)})
    session = await session_with(server)
    assert [alarm.text for alarm in (await session.read()).alarms] == ["VSWR"]
    assert server.asked == [["yang-library"], ["ManagedElement", "active-alarm-list"]]


@pytest.mark.parametrize("library", [{NEWER: yang_library}, {OLDER: modules_state}], ids=["RFC 8525", "RFC 7895"])
@pytest.mark.parametrize("features", [(), ("FmUnderManagedElement",)], ids=["without", "with"])
async def test_a_list_of_alarms_is_read_where_its_feature_is_announced(
    library: dict[str, Callable[..., str]], features: tuple[str, ...]
) -> None:
    known = {name: make(*NR, features=features) for name, make in library.items()}
    server = Server(hello_of("clixon-7.8"), {TOP: ELEMENT, **known})
    await (await session_with(server)).read()
    assert (next(server.sent[-1].iter(ALARM_LIST), None) is not None) is bool(features)


async def test_a_list_of_alarms_that_is_refused_is_left_out() -> None:
    library = yang_library(*NR, features=["FmUnderManagedElement"])
    server = Server(hello_of("clixon-7.8"), {TOP: ELEMENT, NEWER: library})

    def refuse(operation: etree._Element) -> str:
        asked = next(operation.iter(ALARM_LIST), None) is not None
        return refusal("unknown-element") if asked else f"<data>{ELEMENT}{library}</data>"

    server.answers["get"] = refuse
    assert (await (await session_with(server)).read()).tree == ELEMENT_TREE


@pytest.mark.parametrize("hello", [PLAIN, hello_of("clixon-7.8")], ids=["no library", "a library that can't be read"])
async def test_what_is_announced_nowhere_is_tried_once(hello: tuple[str, ...]) -> None:
    known, server = KnownModules(), Server(hello, {TOP: ELEMENT})
    for _ in range(2):
        session = await session_with(server, known)
        for _ in range(2):
            assert (await session.read()).tree == ELEMENT_TREE
    assert [asked for asked in server.asked if "active-alarm-list" in asked] == [
        ["ManagedElement", "active-alarm-list"]
    ]
    tried = Server(hello, {TOP: ELEMENT, LIST: ALARMS})
    assert (await (await session_with(tried)).read()).alarms


async def test_alarms_that_are_announced_and_refused_are_asked_for_again() -> None:
    server = Server(hello_of("netopeer2-2.4.5"), {TOP: ELEMENT, NEWER: yang_library(*NR, ns.ORAN_FM)})
    session = await session_with(server)
    assert (await session.read()).alarms == ()
    server.state[LIST] = ALARMS
    assert (await session.read()).alarms


async def test_a_refusal_that_is_not_about_the_alarms_stays_one() -> None:
    server = Server(PLAIN, {LIST: ALARMS})
    session = await session_with(server)
    for _ in range(2):
        with pytest.raises(DeviceRefusedError, match="ManagedElement"):
            await session.read()
    server.state[TOP] = ELEMENT
    assert (await session.read()).alarms


async def test_functions_of_modules_that_the_server_lacks_are_not_asked_for() -> None:
    server = Server(hello_of("netopeer2-2.4.5"), {TOP: ELEMENT, NEWER: yang_library(*NR)})
    session = await session_with(server, profiles=("lte-28658", "nr-28541"))
    await session.read()
    await session.read_candidate()
    for get in server.sent[-2:]:
        functions = {element.tag for element in get.iter() if str(element.tag).endswith("Function")}
        assert functions == {
            f"{{{ns.GNBCUCP_FUNCTION}}}GNBCUCPFunction",
            f"{{{ns.GNBCUUP_FUNCTION}}}GNBCUUPFunction",
            f"{{{ns.GNBDU_FUNCTION}}}GNBDUFunction",
        }


@pytest.mark.parametrize(
    ("modules", "features", "lacking"),
    [
        ((*NR, ns.DANR_MANAGEMENT_FUNCTION), ("DANRManagementFunction",), False),
        ((*NR, ns.DANR_MANAGEMENT_FUNCTION), (), True),
        (NR, ("DANRManagementFunction",), True),
    ],
    ids=["module and feature", "no feature", "no module"],
)
async def test_leaves_of_a_feature_are_lacking_where_it_or_their_module_is_not_announced(
    modules: tuple[str, ...], features: tuple[str, ...], lacking: bool
) -> None:
    library = yang_library(*modules, features=features)
    session = await session_with(Server(hello_of("clixon-7.8"), {TOP: ELEMENT, NEWER: library}))
    switch = "GNBCUCPFunction/intrasystemANRManagementSwitch"
    assert (switch in (await session.read()).lacks) is lacking


@pytest.mark.parametrize(
    ("modules", "features", "lacking"),
    [
        ((*NR, ns.NR_NETWORK, ns.NR_FREQUENCY, ns.EXTERNAL_GNBCUCP_FUNCTION), True, {"ExternalNRCellCU"}),
        (
            (*NR, ns.NR_NETWORK, ns.EXTERNAL_GNBCUCP_FUNCTION, ns.EXTERNAL_NR_CELL_CU),
            *(True, {"NRFrequency"}),
        ),
        ((*NR, ns.NR_NETWORK), True, {"NRFrequency", "ExternalGNBCUCPFunction", "ExternalNRCellCU"}),
        (
            (*NR, ns.NR_NETWORK, ns.NR_FREQUENCY, ns.EXTERNAL_GNBCUCP_FUNCTION, ns.EXTERNAL_NR_CELL_CU),
            *(False, {"NRNetwork", "NRFrequency", "ExternalGNBCUCPFunction", "ExternalNRCellCU"}),
        ),
    ],
    ids=["no cells", "no frequencies", "an empty network", "no feature"],
)
async def test_what_stands_in_a_network_is_lacking_where_its_module_is_not_announced(
    modules: tuple[str, ...], features: bool, lacking: set[str]
) -> None:
    library = yang_library(*modules, features=["ExternalsUnderNRNetwork"] if features else ())
    answers = {TOP: ELEMENT, f"{{{ns.NR_NETWORK}}}NRNetwork": "", NEWER: library}
    session = await session_with(Server(hello_of("clixon-7.8"), answers))
    around = {"NRNetwork", "NRFrequency", "ExternalGNBCUCPFunction", "ExternalNRCellCU"}
    assert (await session.read()).lacks & around == lacking


async def test_a_library_that_denies_even_the_managed_element_is_not_believed() -> None:
    server = Server(hello_of("netopeer2-2.4.5"), {TOP: ELEMENT, NEWER: yang_library("urn:x")})
    session = await session_with(server)
    await session.read()
    assert {str(element.tag).partition("}")[2] for element in server.sent[-1].iter()} >= {"GNBDUFunction"}


async def test_equipment_and_measurements_are_asked_for_where_they_are() -> None:
    server = Server(hello_of("netopeer2-2.4.5"), {TOP: ELEMENT, NEWER: yang_library(*NR)})
    session = await session_with(server)
    assert await session.equipment() == Equipment()
    assert await session.measurements() == ()
    assert server.asked == [["yang-library"]]
    info = f"{{{ns.ORAN_OPERATIONS}}}operational-info"
    restarted = (
        f'<operational-info xmlns="{ns.ORAN_OPERATIONS}"><operational-state><restart-datetime>2026-11-01T00:00:00Z'
        "</restart-datetime></operational-state></operational-info>"
    )
    state = {TOP: ELEMENT, NEWER: yang_library(*NR, ns.ORAN_OPERATIONS), info: restarted}
    session = await session_with(Server(hello_of("netopeer2-2.4.5"), state))
    assert (await session.equipment()).restarted is not None


@pytest.mark.parametrize("name", ["netopeer2-2.4.5", "clixon-7.8"])
async def test_a_library_is_read_once_from_each_station_however_they_greet(name: str) -> None:
    known = KnownModules()
    server = Server(hello_of(name), {TOP: ELEMENT, NEWER: yang_library(*NR)})
    first, second, again = [await session_with(server, known, station=one) for one in ("PE-1", "PE-2", "PE-1")]
    for session in (first, second, again):
        await session.read()
    assert server.asked.count(["yang-library"]) == 2
    one, other = await first._announced(), await second._announced()
    assert one is await again._announced()
    assert one is not other
    assert one.modules is other.modules, "they tell the same, which is in memory once"


async def test_software_that_a_person_does_not_trust_is_driven_without_its_confirmed_commit() -> None:
    hello = (*hello_of("netopeer2-2.4.5"), f"{PLAIN[0]}?confirmed")
    server = Server(hello, {TOP: ELEMENT, NEWER: yang_library(*NR)})
    session = await session_with(server)
    await session.read()
    assert session.capabilities.trustworthy
    for named, trusted in ((session.capabilities.software, False), ("0" * 16, True)):
        again = await session_with(server, KnownModules(untrusted=frozenset([named])))
        await again.read()
        assert again.capabilities == replace(session.capabilities, trustworthy=trusted)


@pytest.mark.parametrize("last", [True, False], ids=["the liar answers last", "the liar answers first"])
@pytest.mark.parametrize(
    "lie", [yang_library(*NR, "urn:sysrepo:plugind"), yang_library(ns.MANAGED_ELEMENT)], ids=["one more", "some less"]
)
async def test_a_station_that_lies_about_its_modules_is_believed_of_itself_alone(lie: str, last: bool) -> None:
    """The hello is the same, with the same content-id: anybody can copy it."""
    known, hello = KnownModules(), (*hello_of("netopeer2-2.4.5"), f"{PLAIN[0]}?confirmed")
    liar = await session_with(Server(hello, {TOP: ELEMENT, NEWER: lie}), known, station="PE-9")
    honest = Server(hello, {TOP: ELEMENT, LIST: ALARMS, NEWER: yang_library(*NR, ns.ORAN_FM)})
    session = await session_with(honest, known)
    for one in (session, liar) if last else (liar, session):
        await one.read()
    alone = await session_with(honest)
    await alone.read()
    again = await session_with(honest, known)
    assert [alarm.text for alarm in (await again.read()).alarms] == ["VSWR"]
    for told in (session, again):
        assert told.capabilities == alone.capabilities
        assert (await told._announced()).modules == (await alone._announced()).modules
    assert (await liar._announced()).modules != (await alone._announced()).modules


async def test_alarms_that_one_station_refuses_are_asked_for_from_its_likes() -> None:
    """Both announce their modules in their hello alone."""
    known = KnownModules()
    hello = (*PLAIN, *(f"{one}?module=m&revision=2026-01-01" for one in NR), ns.YANG_LIBRARY)
    await (await session_with(Server(hello, {TOP: ELEMENT}), known, station="PE-9")).read()
    honest = await session_with(Server(hello, {TOP: ELEMENT, LIST: ALARMS}), known)
    assert [alarm.text for alarm in (await honest.read()).alarms] == ["VSWR"]


async def test_a_server_that_announces_others_each_time_takes_no_room_from_others() -> None:
    known = KnownModules(room=1 << 20)
    good = Server(hello_of("clixon-7.8"), {TOP: ELEMENT, NEWER: yang_library(*NR)})
    await (await session_with(good, known, station="PE-1")).read()
    for number in range(40):
        # One tells its modules in its library, the other in its hello.
        told = (hello_of("clixon-7.8"), {TOP: ELEMENT, NEWER: yang_library(*NR, f"urn:x:{number}:{'x' * 50_000}")})
        hello = (*PLAIN, f"urn:m:{number}:{'x' * 50_000}?module=m&revision=2026-01-01")
        for station, server in (("PE-8", Server(*told)), ("PE-9", Server(hello, {TOP: ELEMENT}))):
            await (await session_with(server, known, station=station)).read()
            assert known.size < 200_000
        await (await session_with(good, known, station="PE-1")).read()
    assert good.asked.count(["yang-library"]) == 1, "its modules are known all the while"
    assert (len(known._known), len(known._contents)) == (3, 3), "one entry for each station"


async def test_whoever_was_not_read_for_longest_makes_room() -> None:
    known = KnownModules(room=1 << 20)
    for number in range(40):
        hello = (*PLAIN, f"urn:m:{number}:{'x' * 50_000}?module=m&revision=2026-01-01")
        await (await session_with(Server(hello, {TOP: ELEMENT}), known, station=f"PE-{number}")).read()
        assert known.size <= 1 << 20
    assert [*known._known] == [f"PE-{number}" for number in range(20, 40)]
    assert known.size == sum(told.size for told in known._contents.values())


async def test_a_list_of_modules_that_takes_too_much_room_is_not_kept() -> None:
    known = KnownModules(room=1 << 20)
    hello = (*PLAIN, f"urn:x:{'x' * 200_000}?module=m")
    await (await session_with(Server(hello, {TOP: ELEMENT}), known)).read()
    assert (known.size, len(known._known)) == (0, 0)
    before = capabilities._offers.cache_info().currsize
    assert capabilities.offers(hello, ":candidate")
    assert capabilities._offers.cache_info().currsize == before


@pytest.mark.parametrize(
    ("capabilities", "inputs"),
    [
        (["basic-mode=trim&also-supported=report-all"], {"mains": True}),
        (["also-supported=report-all&basic-mode=trim"], {"mains": True}),
        (["basic-mode=explicit&also-supported=trim"], {}),
        (["basic-mode=report-all"], {}),
        (["basic-mode=trim", "basic-mode=report-all"], {}),
        (["also-supported=trim"], {}),
        ([], {}),
    ],
)
async def test_a_missing_state_is_its_default_only_where_the_hello_says_that_defaults_are_trimmed(
    capabilities: list[str], inputs: dict[str, bool]
) -> None:
    uris = [f"urn:ietf:params:netconf:capability:with-defaults:1.0?{one}" for one in capabilities]
    top = f"{{{ns.ORAN_EXTERNALIO}}}external-io"
    said = f'<external-io xmlns="{ns.ORAN_EXTERNALIO}"><input><name>mains</name></input></external-io>'
    known = {NEWER: yang_library(*NR, ns.ORAN_EXTERNALIO)}
    others = [uri for uri in hello_of("clixon-7.8") if ":with-defaults:" not in uri]
    server = Server((*others, *uris), {TOP: ELEMENT, top: said, **known})
    assert (await (await session_with(server)).read()).inputs == inputs
