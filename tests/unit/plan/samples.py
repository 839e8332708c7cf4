"""A network of two stations and three tenants, and what its stations say once they carry it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from controller.intent import compile_intent
from controller.models.facts import Intent
from controller.models.network import Network, network_digest
from controller.models.plan import Change, LedgerNode, Plan
from controller.models.run import LedgerEntry
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import Rendered, render, root_spec
from controller.nrm.schema import LeafRole, spec_of
from controller.nrm.tree import Leaves, Observed, Path, Tree
from controller.plan import PlanOptions, StationView, ledger_nodes, make_plan

DAY = date(2026, 6, 15)
NOW = datetime(2026, 6, 15, 12, tzinfo=UTC)
PROFILES = ("lte-28658", "nr-28541")
#: Plans of these tests may touch every station.
FREELY = PlanOptions(max_share=1.0)

LTE = "/ManagedElement[S1]/ENBFunction[1]"
LTE_CELL = f"{LTE}/EUtranCellFDD[L1]"
NR_CELL = "/ManagedElement[S1]/GNBDUFunction[1]/NRCellDU[N1]"


def network(tenants: Iterable[str] = ("alfa", "beta"), **changes: Any) -> Network:
    """Two stations with an LTE and an NR cell each; alfa owns the primary PLMN 716-01."""
    numbers = {"alfa": 1, "beta": 2, "gamma": 3}
    chosen = sorted(tenants)
    content: dict[str, Any] = {
        "header": {"id": "test", "name": "Test", "country": "PE", "timezone": "America/Lima"},
        "regions": [{"id": "r", "name": "R"}],
        "sites": [{"id": f"site-{n}", "name": "S", "region": "r", "latitude": 0, "longitude": 0} for n in (1, 2)],
        "stations": [
            {
                "id": f"S{n}",
                "site": f"site-{n}",
                "profiles": PROFILES,
                "transport_address": f"10.0.0.{n}",
                "enb_id": n,
                "gnb_id": n,
            }
            for n in (1, 2)
        ],
        "cells": [cell for n in (1, 2) for cell in (_lte_cell(n), _nr_cell(n))],
        "tenants": [_tenant(name, number) for name, number in numbers.items()],
        "agreements": [
            {
                "id": f"{name}-all",
                "tenant": name,
                "scope": {"everywhere": True},
                "shares": [{"dedicated": 5, "min": 20, "max": 80}],
                "validity": {"start": "2024-01-01"},
            }
            for name in chosen
        ],
    }
    return Network.model_validate(content | changes)


def virtual(tenants: Iterable[str] = ("alfa", "beta"), **changes: Any) -> Network:
    """The same, of functions: each station has a DU, both share a CU-CP and a CU-UP, and alfa has one of its own at S1.

    Two edge pools; the functions may run on either.
    """
    plain = network(tenants)
    served = {"S1": ("DU-1", "CU-1", "UP-1", "UP-ALFA"), "S2": ("DU-2", "CU-1", "UP-1")}
    stations = [one.model_copy(update={"functions": served[one.id]}) for one in plain.stations]
    kinds = {"du": ("vdu", PROFILES), "cu": ("vcu-cp", ()), "up": ("vcu-up", ())}
    content: dict[str, Any] = {
        "pools": [
            {
                "id": name,
                "where": "edge",
                "region": "r",
                "address": f"10.9.0.{number}",
                "authority": "pools",
                "credential": "minka",
            }
            for number, name in enumerate(("edge-1", "edge-2"), 1)
        ],
        "nodes": [
            {"pool": pool, "id": f"n{n}", "cpus": 64, "memory_gb": 256, "ptp": True}
            for pool in ("edge-1", "edge-2")
            for n in (1, 2)
        ],
        "latencies": [
            {"pool": pool, "site": f"site-{n}", "microseconds": 50} for pool in ("edge-1", "edge-2") for n in (1, 2)
        ],
        "packages": [
            {
                "id": name,
                "kind": kind,
                "vendor": "acme",
                "version": "1.0",
                "image": f"registry.example/{name}@sha256:{number:064x}",
                "cpus": 4,
                "memory_gb": 8,
                "profiles": profiles,
                **({"f1": ["17.1"]} if name != "up" else {}),
                **({"e1": ["17.1"]} if name != "du" else {}),
            }
            for number, (name, (kind, profiles)) in enumerate(kinds.items())
        ],
        "functions": [
            {"id": "DU-1", "package": "du", "max_latency_us": 100, "address": "10.8.0.1"},
            {"id": "DU-2", "package": "du", "max_latency_us": 100, "address": "10.8.0.2"},
            {"id": "CU-1", "package": "cu", "max_latency_us": 1000},
            {"id": "UP-1", "package": "up", "max_latency_us": 1000},
            {"id": "UP-ALFA", "package": "up", "max_latency_us": 1000, "owner": "alfa"},
        ],
        "stations": [one.model_dump() for one in stations],
        "agreements": [
            {**one.model_dump(), **({"functions": ["UP-ALFA"]} if one.tenant == "alfa" else {})}
            for one in plain.agreements
        ],
    }
    return Network.model_validate(plain.model_dump() | content | changes)


def _tenant(name: str, number: int) -> dict[str, Any]:
    pools = {
        f"{kind}_pool": [{"id": kind, "address": f"10.{number}.0.{n}"}] for n, kind in enumerate(("mme", "amf", "upf"))
    }
    return {
        "id": name,
        "name": name,
        "plmns": [f"716-0{number}"],
        "slices": [{"sst": 1, "sd": f"00000{number}"}],
        "core": {"vlan": 100 + number, **pools},
    }


def _lte_cell(station: int) -> dict[str, Any]:
    return _cell(station, "L1", "LTE", "B28", 9285, 27285, 10, tac=7)


def _nr_cell(station: int) -> dict[str, Any]:
    return _cell(station, "N1", "NR", "n78", 630000, 630000, 100, tac=700)


def _cell(station: int, name: str, rat: str, band: str, down: int, up: int, width: int, tac: int) -> dict[str, Any]:
    return {
        "station": f"S{station}",
        "id": name,
        "rat": rat,
        "local_id": 1,
        "band": band,
        "arfcn_dl": down,
        "arfcn_ul": up,
        "bandwidth_mhz": width,
        "pci": station,
        "tac": tac,
        "primary_plmn": "716-01",
    }


def intent(net: Network) -> Intent:
    return compile_intent(net, DAY)


def rendered(net: Network, station: str = "S1") -> Rendered:
    known = net.station_by_id[station]
    return render(known.profiles, intent(net).facts[station])


def states(profiles: tuple[str, ...], tree: Tree, down: Iterable[Path] = ()) -> dict[Path, Leaves]:
    """The state of a healthy station that carries ``tree``, except for what is ``down``."""
    root = root_spec(profiles)
    state: dict[Path, Leaves] = {}
    for path, leaves in tree.items():
        spec = spec_of(root, path)
        up = path not in set(down)
        if spec and spec.is_cell:
            active = up and leaves.get(spec.leaf(LeafRole.ADMINISTRATIVE_STATE)) == "UNLOCKED"
            state[path] = {
                spec.leaf(LeafRole.OPERATIONAL_STATE): "ENABLED" if up else "DISABLED",
                spec.leaf(LeafRole.CELL_STATE): "ACTIVE" if active else "IDLE",
            }
        elif spec and spec.link:
            state[path] = {spec.leaf(LeafRole.OPERATIONAL_STATE): "ENABLED" if up else "DISABLED"}
    return state


def carrying(net: Network, station: str = "S1", edit: Mapping[Path, Leaves | None] | None = None) -> Observed:
    """A healthy station that carries the network, cells unlocked; ``edit`` sets or removes entries afterwards."""
    profiles = net.station_by_id[station].profiles
    root = root_spec(profiles)
    tree: dict[Path, Leaves] = {}
    for path, leaves in rendered(net, station).tree.items():
        spec = spec_of(root, path)
        locks = spec.leaf(LeafRole.ADMINISTRATIVE_STATE) if spec and spec.is_cell else ""
        tree[path] = {**leaves, locks: "UNLOCKED"} if locks else leaves
    for path, changed in (edit or {}).items():
        if changed is None:
            tree = {p: leaves for p, leaves in tree.items() if p != path and not p.startswith(path + "/")}
        else:
            tree[path] = {**tree.get(path, {}), **changed}
    return Observed(tree, states(profiles, tree))


def ledger(net: Network, station: str = "S1") -> dict[Path, LedgerEntry]:
    root = root_spec(net.station_by_id[station].profiles)
    return {node.path: _entry(station, node) for node in ledger_nodes(root, rendered(net, station))}


def view(net: Network, station: str = "S1", edit: Mapping[Path, Leaves | None] | None = None) -> StationView:
    """A station that carries what the network says, all of it in our ledger."""
    return StationView(carrying(net, station, edit), adopted=True, ledger=ledger(net, station))


def factory(station: str = "S1") -> StationView:
    return StationView(Observed({f"/ManagedElement[{station}]": {}}), adopted=True)


def plan(net: Network, views: Mapping[str, StationView], options: PlanOptions = FREELY) -> Plan:
    return make_plan(net, network_digest(net), intent(net), views, options, NOW)


def only_change(made: Plan) -> Change:
    assert len(made.changes) == 1, made.unplanned
    return made.changes[0]


def apply(net: Network, change: Change, before: StationView) -> StationView:
    """The station after the change was applied and confirmed."""
    profiles = net.station_by_id[change.station].profiles
    root = root_spec(profiles)
    assert before.observed is not None
    tree = before.observed.tree
    for phase in change.phases:
        tree = apply_edits(root, tree, phase.edits)
    return StationView(Observed(tree, states(profiles, tree)), True, after_change(change, before.ledger))


def after_change(change: Change, before: Mapping[Path, LedgerEntry]) -> dict[Path, LedgerEntry]:
    kept = {path: entry for path, entry in before.items() if path not in change.lost}
    return {**kept, **{node.path: _entry(change.station, node) for node in change.gained}}


def _entry(station: str, node: LedgerNode) -> LedgerEntry:
    return LedgerEntry(station=station, **dict(node))
