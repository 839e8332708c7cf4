"""Generated networks, small but with everything that contracts speak of.

``networks`` draws any mixture, most of which breaks some contract; ``sound_networks``
draws only networks that keep them all. Both are made of model objects with unique ids and
references that lead somewhere, as a loader would give.
"""

from __future__ import annotations

from collections.abc import Sequence, Set
from dataclasses import dataclass
from datetime import date
from typing import Any

from hypothesis import strategies as st

from controller.models.network import EnDc, Network

#: The day on which the tests compile; the drawn validities lie around it.
TODAY = date(2026, 6, 15)

_SLICES = [{"sst": sst, "sd": sd} for sst in (1, 2) for sd in ("0000A1", "0000A2", "FFFFFF")]
_CARRIERS = {
    "B28": ("LTE", 9285, 27285, 10),
    "B2": ("LTE", 900, 18900, 10),
    "n78": ("NR", 630000, 630000, 100),
}
_VALIDITIES = [
    {"start": "2020-01-01"},
    {"start": "2026-06-15", "end": "2026-06-15"},
    {"start": "2020-01-01", "end": "2026-06-14"},
    {"start": "2026-06-16"},
]


@dataclass(frozen=True)
class _Names:
    """How things are called; ``{}`` stands for their number, in ``plmns`` for that of the tenant."""

    region: str
    site: str
    station: str
    router: str
    cell: str
    tenant: str
    plmns: tuple[str, str, str]


_PLAIN = _Names("region-{}", "site-{}", "ST-{}", "RT-{}", "{band}-{}", "tenant-{}", ("999-{}0", "999-{}1", "999-{}2"))
#: Odd, and legal: numbers alone, names of which one begins another, as long as can be; PLMNs that differ in a zero.
_ZEROS = ("001-{}0", "001-0{}0", "001-00{}")
_ODD = (
    _Names("{}", "{}", "{}", "9{}", "{}", "{}", _ZEROS),
    _Names("r-{}-1", "s-1-{}", "S-1-{}", "S-1-{}-1", "1-{}", "t-1-{}", _ZEROS),
    _Names(f"{'r' * 63}{{}}", f"{'s' * 63}{{}}", f"S{'_' * 62}{{}}", "R{}", f"C{'-' * 30}{{}}", "t-{}--x", _ZEROS),
)
_NAMES = st.sampled_from((_PLAIN, _PLAIN, *_ODD))


def _tenant(number: int, plmns: int, slices: Sequence[dict[str, Any]], names: _Names) -> dict[str, Any]:
    core: dict[str, Any] = {
        f"{kind}_pool": [{"id": f"{kind}-{n}", "address": f"10.{number}.{part}.{n}"} for n in (1, 2)]
        for part, kind in enumerate(("mme", "amf", "upf"), 1)
    }
    core["sgw_pool"] = [{"id": f"sgw-{n}", "prefix": f"10.{number}.9.{16 * n}/28"} for n in (1, 2)]
    core["upf_pool"][1]["prefix"] = f"10.{number}.3.0/28"
    if number > 2:  # the third protects its user plane by tunnels, the fourth both
        protects = ["user"] if number == 3 else ["control", "user"]
        core["security_gateway"] = {"address": f"10.{number}.7.1", "protects": protects}
    if slices:  # the first serves one of the slices only, the second all
        core["upf_pool"][0]["slices"] = [slices[0]]
    return {
        "id": names.tenant.format(number),
        "name": f'Tenant <{number}> & \u00d1and\u00fa\'s "{number}"',
        "plmns": [plmn.format(number) for plmn in names.plmns[:plmns]],
        "slices": list(slices),
        "core": {"vlan": 100 + number, **core},
    }


def _inventory(layout: Sequence[tuple[int, Sequence[str]]], names: _Names, routers: bool) -> dict[str, Any]:
    """Regions, a site and a station for each (region, bands of its cells), and perhaps a router for each."""
    regions = sorted({region for region, _ in layout})
    return {
        "header": {
            "id": "generated",
            "name": "Generated",
            "country": "PE",
            "timezone": "America/Lima",
            "host_plmn": names.plmns[0].format(1),
        },
        "regions": [{"id": names.region.format(region), "name": f"Region {region}"} for region in regions],
        "sites": [
            {
                "id": names.site.format(n),
                "name": f"Site {n}",
                "region": names.region.format(region),
                "latitude": 0,
                "longitude": 0,
            }
            for n, (region, _) in enumerate(layout)
        ],
        "routers": [
            {
                "id": names.router.format(n),
                "site": names.site.format(n),
                "address": f"10.201.0.{n + 1}",
                "host_key": "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIBYv2B6jWVgPqkUIEW3tisvC5RAZh5hGhOUvlKq6xGCe",
            }
            for n in range(len(layout) if routers else 0)
        ],
        "stations": [
            {
                "id": names.station.format(n),
                "site": names.site.format(n),
                "profiles": ["lte-28658", "nr-28541"],
                "transport_address": f"10.200.0.{n + 1}",
                "enb_id": n + 1,
                "gnb_id": n + 1,
            }
            for n in range(len(layout))
        ],
    }


