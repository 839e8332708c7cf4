"""Each check by example: a sound network, one thing broken, and exactly that found."""

from __future__ import annotations

import re
from collections.abc import Callable
from copy import deepcopy
from datetime import date
from pathlib import Path
from typing import Any

import pytest

from controller.intent import compile_intent
from controller.intent.findings import Check, severity_of
from controller.models.cloud import FunctionKind
from controller.models.errors import NotFoundError
from controller.models.facts import (
    BroadcastFact,
    CoreLinkFact,
    Finding,
    Interface,
    LinkKind,
    NeighbourFact,
    PeerFact,
    ShareFact,
    StationFact,
)
from controller.models.network import Network, Rat
from controller.models.sharing import Plane
from controller.nrm.profiles import is_link, rat_of, render
from controller.nrm.profiles.readings import read_station
from tests.unit.intent.clouds import function, nodes, package

TODAY = date(2026, 6, 15)
Draft = dict[str, Any]


def _tenant(number: int) -> Draft:
    pools = {f"{kind}_pool": [{"id": kind, "address": f"10.{number}.0.1"}] for kind in ("mme", "amf", "upf")}
    return {
        "id": "abc"[number - 1],
        "name": "Somebody",
        "plmns": [f"999-0{number}"],
        "slices": [{"sst": 1, "sd": f"00000{number}"}],
        "core": {"vlan": 100 + number, **pools, "sgw_pool": [{"id": "sgw", "prefix": f"10.{number}.9.0/28"}]},
    }


def _cell(station: str, name: str, **changes: Any) -> Draft:
    lte = {"rat": "LTE", "band": "B28", "arfcn_dl": 9285, "arfcn_ul": 27285, "bandwidth_mhz": 10, "tac": 7}
    nr = {"rat": "NR", "band": "n78", "arfcn_dl": 630000, "arfcn_ul": 630000, "bandwidth_mhz": 100, "tac": 70}
    common = {"station": station, "id": name, "local_id": 1, "pci": int(station[1:]), "primary_plmn": "999-01"}
    return common | (nr if name == "nr" else lte) | changes


def _station(number: int) -> Draft:
    return {
        "id": f"S{number}",
        "site": "hill",
        "profiles": ["lte-28658", "nr-28541"],
        "transport_address": f"10.9.0.{number}",
        "enb_id": number,
        "gnb_id": number,
    }


def _agreement(tenant: str, **changes: Any) -> Draft:
    share = {"dedicated": 10, "min": 20, "max": 100}
    common = {"id": f"{tenant}-deal", "tenant": tenant, "validity": {"start": "2020-01-01"}, "shares": [share]}
    return common | {"scope": {"everywhere": True}} | changes


def sound() -> Draft:
    """Two stations with an LTE and an NR cell each, tenants a and b on all of them; c has no agreement."""
    return {
        "header": {
            "id": "example",
            "name": "Example",
            "country": "PE",
            "timezone": "America/Lima",
            "host_plmn": "999-01",
        },
        "regions": [{"id": "here", "name": "Here"}],
        "sites": [{"id": "hill", "name": "Hill", "region": "here", "latitude": 0, "longitude": 0}],
        "stations": [_station(n) for n in (1, 2)],
        "cells": [_cell(station, name) for station in ("S1", "S2") for name in ("lte", "nr")],
        "tenants": [_tenant(n) for n in (1, 2, 3)],
        "agreements": [_agreement("a"), _agreement("b")],
    }


def _virtual(draft: Draft, *names: str, **changes: Draft) -> None:
    """S1 is made of a DU, a CU-CP and a CU-UP on a pool next to it; these take what some kinds of it change."""
    own = ("DU", "CP", "UP", *names)
    draft["stations"][0]["functions"] = own
    pool = {
        "id": "edge",
        "where": "edge",
        "region": "here",
        "address": "edge",
        "authority": "ca",
        "credential": "token",
    }
    draft["pools"] = [pool | changes.get("pool", {"uplink_gbps": 8})]
    draft["nodes"] = nodes("edge", 2)
    draft["latencies"] = [{"pool": "edge", "site": "hill", "microseconds": 80}]
    kinds = {"DU": "vdu", "CP": "vcu-cp", "BBU": "vbbu", "GW": "gateway"}
    speaks = {"profiles": ["lte-28658", "nr-28541"]}
    draft["packages"] = [
        package(kind, "", **(speaks if kind == "vdu" else {}) | changes.get(kind, {}))
        for kind in map(str, FunctionKind)
    ]
    draft["functions"] = [function(name, kinds.get(name, "vcu-up")) | changes.get(name, {}) for name in own]


def _without(draft: Draft, name: str, *names: str, **changes: Draft) -> None:
    _virtual(draft, *names, **changes)
    draft["stations"][0]["functions"] = [one for one in draft["stations"][0]["functions"] if one != name]
    draft["functions"] = [one for one in draft["functions"] if one["id"] != name]


def _out_of_reach(draft: Draft) -> None:
    _virtual(draft, DU={"pool": "edge"})
    draft["latencies"].clear()


def _far_from_its_du(draft: Draft, **changes: Any) -> None:
    """A CU that bears less than it is from another pool to that of the DU, over the site of the station."""
    _virtual(draft, DU={"pool": "edge"}, UP={"max_latency_us": 99, "pool": "hub"} | changes, CP={"pool": "edge"})
    for name in ("hub", "away"):
        draft["pools"].append({**draft["pools"][0], "id": name})
        draft["nodes"] += nodes(name, 2)
    draft["latencies"].append({"pool": "hub", "site": "hill", "microseconds": 20})


def _gateway_alone(draft: Draft) -> None:
    _virtual(draft, "GW")
    draft["stations"][0]["functions"] = ["GW"]
    draft["functions"] = [one for one in draft["functions"] if one["id"] == "GW"]


def _unused(draft: Draft) -> None:
    _virtual(draft)
    draft["functions"].append(function("UP2", "vcu-up"))


def _bought(draft: Draft, name: str, tenant: str) -> None:
    """A function, perhaps a further one, is a tenant's own."""
    _virtual(draft, *(() if name in ("DU", "CP", "UP") else (name,)), **{name: {"owner": tenant}})
    _agreement_of(draft, tenant, functions=[name])


def _sold(draft: Draft, cores: int, **changes: Any) -> None:
    _virtual(draft, **changes)
    capacity = [{"pool": "edge", "cores": cores, "gbps": 5}]
    _agreement_of(draft, "a", capacity=capacity)
    _agreement_of(draft, "b", capacity=[capacity[0] | {"overbooking_percent": 50}])


def found(draft: Draft) -> list[tuple[str, str]]:
    """Findings as (code, station/cell)."""
    findings = compile_intent(Network.model_validate(draft), TODAY).findings
    return [(finding.code, f"{finding.station}/{finding.cell}") for finding in findings]


def _agreement_of(draft: Draft, tenant: str, **changes: Any) -> None:
    agreement = next(a for a in draft["agreements"] if a["tenant"] == tenant)
    agreement.update(changes)


def _lte(draft: Draft, **changes: Any) -> None:
    """Change the LTE cell of S1."""
    draft["cells"][0].update(changes)


def _apart(draft: Draft, pci: int) -> None:
    """Change the PCI of the LTE cell of S1, and put S2 on the next hill."""
    draft["sites"].append(draft["sites"][0] | {"id": "next", "latitude": 0.01})
    draft["stations"][1]["site"] = "next"
    _lte(draft, pci=pci)


