"""Cells that their PCI does not tell apart: found by distance alone, whoever shares them."""

from __future__ import annotations

import math
from itertools import permutations
from typing import Any
from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from controller.cli.groups import finding_lines
from controller.intent import compile_intent
from controller.intent.neighbours import NEAREST, RADIUS_KM, Places
from controller.intent.pci import code_findings
from controller.models.network import Network, Rat
from tests.unit.intent.test_checks import TODAY, sound

_KM = 1 / 111.195  # degrees of latitude


def network(places: list[tuple[float, float, int]]) -> Network:
    """A station for each place (latitude, longitude) with a PCI, which its LTE and its NR cell have in common."""
    draft = sound()
    site, station, cells = draft["sites"][0], draft["stations"][0], draft["cells"][:2]
    kinds: dict[str, list[Any]] = {"sites": [], "stations": [], "cells": []}
    for n, (latitude, longitude, pci) in enumerate(places):
        kinds["sites"].append(site | {"id": f"s{n}", "latitude": latitude, "longitude": longitude})
        kinds["stations"].append(station | {"id": f"S{n}", "site": f"s{n}", "enb_id": n, "gnb_id": n})
        kinds["cells"] += [cell | {"station": f"S{n}", "pci": pci} for cell in cells]
    return Network.model_validate(draft | kinds)


def found(net: Network) -> list[tuple[str, str]]:
    findings = [one for one in compile_intent(net, TODAY).findings if one.code.startswith("pci-")]
    return [(one.code.removeprefix("pci-"), f"{one.station}/{one.cell}") for one in findings]


def both(code: str, *stations: str) -> list[tuple[str, str]]:
    return [(code, f"{station}/{cell}") for station in stations for cell in ("lte", "nr")]


def test_neighbours_of_one_pci_collide_and_two_of_one_neighbour_confuse() -> None:
    assert found(network([(0, 0, 5), (9.9 * _KM, 0, 5)])) == both("collision", "S0", "S1")
    assert found(network([(0, 0, 5), (10.1 * _KM, 0, 5)])) == []  # no site between them
    assert found(network([(0, 0, 5), (10.1 * _KM, 0, 5), (5 * _KM, 0, 6)])) == both("confusion", "S0", "S1")
    assert found(network([(0, 0, 5), (20.1 * _KM, 0, 5), (10 * _KM, 0, 6)])) == []


def test_carriers_and_technologies_have_pcis_of_their_own() -> None:
    net = network([(0, 0, 5), (_KM, 0, 5)])
    other = {"arfcn_dl": 9385, "arfcn_ul": 27385}
    cells = [cell.model_copy(update=other) if cell.name == "S0/lte" else cell for cell in net.cells]
    assert found(net.model_copy(update={"cells": tuple(cells)})) == [("collision", "S0/nr"), ("collision", "S1/nr")]


def test_neighbours_whose_ranges_of_prach_roots_overlap_clash_and_what_is_open_is_said() -> None:
    def codes(*plans: dict[str, object]) -> dict[str, list[str]]:
        net = network([(n * 5 * _KM, 0, n) for n in range(len(plans))])
        of = {f"S{n}": plan for n, plan in enumerate(plans)}
        cells = [cell.model_copy(update=of[cell.station]) for cell in net.cells if cell.rat is Rat.LTE]
        found: dict[str, list[str]] = {}
        for one in compile_intent(net.model_copy(update={"cells": tuple(cells)}), TODAY).findings:
            if one.code in ("prach-clash", "radio-unchecked"):
                found.setdefault(one.code, []).append(one.message)
        return found

    def plan(root: int, zcz: int | None) -> dict[str, object]:
        return {"prach_root": root, "prach_zcz": zcz}

    clash = codes(plan(120, 11), plan(127, 11))["prach-clash"]
    assert [text.partition(":")[0] for text in clash] == ["cell S0/lte", "cell S1/lte"]
    assert "roots 120 to 127 on" in clash[0]
    assert "has roots 127 to 134" in clash[0]
    assert codes(plan(120, 11), plan(128, 11)) == {}
    assert "prach-clash" in codes(plan(836, 11), plan(2, 1)), "after the last root comes the first"
    assert codes(plan(120, None), plan(120, None)).keys() == {"prach-clash"}, "whatever the shift is"
    (told,) = codes(plan(120, None), plan(130, None))["radio-unchecked"]
    assert "2 cells" in told
    assert "S0/lte, S1/lte" in told
    (told,) = codes(plan(120, None), plan(130, 1))["radio-unchecked"]
    assert "of 1 cell were" in told
    assert codes(plan(120, None), plan(110, 1), plan(190, None)) == {}, "no number of roots makes these overlap"


