"""Checks of cells: profile, identities, codes and carriers."""

from __future__ import annotations

from collections.abc import Hashable

from controller.inventory.bands import BANDS, carrier_problems
from controller.inventory.check import Objects
from controller.inventory.source import Entry
from controller.models.network import Cell, Rat, Station, Tenant

_PROFILE = {Rat.LTE: "lte-28658", Rat.NR: "nr-28541"}


def check_cells(objects: Objects) -> None:
    """Check every cell by itself, against its station and against all others."""
    cells = objects.all("cells", Cell)
    stations = {station.id: station for _, station in objects.all("stations", Station)}
    plmns = {plmn for _, tenant in objects.all("tenants", Tenant) for plmn in tenant.plmns}
    objects.unique(cells, lambda cell: (cell.station, cell.id), ("id",), "id")
    objects.unique(cells, lambda cell: _identity(cell, stations), ("local_id",), "global cell identity")
    tenants_known = len(objects.found.get("tenants", [])) == len(objects.names["tenants"])
    for entry, cell in cells:
        objects.refer(entry, ("station",), cell.station, "stations", "station")
        if cell.station in stations:
            _check_profile(objects, entry, cell, stations[cell.station])
        _check_codes(objects, entry, cell)
        _check_carrier(objects, entry, cell)
        if cell.primary_plmn not in plmns and tenants_known and objects.report.complete:
            expected = objects.report.did_you_mean(cell.primary_plmn, plmns)
            message = "the PLMN of no tenant"
            objects.report.entry(entry, ("primary_plmn",), message, value=cell.primary_plmn, expected=expected)


def _identity(cell: Cell, stations: dict[str, Station]) -> Hashable:
    """E-UTRAN or NR cell identity: node id and local id in one number (TS 36.413 §9.2.1.38, TS 38.413 §9.3.1.7).

    It is unique network-wide without the PLMN, hence also with it (ECGI, NCGI), whichever PLMN is primary.
    """
    station = stations.get(cell.station)
    if station is None:
        return None
    if cell.rat is Rat.LTE:
        return None if station.enb_id is None else (cell.rat, (station.enb_id << _lte_bits(station)) + cell.local_id)
    return None if station.gnb_id is None else (cell.rat, (station.gnb_id << _nr_bits(station)) + cell.local_id)


def _lte_bits(station: Station) -> int:
    return 28 - station.enb_id_length


def _nr_bits(station: Station) -> int:
    return 36 - station.gnb_id_length


def _check_profile(objects: Objects, entry: Entry, cell: Cell, station: Station) -> None:
    if _PROFILE[cell.rat] not in station.profiles:
        expected = f"add {_PROFILE[cell.rat]} to its profiles"
        objects.report.entry(
            entry, ("rat",), f"{station.id} has no profile for {cell.rat}", value=cell.rat, expected=expected
        )
        return
    if cell.rat is Rat.LTE:
        most, why = min(255, 2 ** _lte_bits(station) - 1), f"enb_id_length {station.enb_id_length}"
    else:
        most, why = min(16383, 2 ** _nr_bits(station) - 1), f"gnb_id_length {station.gnb_id_length}"
    if cell.local_id > most:
        expected = f"at most {most} in {cell.rat} with {why}"
        objects.report.entry(entry, ("local_id",), "too large", value=cell.local_id, expected=expected)


def _check_codes(objects: Objects, entry: Entry, cell: Cell) -> None:
    """PCI (TS 36.211 §6.11) and TAC of LTE (TS 23.003 §19.4.2.3: 0000 and FFFE are reserved); NR takes all."""
    if cell.rat is not Rat.LTE:
        return
    if cell.pci > 503:
        objects.report.entry(entry, ("pci",), "too large", value=cell.pci, expected="at most 503 in LTE")
    if cell.tac > 65535:
        objects.report.entry(entry, ("tac",), "too large", value=cell.tac, expected="at most 65535 in LTE")
    elif cell.tac in {0, 65534}:
        expected = "1 to 65533, or 65535"
        objects.report.entry(entry, ("tac",), "reserved in LTE", value=cell.tac, expected=expected)


def _check_carrier(objects: Objects, entry: Entry, cell: Cell) -> None:
    band = BANDS.get(cell.band)
    if band is None:
        expected = objects.report.did_you_mean(cell.band, BANDS) or f"bands are {', '.join(BANDS)}"
        objects.report.entry(entry, ("band",), "no such band", value=cell.band, expected=expected)
        return
    for field, message, expected in carrier_problems(cell, band):
        objects.report.entry(entry, (field,), message, value=getattr(cell, field), expected=expected)
