from __future__ import annotations

import pytest

from controller.models.alarm import ObjectClass
from controller.models.facts import LinkKind
from controller.models.health import ServiceState
from controller.models.network import Rat
from controller.nrm.profiles import (
    CellEntry,
    administrative_leaf,
    administrative_state,
    broadcast_plmn,
    broadcast_rat,
    carriers_of,
    cell_of,
    cell_state,
    cells,
    is_carrier,
    is_reserved,
    is_unlocked,
    link_locked,
    link_of,
    link_state,
    links,
    object_class,
    odd_state,
    rat_of,
    render,
    share_parts,
    unreported,
)
from controller.nrm.profiles.lookup import declared
from controller.nrm.tree import Observed
from tests.unit.nrm import samples
from tests.unit.nrm.samples import BOTH, LTE_CELLS, NR_CELLS, STATION

UP, DOWN, UNKNOWN = ServiceState.UP, ServiceState.DOWN, ServiceState.UNKNOWN
UNLOCKED = {"administrativeState": "UNLOCKED"}
ELEMENT = f"/ManagedElement[{STATION}]"
FDD = f"{ELEMENT}/ENBFunction[1]/EUtranCellFDD[B28-1]"
DU = f"{ELEMENT}/GNBDUFunction[1]/NRCellDU[n78-1]"
CU = f"{ELEMENT}/GNBCUCPFunction[1]/NRCellCU[n78-1]"
S1C = f"{ELEMENT}/ENBFunction[1]/EP_S1C[claro-s1c-lima]"
CARRIER = f"{ELEMENT}/GNBDUFunction[1]/NRSectorCarrier[n78-1]"


def test_cells_of_a_tree() -> None:
    tree = render(BOTH, samples.station_facts(LTE_CELLS[:1] + NR_CELLS[:1])).tree
    assert cells(tree) == (CellEntry(FDD, "B28-1", Rat.LTE), CellEntry(DU, "n78-1", Rat.NR))


@pytest.mark.parametrize(
    ("path", "known"),
    [
        (FDD, ObjectClass.CELL),
        (CU, ObjectClass.CELL),
        (S1C, ObjectClass.CORE_LINK),
        (f"{ELEMENT}/ENBFunction[1]", ObjectClass.STATION),
        (f"{ELEMENT}/Fan[1]", ObjectClass.STATION),
        (DU, ObjectClass.CELL),
        (CARRIER, ObjectClass.CARRIER),
        (f"{ELEMENT}/SectorEquipmentFunction[1]", ObjectClass.RADIO_UNIT),
        (f"{FDD}/plmnIdList[716,10]", ObjectClass.STATION),
    ],
)
def test_classes_of_objects(path: str, known: ObjectClass) -> None:
    assert object_class(path) is known


def test_links_of_a_tree() -> None:
    tree = render(BOTH, samples.station_facts(LTE_CELLS[:1] + NR_CELLS[:1], ("claro",))).tree
    found = {(link.kind, link.id, link.plmns) for link in links(tree)}
    assert found == {
        (LinkKind.S1C, "claro-s1c-lima", ("716-10",)),
        (LinkKind.S1U, "claro-s1u-lima", ()),
        (LinkKind.NGC, "claro-ngc-lima", ()),
        (LinkKind.NGU, "claro-ngu-lima", ()),
    }
    assert all(link_of(link.path) == link.path for link in links(tree))


@pytest.mark.parametrize(
    ("path", "cell"),
    [
        (FDD, "B28-1"),
        (f"{FDD}/plmnIdList[716,15]", "B28-1"),
        (f"{DU}/RRMPolicyRatio[bitel-prb]/rRMPolicyMemberList[716,15,FFFFFF,1]", "n78-1"),
        (f"{CU}/pLMNInfoList[716,15,FFFFFF,1]", "n78-1"),
        (S1C, ""),
        (ELEMENT, ""),
    ],
)
def test_cell_that_an_entry_concerns(path: str, cell: str) -> None:
    assert cell_of(path) == cell