def _nr(draft: Draft, **changes: Any) -> None:
    """Change the NR cell of S1."""
    draft["cells"][1].update(changes)


def _many_plmns(draft: Draft, rat: str, number: int) -> None:
    plmns = [f"999-{n}" for n in range(10, 10 + number - 1)]
    draft["tenants"][1]["plmns"] = plmns
    _agreement_of(draft, "b", plmns=plmns, scope={"everywhere": True, "rats": [rat]})


def _add(draft: Draft, tenant: str, **changes: Any) -> None:
    draft["agreements"].append(_agreement(tenant, id=f"{tenant}-more") | changes)


def _tenant_named(draft: Draft, number: int, name: str) -> None:
    draft["tenants"][number]["id"] = name
    draft["agreements"][number].update(tenant=name)


def _core_link_clash(draft: Draft) -> None:
    _tenant_named(draft, 0, "x")
    _tenant_named(draft, 1, "x-y")
    draft["tenants"][0]["core"]["mme_pool"][0]["id"] = "y-mme"


def _moran_carrier(draft: Draft) -> None:
    """Tenant a gets a carrier of its own; everybody's common agreements are restricted to the common bands."""
    own = {"band": "B2", "arfcn_dl": 900, "arfcn_ul": 18900, "tac": 8, "local_id": 2}
    draft["cells"].append(_cell("S1", "own", **own))
    for tenant in "ab":
        _agreement_of(draft, tenant, scope={"everywhere": True, "bands": ["B28", "n78"]})
    _add(draft, "a", sharing="MORAN", scope={"everywhere": True, "bands": ["B2"]})


def _bearers_in_one_of_two_cells(draft: Draft) -> None:
    """Tenant b has a share of data radio bearers in all NR cells but the second one of S1."""
    draft["cells"].append(_cell("S1", "nr") | {"id": "nr-2", "pci": 3, "local_id": 2})
    share = {"resource": "DRB", "min": 20}
    _agreement_of(draft, "b", scope={"cells": ["S1/lte", "S1/nr", "S2/lte", "S2/nr"]}, shares=[share])
    _add(draft, "b", scope={"cells": ["S1/nr-2"]})


def _moran_carriers(draft: Draft, tac: int = 8) -> None:
    """Tenants a and b get a carrier of their own each, on another station, with one TAC."""
    own = {"band": "B2", "arfcn_dl": 900, "arfcn_ul": 18900, "tac": tac, "local_id": 2}
    for tenant, station, plmn in (("a", "S1", "999-01"), ("b", "S2", "999-02")):
        draft["cells"].append(_cell(station, "own", **own, primary_plmn=plmn))
        _agreement_of(draft, tenant, scope={"everywhere": True, "bands": ["B28", "n78"]})
        _add(draft, tenant, sharing="MORAN", scope={"cells": [f"{station}/own"]})


def _moran_carriers_with_a_common_plmn(draft: Draft) -> None:
    """The carriers have the TAC of the common ones, where both tenants are, too."""
    _moran_carriers(draft, tac=7)


def _more_slices_on_one_station(draft: Draft) -> None:
    more = {"sst": 2, "sd": "000002"}
    draft["tenants"][1]["slices"].append(more)
    _agreement_of(draft, "b", slices=[{"sst": 1, "sd": "000002"}])
    _add(draft, "b", slices=[more], shares=[], scope={"cells": ["S1/nr"]})


def _own(draft: Draft, **changes: Any) -> None:
    """Tenant b has a tracking area and an identity of its own in the LTE cell of S1."""
    common = {"tenant": "b", "station": "S1", "cell": "lte", "tac": 900, "node_id": 500, "node_id_length": 20}
    row = common | {"local_id": 1} | changes
    draft.setdefault("own_cells", []).append(row)
    for number, cell in enumerate(draft["cells"]):
        # All cells of a tracking area carry the same: each other LTE cell gets one of its own.
        if (cell["station"], cell["id"]) != (row["station"], row["cell"]) and cell["rat"] == "LTE":
            cell["tac"] = 1000 + number


def _own_node_id_of_a_host_node_with_its_plmn(draft: Draft) -> None:
    """The eNB of S2 carries the PLMN of b, and has the node id that b plans for itself on S1."""
    draft["stations"][1].update(enb_plmn="999-02", enb_id=500)
    _own(draft)


def _one_own_node_id_on_two_stations(draft: Draft) -> None:
    for station in ("S1", "S2"):
        _own(draft, station=station)


def _two_own_cells(draft: Draft, local_id: int, node_id: int) -> None:
    more = {"local_id": 2, "band": "B2", "arfcn_dl": 900, "arfcn_ul": 18900}
    draft["cells"].append(_cell("S1", "lte2", **more))
    _own(draft)
    _own(draft, cell="lte2", local_id=local_id, node_id=node_id)


def _thin_backhaul(draft: Draft) -> None:
    """The site of both stations is behind a link that carries a part of their radio."""
    draft["backhaul"] = [{"id": "dish", "kind": "satellite", "capacity_mbps": 1}]
    draft["sites"][0]["backhaul"] = "dish"


def _pci_confusion(draft: Draft) -> None:
    """S1 and S2 are 16 km apart, S3 with LTE only is in the middle; the NR cells of S1 and S2 have one PCI."""
    for number, site in enumerate(("east", "middle"), 1):
        draft["sites"].append(draft["sites"][0] | {"id": site, "longitude": 0.1439 / number})
    draft["stations"][1]["site"] = "east"
    draft["stations"].append(draft["stations"][0] | {"id": "S3", "site": "middle", "enb_id": 3, "gnb_id": 3})
    draft["cells"].append(_cell("S3", "lte"))
    _nr(draft, pci=2)


def _neighbours(draft: Draft, *pairs: tuple[str, str], anr: bool = False) -> None:
    """Relations from one cell to another, as in S1/lte."""
    draft["header"]["anr"] = anr
    draft["neighbours"] = []
    for pair in pairs:
        (station, cell), (there, other) = (name.split("/") for name in pair)
        row = {"station": station, "cell": cell, "neighbour_station": there, "neighbour_cell": other}
        draft["neighbours"].append(row)


def _neighbour_of_others(draft: Draft) -> None:
    """The LTE cells are carriers of one tenant each."""
    for tenant, station, plmn in (("a", "S1", "999-01"), ("b", "S2", "999-02")):
        _agreement_of(draft, tenant, scope={"cells": [f"{station}/lte", "S1/nr", "S2/nr"]})
        next(c for c in draft["cells"] if (c["station"], c["id"]) == (station, "lte")).update(primary_plmn=plmn)
    _neighbours(draft, ("S1/lte", "S2/lte"), anr=True)


def _one_way(draft: Draft) -> None:
    """A second LTE cell of S1 lists the first, and that lists others only."""
    draft["cells"].append(_cell("S1", "lte2", local_id=2, pci=3))
    _neighbours(draft, *BOTH_WAYS, ("S1/lte2", "S1/lte"))


def _dependent(draft: Draft, *pairs: tuple[str, str]) -> None:
    """NR cells of S1 are no standalone ones; these relations are listed."""
    draft["stations"][0]["standalone"] = False
    _neighbours(draft, *pairs, anr=True)


