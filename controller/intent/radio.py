"""Radio checks of a single cell: identities and carrier within range and band."""

from __future__ import annotations

from collections.abc import Iterator

from controller.intent.findings import Check, Fault
from controller.intent.identities import IDENTITY_BITS
from controller.inventory.bands import BANDS, carrier_problems
from controller.models.network import Cell, Rat, Station

#: Physical cell identities: TS 36.211 §6.11, TS 38.211 §7.4.2.
_MAX_PCI = {Rat.LTE: 503, Rat.NR: 1007}

#: cellLocalId: TS 28.658 (8 bits), TS 28.541 §4.4.1 (14 bits).
_MAX_LOCAL_ID = {Rat.LTE: 255, Rat.NR: 16383}

#: Tracking area codes: 16 bits in LTE, 24 in NR. TS 23.003 §19.4.2.3 keeps two LTE codes for no tracking area.
_MAX_TAC = {Rat.LTE: 0xFFFF, Rat.NR: 0xFFFFFF}
_RESERVED_LTE_TACS = (0x0000, 0xFFFE)


def radio_faults(cell: Cell, station: Station) -> Iterator[Fault]:
    """What is wrong with a cell regardless of who uses it."""
    yield from _identity_faults(cell, station)
    if cell.pci > _MAX_PCI[cell.rat]:
        yield Fault(Check.PCI_RANGE, f"PCI {cell.pci}; {cell.rat} has 0 to {_MAX_PCI[cell.rat]}")
    if cell.tac > _MAX_TAC[cell.rat]:
        yield Fault(Check.TAC_RANGE, f"TAC {cell.tac}; {cell.rat} has at most {_MAX_TAC[cell.rat]}")
    if cell.rat is Rat.LTE and cell.tac in _RESERVED_LTE_TACS:
        yield Fault(Check.TAC_RANGE, f"TAC {cell.tac} is reserved in LTE")
    band = BANDS.get(cell.band)
    if band is None:
        yield Fault(Check.CARRIER_BAND, f"band {cell.band} is unknown; known are {', '.join(BANDS)}")
    else:
        for field, problem, right in carrier_problems(cell, band):
            yield Fault(Check.CARRIER_BAND, f"{field} {getattr(cell, field)}: {problem}; right is {right}")


def _identity_faults(cell: Cell, station: Station) -> Iterator[Fault]:
    lte = cell.rat is Rat.LTE
    node_id, length = (station.enb_id, station.enb_id_length) if lte else (station.gnb_id, station.gnb_id_length)
    if node_id is None:
        text = f"an {cell.rat} cell, but station {station.id} has no {'enb_id' if lte else 'gnb_id'}"
        yield Fault(Check.NODE_ID_MISSING, text)
    most: int = min(_MAX_LOCAL_ID[cell.rat], 2 ** (IDENTITY_BITS[cell.rat] - length) - 1)
    if cell.local_id > most:
        text = f"local_id {cell.local_id}; with a node id of {length} bits an {cell.rat} cell has 0 to {most}"
        yield Fault(Check.LOCAL_ID_RANGE, text)