def test_link_that_an_entry_belongs_to() -> None:
    assert link_of(f"{S1C}/servedPlmnList[716,10]") == S1C
    assert link_of(f"{FDD}/plmnIdList[716,10]") == ""


@pytest.mark.parametrize(
    ("path", "plmn"),
    [
        (f"{FDD}/plmnIdList[716,15]", "716-15"),
        (f"{FDD}/cellAccessInfoList[716,15]", "716-15"),
        (f"{DU}/pLMNInfoList[716,15,FFFFFF,1]", "716-15"),
        (f"{ELEMENT}/GNBCUUPFunction[1]/pLMNInfoList[716,15,FFFFFF,1]", ""),
        (f"{FDD}/plmnRadioShareList[716,15]", ""),
        (f"{S1C}/servedPlmnList[716,15]", ""),
        (FDD, ""),
    ],
)
def test_plmn_that_an_entry_puts_on_air(path: str, plmn: str) -> None:
    assert broadcast_plmn(path) == plmn


SERVING = {"operationalState": "ENABLED", "cellState": "ACTIVE"}


@pytest.mark.parametrize(
    ("leaves", "state", "expected"),
    [
        (UNLOCKED, SERVING, UP),
        ({}, SERVING, DOWN),
        ({}, {}, DOWN),
        ({"administrativeState": "SHUTTINGDOWN"}, SERVING, UP),
        ({"administrativeState": "SHUTTINGDOWN"}, {**SERVING, "cellState": "INACTIVE"}, DOWN),
        ({"administrativeState": "SHUTTINGDOWN"}, {}, UNKNOWN),
        ({"administrativeState": "LOCKED"}, SERVING, DOWN),
        (UNLOCKED, {**SERVING, "operationalState": "DISABLED"}, DOWN),
        (UNLOCKED, {**SERVING, "cellState": "INACTIVE"}, DOWN),
        (UNLOCKED, {"cellState": "INACTIVE"}, DOWN),
        (UNLOCKED, {"operationalState": "ENABLED"}, UNKNOWN),
        (UNLOCKED, {"cellState": "ACTIVE"}, UNKNOWN),
        (UNLOCKED, {}, UNKNOWN),
    ],
)
def test_a_cell_is_up_when_not_locked_enabled_and_active_and_unknown_where_that_is_not_reported(
    leaves: dict[str, str], state: dict[str, str], expected: ServiceState
) -> None:
    assert cell_state(Observed({DU: leaves}, {DU: state}), DU) is expected
    assert cell_state(Observed({}, {DU: state}), DU) is DOWN


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ({"operationalState": "ENABLED"}, UP),
        ({"operationalState": "DISABLED"}, DOWN),
        (SERVING, UP),
        ({**SERVING, "cellState": "INACTIVE"}, DOWN),
        ({"cellState": "ACTIVE"}, UNKNOWN),
        ({}, UNKNOWN),
    ],
)
def test_a_cell_of_lte_serves_without_the_cell_state_that_only_some_vendors_have(
    state: dict[str, str], expected: ServiceState
) -> None:
    observed = Observed({FDD: UNLOCKED}, {FDD: state})
    assert cell_state(observed, FDD) is expected
    assert (unreported(observed, ["EUtranCellFDD"]) == frozenset()) is ("operationalState" in state)


#: Words that no specification has for a state, as a station may say them.
ODD_WORDS = ("enabled", "DEGRADED", "disabled", "", "x" * 100_000, "\x1b[31m\n")