def test_neighbours_with_one_prach_root_clash_and_two_neighbours_of_one_site_do_not() -> None:
    def clashing(km: float, *roots: int | None) -> set[str]:
        net = network([(n * km * _KM, 0, n) for n in range(len(roots))])
        of = {f"S{n}": root for n, root in enumerate(roots)}
        cells = [cell.model_copy(update={"prach_root": of[cell.station]}) for cell in net.cells]
        findings = compile_intent(net.model_copy(update={"cells": tuple(cells)}), TODAY).findings
        return {one.station for one in findings if one.code == "prach-clash"}

    assert clashing(9.9, 120, 120) == {"S0", "S1"}
    assert clashing(9.9, 120, 130) == set()
    assert clashing(9.9, None, None) == set()  # left to the field: nobody knows
    assert clashing(5.1, 120, 20, 120) == set()  # preambles sent to one don't reach the other


def reaching(net: Network, *facts: dict[str, Any]) -> Network:
    """The network with these facts about the LTE cells of its stations, in their order."""
    of = {f"S{n}": fact for n, fact in enumerate(facts)}
    cells = (cell.model_copy(update=of.get(cell.station, {})) if cell.rat is Rat.LTE else cell for cell in net.cells)
    return net.model_copy(update={"cells": tuple(cells)})


def about_lte(net: Network) -> dict[str, set[str]]:
    """Severities of findings about PCIs of LTE cells, by code."""
    said: dict[str, set[str]] = {}
    for one in compile_intent(net, TODAY).findings:
        if one.code.startswith("pci-") and one.cell in ("", "lte"):
            said.setdefault(one.code, set()).add(one.severity)
    return said


WIDE, NARROW = {"prach_zcz": 11}, {"prach_zcz": 5}  # some 12.2 and 2.6 km


def test_neighbours_are_those_whose_reaches_meet_and_only_known_reaches_make_errors() -> None:
    far = network([(0, 0, 5), (23 * _KM, 0, 5)])
    assert about_lte(reaching(far, WIDE, WIDE)) == {"pci-collision": {"error"}}
    assert about_lte(reaching(far, WIDE, NARROW)) == {}
    assert about_lte(reaching(network([(0, 0, 5), (14 * _KM, 0, 5)]), WIDE, NARROW)) == {"pci-collision": {"error"}}
    assert about_lte(reaching(network([(0, 0, 5), (6 * _KM, 0, 5)]), NARROW, NARROW)) == {}
    three = network([(0, 0, 5), (46 * _KM, 0, 5), (23 * _KM, 0, 9)])
    assert about_lte(reaching(three, WIDE, WIDE, WIDE)) == {"pci-confusion": {"error"}}
    assert about_lte(reaching(three, WIDE, WIDE, NARROW)) == {}
    near = network([(0, 0, 5), (9 * _KM, 0, 5)])
    assert about_lte(near) == {"pci-collision": {"warning"}}, "5 km are assumed of each"
    assert about_lte(reaching(near, WIDE)) == {"pci-collision": {"warning"}}


