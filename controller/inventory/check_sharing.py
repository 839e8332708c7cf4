"""Checks of tenants and agreements that need no cell: references and doubles."""

from __future__ import annotations

from collections import Counter
from collections.abc import Hashable, Iterable

from controller.inventory.bands import BANDS
from controller.inventory.check import Objects, at
from controller.inventory.source import Entry
from controller.models.network import Agreement, Core, Tenant


def check_tenants(objects: Objects) -> None:
    """Each PLMN and VLAN belongs to one tenant: they are what keeps tenants apart."""
    tenants = objects.all("tenants", Tenant)
    objects.unique(tenants, lambda tenant: tenant.id, ("id",), "id")
    objects.unique(tenants, lambda tenant: tenant.core.vlan, ("core", "vlan"), "VLAN")
    owners: dict[str, Entry] = {}
    for entry, tenant in tenants:
        for index, plmn in enumerate(tenant.plmns):
            if plmn in owners:
                message = f"the PLMN is given already to {owners[plmn].label}, {at(owners[plmn])}"
                objects.report.entry(entry, ("plmns", index), message, value=plmn)
            owners.setdefault(plmn, entry)
        _doubles(objects, entry, ("slices",), [str(slice_) for slice_ in tenant.slices])
        _check_core(objects, entry, tenant.core)


def _check_core(objects: Objects, entry: Entry, core: Core) -> None:
    for name, pool in (("mme_pool", core.mme_pool), ("amf_pool", core.amf_pool), ("upf_pool", core.upf_pool)):
        _doubles(objects, entry, ("core", name), [node.id for node in pool])
        _doubles(objects, entry, ("core", name), [str(node.address) for node in pool])


def _doubles(objects: Objects, entry: Entry, path: tuple[str, ...], values: Iterable[Hashable]) -> None:
    for value, count in Counter(values).items():
        if count > 1:
            objects.report.entry(entry, path, f"{value} is given twice")


def check_agreements(objects: Objects) -> None:
    """Agreements refer to what there is, and to what is the tenant's."""
    agreements = objects.all("agreements", Agreement)
    objects.unique(agreements, lambda agreement: agreement.id, ("id",), "id")
    tenants = {tenant.id: tenant for _, tenant in objects.all("tenants", Tenant)}
    for entry, agreement in agreements:
        objects.refer(entry, ("tenant",), agreement.tenant, "tenants", "tenant")
        _check_scope(objects, entry, agreement)
        _doubles(objects, entry, ("shares",), [share.resource.value for share in agreement.shares])
        if agreement.tenant in tenants:
            _check_subset(objects, entry, agreement, tenants[agreement.tenant])


def _check_scope(objects: Objects, entry: Entry, agreement: Agreement) -> None:
    scope = agreement.scope
    for kind, noun, values in (
        ("regions", "region", scope.regions),
        ("sites", "site", scope.sites),
        ("stations", "station", scope.stations),
        ("cells", "cell", scope.cells),
    ):
        for index, value in enumerate(values):
            objects.refer(entry, ("scope", kind, index), value, kind, noun)
    for index, band in enumerate(scope.bands):
        if band not in BANDS:
            expected = objects.report.did_you_mean(band, BANDS) or f"bands are {', '.join(BANDS)}"
            objects.report.entry(entry, ("scope", "bands", index), "no such band", value=band, expected=expected)


def _check_subset(objects: Objects, entry: Entry, agreement: Agreement, tenant: Tenant) -> None:
    for index, plmn in enumerate(agreement.plmns):
        if plmn not in tenant.plmns:
            expected = f"{tenant.id} has {', '.join(tenant.plmns)}"
            objects.report.entry(entry, ("plmns", index), "not a PLMN of the tenant", value=plmn, expected=expected)
    for index, slice_ in enumerate(agreement.slices):
        if slice_ not in tenant.slices:
            slices = ", ".join(map(str, tenant.slices)) or "none"
            message, expected = f"{slice_} is not a slice of the tenant", f"{tenant.id} has {slices}"
            objects.report.entry(entry, ("slices", index), message, expected=expected)
