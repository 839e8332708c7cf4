"""Makes network files from live stations: their configuration becomes inventory and agreements.

The reverse of intent and profiles. What stations don't know (sites, tenants, cores) is given. What network files can't
express becomes a note. At the end the new files are compared with what the stations carry; each row of that difference
becomes a note too, so nothing is left out silently.
"""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from pydantic import ValidationError

from controller.intent import compile_intent
from controller.inventory.frame import Frame
from controller.inventory.radio import BANDS, Band, carrier_problems, planned_problems, split_identity
from controller.models.facts import Fact
from controller.models.many import alike, first_names
from controller.models.network import (
    Agreement,
    Cell,
    Neighbour,
    Network,
    OwnCell,
    Plmn,
    RadioShare,
    Rat,
    Region,
    ResourceType,
    Scope,
    Site,
    Snssai,
    Station,
    Tenant,
    Validity,
)
from controller.models.sharing import in_slice_order
from controller.models.untrusted import natural
from controller.nrm.containers import carries_its_own, elements_in_words, foreign_elements
from controller.nrm.profiles import PROFILES, Rendered, broadcast_plmn, cell_of, is_reserved, render, root_spec
from controller.nrm.profiles.readings import CellReading, RelationReading, ShareReading, StationReading, read_station
from controller.nrm.tree import Observed
from controller.plan.drift import drift
from controller.plan.inputs import StationView, at_what_cells_name, with_reservations

#: Fields of a cell that network files may leave out: the value on air then stays.
_LEFT_TO_THE_FIELD = tuple(name for name, info in Cell.model_fields.items() if not info.is_required())
#: Region of stations without a known place, unless the network has exactly one region.
UNPLACED = "imported"


@dataclass(frozen=True, slots=True)
class ImportedNetwork:
    """A network as its stations report it, and notes about what network files can't express."""

    network: Network
    notes: tuple[str, ...]


def import_network(frame: Frame, observed: Mapping[str, Observed | str], today: date) -> ImportedNetwork:
    """Make network files of what stations carry.

    A station that nobody gave a site gets one of its own at 0° N 0° E, in the only region or in a region
    ``imported``. Tenants found on air get one agreement for all cells that they use alike, valid from today, MOCN.

    Args:
        frame: What stations can't say.
        observed: What each station says, or why it could not be read.
        today: First day of the agreements.
    """
    return _Import(frame).run(observed, today)