@pytest.mark.parametrize("word", ODD_WORDS)
def test_a_state_in_a_word_that_no_specification_has_is_unknown_and_the_word_is_told(word: str) -> None:
    for leaf in SERVING:
        observed = Observed({DU: UNLOCKED}, {DU: {**SERVING, leaf: word}})
        assert cell_state(observed, DU) is UNKNOWN
        assert odd_state(observed, DU).startswith(f"{leaf} '{word[:9] if word.isprintable() else chr(92)}")
    # Of LTE only some vendors tell a cell state: whose is in an odd word says nothing either.
    assert cell_state(Observed({FDD: UNLOCKED}, {FDD: {**SERVING, "cellState": word}}), FDD) is UNKNOWN
    observed = Observed({S1C: {}}, {S1C: {"operationalState": word}})
    assert link_state(observed, S1C) is UNKNOWN
    told = odd_state(observed, S1C)
    assert told.isprintable()
    assert len(told) <= 80
    # Who says that it does not work in one known word, or is locked, does not.
    known = {"operationalState": word, "cellState": "INACTIVE"}
    assert cell_state(Observed({DU: UNLOCKED}, {DU: known}), DU) is DOWN
    assert cell_state(Observed({DU: {}}, {DU: {**SERVING, "cellState": word}}), DU) is DOWN
    locked = Observed({S1C: {"administrativeState": "LOCKED"}}, {S1C: {"operationalState": word}})
    assert link_state(locked, S1C) is DOWN
    odd_lock = Observed({S1C: {"administrativeState": word}}, {S1C: {}})
    assert link_state(odd_lock, S1C) is UNKNOWN


def test_states_in_words_of_the_specifications_are_not_odd() -> None:
    for cell in ("ACTIVE", "INACTIVE", "IDLE"):
        for works in ("ENABLED", "DISABLED"):
            state = {"operationalState": works, "cellState": cell}
            assert odd_state(Observed({DU: UNLOCKED}, {DU: state}), DU) == ""
            assert cell_state(Observed({DU: UNLOCKED}, {DU: state}), DU) is not UNKNOWN
    assert odd_state(Observed({DU: UNLOCKED}), DU) == ""


def test_a_cell_without_administrative_state_is_locked() -> None:
    assert administrative_state({DU: {}}, DU) == "LOCKED"
    assert administrative_state({DU: {"administrativeState": "UNLOCKED"}}, DU) == "UNLOCKED"


@pytest.mark.parametrize(
    ("tree", "state", "expected"),
    [
        ({S1C: {}}, {"operationalState": "ENABLED"}, UP),
        ({S1C: {}}, {"operationalState": "DISABLED"}, DOWN),
        ({S1C: {}}, {}, UNKNOWN),
        ({S1C: {}}, {"farEndEntity": "MME=1"}, UNKNOWN),
        ({S1C: {"administrativeState": "LOCKED"}}, {}, DOWN),
        ({}, {}, DOWN),
    ],
)
def test_a_link_is_up_when_enabled_and_unknown_where_that_is_not_reported(
    tree: dict[str, dict[str, str]], state: dict[str, str], expected: ServiceState
) -> None:
    assert link_state(Observed(tree, {S1C: state}), S1C) is expected


def test_a_link_of_another_device_stands_in_no_tree() -> None:
    assert link_state(Observed({}, {f"S2{S1C}": {"operationalState": "ENABLED"}}), f"S2{S1C}") is UP
    assert link_state(Observed({}), f"S2{S1C}") is UNKNOWN


def test_classes_of_which_nothing_is_reported() -> None:
    tree: dict[str, dict[str, str]] = {DU: {}, S1C: {}, f"{S1C[:-1]}2]": {}}
    classes = ["NRCellDU", "EP_S1C", "EP_NgC", "plmnIdList"]
    assert unreported(Observed(tree), classes) == {"NRCellDU", "EP_S1C"}
    assert unreported(Observed(tree), ["EP_S1C"]) == {"EP_S1C"}
    states = {DU: {"operationalState": "ENABLED"}, S1C: {"operationalState": "DISABLED"}}
    assert unreported(Observed(tree, states), classes) == {"NRCellDU"}
    assert unreported(Observed(tree, {DU: SERVING, S1C: {"farEndEntity": "MME=1"}}), classes) == {"EP_S1C"}
    assert unreported(Observed({}), classes) == frozenset()


def test_only_what_is_known_to_serve_is_true() -> None:
    assert [bool(state) for state in (UP, DOWN, UNKNOWN)] == [True, False, False]
    assert [state.opposite for state in (UP, DOWN, UNKNOWN)] == [DOWN, UP, UNKNOWN]
    assert (ServiceState.any_of([DOWN, UNKNOWN]), ServiceState.any_of([DOWN, UNKNOWN, UP])) == (UNKNOWN, UP)
    assert ServiceState.any_of([]) is DOWN


