"""The contract checks by name, with the severity and wording of findings.

``docs/explanation/intent.md`` describes each check, and how to correct its findings.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import StrEnum

from controller.models.facts import Finding, Severity
from controller.models.network import Cell, Network


class Check(StrEnum):
    """Code of a finding. It is stable, since people and rules refer to it."""

    # Agreements
    AGREEMENT_EXPIRED = "agreement-expired"
    AGREEMENT_NOT_YET_VALID = "agreement-not-yet-valid"
    AGREEMENT_DANGLING = "agreement-dangling"
    AGREEMENT_MATCHES_NOTHING = "agreement-matches-nothing"
    AGREEMENT_OVERLAP = "agreement-overlap"
    PLMN_NOT_OF_TENANT = "plmn-not-of-tenant"
    SLICE_NOT_OF_TENANT = "slice-not-of-tenant"
    NR_WITHOUT_SLICES = "nr-without-slices"
    CORE_POOL_MISSING = "core-pool-missing"
    USER_PLANE_POOL_MISSING = "user-plane-pool-missing"
    # PLMNs of cells and tracking areas
    PLMN_LIMIT = "plmn-limit"
    PRIMARY_WITHOUT_AGREEMENT = "primary-without-agreement"
    MORAN_CARRIER_SHARED = "moran-carrier-shared"
    TRACKING_AREA_PLMNS = "tracking-area-plmns"
    TRACKING_AREA_SLICES = "tracking-area-slices"
    # Shares
    SHARE_ORDER = "share-order"
    SHARE_DUPLICATE = "share-duplicate"
    SHARE_SUM = "share-sum"
    SHARE_DIFFERS = "share-differs"
    # Conflicts between tenants
    PLMN_CLAIMED_TWICE = "plmn-claimed-twice"
    SLICE_USED_TWICE = "slice-used-twice"
    VLAN_USED_TWICE = "vlan-used-twice"
    CORE_LINK_CLASH = "core-link-clash"
    # Routers
    ROUTER_PLATFORM = "router-platform"
    ROUTER_TWICE = "router-twice"
    ROUTER_NO_ADDRESS = "router-no-address"
    ROUTER_UNENFORCEABLE = "router-unenforceable"
    # Functions
    FUNCTION_UNPLACED = "function-unplaced"
    FUNCTION_POOL_GONE = "function-pool-gone"
    # Backhaul
    BACKHAUL_CAPACITY = "backhaul-capacity"
    # Functions and pools
    FUNCTION_PATH = "function-path"
    FUNCTION_TENANT = "function-tenant"
    FUNCTION_LATENCY = "function-latency"
    FUNCTION_PROFILE = "function-profile"
    FUNCTION_VERSIONS = "function-versions"
    FUNCTION_GNB = "function-gnb"
    FUNCTION_UNUSED = "function-unused"
    FUNCTION_NOT_BOUGHT = "function-not-bought"
    POOL_OVERSOLD = "pool-oversold"
    POOL_WITHOUT_ROOM = "pool-without-room"
    # Radio
    LOCAL_ID_RANGE = "local-id-range"
    PCI_RANGE = "pci-range"
    TAC_RANGE = "tac-range"
    CARRIER_BAND = "carrier-band"
    EIRP_LICENCE = "eirp-licence"
    PCI_COLLISION = "pci-collision"
    PCI_CONFUSION = "pci-confusion"
    PCI_MOD_3 = "pci-mod-3"
    PCI_MOD_4 = "pci-mod-4"
    PCI_MOD_30 = "pci-mod-30"
    PRACH_CLASH = "prach-clash"
    RADIO_UNCHECKED = "radio-unchecked"
    # Neighbours
    NEIGHBOUR_DANGLING = "neighbour-dangling"
    NEIGHBOUR_PLMNS = "neighbour-plmns"
    NEIGHBOUR_ONE_WAY = "neighbour-one-way"
    NEIGHBOUR_MISSING = "neighbour-missing"
    NR_WITHOUT_ANCHOR = "nr-without-anchor"
    # Identities
    NODE_ID_MISSING = "node-id-missing"
    NODE_PLMN_MISSING = "node-plmn-missing"
    NODE_PLMN_FOREIGN = "node-plmn-foreign"
    NODE_ID_CLASH = "node-id-clash"
    OWN_CELL_DANGLING = "own-cell-dangling"
    OWN_CELL_UNUSED = "own-cell-unused"
    OWN_CELL_PRIMARY = "own-cell-primary"
    OWN_CELL_RANGE = "own-cell-range"
    OWN_CELL_CLASH = "own-cell-clash"
    CELL_ID_CLASH = "cell-id-clash"
    STATION_DANGLING = "station-dangling"
    STATION_WITHOUT_CELLS = "station-without-cells"


#: All others are errors. An error always names a station, which it keeps out of plans.
_MILDER = {
    Check.AGREEMENT_EXPIRED: Severity.WARNING,
    Check.AGREEMENT_NOT_YET_VALID: Severity.INFO,
    Check.AGREEMENT_DANGLING: Severity.WARNING,
    Check.AGREEMENT_MATCHES_NOTHING: Severity.WARNING,
    Check.USER_PLANE_POOL_MISSING: Severity.WARNING,
    Check.SHARE_DIFFERS: Severity.WARNING,
    Check.SLICE_USED_TWICE: Severity.WARNING,
    Check.VLAN_USED_TWICE: Severity.WARNING,
    Check.ROUTER_UNENFORCEABLE: Severity.WARNING,
    Check.OWN_CELL_DANGLING: Severity.WARNING,
    Check.OWN_CELL_UNUSED: Severity.WARNING,
    Check.BACKHAUL_CAPACITY: Severity.WARNING,
    Check.FUNCTION_POOL_GONE: Severity.WARNING,
    Check.FUNCTION_UNUSED: Severity.WARNING,
    Check.FUNCTION_NOT_BOUGHT: Severity.WARNING,
    Check.POOL_WITHOUT_ROOM: Severity.WARNING,
    Check.PCI_MOD_3: Severity.WARNING,
    Check.PCI_MOD_4: Severity.INFO,
    Check.PCI_MOD_30: Severity.INFO,
    Check.PRACH_CLASH: Severity.WARNING,
    Check.RADIO_UNCHECKED: Severity.INFO,
    Check.NEIGHBOUR_DANGLING: Severity.WARNING,
    Check.NEIGHBOUR_PLMNS: Severity.WARNING,
    Check.NEIGHBOUR_ONE_WAY: Severity.WARNING,
    Check.NEIGHBOUR_MISSING: Severity.WARNING,
    Check.NR_WITHOUT_ANCHOR: Severity.WARNING,
    Check.STATION_WITHOUT_CELLS: Severity.WARNING,
}


def severity_of(check: Check) -> Severity:
    """Severity of all findings of a check."""
    return _MILDER.get(check, Severity.ERROR)


@dataclass(frozen=True, slots=True)
class Fault:
    """A contract broken on every cell that is shared in the same way; without the cell's name."""

    check: Check
    text: str
    tenant: str = ""
    agreement: str = ""
    #: If it is not that of all findings of the check.
    severity: Severity | None = None
    #: Further agreements that would be corrected.
    agreements: tuple[str, ...] = ()

    def at(self, cell: Cell) -> Finding:
        """The finding for one cell."""
        return Finding(
            code=self.check.value,
            severity=self.severity or severity_of(self.check),
            message=f"cell {cell.name}: {self.text}",
            station=cell.station,
            cell=cell.id,
            tenant=self.tenant,
            agreement=self.agreement,
            agreements=_each_once(self.agreement, *self.agreements),
        )


def finding(
    check: Check,
    message: str,
    *,
    station: str = "",
    tenant: str = "",
    agreement: str = "",
    subject: str = "",
    agreements: Iterable[str] = (),
) -> Finding:
    """A finding about a device, or about the network as a whole; ``agreements`` are further ones to correct."""
    return Finding(
        check.value,
        severity_of(check),
        message,
        station=station,
        tenant=tenant,
        agreement=agreement,
        subject=subject,
        agreements=_each_once(agreement, *agreements),
    )


def _each_once(*agreements: str) -> tuple[str, ...]:
    return tuple(dict.fromkeys(filter(None, agreements)))


def with_kinds(network: Network, findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings with the kind of the device that each is about."""
    return tuple(replace(one, kind=network.kind_of(one.station)) if one.station else one for one in findings)


def canonical(findings: Iterable[Finding]) -> tuple[Finding, ...]:
    """Findings in canonical order: network first, then by station, cell, code, agreement and tenant."""
    return tuple(sorted(findings, key=lambda f: (f.station, f.cell, f.code, f.agreement, f.tenant, f.message)))