class _Import:
    """One import: objects and notes in the making."""

    def __init__(self, frame: Frame) -> None:
        self._frame = frame
        self._notes = _Notes()
        self._stations: list[Station] = []
        self._cells: list[Cell] = []
        self._own_cells: list[OwnCell] = []
        self._relations: list[tuple[Cell, RelationReading]] = []
        self._neighbours: list[Neighbour] = []
        self._uses: dict[CellUse, list[Cell]] = defaultdict(list)
        self._sites: list[Site] = []
        self._regions: list[Region] = []

    def run(self, observed: Mapping[str, Observed | str], today: date) -> ImportedNetwork:
        unread = [(name, seen) for name, seen in sorted(observed.items()) if isinstance(seen, str)]
        for one in alike(unread):
            for name in one.names:
                self._notes.add(f"left out, not read: {one.text}", name)
        for name, seen in sorted(observed.items()):
            if isinstance(seen, Observed):
                if not self._is_its_own(name, seen):
                    continue
                self._take(name, read_station(seen.tree, self._frame.network.header.lte_power_unit.in_a_db))
        self._take_relations()
        self._leave_out_dangling()
        network = self._network(today)
        facts = compile_intent(network, today).facts
        for name, seen in sorted(observed.items()):
            if name in facts and isinstance(seen, Observed):
                self._compare(network.station_by_id[name], facts[name], seen)
        return ImportedNetwork(network, self._notes.texts())

    # ------------------------------------------------------------------ inventory

    def _is_its_own(self, name: str, seen: Observed) -> bool:
        """Whether what was read is the station; managed elements of other ids are noted, and never taken."""
        root = root_spec(tuple(PROFILES))
        others = foreign_elements(root, seen)
        own = not others or carries_its_own(root, seen)
        if others and own:
            self._notes.add(f"left out {elements_in_words(others)}, which it carries beside its own", name)
        elif others:
            instead = f"{elements_in_words(others)} instead of ManagedElement={name}"
            self._notes.add(f"left out: it carries {instead}, which is the id that the station has to have", name)
        return own

    def _take(self, name: str, reading: StationReading) -> None:
        if not reading.profiles:
            self._notes.add("left out: it has no eNB and no gNB function yet", name)
            return
        if not reading.addresses:
            self._notes.add("left out: it has neither core links nor X2, which would tell its transport address", name)
            return
        for other in reading.addresses[1:]:
            self._notes.add(f"has a core link from {other} beside {reading.addresses[0]}", name)
        station = _model(Station, self._notes, name, self._station_fields(name, reading))
        if station is not None:
            self._stations.append(station)
            for cell in reading.cells:
                self._take_cell(station, cell)

    def _station_fields(self, name: str, reading: StationReading) -> dict[str, Any]:
        fields = {"id": name, "profiles": reading.profiles, "transport_address": reading.addresses[0]}
        return {
            **fields,
            "site": self._site(name),
            **reading.fields,
            **self._node_plmns(name, reading),
            "standalone": self._standalone(reading),
        }

    def _standalone(self, reading: StationReading) -> bool | None:
        """Whether its NR cells have cores of their own; None if the header says so for all, or it has no NR cells."""
        standalone = Rat.NR in reading.linked
        serves = any(cell.rat is Rat.NR and cell.broadcasts for cell in reading.cells)
        return standalone if serves and standalone != self._frame.network.header.standalone else None

    def _node_plmns(self, name: str, reading: StationReading) -> dict[str, Plmn | None]:
        """PLMNs of the global ids; None if it is the host's, which is the default."""
        network = self._frame.network
        found: dict[str, Plmn | None] = {}
        for node in ("enb_plmn", "gnb_plmn"):
            plmn = reading.fields.get(node)
            known = plmn in network.tenants_by_plmn
            found[node] = plmn if known and plmn != network.header.host_plmn else None
            if plmn not in (None, network.header.host_plmn) and not known:
                self._notes.add(f"has {plmn} in its global node id, which is no tenant's and not the host's", name)
        return found

    def _site(self, station: str) -> str:
        known = self._frame.places.get(station)
        if known is not None and known in self._frame.network.site_by_id:
            return known
        if known is not None:
            self._notes.add(f"its site {known} is in no file", station)
        site = re.sub(r"[^a-z0-9-]", "-", station.lower())
        if site not in self._frame.network.site_by_id:
            self._sites.append(Site(id=site, name=station, region=self._region(), latitude=0, longitude=0))
        self._notes.add("has no site given; it got one of its own at 0, 0: correct sites.csv", station)
        return site

    def _region(self) -> str:
        regions = self._frame.network.regions
        if len(regions) == 1:
            return regions[0].id
        if not self._regions and all(region.id != UNPLACED for region in regions):
            self._regions.append(Region(id=UNPLACED, name="ImportedNetwork"))
        return UNPLACED

    def _take_cell(self, station: Station, reading: CellReading) -> None:
        name = f"{station.id}/{reading.cell}"
        if not reading.broadcasts:
            self._notes.add("left out: the cell has no PLMN, so no primary PLMN", name)
            return
        primary = next(iter(reading.broadcasts))
        if primary not in self._frame.network.tenants_by_plmn:
            self._notes.add(f"left out: its primary PLMN {primary} is no tenant's", name)
            return
        identity = {"station": station.id, "id": reading.cell, "rat": reading.rat, "primary_plmn": primary}
        fields = {one: text for one, text in reading.fields.items() if one not in _LEFT_TO_THE_FIELD}
        cell = _model(Cell, self._notes, name, {**identity, "band": "B1", **fields})
        band = _band(cell, reading.tdd) if cell else None
        if cell is None or band is None:
            if cell is not None:
                self._notes.add(f"left out: no known band has its carrier (channel {cell.arfcn_dl})", name)
            return
        for named in reading.strange:
            text = f"its power is not known: {named!r}, its carrier, names no object of a ManagedElement"
            self._notes.add(text, name)
        placed = self._planned(cell.model_copy(update={"band": band.name}), reading)
        self._cells.append(placed)
        self._relations += [(placed, one) for one in reading.relations]
        for use in _uses(self._frame.network.tenants, reading):
            self._uses[use].append(placed)
            self._take_own(station, reading, use.tenant)

    def _take_own(self, station: Station, reading: CellReading, tenant: str) -> None:
        """The tenant's own cell; differences between its PLMNs appear in the comparison."""
        plmns = self._frame.network.tenant_by_id[tenant].plmns
        found = next((reading.own[plmn] for plmn in sorted(reading.own) if plmn in plmns), None)
        if found is None:
            return
        fields: dict[str, Any] = {"tenant": tenant, "station": station.id, "cell": reading.cell, **found.fields}
        if identity := fields.pop("cell_identity", ""):
            # The device has only the joined identity: it is split like the station's own.
            length, joined = station.enb_id_length, natural(identity)
            node_id, local_id = (identity,) * 2 if joined is None else split_identity(reading.rat, joined, length)
            fields |= {"node_id": node_id, "node_id_length": length, "local_id": local_id}
        own = _model(OwnCell, self._notes, f"{station.id}/{reading.cell}/{tenant}", fields)
        if own is not None:
            self._own_cells.append(own)

    def _planned(self, cell: Cell, reading: CellReading) -> Cell:
        """The cell with values that files may leave out, as far as they can express them."""
        for name in (name for name in _LEFT_TO_THE_FIELD if name in reading.fields):
            value = reading.fields[name]
            try:
                planned = Cell.model_validate({**cell.model_dump(), name: value})
            except ValidationError:
                planned = cell
            if planned is cell or any(planned_problems(planned)):
                self._notes.add(f"left to the field: files can't say {name} {value}", cell.name)
            else:
                cell = planned
        return cell

    def _take_relations(self) -> None:
        """Relations by the names of files; external cells, which may have any, are found by their identity."""
        nodes = {station.id: station for station in self._stations}
        known = {(cell.rat, nodes[cell.station].node_id(cell.rat)[0], cell.local_id): cell for cell in self._cells}
        for cell, one in self._relations:
            identity = None if one.rat is None or one.local_id is None else (one.rat, one.node_id, one.local_id)
            found = None if identity is None else known.get(identity)
            station, name = (one.station, one.cell) if found is None else (found.station, found.id)
            here = {"station": cell.station, "cell": cell.id, "handover": one.handover}
            there = {"neighbour_station": station, "neighbour_cell": name}
            neighbour = _model(Neighbour, self._notes, f"{cell.name} → {station}/{name}", {**here, **there})
            self._neighbours += [] if neighbour is None else [neighbour]

    def _leave_out_dangling(self) -> None:
        """Keep only relations to cells in the files."""
        cells = {(cell.station, cell.id) for cell in self._cells}
        for one in self._neighbours:
            if (one.neighbour_station, one.neighbour_cell) not in cells:
                text = f"left out: its relation to {one.neighbour_station}/{one.neighbour_cell}, which is not there"
                self._notes.add(text, f"{one.station}/{one.cell}")
        self._neighbours = [one for one in self._neighbours if (one.neighbour_station, one.neighbour_cell) in cells]

    # ----------------------------------------------------------------- agreements

    def _network(self, today: date) -> Network:
        given = self._frame.network
        stations = {station.id for station in self._stations}
        return Network(
            header=given.header,
            backhaul=given.backhaul,
            routers=given.routers,
            tenants=given.tenants,
            regions=_by_id((*given.regions, *self._regions)),
            sites=_by_id((*given.sites, *self._sites)),
            stations=_by_id(self._stations),
            endpoints=tuple(e for e in self._frame.endpoints if e.station in stations),
            cells=tuple(sorted(self._cells, key=lambda cell: (cell.station, cell.id))),
            neighbours=tuple(sorted(self._neighbours, key=lambda one: (one.station, one.id))),
            own_cells=tuple(sorted(self._own_cells, key=lambda own: (own.station, own.cell, own.tenant))),
            agreements=_by_id(tuple(self._agreements(today))),
        )

    def _agreements(self, today: date) -> Iterator[Agreement]:
        by_tenant: dict[str, list[tuple[CellUse, list[Cell]]]] = defaultdict(list)
        for use, cells in self._uses.items():
            by_tenant[use.tenant].append((use, cells))
        cells_of: dict[str, list[Cell]] = defaultdict(list)
        for cell in self._cells:
            cells_of[cell.station].append(cell)
        for tenant, found in by_tenant.items():
            found.sort(key=lambda item: (-len(item[1]), item[1][0].name))
            for number, (use, cells) in enumerate(found, 1):
                yield Agreement(
                    id=f"{tenant[:56]}-{number}",
                    tenant=tenant,
                    scope=_scope(cells, cells_of),
                    plmns=use.plmns,
                    slices=use.slices,
                    shares=use.shares,
                    validity=Validity(start=today),
                )

    # ----------------------------------------------------------------- the proof

    def _compare(self, station: Station, facts: Sequence[Fact], observed: Observed) -> None:
        """Note where the new files differ from a station."""
        rendered = render(station.profiles, facts) if facts else Rendered({}, {}, ())
        root, view = root_spec(station.profiles), StationView(observed, adopted=True)
        wanted = at_what_cells_name(root, with_reservations(root, rendered, view), observed.tree, view.ledger)
        for path in wanted.tree:
            if is_reserved(wanted.tree, path):
                text = f"PLMN {broadcast_plmn(path)} is reserved for operator use, which no file says; it stays so"
                self._notes.add(text, f"{station.id}/{cell_of(path)}")
        for row in drift(root, wanted, view):
            where = f"{station.id}/{row.cell}" if row.cell else station.id
            owner = f"{row.tenant}: " if row.tenant else ""
            self._notes.add(f"{owner}{row.what}: has {row.before}, by these files: {row.after}", where)


