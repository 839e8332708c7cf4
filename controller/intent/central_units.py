"""Central units: which parts of a gNB are at their endpoints, and how these parts are connected.

A station whose vcu-cp and vcu-ups have endpoints of their own keeps only its DU. The control plane has all cells of the
stations that it serves. A user plane has the PLMNs and slices of the tenants that it carries: a tenant's own user plane
those of that tenant, the host's those of the others. A central unit and the stations that it serves are one gNB
(TS 38.401), and each user plane has one control plane.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from controller.intent.findings import Check, finding
from controller.intent.sharing import CellSharing
from controller.models.cloud import Function, FunctionKind
from controller.models.facts import Finding, GnbPart, Midhaul, MidhaulFact
from controller.models.network import Cell, Network, Rat, Station
from controller.models.sharing import Plane

_PARTS = {FunctionKind.VCU_CP: GnbPart.CU_CP, FunctionKind.VCU_UP: GnbPart.CU_UP}


def parts_at(network: Network, station: str) -> frozenset[GnbPart]:
    """The parts of a gNB at the endpoint of a station."""
    if function := network.central_units.get(station):
        return frozenset({_PARTS[_kind(network, function)]})
    return frozenset({GnbPart.DU}) if station in network.units_above else frozenset(GnbPart)


def name_at_unit(cell: Cell) -> str:
    """Name of a cell at a central unit, which has cells of many stations: no id has a dot."""
    return f"{cell.station}.{cell.id}"


def counts(network: Network, station: str) -> bool:
    """Whether a station has counters: a central unit that serves nobody has none."""
    function = network.central_units.get(station)
    if function is None:
        return True
    user = _kind(network, function) is FunctionKind.VCU_UP
    return bool(network.stations_served[function]) and (user or network.is_gnb(station))


def user_planes(network: Network, station: str, tenant: str) -> tuple[str, ...]:
    """Endpoints of the user planes that carry a tenant's packets of the NR cells of a station, often its own."""
    above = network.units_above.get(station)
    if above is None:
        return (station,)
    functions = {unit: network.function_by_id[network.central_units[unit]] for unit in above}
    return tuple(
        unit
        for unit, one in functions.items()
        if _kind(network, one.id) is FunctionKind.VCU_UP and carries(network, station, one, tenant)
    )


def counted_for(network: Network, station: str) -> dict[str, tuple[str, str]]:
    """Station and id of the cells whose central halves a control plane counts, by their names there."""
    if station not in network.central_units:
        return {}
    return {name_at_unit(cell): (cell.station, cell.id) for cell in network.cells_through(station)}


def cu_half(network: Network, cell: Cell) -> tuple[str, str]:
    """Where the CU's half of a cell is, and its name there; for an LTE cell, the cell itself."""
    units = network.units_above.get(cell.station, ()) if cell.rat is Rat.NR else ()
    return (units[0], name_at_unit(cell)) if units else (cell.station, cell.id)


def halves(network: Network, name: str) -> tuple[str, ...]:
    """The parts of a cell (``station/cell``) that broadcast its PLMNs, each as its endpoint calls it.

    They are the cell itself, which is the DU's part, and the control plane's where that has an endpoint of its own.
    """
    station, _, inside = name.partition("/")
    cell = network.cell_by_name.get((station, inside)) if station in network.units_above else None
    unit, there = cu_half(network, cell) if cell is not None else (station, inside)
    if unit == station or GnbPart.CU_CP not in parts_at(network, unit):
        return (name,)
    return name, f"{unit}/{there}"


def whole_of(network: Network, half: str) -> str:
    """The cell (``station/cell``) that is broadcast by a part of one (``halves``)."""
    device, _, inside = half.partition("/")
    served = counted_for(network, device).get(inside)
    return "/".join(served) if served else half


