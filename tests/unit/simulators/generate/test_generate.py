"""The generator: what it makes is what is committed, loads without a word, and keeps its promises."""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections import defaultdict
from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import asyncssh
import pytest

from controller.intent.pci import code_findings
from controller.inventory.load import load_network
from controller.models.network import BackhaulKind, Network, Rat, SharingKind
from simulators.generate import shipped
from simulators.generate.__main__ import main
from simulators.generate.network import generate, write
from simulators.generate.places import draw, slug
from simulators.host_keys import private_host_key, public_host_key
from tests.support.soak import SOAK

_NETWORKS = Path("deploy/networks")
_PLACES = _NETWORKS / "peru-localities.csv"


@pytest.fixture(scope="module")
def peru() -> Network:
    return load_network(_NETWORKS / "peru")


@pytest.fixture(scope="module")
def mini() -> Network:
    return load_network(_NETWORKS / "peru-mini")


@pytest.mark.parametrize(
    ("name", "make"), [("peru", shipped.peru), ("peru-mini", shipped.peru_mini), ("peru-virtual", shipped.peru_virtual)]
)
def test_what_is_committed_is_what_the_generator_makes(name: str, make: Callable[[Path], dict[str, str]]) -> None:
    files = make(_PLACES)
    assert {path.name for path in (_NETWORKS / name).iterdir()} == set(files)
    for file, content in files.items():
        assert (_NETWORKS / name / file).read_bytes() == content.encode(), (
            f"{name}/{file} differs: run python -m simulators.generate.shipped deploy/networks"
        )


def test_the_ready_made_agreement_is_what_the_generator_makes() -> None:
    assert (_NETWORKS / "peru-mini-add-entel.yaml").read_text(encoding="utf-8") == shipped.add_entel()


def test_peru_is_large_mostly_lte_and_everywhere(peru: Network) -> None:
    assert len(peru.stations) >= 3100
    kinds: dict[tuple[str, ...], int] = defaultdict(int)
    for station in peru.stations:
        kinds[station.profiles] += 1
    assert kinds["lte-28658",] > 0.8 * len(peru.stations)
    assert kinds["nr-28541",] >= 50
    assert kinds["lte-28658", "nr-28541"] >= 200
    assert len(peru.regions) == 25
    assert {tenant.plmns for tenant in peru.tenants} == {("716-06",), ("716-10",), ("716-15",), ("716-17",)}
    assert {node.kind for node in peru.backhaul} == set(BackhaulKind)


def test_larger_places_get_more_stations(peru: Network) -> None:
    stations: dict[str, int] = defaultdict(int)
    for station in peru.stations:
        stations[station.site.rsplit("-", 1)[0]] += 1
    assert stations["lima-lima"] > stations["cusco-cusco"] > stations["ucayali-aguaytia"] > 1
    assert stations["amazonas-aramango"] == 1


def test_mini_is_a_part_of_peru_with_whole_tracking_areas(peru: Network, mini: Network) -> None:
    assert len(mini.stations) == 24
    ids = {station.id for station in mini.stations}
    assert mini.stations == tuple(station for station in peru.stations if station.id in ids)
    assert mini.cells == tuple(cell for cell in peru.cells if cell.station in ids)
    assert mini.neighbours == tuple(one for one in peru.neighbours if {one.station, one.neighbour_station} <= ids)
    tacs = {(cell.rat, cell.tac) for cell in mini.cells}
    assert {cell.station for cell in peru.cells if (cell.rat, cell.tac) in tacs} == ids
    assert len(mini.regions) == 2
    assert {station.profiles for station in mini.stations} == {
        ("lte-28658",), ("nr-28541",), ("lte-28658", "nr-28541"),
    }  # fmt: skip
    assert len({cell.station for cell in mini.cells if cell.band == "B2"}) == 1


def test_three_tenants_share_cusco_and_the_fourth_comes_onto_every_station(mini: Network, tmp_path: Path) -> None:
    cusco = {station.id for station in mini.stations if mini.region_of(station.id) == "cusco"}
    assert _tenants_on(mini, cusco) == {"movistar", "claro", "bitel"}

    for path in (_NETWORKS / "peru-mini").iterdir():
        (tmp_path / path.name).write_bytes(path.read_bytes())
    (tmp_path / "entel.yaml").write_bytes((_NETWORKS / "peru-mini-add-entel.yaml").read_bytes())
    grown = load_network(tmp_path)

    added = next(agreement for agreement in grown.agreements if agreement.tenant == "entel")
    assert {cell.station for cell in grown.cells_of(added)} == cusco
    _assert_contracts_kept(grown)


