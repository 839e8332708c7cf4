"""Makes facts and findings of a network: ``compile_intent``."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import date

from controller.intent.backhaul import backhaul_findings
from controller.intent.central_units import (
    cells_through,
    counts,
    midhaul_facts,
    name_at_unit,
    parts_at,
    unit_findings,
)
from controller.intent.cloud_contracts import cloud_findings
from controller.intent.concerns import Concerned
from controller.intent.findings import Check, canonical, finding, with_kinds
from controller.intent.functions import function_facts
from controller.intent.grants import Grant, cover, grants_in_force
from controller.intent.identities import (
    identity_findings,
    node_plmn_findings,
    radio_faults,
    tenant_findings,
    unchecked_findings,
)
from controller.intent.links import CoreLinks, LinkedCell
from controller.intent.neighbours import PeerEnds, neighbour_facts, neighbour_findings
from controller.intent.own_cells import own_cell_findings
from controller.intent.pci import code_findings
from controller.intent.placement import OPEN, Closures
from controller.intent.pools import pool_facts
from controller.intent.routers import router_facts, stations_of
from controller.intent.sharing import CellSharing, Placed, Portion, share_cell, share_user_plane
from controller.intent.tracking_areas import tracking_area_findings
from controller.models.errors import NotFoundError
from controller.models.facts import (
    HOST_OWNED,
    BroadcastFact,
    CellFact,
    Fact,
    Finding,
    GnbPart,
    Intent,
    MeasurementFact,
    NeighbourFact,
    OwnIdentity,
    ShareFact,
    StationFact,
)
from controller.models.network import HOST, Cell, Network, OwnCell, Plmn, Rat, ResourceType, Station
from controller.models.sharing import Plane


def compile_intent(
    network: Network,
    as_of: date,
    stations: Collection[str] | None = None,
    running: Mapping[str, Collection[str]] | None = None,
    closures: Closures = OPEN,
    applied: Mapping[str, int] | None = None,
) -> Intent:
    """Work out what every device should carry, for whom, and which contracts that breaks.

    Pure and deterministic: the order of elements in ``network`` changes nothing. A tenant's facts depend only on the
    inventory, that tenant and its agreements in force; conflicts between tenants' agreements appear only as findings.
    An agreement that is not in force gives a finding and no facts. Errors always name a station. Facts of stations with
    errors are included, so that they can be shown, but they must not be planned: they may contradict each other.

    Args:
        network: The network as loaded.
        as_of: The day, in the network's time zone, whose agreements count.
        stations: Return facts of these devices only, and findings that concern these. Their content is the same as
            without it.
        running: Pools that functions run on, by function: functions stay there as long as they may. None leaves
            functions out, since their facts depend on it.
        closures: Pools that take no further functions.
        applied: Replicas that functions were applied with. They take room, where they are more than the files'.

    Raises:
        NotFoundError: ``stations`` names one that the network does not have.
    """
    routers = network.router_by_id.keys() & (network.router_by_id if stations is None else stations)
    pools = network.pool_by_id.keys() & (network.pool_by_id if stations is None else stations)
    functions = network.function_by_id.keys() & (network.function_by_id if stations is None else stations)
    others = {one for one in stations or () if not network.kind_of(one).rules.has_cells}
    wanted = _wanted(network, None if stations is None else {*stations} - others | stations_of(network, routers))
    cells = sorted(network.cells, key=lambda cell: (cell.station, cell.id))
    grants, findings = grants_in_force(network, as_of)
    covering = cover(network, cells, grants)
    placed = _place(network, cells, grants, covering)
    findings += _matching_nothing(grants, covering)
    whom = dict((*tenant_findings(network), *backhaul_findings(network, placed)))
    findings += whom
    findings += cloud_findings(network, placed, as_of)
    findings += unit_findings(network)
    findings += identity_findings(network, cells)
    findings += code_findings(network, cells)
    findings += unchecked_findings(cells)
    findings += neighbour_findings(network, placed)
    findings += own_cell_findings(network, placed)
    findings += tracking_area_findings(network, placed, grants)
    facts = _StationFacts(network, placed)
    intent: dict[str, tuple[Fact, ...]] = {}
    for station in sorted(wanted, key=lambda station: station.id):
        intent[station.id] = tuple(facts.of(station))
    of_routers, about_routers = router_facts(network, routers, intent)
    of_functions, about_functions = function_facts(
        network, as_of, functions if running is not None else (), running, closures, applied
    )
    of_pools = pool_facts(network, as_of, pools, running or {})
    found = canonical(with_kinds(network, (*findings, *facts.findings, *about_routers, *about_functions)))
    if stations is None:
        return Intent(intent, found, of_routers, of_functions, of_pools)
    asked = {station: intent[station] for station in intent if station in stations}
    about, elsewhere = Concerned(network, stations, whom).split(found)
    return Intent(asked, about, of_routers, of_functions, of_pools, elsewhere)


def _wanted(network: Network, stations: Collection[str] | None) -> Sequence[Station]:
    if stations is None:
        return network.stations
    missing = sorted(set(stations) - network.station_by_id.keys())
    if missing:
        raise NotFoundError(f"the network has no station {', '.join(missing)}")
    return [network.station_by_id[station] for station in set(stations)]


def _place(
    network: Network, cells: Sequence[Cell], grants: Sequence[Grant], covering: Sequence[tuple[int, ...]]
) -> list[Placed]:
    """Each cell and how it is shared, worked out once for all cells with the same grants."""
    known: dict[tuple[Rat, Plmn, tuple[int, ...]], CellSharing] = {}
    placed: list[Placed] = []
    for cell, numbers in zip(cells, covering, strict=True):
        key = (cell.rat, cell.primary_plmn, numbers)
        shared = known.get(key)
        if shared is None:
            meeting = [grants[number] for number in numbers]
            shared = known[key] = share_cell(cell.rat, cell.primary_plmn, meeting, network.tenants_by_plmn)
        placed.append((cell, shared, numbers))
    return placed


def _matching_nothing(grants: Sequence[Grant], covering: Iterable[tuple[int, ...]]) -> Iterator[Finding]:
    used = {number for numbers in covering for number in numbers}
    for number, grant in enumerate(grants):
        if number not in used:
            text = f"agreement {grant.agreement}: its scope matches no cell; nothing is removed by that"
            yield finding(Check.AGREEMENT_MATCHES_NOTHING, text, tenant=grant.tenant, agreement=grant.agreement)


class _StationFacts:
    """Makes facts station by station; ``findings`` collects what is wrong."""

    def __init__(self, network: Network, placed: Iterable[Placed]) -> None:
        self.findings: list[Finding] = []
        self._network = network
        self._links = CoreLinks(network.tenants)
        self._peers = PeerEnds(network)
        self._cells: dict[str, list[tuple[Cell, CellSharing]]] = defaultdict(list)
        for cell, shared, _ in placed:
            self._cells[cell.station].append((cell, shared))

    def of(self, station: Station) -> Iterator[Fact]:
        """The station, its cells in order with PLMNs and shares, and its core links."""
        own = self._cells.get(station.id, [])
        unit = station.id in self._network.central_units
        cells = cells_through(self._network, station.id, self._cells) if unit else own
        if not cells:
            return
        here = parts_at(self._network, station.id)
        yield _station_fact(self._network, station, here)
        for cell, shared in cells:
            yield from self._of_cell(station, here, cell, shared)
        for cell, shared in own:
            self.findings += (fault.at(cell) for fault in (*radio_faults(cell, station), *shared.faults))
        if own or GnbPart.CU_CP in here:
            self.findings += node_plmn_findings(self._network, station, cells)
        if GnbPart.CU_UP in here:
            divided, findings = share_user_plane(station, cells)
            self.findings += findings
            alone = unit and station.owner is not None  # nobody is there to divide it with
            yield from (_share(station.id, "", Rat.NR, portion) for portion in divided if not alone)
        links, findings = self._links.of(station, self._with_cores(here, cells), _planes(here))
        self.findings += findings
        yield from links
        yield from midhaul_facts(self._network, station)
        yield from self._peers.of(station)
        if counts(self._network, station.id):
            yield from _measurements(self._network, station)

    def _of_cell(
        self, station: Station, here: frozenset[GnbPart], cell: Cell, shared: CellSharing
    ) -> Iterator[CellFact | BroadcastFact | ShareFact | NeighbourFact]:
        """Facts of a station about a cell, by the name that the cell has there."""
        name = cell.id if cell.station == station.id else name_at_unit(cell)
        yield _cell_fact(cell, station.id, name)
        own = self._network.own_by_cell.get((cell.station, cell.id), {})
        yield from _broadcasts(cell, station.id, name, shared, own)
        for portion in shared.portions:
            divides = GnbPart.CU_CP if portion.share.resource is ResourceType.RRC else GnbPart.DU
            if cell.rat is Rat.LTE or divides in here:
                yield _share(station.id, name, cell.rat, portion)
        if cell.rat is Rat.LTE or GnbPart.CU_CP in here:
            yield from neighbour_facts(self._network, cell)

    def _with_cores(self, here: frozenset[GnbPart], cells: Iterable[tuple[Cell, CellSharing]]) -> Iterator[LinkedCell]:
        """Cells with core links here; those of NR cells are at the central unit.

        NR cells that are not standalone have a user plane of their own in options 3a and 3x only.
        """
        for cell, shared in cells:
            standalone = cell.rat is Rat.LTE or self._network.is_standalone(self._network.station_by_id[cell.station])
            linked = standalone or self._network.header.en_dc.core_at_gnb
            if cell.rat is Rat.LTE or (linked and here != {GnbPart.DU}):
                yield LinkedCell(shared, cell.rat, standalone)


def _planes(here: frozenset[GnbPart]) -> frozenset[Plane]:
    """Planes that lead from an endpoint to the cores."""
    if here == {GnbPart.CU_CP}:
        return frozenset({Plane.CONTROL})
    return frozenset({Plane.USER}) if here == {GnbPart.CU_UP} else frozenset(Plane)


def _measurements(network: Network, station: Station) -> Iterator[MeasurementFact]:
    wanted = network.header.performance
    if wanted is not None and wanted.jobs:
        yield MeasurementFact(station.id, wanted.granularity_minutes * 60, tuple(sorted(set(wanted.metrics))))


def _station_fact(network: Network, station: Station, parts: frozenset[GnbPart]) -> StationFact:
    return StationFact(
        station=station.id,
        name=station.id,
        enb_plmn=network.node_plmn(station, Rat.LTE) if Rat.LTE in station.rats else None,
        enb_id=station.enb_id,
        enb_id_length=station.enb_id_length,
        gnb_plmn=network.node_plmn(station, Rat.NR) if Rat.NR in station.rats else None,
        gnb_id=station.gnb_id,
        gnb_id_length=station.gnb_id_length,
        anr=network.header.anr,
        owners=(station.owner or HOST,) if station.id in network.central_units else HOST_OWNED,
        parts=tuple(part for part in GnbPart if part in parts),
        gnb_du_id=station.gnb_du_id if parts == {GnbPart.DU} else None,
        lte_power_in_a_db=network.lte_power_unit(station).in_a_db,
    )


def _cell_fact(cell: Cell, station: str, name: str) -> CellFact:
    return CellFact(
        station=station,
        cell=name,
        rat=cell.rat,
        local_id=cell.local_id,
        band=cell.band,
        arfcn_dl=cell.arfcn_dl,
        arfcn_ul=cell.arfcn_ul,
        bandwidth_mhz=cell.bandwidth_mhz,
        pci=cell.pci,
        tac=cell.tac,
        primary_plmn=cell.primary_plmn,
        max_tx_power_dbm=cell.max_tx_power_dbm,
        max_eirp_dbm=cell.max_eirp_dbm,
        prach_root=cell.prach_root,
        ssb_arfcn=cell.ssb_arfcn,
    )


def _broadcasts(
    cell: Cell, station: str, name: str, shared: CellSharing, planned: Mapping[str, OwnCell]
) -> Iterator[BroadcastFact]:
    for on_air in shared.broadcasts:
        own = planned.get(on_air.tenant)
        yield BroadcastFact(
            station=station,
            cell=name,
            rat=cell.rat,
            plmn=on_air.plmn,
            slices=on_air.slices,
            primary=on_air.primary,
            owners=(on_air.tenant,),
            own=OwnIdentity(own.tac, own.node_id, own.node_id_length, own.local_id) if own else None,
        )


def _share(station: str, cell: str, rat: Rat, portion: Portion) -> ShareFact:
    share = portion.share
    return ShareFact(
        station=station,
        cell=cell,
        rat=rat,
        resource=share.resource,
        plmns=portion.plmns,
        slices=portion.slices,
        dedicated=share.dedicated,
        min=share.min,
        max=share.max,
        owners=(portion.tenant,),
        part=portion.part,
    )