def _anchor_of_one_tenant(draft: Draft) -> None:
    """The anchor has tenant a only, the NR cell both."""
    _agreement_of(draft, "b", scope={"everywhere": True, "rats": ["NR"]})
    _dependent(draft, ("S2/lte", "S1/nr"))


#: Relations both ways between all cells of a technology.
BOTH_WAYS = [("S1/lte", "S2/lte"), ("S2/lte", "S1/lte"), ("S1/nr", "S2/nr"), ("S2/nr", "S1/nr")]


def _wide_gnb_id(draft: Draft) -> None:
    draft["stations"][0].update(gnb_id_length=32)
    _nr(draft, local_id=16)


def _nr_areas_of_different_slices(draft: Draft) -> None:
    _more_slices_on_one_station(draft)
    _nr(draft, tac=71)


def _own_tracking_area_of_both(draft: Draft) -> None:
    """Tenant b's own area lies over areas of the host, in both technologies, with more slices than elsewhere."""
    _nr_areas_of_different_slices(draft)
    _agreement_of(draft, "b", slices=[])
    draft["agreements"].pop()
    for number, station in enumerate(("S1", "S2")):
        _own(draft, station=station, node_id=500 + number)
        _own(draft, station=station, cell="nr", node_id=500 + number, node_id_length=24)


def _mixed_primaries(draft: Draft) -> None:
    """Nobody says which PLMN the global ids of S1 carry, and its cells differ."""
    del draft["header"]["host_plmn"]
    _lte(draft, primary_plmn="999-02")


def _gnb_plmn_of_b(draft: Draft) -> None:
    """The global gNB id carries the PLMN of a tenant that is not on NR."""
    draft["stations"][0].update(gnb_plmn="999-02")
    _agreement_of(draft, "b", scope={"everywhere": True, "rats": ["LTE"]})


ALL = ["S1/lte", "S1/nr", "S2/lte", "S2/nr"]
LTE, NR, FIRST, STATIONS, NETWORK = ["S1/lte", "S2/lte"], ["S1/nr", "S2/nr"], ["S1/lte"], ["S1/", "S2/"], ["/"]


def _router(draft: Draft, name: str = "R1", **changes: Any) -> None:
    """A managed router on the hill."""
    routers = draft.setdefault("routers", [])
    routers.append({"id": name, "site": "hill", "address": "10.8.0.1", "host_key": "ssh-ed25519 AAAA"} | changes)


def _two_routers(draft: Draft) -> None:
    _router(draft)
    _router(draft, "R2")


def _upf(draft: Draft, also: list[Any] = [], **changes: Any) -> None:  # noqa: B006
    """Change the UPF of tenant b, which serves other slices ``also``."""
    tenant = draft["tenants"][1]
    tenant["slices"] += also
    tenant["core"]["upf_pool"][0].update(changes)


def _without_ipv4(draft: Draft) -> None:
    _router(draft)
    for pool in ("mme_pool", "amf_pool", "upf_pool"):
        draft["tenants"][1]["core"][pool] = [{"id": pool[:3], "address": "2001:db8::1"}]
    draft["tenants"][1]["core"]["sgw_pool"][0]["prefix"] = "2001:db8:1::/64"


def _stations_on_ipv6(draft: Draft) -> None:
    _router(draft)
    for number, station in enumerate(draft["stations"]):
        station["transport_address"] = f"2001:db8::{number + 1}"