def _tenants_on(network: Network, stations: set[str]) -> set[str]:
    return {
        agreement.tenant
        for agreement in network.agreements
        for cell in network.cells_of(agreement)
        if cell.station in stations
    }


@pytest.mark.parametrize(
    ("stations", "seed"), [(60, 1), (60, 716), (2296, 716), (5000, 1), *([(2296, 1), (5000, 716)] if SOAK else [])]
)
def test_contracts_are_kept_whatever_the_size_and_seed(tmp_path: Path, stations: int, seed: int) -> None:
    write(generate(_PLACES, stations=stations, seed=seed), tmp_path)
    network = load_network(tmp_path)

    assert len(network.stations) == stations
    _assert_contracts_kept(network)


def _assert_contracts_kept(network: Network) -> None:
    on: dict[str, set[str]] = defaultdict(set)
    least: dict[str, int] = defaultdict(int)
    dedicated: dict[str, int] = defaultdict(int)
    moran = set()
    for agreement in network.agreements:
        plmns = agreement.plmns or network.tenant_by_id[agreement.tenant].plmns
        for cell in network.cells_of(agreement):
            assert not on[cell.name] & set(plmns), f"{agreement.id} overlaps on {cell.name}"
            on[cell.name] |= set(plmns)
            least[cell.name] += sum(share.min for share in agreement.shares)
            dedicated[cell.name] += sum(share.dedicated for share in agreement.shares)
            if agreement.sharing is SharingKind.MORAN:
                moran.add(cell.name)
    areas: dict[int, set[frozenset[str]]] = defaultdict(set)
    for cell in network.cells:
        assert cell.primary_plmn in on[cell.name]
        assert len(on[cell.name]) <= (6 if cell.rat is Rat.LTE else 12)
        assert least[cell.name] <= 100
        assert dedicated[cell.name] <= 100
        assert cell.name not in moran or len(on[cell.name]) == 1
        if cell.rat is Rat.LTE:
            areas[cell.tac].add(frozenset(on[cell.name]))
    assert all(len(sets) == 1 for sets in areas.values())


def test_no_two_neighbours_of_a_cell_have_one_pci(peru: Network) -> None:
    alike: dict[object, list[tuple[float, float]]] = defaultdict(list)
    for cell in peru.cells:
        site = peru.site_by_id[peru.site_of(cell.station)]
        alike[cell.rat, cell.arfcn_dl, cell.pci].append((site.latitude, site.longitude))
    pairs = [pair for places in alike.values() for pair in combinations(places, 2)]
    assert len(pairs) > 10_000
    assert all(_km(*pair) > 20 for pair in pairs)


def _km(one: tuple[float, float], other: tuple[float, float]) -> float:
    shrink = math.cos(math.radians((one[0] + other[0]) / 2))
    return 111.195 * math.hypot(one[0] - other[0], (one[1] - other[1]) * shrink)


def test_each_cell_has_a_power_and_what_its_technology_has_of_prach_root_and_ssb(peru: Network) -> None:
    assert {(cell.rat, cell.max_tx_power_dbm) for cell in peru.cells} == {
        *((Rat.LTE, power) for power in (40, 43, 46)),
        *((Rat.NR, power) for power in (47, 50)),
    }
    assert all((cell.prach_root is None) is (cell.rat is Rat.NR) for cell in peru.cells)
    assert all((cell.ssb_arfcn is None) is (cell.rat is Rat.LTE) for cell in peru.cells)
    roots = {cell.prach_root for cell in peru.cells if cell.prach_root is not None}
    assert roots <= {*range(0, 360, 8), *range(360, 588, 4), *range(588, 834, 2)}
    assert {cell.prach_zcz for cell in peru.cells if cell.prach_root is not None} == {5, 8, 11}
    assert not list(code_findings(peru, peru.cells))