def test_a_check_that_needs_a_reach_which_nobody_says_is_named() -> None:
    far = network([(0, 0, 5), (23 * _KM, 0, 5)])
    said = [one.message for one in compile_intent(far, TODAY).findings if one.code == "radio-unchecked"]
    wanted = "give prach_zcz (on NR with prach_format), or max_tx_power_dbm, antenna_gain_dbi and antenna_height_m"
    text = (
        "PCIs of 4 cells are also those of others that may be near enough: nobody says how far they reach, and 5 km "
        f"was assumed (S0/lte, S0/nr, S1/lte and 1 more); {wanted}"
    )
    assert said == [text]
    known = reaching(far, NARROW, NARROW)
    (told,) = [one.message for one in compile_intent(known, TODAY).findings if one.code == "radio-unchecked"]
    assert "of 2 cells" in told
    assert "lte" not in told


def test_cells_that_face_each_other_differ_modulo_3_and_others_need_not() -> None:
    def said(here: float | None, there: float | None, pci: int = 8) -> dict[str, set[str]]:
        facts = ({"antenna_azimuth_deg": one, **WIDE} for one in (here, there))
        net = reaching(network([(0, 0, 5), (3 * _KM, 0, pci)]), *facts)
        nr = ("antenna_azimuth_deg", 90.0)  # both point eastwards
        cells = (one.model_copy(update=dict([nr])) if one.rat is Rat.NR else one for one in net.cells)
        return about_lte(net.model_copy(update={"cells": tuple(cells)}))

    assert said(0, 180) == {"pci-mod-3": {"warning"}}  # S1 is north of S0
    assert said(350, 130) == {"pci-mod-3": {"warning"}}
    assert said(180, 0) == {}, "back to back"
    assert said(0, 180, pci=9) == {}
    assert said(None, 180) == {}
    assert said(None, None, pci=35) == {"pci-mod-30": {"info"}}


def test_one_finding_tells_of_a_pair_and_names_the_gravest_remainder() -> None:
    net = reaching(network([(0, 0, 5), (3 * _KM, 0, 35)]), {"antenna_azimuth_deg": 0.0}, {"antenna_azimuth_deg": 180.0})
    (told,) = [one.message for one in compile_intent(net, TODAY).findings if one.cell == "lte"]
    assert told == (
        "cell S0/lte: PCI 5 and PCI 35 of S1/lte, 3.0 km away, which faces it, are equal modulo 3, and modulo 30: they "
        "disturb each other's synchronisation signals; give one of them another PCI"
    )


def test_a_city_reuses_pcis_beyond_the_nearest_sites() -> None:
    """Of 300 sites within 5 km the last has the PCI of the first; only the nearest of a carrier are neighbours."""
    city = [(n * 0.016 * _KM, 0, n) for n in range(1, 300)]
    assert found(network([(0, 0, 0), *city, (300 * 0.016 * _KM, 0, 0)])) == []
    assert found(network([(0, 0, 0), *city[: NEAREST - 1], (NEAREST * 0.016 * _KM, 0, 0)])) == both(
        "collision", "S0", f"S{NEAREST}"
    )


def test_cells_that_are_listed_are_neighbours_at_any_distance() -> None:
    net = network([(0, 0, 5), (40 * _KM, 0, 5), (80 * _KM, 0, 5), (90 * _KM, 0, 6)])
    assert found(net) == []

    def listed(*pairs: tuple[int, int]) -> Network:
        rows = [
            {"station": f"S{one}", "cell": "lte", "neighbour_station": f"S{other}", "neighbour_cell": "lte"}
            for one, other in pairs
        ]
        return Network.model_validate(net.model_dump() | {"neighbours": rows})

    assert found(listed((3, 1), (3, 2))) == [("confusion", "S1/lte"), ("confusion", "S2/lte")]
    assert found(listed((0, 3), (0, 2))) == [("collision", "S0/lte"), ("collision", "S2/lte")]
    told = compile_intent(listed((3, 1), (3, 2)), TODAY).findings[0].message
    assert told == (
        "cell S1/lte: PCI 5 on EARFCN 9285 is also that of S2/lte, and S3/lte lists both as neighbours: it can't know "
        "which of them its users report; give one of them another PCI"
    )