CASES: list[tuple[Check, list[str], Callable[[Draft], object]]] = [
    (Check.AGREEMENT_EXPIRED, NETWORK, lambda d: _add(d, "c", validity={"start": "2020-01-01", "end": "2026-06-14"})),
    (Check.AGREEMENT_NOT_YET_VALID, NETWORK, lambda d: _add(d, "c", validity={"start": "2026-06-16"})),
    (Check.AGREEMENT_DANGLING, NETWORK, lambda d: _add(d, "nobody")),
    (Check.AGREEMENT_DANGLING, NETWORK, lambda d: _agreement_of(d, "b", scope={"regions": ["here", "there"]})),
    (Check.AGREEMENT_DANGLING, NETWORK, lambda d: _agreement_of(d, "b", scope={"sites": ["hill", "there"]})),
    (Check.AGREEMENT_DANGLING, NETWORK, lambda d: _agreement_of(d, "b", scope={"stations": ["S1", "S2", "S3"]})),
    (Check.AGREEMENT_DANGLING, NETWORK, lambda d: _agreement_of(d, "b", scope={"cells": [*ALL, "S1/x"]})),
    (Check.AGREEMENT_MATCHES_NOTHING, NETWORK, lambda d: _add(d, "c", scope={"everywhere": True, "bands": ["B3"]})),
    (Check.AGREEMENT_OVERLAP, FIRST, lambda d: _add(d, "a", scope={"cells": ["S1/lte"]})),
    (Check.PLMN_NOT_OF_TENANT, ALL, lambda d: _agreement_of(d, "b", plmns=["999-02", "999-03"])),
    (Check.SLICE_NOT_OF_TENANT, ALL, lambda d: _agreement_of(d, "b", slices=[{"sst": 1, "sd": "000002"}, {"sst": 2}])),
    (Check.NR_WITHOUT_SLICES, NR, lambda d: d["tenants"][1].update(slices=[])),
    (Check.CORE_POOL_MISSING, STATIONS, lambda d: d["tenants"][1]["core"].update(mme_pool=[])),
    (Check.CORE_POOL_MISSING, STATIONS, lambda d: d["tenants"][1]["core"].update(amf_pool=[])),
    (Check.USER_PLANE_POOL_MISSING, STATIONS, lambda d: d["tenants"][1]["core"].update(upf_pool=[])),
    (Check.USER_PLANE_POOL_MISSING, STATIONS, lambda d: d["tenants"][1]["core"].update(sgw_pool=[])),
    (
        Check.USER_PLANE_POOL_MISSING,
        STATIONS,
        lambda d: _upf(d, slices=[{"sst": 1, "sd": "000002"}], also=[{"sst": 3}]),
    ),
    (Check.PLMN_LIMIT, LTE, lambda d: _many_plmns(d, "LTE", 7)),
    (Check.PLMN_LIMIT, NR, lambda d: _many_plmns(d, "NR", 13)),
    (Check.PRIMARY_WITHOUT_AGREEMENT, FIRST, lambda d: _lte(d, primary_plmn="999-03")),
    (Check.PRIMARY_WITHOUT_AGREEMENT, ["S1/nr"], lambda d: _nr(d, primary_plmn="999-99")),
    (Check.MORAN_CARRIER_SHARED, ALL, lambda d: _agreement_of(d, "b", sharing="MORAN")),
    (Check.TRACKING_AREA_PLMNS, STATIONS, lambda d: _add(d, "c", scope={"cells": ["S1/lte"]})),
    (Check.TRACKING_AREA_PLMNS, STATIONS, _moran_carriers_with_a_common_plmn),
    (Check.TRACKING_AREA_SLICES, STATIONS, _more_slices_on_one_station),
    (Check.SHARE_ORDER, ALL, lambda d: _agreement_of(d, "b", shares=[{"dedicated": 30, "min": 20}])),
    (Check.SHARE_ORDER, ALL, lambda d: _agreement_of(d, "b", shares=[{"min": 20, "max": 10}])),
    (
        Check.SHARE_DUPLICATE,
        ALL,
        lambda d: _agreement_of(d, "b", shares=[{"min": 20}, {"resource": "PRB_UL", "min": 30}]),
    ),
    (Check.SHARE_SUM, ALL, lambda d: _agreement_of(d, "b", shares=[{"min": 81}])),
    (Check.SHARE_SUM, ALL, lambda d: _agreement_of(d, "b", shares=[{"resource": "PRB_DL", "min": 81}])),
    (Check.SHARE_DIFFERS, ["S1/"], _bearers_in_one_of_two_cells),
    (Check.PLMN_CLAIMED_TWICE, ALL, lambda d: d["tenants"][2].update(plmns=["999-02", "999-03"])),
    (Check.SLICE_USED_TWICE, NETWORK, lambda d: d["tenants"][2].update(slices=[{"sst": 1, "sd": "000002"}])),
    (Check.VLAN_USED_TWICE, NETWORK, lambda d: d["tenants"][2]["core"].update(vlan=101)),
    (Check.VLAN_USED_TWICE, NETWORK, lambda d: d["header"].update(xn_vlan=101)),
    (Check.CORE_LINK_CLASH, STATIONS, _core_link_clash),
    (Check.ROUTER_PLATFORM, ["R1/"], lambda d: _router(d, platform="juniper_junos")),
    (Check.ROUTER_TWICE, ["R1/", "R2/"], _two_routers),
    (Check.ROUTER_NO_ADDRESS, ["R1/"], _stations_on_ipv6),
    (Check.ROUTER_UNENFORCEABLE, ["R1/"], _without_ipv4),
    (Check.BACKHAUL_CAPACITY, NETWORK, _thin_backhaul),
    (Check.FUNCTION_PATH, ["S1/"], lambda d: _without(d, "DU")),
    (Check.FUNCTION_PATH, ["S1/"], lambda d: _virtual(d, "BBU")),
    (Check.FUNCTION_PATH, ["S1/"], lambda d: _without(d, "DU", "BBU")),
    (Check.FUNCTION_PATH, ["S1/"], lambda d: _without(d, "CP")),
    (Check.FUNCTION_PATH, ["S1/"], lambda d: _without(d, "UP")),
    (Check.FUNCTION_TENANT, ["S1/"], lambda d: _virtual(d, "UP2")),
    (Check.FUNCTION_TENANT, ["S1/"], lambda d: _bought(d, "UP", "a")),
    (Check.FUNCTION_TENANT, ["S1/"], lambda d: _bought(d, "DU", "a")),
    (Check.FUNCTION_LATENCY, ["S1/"], lambda d: _virtual(d, DU={"max_latency_us": 79})),
    (Check.FUNCTION_LATENCY, ["S1/"], lambda d: _virtual(d, DU={"max_latency_us": 79, "pool": "edge"})),
    (Check.FUNCTION_LATENCY, ["S1/"], _out_of_reach),
    (Check.FUNCTION_LATENCY, ["S1/"], _far_from_its_du),
    (Check.FUNCTION_LATENCY, ["S1/"], lambda d: _far_from_its_du(d, pool="away")),
    (Check.FUNCTION_PROFILE, ["S1/"], lambda d: _virtual(d, vdu={"profiles": ["nr-28541"]})),
    (Check.FUNCTION_VERSIONS, ["S1/"], lambda d: _virtual(d, vdu={"f1": ["16.1"]})),
    (Check.FUNCTION_VERSIONS, ["S1/"], lambda d: _virtual(d, **{"vcu-up": {"e1": ["16.1"]}})),
    (Check.FUNCTION_UNUSED, NETWORK, _unused),
    (Check.FUNCTION_NOT_BOUGHT, NETWORK, lambda d: _virtual(d, "UP2", UP2={"owner": "a"})),
    (Check.POOL_OVERSOLD, ["edge/"], lambda d: _sold(d, 22)),
    (Check.POOL_OVERSOLD, ["edge/"], lambda d: _sold(d, 4, pool={"uplink_gbps": 7})),
    (Check.POOL_WITHOUT_ROOM, ["edge/"], lambda d: _virtual(d, pool={"spare_nodes": 9})),
    (Check.LOCAL_ID_RANGE, FIRST, lambda d: _lte(d, local_id=256)),
    (Check.LOCAL_ID_RANGE, ["S1/nr"], _wide_gnb_id),
    (Check.PCI_RANGE, FIRST, lambda d: _lte(d, pci=504)),
    (Check.TAC_RANGE, FIRST, lambda d: _lte(d, tac=0x10000)),
    (Check.TAC_RANGE, FIRST, lambda d: _lte(d, tac=0)),
    (Check.TAC_RANGE, FIRST, lambda d: _lte(d, tac=0xFFFE)),
    (Check.TAC_RANGE, ["S1/nr"], lambda d: _nr(d, tac=0xFFFFFE)),
    (Check.CARRIER_BAND, FIRST, lambda d: _lte(d, band="B99")),
    (Check.CARRIER_BAND, FIRST, lambda d: _lte(d, arfcn_dl=100, arfcn_ul=18100)),
    (Check.CARRIER_BAND, FIRST, lambda d: _lte(d, bandwidth_mhz=1.4)),
    (Check.PCI_COLLISION, LTE, lambda d: _lte(d, pci=2)),
    (Check.PCI_CONFUSION, NR, _pci_confusion),
    (Check.PCI_MOD_3, FIRST, lambda d: _lte(d, pci=5)),
    (Check.PCI_MOD_4, ["S1/nr"], lambda d: _nr(d, pci=6)),
    (Check.PCI_MOD_30, FIRST, lambda d: _apart(d, 32)),
    (Check.RADIO_UNCHECKED, NETWORK, lambda d: _apart(d, 5)),
    (Check.PRACH_CLASH, LTE, lambda d: [cell.update(prach_root=40) for cell in d["cells"] if cell["rat"] == "LTE"]),
    (Check.EIRP_LICENCE, FIRST, lambda d: _lte(d, max_tx_power_dbm=46, antenna_gain_dbi=17.5, max_eirp_dbm=63)),
    (Check.RADIO_UNCHECKED, NETWORK, lambda d: _lte(d, max_tx_power_dbm=46, max_eirp_dbm=63)),
    (Check.RADIO_UNCHECKED, NETWORK, lambda d: _nr(d, antenna_gain_dbi=17.5, max_eirp_dbm=63)),
    (Check.RADIO_UNCHECKED, NETWORK, lambda d: _nr(d, arfcn_dl=630001, arfcn_ul=630001)),
    (Check.NEIGHBOUR_DANGLING, NETWORK, lambda d: _neighbours(d, ("S1/lte", "S9/lte"), anr=True)),
    (Check.NEIGHBOUR_DANGLING, NETWORK, lambda d: _neighbours(d, ("S1/x", "S2/lte"), anr=True)),
    (Check.NEIGHBOUR_PLMNS, FIRST, _neighbour_of_others),
    (Check.NEIGHBOUR_ONE_WAY, ["S1/lte2"], _one_way),
    (Check.NR_WITHOUT_ANCHOR, ["S1/nr"], _dependent),
    (Check.NR_WITHOUT_ANCHOR, ["S1/nr"], _anchor_of_one_tenant),
    (Check.NEIGHBOUR_MISSING, NR, lambda d: _neighbours(d, *BOTH_WAYS[:2])),
    (Check.NODE_ID_MISSING, FIRST, lambda d: d["stations"][0].update(profiles=["nr-28541"], enb_id=None)),
    (Check.NODE_PLMN_MISSING, ["S1/", "S1/"], _mixed_primaries),
    (Check.NODE_PLMN_FOREIGN, ["S1/"], lambda d: d["stations"][0].update(enb_plmn="999-03")),
    (Check.NODE_PLMN_FOREIGN, ["S1/"], _gnb_plmn_of_b),
    (Check.NODE_ID_CLASH, STATIONS, lambda d: d["stations"][1].update(enb_id=1)),
    (Check.NODE_ID_CLASH, STATIONS, lambda d: d["stations"][1].update(gnb_id=4, gnb_id_length=26)),
    (Check.OWN_CELL_DANGLING, NETWORK, lambda d: _own(d, cell="sector-9")),
    (Check.OWN_CELL_DANGLING, NETWORK, lambda d: _own(d, tenant="nobody")),
    (Check.OWN_CELL_UNUSED, NETWORK, lambda d: _own(d, tenant="c")),
    (Check.OWN_CELL_PRIMARY, FIRST, lambda d: _own(d, tenant="a")),
    (Check.OWN_CELL_RANGE, FIRST, lambda d: _own(d, tac=0xFFFE)),
    (Check.OWN_CELL_RANGE, ["S1/nr"], lambda d: _own(d, cell="nr", tac=0xFFFFFE, node_id_length=24)),
    (Check.OWN_CELL_RANGE, FIRST, lambda d: _own(d, node_id=2**20)),
    (Check.OWN_CELL_RANGE, FIRST, lambda d: _own(d, node_id_length=22)),
    (Check.OWN_CELL_RANGE, FIRST, lambda d: _own(d, local_id=256)),
    (Check.OWN_CELL_CLASH, STATIONS, _one_own_node_id_on_two_stations),
    (Check.OWN_CELL_CLASH, STATIONS, _own_node_id_of_a_host_node_with_its_plmn),
    (Check.OWN_CELL_CLASH, ["S1/"], lambda d: _two_own_cells(d, local_id=2, node_id=501)),
    (Check.OWN_CELL_CLASH, ["S1/"], lambda d: _two_own_cells(d, local_id=1, node_id=500)),
    (Check.CELL_ID_CLASH, ["S1/lte", "S1/lte2"], lambda d: d["cells"].append(_cell("S1", "lte2", pci=3))),
    (Check.CELL_ID_CLASH, ["S1/nr"], lambda d: d["cells"].append(_cell("S1", "nr", local_id=2, pci=3))),
    (Check.STATION_DANGLING, ["S1/"], lambda d: d["stations"][0].update(site="valley")),
    (Check.STATION_DANGLING, ["S9/lte"], lambda d: d["cells"].append(_cell("S9", "lte"))),
    (Check.STATION_WITHOUT_CELLS, ["S3/"], lambda d: d["stations"].append(_station(3))),
]