def _cell(
    station: int, number: int, band: str, tac: int, primary: str, names: _Names, planned: Set[str]
) -> dict[str, Any]:
    """A cell; of power, PRACH root and SSB, files say what is ``planned``, as far as its technology has it."""
    fields = {"max_tx_power_dbm": 40 + number / 2, **({"ssb_arfcn": 629952} if band == "n78" else {"prach_root": 10})}
    rat, arfcn_dl, arfcn_ul, bandwidth = _CARRIERS[band]
    return {
        "station": names.station.format(station),
        "id": names.cell.format(number, band=band),
        "rat": rat,
        "local_id": number,
        "band": band,
        "arfcn_dl": arfcn_dl,
        "arfcn_ul": arfcn_ul,
        "bandwidth_mhz": bandwidth,
        "pci": 3 * station + number,
        "tac": tac,
        "primary_plmn": primary,
        **{name: value for name, value in fields.items() if name in planned},
    }


def _pair(pair: tuple[dict[str, Any], int]) -> tuple[str, str, int]:
    return pair[0]["station"], pair[0]["id"], pair[1]


_layouts = st.lists(
    st.tuples(st.integers(1, 3), st.lists(st.sampled_from(sorted(_CARRIERS)), max_size=3)), min_size=1, max_size=5
)
_shares = st.builds(
    lambda resource, numbers: dict(zip(("resource", "dedicated", "min", "max"), (resource, *numbers), strict=True)),
    st.sampled_from(["PRB", "PRB", "PRB_DL", "PRB_UL", "RRC", "DRB"]),
    st.one_of(
        st.tuples(*[st.integers(0, 100)] * 3).map(lambda numbers: tuple(sorted(numbers))),
        st.tuples(*[st.integers(0, 100)] * 3),
    ),
)


# Strategies are made once where that is possible: to make and check one takes longer than to draw from it.
_ONE_TO_THREE = st.integers(1, 3)
_PLANNED = st.sets(st.sampled_from(["max_tx_power_dbm", "prach_root", "ssb_arfcn"]))
_ONE_TO_FOUR = st.integers(1, 4)
_TWO_SLICES = st.lists(st.sampled_from(_SLICES), max_size=2)
_ONE_SLICE = st.lists(st.sampled_from(_SLICES), max_size=1)
_PLACES = st.lists(
    st.sampled_from(["cells", "everywhere", "regions", "sites", "stations"]), min_size=1, max_size=2, unique=True
)
_BANDS = st.lists(st.sampled_from(sorted(_CARRIERS)), max_size=2, unique=True)
_RATS = st.sampled_from([[], [], ["LTE"], ["NR"]])
_SHARINGS = st.sampled_from(["MOCN", "MOCN", "MOCN", "MORAN"])
_SOME_SHARES = st.lists(_shares, max_size=2)
_PERIODS = st.sampled_from([_VALIDITIES[0], *_VALIDITIES])
_FULL = st.sampled_from((False, False, False, True))
_PEER_VLAN = st.sampled_from((None, 900))
_STANDALONE = st.sampled_from((None, None, True, False))
_SOUND_SHARES = st.lists(
    st.tuples(st.integers(0, 25), st.integers(0, 25), st.integers(25, 100)).map(
        lambda n: {"dedicated": min(n[0], n[1]), "min": max(n[0], n[1]), "max": n[2]}
    ),
    max_size=1,
)


def _scope(draw: st.DrawFn, network: dict[str, Any]) -> dict[str, Any]:
    cells = [f"{cell['station']}/{cell['id']}" for cell in network["cells"]]
    places: dict[str, Any] = {
        "everywhere": True,
        "regions": [region["id"] for region in network["regions"]],
        "sites": [site["id"] for site in network["sites"]],
        "stations": [station["id"] for station in network["stations"]],
        "cells": cells or ["0/none"],
    }
    scope: dict[str, Any] = {}
    for place in draw(_PLACES):
        choices = places[place]
        scope[place] = choices if choices is True else draw(st.lists(st.sampled_from(choices), min_size=1, max_size=3))
    scope["bands"] = draw(_BANDS)
    scope["rats"] = draw(_RATS)
    return scope