def test_nearest_masts_are_neighbours_both_ways(peru: Network) -> None:
    handed = {
        ((one.station, one.cell), (one.neighbour_station, one.neighbour_cell))
        for one in peru.neighbours
        if one.handover
    }
    assert len(handed) > 3000
    assert {(there, here) for here, there in handed} == handed
    for here, there in handed:
        assert peru.cell_by_name[here].rat is peru.cell_by_name[there].rat
        one, other = (peru.site_by_id[peru.site_of(station)] for station, _ in (here, there))
        assert 0 < _km((one.latitude, one.longitude), (other.latitude, other.longitude)) <= 10.1


def test_nr_of_the_jungle_has_anchors_on_its_mast_and_no_cores(peru: Network) -> None:
    dependent = {station.id for station in peru.stations if not peru.is_standalone(station)}
    assert {peru.region_of(station) for station in dependent} == {
        "amazonas", "loreto", "madre-de-dios", "san-martin", "ucayali",
    }  # fmt: skip
    anchors = [one for one in peru.neighbours if not one.handover]
    assert {(one.neighbour_station, one.neighbour_cell) for one in anchors} == {
        (cell.station, cell.id) for cell in peru.cells if cell.rat is Rat.NR and cell.station in dependent
    }
    assert {peru.cell_by_name[one.station, one.cell].rat for one in anchors} == {Rat.LTE}
    assert all(peru.site_of(one.station) == peru.site_of(one.neighbour_station) for one in anchors)
    assert {one.station for one in anchors} - dependent, "X2 is configured where an anchor is another station"


def test_people_find_to_a_site_and_know_how_long_it_lasts(peru: Network) -> None:
    kinds = {node.id: node.kind for node in peru.backhaul}
    for site in peru.sites:
        assert site.access
        assert site.power
        assert site.backhaul
        assert site.battery_hours in ((12,) if kinds[site.backhaul] is BackhaulKind.SATELLITE else (3, 4, 6))
    tdd = {cell.station for cell in peru.cells if cell.arfcn_dl == cell.arfcn_ul}
    assert {station.id for station in peru.stations if station.holdover_hours} == tdd
    assert [one.id for one in peru.header.contacts] == ["noc"]
    assert all(tenant.contacts for tenant in peru.tenants)
    assert {tenant.id for tenant in peru.tenants if tenant.core.security_gateway} == {"bitel", "claro"}


def test_slices_are_distinct_so_that_counters_can_be_told_apart(peru: Network) -> None:
    slices = [slice_ for tenant in peru.tenants for slice_ in tenant.slices]
    assert len(slices) == len(set(slices))


def test_host_keys_are_those_that_openssh_reads() -> None:
    expected = hashlib.sha256(b"minka-simulator-host-key:peru-mini:PE-CUS-0145").digest()
    assert private_host_key("peru-mini", "PE-CUS-0145").private_bytes_raw() == expected
    line = public_host_key("peru-mini", "PE-CUS-0145")
    key = asyncssh.import_public_key(line)
    assert key.get_algorithm() == "ssh-ed25519"
    assert key.export_public_key().decode().strip() == line
    rows = csv.DictReader(io.StringIO((_NETWORKS / "peru-mini" / "endpoints.csv").read_text()))
    first = next(rows)
    assert (first["station"], first["address"], first["port"], first["host_key"]) == (
        "PE-CUS-0145", "127.20.0.1", "8300", line,
    )  # fmt: skip


def test_the_command_line_writes_a_network_and_says_what_it_cannot_do(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = ["--localities", str(_PLACES), "--stations", "40", "--seed", "3", "--id", "small"]
    assert main([*arguments, str(tmp_path / "small")]) == 0
    assert len(load_network(tmp_path / "small").stations) == 40
    assert main([*arguments, "--area", "cusco-99", str(tmp_path / "none")]) == 1
    assert capsys.readouterr().err == "cannot generate: no such tracking area: cusco-99\n"
    assert not (tmp_path / "none").exists()


def test_draws_depend_on_seed_and_words_alone() -> None:
    assert draw(1, "a") == draw(1, "a") != draw(2, "a")
    assert 0 <= draw(1, "a") < 1
    assert slug("San Martín de Porres (Ñ)") == "san-martin-de-porres-n"