#: Checks whose findings are about tenants or links, for which no single station or function is to be corrected.
_OF_THE_WHOLE = (Check.SLICE_USED_TWICE, Check.VLAN_USED_TWICE, Check.BACKHAUL_CAPACITY)


def test_the_sound_network_has_no_findings() -> None:
    assert found(sound()) == []


@pytest.mark.parametrize(("check", "where", "spoil"), CASES, ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)])
def test_a_broken_contract_is_found_and_nothing_else(
    check: Check, where: list[str], spoil: Callable[[Draft], object]
) -> None:
    draft = deepcopy(sound())
    spoil(draft)
    assert found(draft) == [(check.value, place) for place in where]


@pytest.mark.parametrize(
    "spoil", [spoil for _, _, spoil in CASES], ids=[f"{n}-{case[0]}" for n, case in enumerate(CASES)]
)
def test_what_a_message_names_its_finding_has_as_fields(spoil: Callable[[Draft], object]) -> None:
    """The kind of its device, the agreements to correct and, without a device, the station or function."""
    draft = deepcopy(sound())
    spoil(draft)
    network = Network.model_validate(draft)
    agreements = {one.id for one in network.agreements}
    for one in compile_intent(network, TODAY).findings:
        named = re.findall(r"[\w-]+", f"{one.agreement} {one.message}")
        assert {*one.agreements} == agreements.intersection(named)
        assert one.kind is (network.kind_of(one.station) if one.station else None)
        if not one.station and not one.agreements and one.code not in _OF_THE_WHOLE:
            assert one.subject in named


def test_a_function_without_a_place_is_found_where_it_is_known_what_runs() -> None:
    draft = sound()
    _virtual(draft, DU={"max_latency_us": 79})
    (found,) = (
        one
        for one in compile_intent(Network.model_validate(draft), TODAY, ["DU", "UP"], running={}).findings
        if one.code == Check.FUNCTION_UNPLACED
    )
    assert (found.station, found.severity) == ("DU", "error")
    assert found.message == "function DU has no place: no pool is within 79 µs of its station"


def test_midhaul_that_is_too_long_is_told_with_the_pools_that_it_is_counted_to() -> None:
    def told(**changes: Any) -> list[str]:
        draft = deepcopy(sound())
        _far_from_its_du(draft, **changes)
        every = compile_intent(Network.model_validate(draft), TODAY).findings
        return [one.message for one in every if one.code == Check.FUNCTION_LATENCY]

    counted = "counted to where the DU here may run: edge"
    assert told() == [f"station S1: UP is pinned to hub, 100 µs away, {counted}; it bears 99"]
    assert told(pool="away") == [
        "station S1: UP is pinned to away, which is out of reach: no rows of latencies lead to edge"
    ]
    assert told(max_latency_us=100) == []


def test_all_stations_are_named_where_there_is_no_cell_at_all() -> None:
    every = [one for one in _findings(lambda d: d["cells"].clear()) if one.code == Check.STATION_WITHOUT_CELLS]
    assert [one.message for one in every] == [
        f"station {name}: neither it nor any other station has cells, as of cells.csv, so nothing is planned for it; "
        "give its cells, or take it out"
        for name in ("S1", "S2")
    ]


def test_every_check_has_an_example_and_a_description() -> None:
    # In test_functions and test_central_units.
    elsewhere = {Check.FUNCTION_UNPLACED, Check.FUNCTION_POOL_GONE, Check.FUNCTION_GNB}
    assert {*(case[0] for case in CASES)} | elsewhere == set(Check)
    text = (Path(__file__).parents[3] / "docs" / "explanation" / "intent.md").read_text(encoding="utf-8")
    rows = {line.split("|")[1].strip(): line.split("|")[2].strip() for line in text.splitlines() if "| `" in line}
    assert rows == {f"`{check.value}`": severity_of(check).value for check in Check}