def plane_ends(network: Network, cell: Cell) -> Iterator[tuple[str, Plane, str | None]]:
    """Where the planes of a cell end towards other base stations, and the tenant that owns the end, if one does."""
    units = network.units_above.get(cell.station, ()) if cell.rat is Rat.NR else ()
    if not units:
        yield from ((cell.station, plane, None) for plane in Plane)
    for unit in units:
        function = network.function_by_id[network.central_units[unit]]
        control = _kind(network, function.id) is FunctionKind.VCU_CP
        yield unit, Plane.CONTROL if control else Plane.USER, function.owner


def carries(network: Network, station: str, function: Function, tenant: str) -> bool:
    """Whether a function carries a tenant's packets at a station, and not another CU-UP."""
    if function.owner is not None:
        return function.owner == tenant
    if _kind(network, function.id) is not FunctionKind.VCU_UP:
        return True
    there = (network.function_by_id.get(name) for name in network.station_by_id[station].functions)
    ways = (one for one in there if one is not None and one.package in network.package_by_id)
    return all(one.owner != tenant for one in ways if _kind(network, one.id) is FunctionKind.VCU_UP)


def carried_by(network: Network, device: str, cells: Mapping[str, tuple[str, ...]]) -> dict[str, tuple[str, ...]]:
    """Those of tenants' cells (``station/cell``) whose packets a device carries; all if it is no function."""
    function = network.function_by_id.get(network.central_units.get(device, device))
    if function is None or function.package not in network.package_by_id:
        return dict(cells)
    found = {
        tenant: tuple(one for one in names if carries(network, one.partition("/")[0], function, tenant))
        for tenant, names in cells.items()
    }
    return {tenant: names for tenant, names in found.items() if names}


def cells_through(
    network: Network, unit: str, cells: Mapping[str, Sequence[tuple[Cell, CellSharing]]]
) -> list[tuple[Cell, CellSharing]]:
    """NR cells that a central unit carries, by station and cell, with the tenants that it carries there."""
    function = network.function_by_id[network.central_units[unit]]
    found = []
    for station in network.stations_served[function.id]:
        for cell, shared in cells.get(station, ()):
            tenants = {one.tenant for one in shared.broadcasts if carries(network, station, function, one.tenant)}
            if cell.rat is Rat.NR and tenants:
                found.append((cell, _for(shared, tenants)))
    return found


def _for(shared: CellSharing, tenants: set[str]) -> CellSharing:
    return replace(
        shared,
        broadcasts=tuple(one for one in shared.broadcasts if one.tenant in tenants),
        portions=tuple(one for one in shared.portions if one.tenant in tenants),
        user_plane=tuple(one for one in shared.user_plane if one.tenant in tenants),
    )


def _kind(network: Network, function: str) -> FunctionKind:
    return network.package_by_id[network.function_by_id[function].package].kind


# ------------------------------------------------------------------- F1 and E1


def midhaul_facts(network: Network, station: Station) -> Iterator[MidhaulFact]:
    """Ends of F1 and E1 at a station: of a DU to its central unit; of that unit to its DUs, and between its parts.

    The owner of the central unit's part owns them; of E1, the owner of the user plane.
    """
    vlan = network.header.midhaul_vlan
    if vlan is None:
        return
    for peer, interface, function in sorted(_ends(network, station.id)):
        owners = (network.function_by_id[function].side,)
        near, far = str(station.transport_address), str(network.station_by_id[peer].transport_address)
        yield MidhaulFact(station.id, interface, peer, near, vlan, far, owners)


def _ends(network: Network, station: str) -> set[tuple[str, Midhaul, str]]:
    """The other ends of F1 and E1, each with its interface and the function that owns it."""
    own = network.central_units.get(station)
    if own is None:
        return {(unit, *_f1(network, network.central_units[unit])) for unit in network.units_above.get(station, ())}
    served = network.stations_served[own]
    found = {(du, *_f1(network, own)) for du in served}
    for unit in {unit for du in served for unit in network.units_above[du]}:
        other = network.central_units[unit]
        if _kind(network, own) is not _kind(network, other):
            user = own if _kind(network, own) is FunctionKind.VCU_UP else other
            found.add((unit, Midhaul.E1, user))
    return found