def _ends(cells: Sequence[dict[str, Any]]) -> st.SearchStrategy[tuple[dict[str, Any], dict[str, Any], bool]]:
    return st.tuples(st.sampled_from(cells), st.sampled_from(cells), st.booleans())


def _relation(one: dict[str, Any], other: dict[str, Any], *, handover: bool) -> dict[str, Any]:
    return {
        "station": one["station"],
        "cell": one["id"],
        "neighbour_station": other["station"],
        "neighbour_cell": other["id"],
        "handover": handover,
    }


def _listed(draw: st.DrawFn, network: dict[str, Any], common: Sequence[tuple[int, dict[str, Any]]]) -> None:
    """List neighbours among the common cells of a network, by region: for handover, and as anchors of NR (EN-DC).

    NR without an anchor stays standalone, and so does that which would have neither core links nor X2.
    """
    found: dict[tuple[str, str], dict[str, Any]] = {}

    def add(one: dict[str, Any], other: dict[str, Any], *, handover: bool) -> None:
        found["/".join((one["station"], one["id"])), "/".join((other["station"], other["id"]))] = _relation(
            one, other, handover=handover
        )

    pairs = [
        (one, other) for _, one in common for _, other in common if one is not other and one["rat"] == other["rat"]
    ]
    for one, other in draw(st.lists(st.sampled_from(pairs), max_size=3)) if pairs else ():
        add(one, other, handover=True)
    for station in network["stations"]:
        own = [cell for cell in network["cells"] if cell["station"] == station["id"]]
        regions = {region for region, cell in common if cell["station"] == station["id"]}
        anchors = [cell for region, cell in common if cell["rat"] == "LTE" and region in regions]
        nr = [cell for cell in own if cell["rat"] == "NR"]
        if not nr or not anchors or not draw(st.booleans()):
            continue
        anchor = draw(st.sampled_from(anchors))
        over_x2 = network["header"]["x2_vlan"] is not None and anchor["station"] != station["id"]
        if over_x2 or any(cell["rat"] == "LTE" for cell in own):
            station["standalone"] = False
            network["header"]["en_dc"] = draw(st.sampled_from(EnDc))
            for cell in nr:
                add(anchor, cell, handover=False)
    network["neighbours"] = list(found.values())


def _own_cell(cell: dict[str, Any], tenant: str, number: int, tac: int) -> dict[str, Any]:
    """A tenant's own plan of a cell: one node id for each station, whichever the technology."""
    return {
        "tenant": tenant,
        "station": cell["station"],
        "cell": cell["id"],
        "tac": tac,
        "node_id": 100 * number + cell["pci"] // 3,
        "node_id_length": 20 if cell["rat"] == "LTE" else 24,
        "local_id": cell["local_id"],
    }


@st.composite
def networks(draw: st.DrawFn) -> Network:
    """Any network: contracts are broken more often than not."""
    layout, names = draw(_layouts), draw(_NAMES)
    tenants = [
        _tenant(number, draw(_ONE_TO_THREE), draw(_TWO_SLICES), names) for number in range(1, draw(_ONE_TO_FOUR) + 1)
    ]
    plmn = st.sampled_from([plmn for tenant in tenants for plmn in tenant["plmns"]])
    some_plmns = st.lists(plmn, max_size=2)
    network = _inventory(layout, names, draw(st.booleans())) | {"tenants": tenants}
    network["cells"] = [
        _cell(station, number, band, draw(_ONE_TO_THREE), draw(plmn), names, draw(_PLANNED))
        for station, (_, bands) in enumerate(layout)
        for number, band in enumerate(bands)
    ]
    pairs = [(cell, number) for cell in network["cells"] for number in range(len(tenants))]
    network["own_cells"] = [
        _own_cell(cell, tenants[number]["id"], number, draw(st.integers(0, 3)))
        for cell, number in (draw(st.lists(st.sampled_from(pairs), max_size=4, unique_by=_pair)) if pairs else ())
    ]
    cells = network["cells"]
    # To themselves, or twice: the loader refuses such, and intent is to bear them.
    network["neighbours"] = [
        _relation(one, other, handover=handover)
        for one, other, handover in (draw(st.lists(_ends(cells), max_size=4)) if cells else ())
    ]
    network["header"] |= {
        "anr": draw(st.sampled_from([None, True, False])),
        "standalone": draw(st.booleans()),
        "en_dc": draw(st.sampled_from(EnDc)),
        "x2_vlan": draw(_PEER_VLAN),
        "xn_vlan": draw(_PEER_VLAN),
    }
    for station in network["stations"]:
        station["standalone"] = draw(_STANDALONE)
    network["agreements"] = [
        {
            "id": f"agreement-{number}",
            "tenant": tenant["id"],
            "sharing": draw(_SHARINGS),
            "scope": _scope(draw, network),
            "plmns": draw(some_plmns),
            "slices": draw(_ONE_SLICE),
            "shares": draw(_SOME_SHARES),
            "validity": draw(_PERIODS),
        }
        for number, tenant in enumerate(draw(st.lists(st.sampled_from(tenants), max_size=6)))
    ]
    return Network.model_validate(network)


