"""What a tenant is told of nodes and lines that are several tenants'."""

from __future__ import annotations

from controller.access.disclosure import visible_config, visible_rows
from controller.access.sight import Sight, sight
from controller.models.network import HOST
from controller.models.plan import Change, DiffRow, Fingerprint
from controller.models.run import LedgerEntry
from controller.plan import network_digest
from tests.unit.plan import samples

NETWORK = samples.network(("alfa", "beta"))
OWN, THEIRS, BOTH, HOSTS = ("/ManagedElement[S1]/" + name for name in ("A[1]", "B[1]", "AB[1]", "H[1]"))


def seen(tenant: str) -> Sight:
    return sight(network_digest(NETWORK), NETWORK, tenant)


def test_a_node_of_several_owners_is_told_to_none_of_them() -> None:
    owners = {OWN: ("alfa",), THEIRS: ("beta",), BOTH: ("alfa", "beta"), HOSTS: (HOST,)}
    ledger = {path: LedgerEntry(station="S1", path=path, owners=who, leaves={}) for path, who in owners.items()}
    tree = {path: {"secret": path} for path in owners}
    for tenant, own in (("alfa", OWN), ("beta", THEIRS)):
        assert visible_config(seen(tenant), "S1", tree, tree, ledger) == ({own: tree[own]}, {own: tree[own]})


def row(tenant: str, cell: str = "L1") -> DiffRow:
    return DiffRow(cell=cell, tenant=tenant, what=f"of {tenant}", before="1", after="2")


def test_a_line_about_several_tenants_names_no_other_one() -> None:
    change = Change(
        station="S1",
        phases=(),
        diff=(row("alfa, beta"), row("alfa"), row("beta"), row(HOST), row(HOST, "elsewhere"), row("alfabet")),
        touched=("alfa", "beta"),
        fingerprint=Fingerprint(paths=(), digest=""),
    )
    assert [(one.tenant, one.what) for one in visible_rows(seen("alfa"), change)] == [
        ("alfa", "of alfa, beta"),
        ("alfa", "of alfa"),
        (HOST, f"of {HOST}"),
    ]