@pytest.mark.parametrize(
    "spoil",
    [
        pytest.param(lambda d: _many_plmns(d, "LTE", 6), id="six PLMNs in LTE"),
        pytest.param(lambda d: _many_plmns(d, "NR", 12), id="twelve PLMNs in NR"),
        pytest.param(lambda d: _agreement_of(d, "b", shares=[{"dedicated": 80, "min": 80}]), id="sums of 100"),
        pytest.param(lambda d: _agreement_of(d, "b", validity={"start": "2020-01-01", "end": "2026-06-15"}), id="last"),
        pytest.param(lambda d: _agreement_of(d, "b", validity={"start": "2026-06-15"}), id="first day"),
        pytest.param(
            lambda d: _agreement_of(
                d, "b", shares=[{"resource": "PRB_DL", "min": 80}, {"resource": "PRB_UL", "min": 80}]
            ),
            id="a share for each direction",
        ),
        pytest.param(lambda d: d["stations"][0].update(enb_plmn="999-02"), id="a global id with a PLMN on air"),
        pytest.param(
            lambda d: d["header"].update(host_plmn="999-77"), id="the host's own PLMN, which nobody broadcasts"
        ),
        pytest.param(lambda d: d["header"].pop("host_plmn"), id="cells that agree on their primary PLMN"),
        pytest.param(_own, id="a tenant with an identity and tracking area of its own"),
        pytest.param(lambda d: _two_own_cells(d, 2, 500), id="two own cells of one node"),
        pytest.param(_own_tracking_area_of_both, id="one tracking area of its own over two of the host"),
        pytest.param(_moran_carriers, id="MORAN carriers of two tenants with one TAC"),
        pytest.param(_nr_areas_of_different_slices, id="more slices in another NR tracking area"),
        pytest.param(lambda d: _neighbours(d, *BOTH_WAYS), id="all neighbours listed"),
        pytest.param(lambda d: _neighbours(d, ("S1/lte", "S2/lte"), anr=True), id="ANR finds the way back"),
        pytest.param(lambda d: _dependent(d, ("S1/lte", "S1/nr")), id="an NR cell with its anchor"),
        pytest.param(_moran_carrier, id="a MORAN carrier with a TAC of its own"),
        pytest.param(_virtual, id="a virtual station of DU, CU-CP and CU-UP"),
        pytest.param(lambda d: _bought(d, "UP2", "a"), id="a CU-UP of a tenant's own beside that of the host"),
        pytest.param(lambda d: _virtual(d, "GW"), id="a gateway"),
        pytest.param(_gateway_alone, id="a gateway of a physical station"),
        pytest.param(lambda d: _sold(d, 21), id="a pool sold to the last core"),
    ],
)
def test_what_just_keeps_the_contract_is_no_finding(spoil: Callable[[Draft], object]) -> None:
    draft = sound()
    spoil(draft)
    assert found(draft) == []


def _findings(spoil: Callable[[Draft], object]) -> tuple[Finding, ...]:
    draft = sound()
    spoil(draft)
    return compile_intent(Network.model_validate(draft), TODAY).findings


def test_messages_name_cell_agreement_and_numbers() -> None:
    (first, *_) = _findings(lambda d: _agreement_of(d, "b", shares=[{"min": 81}]))
    assert first.message == (
        "cell S1/lte: min shares of PRB add up to 101 %, 100 is all there is (a-deal 20, b-deal 81)"
    )
    assert (first.tenant, first.agreement) == ("", ""), "it is neither of the two alone"


def test_a_tracking_area_is_reported_with_its_sets_and_the_partial_agreement() -> None:
    first, second = _findings(lambda d: _add(d, "c", scope={"cells": ["S1/lte"]}))
    assert (
        first.message
        == second.message
        == (
            "tracking area 7: LTE cells differ in PLMNs, 999-01 999-02 on S2/lte; 999-01 999-02 999-03 on S1/lte; "
            "agreement c-more covering only a part"
        )
    )
    assert (first.agreement, first.tenant) == ("c-more", "c")


def test_cells_of_one_code_that_share_no_plmn_are_in_another_tracking_area() -> None:
    """Cells of a and b, of a alone, and of c alone, all with one code: those of c are of no area of a and b."""
    draft = sound()
    draft["agreements"] = [
        _agreement("a", scope={"stations": ["S1", "S2"]}),
        _agreement("b", scope={"stations": ["S1"]}),
        _agreement("c", scope={"stations": ["S3"]}),
    ]
    draft["stations"].append({**deepcopy(draft["stations"][1]), "id": "S3", "transport_address": "10.0.0.33"})
    draft["stations"][-1] |= {"enb_id": 33, "gnb_id": 33}
    draft["cells"] += [_cell("S3", "lte", primary_plmn="999-03"), _cell("S3", "nr", primary_plmn="999-03")]
    found = compile_intent(Network.model_validate(draft), TODAY).findings
    told = [one for one in found if one.code == Check.TRACKING_AREA_PLMNS]
    assert {one.station for one in told} == {"S1", "S2"}
    assert all("999-03" not in one.message for one in told)


def test_an_expired_agreement_leaves_no_facts_and_says_that_nothing_is_removed() -> None:
    draft = sound()
    _agreement_of(draft, "b", validity={"start": "2020-01-01", "end": "2025-12-31"})
    intent = compile_intent(Network.model_validate(draft), TODAY)
    assert not any("b" in fact.owners for facts in intent.facts.values() for fact in facts)
    (expired,) = intent.findings
    assert "b-deal expired on 2025-12-31" in expired.message
    assert "nothing is removed" in expired.message


def test_facts_stand_in_order_with_the_primary_first() -> None:
    draft = sound()
    _lte(draft, primary_plmn="999-02")
    facts = compile_intent(Network.model_validate(draft), TODAY, ["S1"]).facts["S1"]
    assert [type(fact).__name__ for fact in facts] == [
        "StationFact",
        *(["CellFact"] + ["BroadcastFact"] * 2 + ["ShareFact"] * 2) * 2,
        *["CoreLinkFact"] * 8,
    ]
    assert [f.plmn for f in facts if isinstance(f, BroadcastFact) and f.cell == "lte"] == ["999-02", "999-01"]
    assert [f.id for f in facts if isinstance(f, CoreLinkFact)] == [
        "a-mme",
        "a-s1u",
        "a-amf",
        "a-upf",
        "b-mme",
        "b-s1u",
        "b-amf",
        "b-upf",
    ]


def test_global_ids_carry_what_the_files_say_whatever_cells_are_called() -> None:
    draft = sound()
    draft["stations"][1].update(gnb_plmn="999-02")
    _moran_carrier(draft)
    draft["cells"][-1].update(id="a", primary_plmn="999-02")  # the first cell of S1 by name
    draft["agreements"][-1].update(tenant="b")
    said = [
        (fact.enb_plmn, fact.gnb_plmn)
        for facts in compile_intent(Network.model_validate(draft), TODAY).facts.values()
        for fact in facts
        if isinstance(fact, StationFact)
    ]
    assert said == [("999-01", "999-01"), ("999-01", "999-02")]


def test_a_upf_is_linked_to_where_its_slices_are_served_and_named_where_a_slice_has_none() -> None:
    draft = sound()
    one, other = ({"sst": 1, "sd": "000002"}, {"sst": 3, "sd": "000002"})
    draft["tenants"][1]["slices"] = [one, other]
    draft["tenants"][1]["core"]["upf_pool"] = [
        {"id": "one", "address": "10.2.3.1", "slices": [one]},
        {"id": "other", "address": "10.2.3.2", "prefix": "10.2.3.0/30", "slices": [other]},
    ]
    _agreement_of(draft, "b", slices=[one])
    intent = compile_intent(Network.model_validate(draft), TODAY)
    links = {f.id: f.networks for f in intent.facts["S1"] if isinstance(f, CoreLinkFact) and f.owners == ("b",)}
    assert links == {
        "b-mme": ("10.2.0.1/32",),
        "b-s1u": ("10.2.9.0/28",),
        "b-amf": ("10.2.0.1/32",),
        "b-one": ("10.2.3.1/32",),
    }
    assert intent.findings == ()
    _agreement_of(draft, "b", slices=[])
    del draft["tenants"][1]["core"]["upf_pool"][1]
    told = compile_intent(Network.model_validate(draft), TODAY).findings[0]
    assert told.message == (
        "station S1: tenant b is on air on NR cells but has no UPF pool for slice 3-000002; "
        "give its upf_pool, or restrict its agreements by slices"
    )