@pytest.mark.parametrize(
    ("path", "rat", "of_broadcast"),
    [
        (f"{FDD}/plmnIdList[716,15]", Rat.LTE, Rat.LTE),
        (f"{DU}/pLMNInfoList[716,15,FFFFFF,1]", Rat.NR, Rat.NR),
        (f"{ELEMENT}/GNBCUUPFunction[1]/pLMNInfoList[716,15,FFFFFF,1]", Rat.NR, None),
        (FDD, Rat.LTE, None),
        (DU, Rat.NR, None),
        (f"{ELEMENT}/Fan[1]", None, None),
    ],
)
def test_the_radio_technology_is_that_of_the_profile(path: str, rat: Rat | None, of_broadcast: Rat | None) -> None:
    assert (rat_of(path), broadcast_rat(path)) == (rat, of_broadcast)
    assert rat_of("") is None


def test_a_reference_that_names_no_element_leads_to_no_entry() -> None:
    (nowhere,) = carriers_of({DU: {"nRSectorCarrierRef": "Tuf=Jy"}}, DU)
    assert (nowhere, declared(nowhere), is_carrier(nowhere)) == ("", (None, None), False)


def test_a_cell_names_its_carriers() -> None:
    name = f"ManagedElement={STATION},GNBDUFunction=1,NRSectorCarrier="
    both = (CARRIER, CARRIER.replace("[n78-1]", "[x]"))
    for named, found in (((f"{name}n78-1", f"{name}x"), both), (f"{name}n78-1", both[:1])):
        assert carriers_of({DU: {"nRSectorCarrierRef": named}}, DU) == found
    assert carriers_of({DU: {}}, DU) == carriers_of({}, DU) == carriers_of({FDD: {"": "x"}}, S1C) == ()
    assert [is_carrier(path) for path in (CARRIER, DU, f"{ELEMENT}/Fan[1]")] == [True, False, False]


def test_a_plmn_is_reserved_where_its_entry_says_so() -> None:
    plmn = f"{FDD}/plmnIdList[716,15]"
    told = {text: is_reserved({plmn: {"cellReservedForOperatorUse": text}}, plmn) for text in ("true", "false", "")}
    assert told == {"true": True, "false": False, "": False}
    assert not is_reserved({}, plmn)
    assert not is_reserved({FDD: {"": "true"}}, FDD), "nothing reserves a cell"


def test_parts_of_a_share_are_told_apart_from_what_else_an_entry_holds() -> None:
    parts = {leaf.name for leaf in share_parts(f"{DU}/RRMPolicyRatio[bitel-prb]")}
    assert parts == {"rRMPolicyMinRatio", "rRMPolicyMaxRatio", "rRMPolicyDedicatedRatio"}
    assert share_parts(DU) == share_parts(f"{ELEMENT}/Fan[1]") == ()


@pytest.mark.parametrize(("path", "default"), [(DU, "LOCKED"), (S1C, "UNLOCKED")])
def test_what_can_be_locked_is_unlocked_only_where_it_is(path: str, default: str) -> None:
    leaf = administrative_leaf(path)
    assert leaf == "administrativeState"
    assert administrative_state({path: {}}, path) == administrative_state({}, path) == default
    assert not is_unlocked({}, path)
    assert not link_locked({}, path)
    for state in ("LOCKED", "SHUTTINGDOWN", "UNLOCKED"):
        tree = {path: {leaf: state}}
        assert (is_unlocked(tree, path), link_locked(tree, path)) == (state == "UNLOCKED", state != "UNLOCKED")


def test_what_nothing_can_lock_is_unlocked() -> None:
    fan = f"{ELEMENT}/Fan[1]"
    assert (administrative_leaf(fan), administrative_state({}, fan), is_unlocked({fan: {}}, fan)) == (
        "",
        "UNLOCKED",
        True,
    )