def _f1(network: Network, function: str) -> tuple[Midhaul, str]:
    control = _kind(network, function) is FunctionKind.VCU_CP
    return (Midhaul.F1C if control else Midhaul.F1U), function


# -------------------------------------------------------------------- findings


def unit_findings(network: Network) -> Iterator[Finding]:
    """Reasons why central units and the stations that they serve are not one gNB."""
    for unit in network.central_units:
        for check, text in _of_unit(network, network.station_by_id[unit]):
            yield finding(check, f"station {unit}: {text}", station=unit)
    numbers = Counter(
        (network.gnb_of(one.id), one.gnb_du_id) for one in network.stations if one.id in network.units_above
    )
    for station in network.stations:
        for check, text in _of_station(network, station, numbers) if station.id in network.units_above else ():
            yield finding(check, f"station {station.id}: {text}", station=station.id)


def _of_unit(network: Network, unit: Station) -> Iterator[tuple[Check, str]]:
    function = network.function_by_id[network.central_units[unit.id]]
    if network.unit_of[function.id] != unit.id:
        other = network.unit_of[function.id]
        yield Check.FUNCTION_PATH, f"it is the endpoint of {function.id}, and so is {other}; leave one of them out"
    if network.header.midhaul_vlan is None:
        yield Check.FUNCTION_PATH, "nobody says in which VLAN F1 and E1 are: give the network's midhaul_vlan"
    if unit.owner != function.owner:
        whose = [f"{one}'s own" if one else "the host's" for one in (unit.owner, function.owner)]
        yield Check.FUNCTION_TENANT, f"it is {whose[0]} and {function.id} is {whose[1]}; correct owner"
    package = network.package_by_id[function.package]
    if missing := [profile for profile in unit.profiles if profile not in package.profiles]:
        spoken = ", ".join(package.profiles) or "nothing"
        text = f"{function.id} speaks {spoken} ({package.id}) and not {', '.join(missing)}"
        yield Check.FUNCTION_PROFILE, text
    if _kind(network, function.id) is FunctionKind.VCU_UP:
        by_control: dict[str, list[str]] = defaultdict(list)
        for station in network.stations_served[function.id]:
            by_control[network.gnb_of(station)].append(station)
        if len(by_control) > 1:
            listed = ", ".join(f"{control} for {stations[0]}" for control, stations in sorted(by_control.items()))
            text = f"{function.id} would have several control planes ({listed}), and has one in TS 38.401"
            yield Check.FUNCTION_PATH, text


def _of_station(
    network: Network, station: Station, numbers: Mapping[tuple[str, int | None], int]
) -> Iterator[tuple[Check, str]]:
    without = [
        name
        for name in station.functions
        if name in network.function_by_id
        and network.function_by_id[name].package in network.package_by_id
        and _kind(network, name).is_central
        and name not in network.unit_of
    ]
    if without:
        above = ", ".join(network.units_above[station.id])
        text = f"{', '.join(without)} has no endpoint, and the rest of its central unit has ({above}): give each one"
        yield Check.FUNCTION_PATH, text
    for unit in network.units_above[station.id]:
        its = network.station_by_id[unit]
        if (its.gnb_id, its.gnb_id_length) != (station.gnb_id, station.gnb_id_length):
            text = (
                f"its gNB id is {station.gnb_id} of {station.gnb_id_length} bits, and {unit} has {its.gnb_id} of "
                f"{its.gnb_id_length}: a DU and its central unit are one gNB; give them one"
            )
            yield Check.FUNCTION_GNB, text
    if station.gnb_du_id is None:
        yield Check.FUNCTION_GNB, "gnb_du_id is missing: it is one of several DUs of its gNB"
    elif numbers[network.gnb_of(station.id), station.gnb_du_id] > 1:
        yield Check.FUNCTION_GNB, f"another DU of its gNB has gnb_du_id {station.gnb_du_id} too; give each another"