def test_slices_and_pools_go_with_the_radio_technology() -> None:
    draft = sound()
    _agreement_of(draft, "b", scope={"everywhere": True, "rats": ["LTE"]})
    facts = compile_intent(Network.model_validate(draft), TODAY).facts["S1"]
    assert [f.id for f in facts if isinstance(f, CoreLinkFact) and f.owners == ("b",)] == ["b-mme", "b-s1u"]
    assert {(f.rat.value, len(f.slices)) for f in facts if isinstance(f, (BroadcastFact, ShareFact))} == {
        ("LTE", 0),
        ("NR", 1),
    }


def test_slices_stand_in_order() -> None:
    draft = sound()
    draft["tenants"][1]["slices"] = [{"sst": sst, "sd": sd} for sst in (3, 2, 4) for sd in ("0000B2", "0000A2")]
    facts = compile_intent(Network.model_validate(draft), TODAY).facts["S1"]
    expected = [f"{sst}-{sd}" for sst in (2, 3, 4) for sd in ("0000A2", "0000B2")]
    served = [f.slices for f in facts if isinstance(f, (BroadcastFact, ShareFact)) and f.owners == ("b",) and f.slices]
    assert [[str(slice_) for slice_ in slices] for slices in served] == [expected, expected]


def _drb(draft: Draft, tenant: str, cell: str, least: int, **changes: Any) -> None:
    """One more NR cell at S1, and an agreement that gives a tenant a share of data radio bearers there or on ``nr``."""
    share = {"resource": "DRB", "dedicated": 5, "min": least, "max": 90 - least}
    scope = {"cells": [f"S1/{cell}"], "rats": ["NR"]}
    draft["agreements"].append(_agreement(tenant, id=f"{tenant}-{cell}-drb", shares=[share], scope=scope, **changes))


def _with_two_nr_cells() -> Draft:
    """Nobody but those that a test names is on the NR cells of S1."""
    draft = sound()
    draft["cells"].append(_cell("S1", "nr") | {"id": "nr-2", "pci": 3, "local_id": 2})
    for agreement in draft["agreements"]:
        agreement["scope"]["rats"] = ["LTE"]
    return draft


def _bearers(draft: Draft) -> list[tuple[str, str, int, int, int]]:
    facts = compile_intent(Network.model_validate(draft), TODAY).facts["S1"]
    shares = [fact for fact in facts if isinstance(fact, ShareFact) and fact.resource == "DRB"]
    return [(fact.cell, fact.owners[0], fact.dedicated, fact.min, fact.max) for fact in shares]


def test_one_user_plane_divides_bearers_for_all_nr_cells_of_a_station() -> None:
    draft = _with_two_nr_cells()
    for cell in ("nr", "nr-2"):
        _drb(draft, "a", cell, 20)
    assert _bearers(draft) == [("", "a", 5, 20, 70)]
    assert Check.SHARE_DIFFERS not in {code for code, _ in found(draft)}


def test_cells_that_say_different_shares_of_bearers_get_the_largest_percentages() -> None:
    draft = _with_two_nr_cells()
    _drb(draft, "a", "nr", 20)
    _drb(draft, "a", "nr-2", 40)
    assert _bearers(draft) == [("", "a", 5, 40, 70)]
    findings = compile_intent(Network.model_validate(draft), TODAY).findings
    (told,) = [one for one in findings if one.code == Check.SHARE_DIFFERS]
    assert (told.severity, told.station, told.tenant) == ("warning", "S1", "a")
    assert "(nr 5/20/70, nr-2 5/40/50)" in told.message
    assert "it gets 5/40/70" in told.message


def test_a_cell_that_says_nothing_of_bearers_differs_from_one_that_does() -> None:
    draft = _with_two_nr_cells()
    _drb(draft, "a", "nr", 20)
    draft["agreements"].append(_agreement("a", id="a-rest", shares=[], scope={"cells": ["S1/nr-2"]}))
    assert _bearers(draft) == [("", "a", 5, 20, 70)]
    findings = compile_intent(Network.model_validate(draft), TODAY).findings
    (told,) = [one.message for one in findings if one.code == Check.SHARE_DIFFERS]
    assert "(nr 5/20/70, nr-2 nothing)" in told


def test_shares_of_some_slices_are_told_from_those_of_the_rest() -> None:
    draft = sound()
    one, other = ({"sst": 1, "sd": "000002"}, {"sst": 3})
    draft["tenants"][1]["slices"] = [one, other]
    _agreement_of(draft, "b", slices=[one], scope={"everywhere": True})
    _add(draft, "b", slices=[other], scope={"everywhere": True, "rats": ["NR"]}, shares=[{"min": 30}])
    draft["tenants"][1]["core"]["upf_pool"][0].pop("slices", None)
    facts = compile_intent(Network.model_validate(draft), TODAY).facts["S1"]
    shares = [fact for fact in facts if isinstance(fact, ShareFact) and fact.owners == ("b",) and fact.rat == "NR"]
    assert [(fact.part, fact.min) for fact in shares] == [("1-000002", 20), ("3", 30)]


def test_bearers_are_added_up_over_all_cells_of_a_station() -> None:
    draft = _with_two_nr_cells()
    _drb(draft, "a", "nr", 45)
    _drb(draft, "b", "nr-2", 45)
    assert ("share-sum", "S1/") not in found(draft)
    _drb(draft, "b", "nr", 45, slices=[])
    draft["agreements"][-1]["shares"][0].update(min=56, max=60)
    findings = compile_intent(Network.model_validate(draft), TODAY).findings
    (told,) = [one.message for one in findings if one.code == Check.SHARE_SUM]
    assert told == "station S1: min shares of DRB add up to 101 %, 100 is all there is (a 45, b 56)"


def test_unknown_stations_are_refused() -> None:
    with pytest.raises(NotFoundError, match="S3"):
        compile_intent(Network.model_validate(sound()), TODAY, ["S1", "S3"])


def test_nr_beside_lte_needs_no_cores_and_gets_no_core_links() -> None:
    draft = sound()
    draft["header"]["standalone"] = False
    draft["stations"][1]["standalone"] = True
    _neighbours(draft, ("S1/lte", "S1/nr"), anr=True)
    intent = compile_intent(Network.model_validate(draft), TODAY)
    assert intent.findings == ()
    links = {name: {f.kind for f in intent.facts[name] if isinstance(f, CoreLinkFact)} for name in ("S1", "S2")}
    assert links == {"S1": {"S1C", "S1U"}, "S2": {"S1C", "S1U", "NGC", "NGU"}}
    (anchor,) = [fact for fact in intent.facts["S1"] if isinstance(fact, NeighbourFact)]
    assert (anchor.cell, anchor.neighbour_cell, anchor.neighbour_rat) == ("lte", "nr", "NR")


def test_an_nr_cell_names_the_plmns_that_no_anchor_has() -> None:
    (told,) = _findings(_anchor_of_one_tenant)
    assert told.message.startswith("cell S1/nr: it is not standalone, and no LTE cell with 999-02 lists it: ")