def test_a_finding_says_which_cells_how_far_and_which_pci_would_be_right() -> None:
    net = network([(0, 0, 5), (3 * _KM, 0, 5), (15 * _KM, 0, 2)])
    findings = compile_intent(net, TODAY).findings
    assert findings[0].message == (
        "cell S0/lte: PCI 5 on EARFCN 9285 is also that of S1/lte, 3.0 km away: who hears both can decode neither; "
        "free within 20 km is PCI 8"
    )
    (line,) = finding_lines(findings, {"S0": "stations.csv:2"})
    assert line.startswith("warning: stations.csv:2: cell S0/lte: PCI 5 ")
    assert line.endswith("; such findings on 4 cells of 2 stations in all (pci-collision)")


def test_findings_about_some_stations_are_the_same() -> None:
    net = network([(0, 0, 5), (3 * _KM, 0, 5)])
    every = compile_intent(net, TODAY).findings
    assert compile_intent(net, TODAY, ["S1"]).findings == tuple(one for one in every if one.station == "S1")


def test_very_many_equal_pcis_are_found_without_comparing_each_with_each() -> None:
    """All cells of 1,000 sites, two kilometres apart, have one PCI."""
    net = network([(n // 25 * 2 * _KM, n % 25 * 2 * _KM, 5) for n in range(1000)])
    compared: list[object] = []
    measure = math.dist

    def counted(one: Any, other: Any) -> float:
        compared.append(None)
        return measure(one, other)

    with patch("math.dist", counted):
        assert len({one.station for one in code_findings(net, net.cells)}) == 1000
    assert len(compared) < 500_000  # each with each would be 500,000 for each technology


# Around the date line and the pole, too, where degrees mean other distances or jump.
_corners = st.sampled_from([(0.0, 0.0), (0.0, 180.0), (-13.5, -72.0), (89.95, 40.0)])
_offsets = st.tuples(st.integers(-12, 12), st.integers(-12, 12), st.integers(0, 2))


@settings(max_examples=100, deadline=None)
@given(_corners, st.lists(_offsets, min_size=2, max_size=8))
def test_the_search_finds_what_comparing_all_finds(corner: tuple[float, float], offsets: list[Any]) -> None:
    places = [
        (min(90.0, corner[0] + north * _KM), (corner[1] + east * _KM + 180) % 360 - 180, pci)
        for north, east, pci in offsets
    ]
    net = network(places)

    def near(one: int, other: int) -> bool:
        return _great_circle_km(places[one], places[other]) <= RADIUS_KM

    expected = set()
    for one, other in permutations(range(len(places)), 2):
        if places[one][2] == places[other][2]:
            if near(one, other):
                expected.add(("collision", one))
            elif any(near(n, one) and near(n, other) for n in range(len(places))):
                expected.add(("confusion", one))
    collide = {one for code, one in expected if code == "collision"}
    told = {(code, int(name[1 : name.index("/")])) for code, name in found(net)}
    assert {one for code, one in told if code == "collision"} == collide
    assert {one for _, one in told} == {one for _, one in expected}


def _great_circle_km(one: tuple[float, float, int], other: tuple[float, float, int]) -> float:
    """The haversine formula: not how the code under test does it."""
    (lat1, lon1), (lat2, lon2) = (map(math.radians, place[:2]) for place in (one, other))
    a = math.sin((lat2 - lat1) / 2) ** 2 + math.cos(lat1) * math.cos(lat2) * math.sin((lon2 - lon1) / 2) ** 2
    return 2 * 6371 * math.asin(min(1.0, math.sqrt(a)))


def test_places_around_come_by_distance() -> None:
    around = Places(network([(0, 0, 1), (3 * _KM, 0, 1), (2 * _KM, 0, 1), (11 * _KM, 0, 1)])).around("s0")
    assert [(round(km, 2), site) for km, site in around] == [(0, "s0"), (2, "s2"), (3, "s1")]