@st.composite
def sound_networks(draw: st.DrawFn) -> Network:
    """Networks that break no contract.

    Tenant 1 shares the common carriers (B28, n78) everywhere and owns their primary PLMN; others
    share them in whole regions. Carriers of band 2 are one tenant's alone each (MORAN), of the last two tenants; all
    have one TAC, so that tracking areas differ by PLMN alone. Some tenants have tracking areas and identities of their
    own in all common cells. In some networks the common cells are full: six PLMNs on LTE, twelve on NR. In the
    others, some NR serves beside LTE only (EN-DC), in some with X2 between stations; some neighbours are listed.
    """
    layout, names, full = draw(_layouts), draw(_NAMES), draw(_FULL)
    tenants = [
        _tenant(
            number, 2 if full else draw(st.integers(1, 1 + (number < 3))), [{"sst": 1, "sd": f"0000A{number}"}], names
        )
        for number in range(1, (6 if full else draw(st.integers(2, 4))) + 1)
    ]
    network = _inventory(layout, names, draw(st.booleans())) | {"tenants": tenants}
    last_two = st.sampled_from(tenants[-2:])
    own = [draw(last_two) for _ in layout]
    network["cells"] = [
        _cell(station, number, band, 99, own[station]["plmns"][0], names, draw(_PLANNED))
        if band == "B2"
        else _cell(station, number, band, 2 * region, tenants[0]["plmns"][0], names, draw(_PLANNED))
        for station, (region, bands) in enumerate(layout)
        for number, band in enumerate(bands)
    ]
    network["own_cells"] = [
        _own_cell(cell, tenant["id"], number, 100 + number)
        for number, tenant in enumerate(tenants[1:], 1)
        if draw(st.booleans())
        for cell in network["cells"]
        if cell["band"] != "B2"
    ]
    if not full:  # tenants have further PLMNs on NR then, that no anchor has
        network["header"] |= {"x2_vlan": draw(_PEER_VLAN), "xn_vlan": draw(_PEER_VLAN)}
        places = [region for region, bands in layout for _ in bands]
        shared = [one for one in zip(places, network["cells"], strict=True) if one[1]["band"] != "B2"]
        _listed(draw, network, shared)
    regions = [region["id"] for region in network["regions"]]
    some_regions = st.lists(st.sampled_from(regions), min_size=1, unique=True)
    common = {"bands": ["B28", "n78"]}
    everywhere = {"everywhere": True} | common
    scopes = [everywhere] + [everywhere if full else {"regions": draw(some_regions)} | common for _ in tenants[1:]]
    network["agreements"] = [
        {
            "id": f"{tenant['id']}-mocn-{number}",
            "tenant": tenant["id"],
            "scope": {**scope, **of_rat},
            "plmns": tenant["plmns"][:1] if of_rat.get("rats") == ["LTE"] else [],
            "shares": [] if full else draw(_SOUND_SHARES),
            "validity": _VALIDITIES[0],
        }
        for tenant, scope in zip(tenants, scopes, strict=True)
        for number, of_rat in enumerate(({"rats": ["LTE"]}, {"rats": ["NR"]}) if full else ({},))
    ]
    network["agreements"] += [
        {
            "id": f"{tenant['id']}-moran",
            "tenant": tenant["id"],
            "sharing": "MORAN",
            "scope": {
                "stations": [names.station.format(n) for n, owner in enumerate(own) if owner is tenant],
                "bands": ["B2"],
            },
            "validity": _VALIDITIES[0],
        }
        for tenant in tenants[-2:]
        if any(owner is tenant for owner in own)
    ]
    return Network.model_validate(network)