def _ends(draft: Draft) -> dict[str, list[str]]:
    """Ends of X2 and Xn by station, as in ``LTE X2 S2.NR``."""
    intent = compile_intent(Network.model_validate(draft), TODAY)
    ends = [fact for found in intent.facts.values() for fact in found if isinstance(fact, PeerFact)]
    vlans = {Interface.X2: draft["header"].get("x2_vlan"), Interface.XN: draft["header"].get("xn_vlan")}
    for end in ends:
        near, far = (f"10.9.0.{station[1]}" for station in (end.station, end.peer))
        assert (end.local_address, end.vlan, end.remote_address) == (near, vlans[end.interface], far)
    found: dict[str, list[str]] = {}
    for end in ends:
        found.setdefault(end.station, []).append(f"{end.rat} {end.interface} {end.peer}.{end.peer_rat}")
    return found


def test_x2_and_xn_go_both_ways_between_stations_of_which_one_lists_the_other() -> None:
    draft = sound()
    _neighbours(draft, ("S1/lte", "S2/nr"), ("S1/lte", "S1/nr"), ("S2/lte", "S1/lte"), ("S1/nr", "S2/nr"), anr=True)
    assert _ends(draft) == {}  # nobody says in which VLAN
    draft["header"]["x2_vlan"] = 900
    assert _ends(draft) == {"S1": ["LTE X2 S2.LTE", "LTE X2 S2.NR"], "S2": ["LTE X2 S1.LTE", "NR X2 S1.LTE"]}
    draft["header"] |= {"x2_vlan": None, "xn_vlan": 901}
    assert _ends(draft) == {"S1": ["NR Xn S2.NR"], "S2": ["NR Xn S1.NR"]}


def test_a_relation_without_handover_needs_no_link_but_for_en_dc_and_xn_needs_a_core_at_both_ends() -> None:
    draft = sound()
    _neighbours(draft, ("S1/lte", "S2/nr"), ("S1/lte", "S2/lte"), ("S1/nr", "S2/nr"), anr=True)
    draft["header"] |= {"x2_vlan": 900, "xn_vlan": 900}
    draft["stations"][1]["standalone"] = False
    assert "NR Xn S2.NR" not in _ends(draft)["S1"]
    draft["stations"][1]["standalone"] = True
    for row in draft["neighbours"]:
        row["handover"] = False
    assert _ends(draft) == {"S1": ["LTE X2 S2.NR"], "S2": ["NR X2 S1.LTE"]}


@pytest.mark.parametrize(
    ("option", "user_plane", "x2"),
    [
        ("3", {"S1.LTE"}, {Plane.CONTROL, Plane.USER}),
        (3, {"S1.LTE"}, {Plane.CONTROL, Plane.USER}),
        ("3a", {"S1.LTE", "S2.NR"}, {Plane.CONTROL}),
        ("3x", {"S1.LTE", "S2.NR"}, {Plane.CONTROL, Plane.USER}),
    ],
)
def test_s1_u_and_x2_end_where_the_option_of_en_dc_says(
    option: str | int, user_plane: set[str], x2: set[Plane]
) -> None:
    """TR 38.801: S1-U at the eNB in option 3, at both in 3a and 3x; X2-U in 3 and 3x; signalling over the eNB alone."""
    draft = sound()
    _neighbours(draft, ("S1/lte", "S2/nr"), anr=True)
    draft["header"] |= {"x2_vlan": 900, "en_dc": option}
    draft["stations"][1]["standalone"] = False
    draft["cells"] = [cell for cell in draft["cells"] if f"{cell['station']}/{cell['id']}" in ("S1/lte", "S2/nr")]
    intent = compile_intent(Network.model_validate(draft), TODAY)
    facts = [fact for found in intent.facts.values() for fact in found]
    links = [fact for fact in facts if isinstance(fact, CoreLinkFact)]
    assert {f"{link.station}.{link.rat}" for link in links if link.kind is LinkKind.S1U} == user_plane
    assert {(link.station, link.kind) for link in links if not link.kind.user_plane} == {("S1", LinkKind.S1C)}
    assert {link.owners for link in links if link.station == "S2"} == (
        {("a",), ("b",)} if "S2.NR" in user_plane else set()
    )
    peers = [fact for fact in facts if isinstance(fact, PeerFact)]
    assert {(peer.station, peer.rat) for peer in peers} == {("S1", Rat.LTE), ("S2", Rat.NR)}
    assert [set(peer.planes) for peer in peers] == [x2, x2]


def test_enb_and_gnb_of_one_station_have_a_user_plane_each() -> None:
    draft = sound()
    _neighbours(draft, ("S1/lte", "S1/nr"), anr=True)
    draft["stations"][0]["standalone"] = False
    intent = compile_intent(Network.model_validate(draft), TODAY)
    ends = [(f.rat, f.id) for f in intent.facts["S1"] if isinstance(f, CoreLinkFact) and f.kind is LinkKind.S1U]
    assert sorted(ends) == [(rat, f"{tenant}-s1u") for rat in ("LTE", "NR") for tenant in ("a", "b")]
    assert intent.findings == ()
    tree = render(("lte-28658", "nr-28541"), intent.facts["S1"]).tree
    found = {path: rat_of(path) for path in tree if "EP_S1U[" in path and is_link(path)}
    assert sorted((path.split("/")[2], rat) for path, rat in found.items()) == [
        *[("ENBFunction[1]", "LTE")] * 2,
        *[("GNBCUUPFunction[1]", "NR")] * 2,
    ]
    assert read_station(tree).linked == {Rat.LTE}, "an import takes its NR cells for cells without a core of their own"


def test_an_eirp_within_the_licence_is_right_and_one_above_it_says_by_how_much() -> None:
    draft = sound()
    _lte(draft, max_tx_power_dbm=46, antenna_gain_dbi=17, max_eirp_dbm=63)
    assert compile_intent(Network.model_validate(draft), TODAY).findings == ()
    _lte(draft, antenna_gain_dbi=17.5)
    (told,) = compile_intent(Network.model_validate(draft), TODAY).findings
    assert "EIRP of 63.5 dBm exceeds the 63 dBm of the licence; lower max_tx_power_dbm by 0.5 dB" in told.message


def test_relations_lead_both_ways_between_technologies_and_say_who_anchors_whom() -> None:
    draft = sound()
    _neighbours(draft, ("S1/lte", "S2/nr"), ("S2/nr", "S1/lte"), ("S1/nr", "S2/lte"), anr=True)
    facts = compile_intent(Network.model_validate(draft), TODAY).facts.values()
    found = {
        (f"{fact.station}/{fact.cell}", f"{fact.neighbour_station}/{fact.neighbour_cell}"): fact
        for station in facts
        for fact in station
        if isinstance(fact, NeighbourFact)
    }
    assert {pair: fact.anchored for pair, fact in found.items()} == {
        ("S1/lte", "S2/nr"): False,
        ("S2/nr", "S1/lte"): True,
        ("S1/nr", "S2/lte"): False,
    }
    lte = next(cell for cell in draft["cells"] if (cell["station"], cell["id"]) == ("S1", "lte"))
    identity = (draft["stations"][0]["enb_id"] << 8) + lte["local_id"]
    assert found["S2/nr", "S1/lte"].neighbour_tci == identity * 512 + lte["pci"]
    assert found["S1/lte", "S2/nr"].neighbour_ssb is not None