@dataclass
class _Notes:
    """Notes with their objects; equal notes are merged."""

    _about: dict[str, list[str]] = field(default_factory=dict)

    def add(self, text: str, about: str) -> None:
        self._about.setdefault(text, []).append(about)

    def texts(self) -> tuple[str, ...]:
        return tuple(f"{first_names(names)}: {text}" for text, names in self._about.items())


def _model(model: type[Any], notes: _Notes, name: str, fields: Mapping[str, Any]) -> Any:
    """The model of what was read; or None, and a note."""
    try:
        return model.model_validate(fields)
    except ValidationError as failure:
        wrong = sorted({".".join(str(part) for part in error["loc"]) or error["msg"] for error in failure.errors()})
        notes.add(f"left out: missing or out of range: {', '.join(wrong)}", name)
        return None


def _band(cell: Cell, tdd: bool | None) -> Band | None:
    """The narrowest band that contains the carrier: all of n78 is in n77 too."""
    fitting = [
        band
        for band in BANDS.values()
        if band.rat is cell.rat and tdd in (None, band.tdd) and not any(carrier_problems(cell, band))
    ]
    return min(fitting, key=lambda band: len(band.dl), default=None)


def _scope(cells: Sequence[Cell], cells_of: Mapping[str, Sequence[Cell]]) -> Scope:
    """The shortest scope for exactly these cells: whole stations, their cells in some bands, or single cells."""
    stations = sorted({cell.station for cell in cells})
    bands = sorted({cell.band for cell in cells})
    candidates = [cell for station in stations for cell in cells_of[station]]
    if len(candidates) == len(cells):
        return Scope(stations=tuple(stations))
    if sum(cell.band in bands for cell in candidates) == len(cells):
        return Scope(stations=tuple(stations), bands=tuple(bands))
    return Scope(cells=tuple(sorted(cell.name for cell in cells)))


def _by_id(items: Sequence[Any]) -> tuple[Any, ...]:
    return tuple(sorted(items, key=lambda item: str(item.id)))


# --------------------------------------------------------- agreements on cells


@dataclass(frozen=True, slots=True)
class CellUse:
    """What one tenant has on a cell, as in an agreement: no PLMNs or slices means all."""

    tenant: str
    plmns: tuple[Plmn, ...]
    slices: tuple[Snssai, ...]
    shares: tuple[RadioShare, ...]


def _uses(tenants: Iterable[Tenant], cell: CellReading) -> Iterator[CellUse]:
    """What each tenant on air has on a cell."""
    for tenant in sorted(tenants, key=lambda one: one.id):
        if plmns := [plmn for plmn in cell.on_air if plmn in tenant.plmns]:
            yield CellUse(
                tenant=tenant.id,
                plmns=() if set(plmns) == set(tenant.plmns) else tuple(sorted(plmns)),
                slices=_slices(tenant, plmns, cell),
                shares=_shares(tenant, cell),
            )


def _shares(tenant: Tenant, cell: CellReading) -> tuple[RadioShare, ...]:
    """The tenant's shares, one for each resource; if LTE splits a share by PLMNs, the guarantees are on the first."""
    primary = next(iter(cell.broadcasts))
    mine = [share for share in cell.shares if share.plmns and set(share.plmns) <= set(tenant.plmns)]
    mine.sort(key=lambda share: (share.plmns[0] != primary, share.plmns))
    shares: dict[ResourceType, RadioShare] = {}
    for reading in mine:
        if (share := _share(reading)) is not None:
            shares.setdefault(share.resource, share)
    return tuple(shares[resource] for resource in sorted(shares))


def _slices(tenant: Tenant, plmns: Sequence[Plmn], cell: CellReading) -> tuple[Snssai, ...]:
    """The tenant's slices on air; none if that is all of them, or on LTE."""
    if cell.rat is Rat.LTE:
        return ()
    on_air = {one for plmn in plmns for one in cell.on_air[plmn]} & set(tenant.slices)
    return () if on_air == set(tenant.slices) else in_slice_order(on_air)


def _share(reading: ShareReading) -> RadioShare | None:
    """The share; None if its percentage or resource is unknown."""
    try:
        return RadioShare.model_validate(
            {name: getattr(reading, name) for name in ("resource", "dedicated", "min", "max")}
        )
    except ValidationError:
        return None
