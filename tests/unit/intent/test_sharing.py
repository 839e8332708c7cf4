"""What the agreements that cover a cell add up to, and the faults among them."""

from __future__ import annotations

from dataclasses import replace

import pytest

from controller.intent.findings import Check
from controller.intent.grants import Grant, grants_in_force
from controller.intent.sharing import share_cell
from controller.models.network import Rat, Snssai
from tests.unit.plan import samples

CLAIMS = {"999-01": ("alfa",), "999-02": ("alfa",)}
ONE, TWO = Snssai(sst=1), Snssai(sst=2)


def grant(agreement: str, tenant: str = "alfa", plmn: str = "999-01", slices: tuple[Snssai, ...] = (ONE,)) -> Grant:
    network = samples.network(("alfa",))
    (known,), _ = grants_in_force(network, network.day(samples.NOW))
    return replace(known, agreement=agreement, tenant=tenant, plmns=(plmn,), slices=slices, shares=(), faults=())


@pytest.mark.parametrize(
    ("rat", "other", "overlaps"),
    [
        (Rat.NR, grant("b"), True),
        (Rat.NR, grant("b", slices=(TWO, ONE)), True),
        (Rat.NR, grant("b", slices=(TWO,)), False),
        (Rat.NR, grant("b", slices=()), True),
        (Rat.LTE, grant("b", slices=(TWO,)), True),
        (Rat.LTE, grant("b", plmn="999-02"), False),
        (Rat.NR, grant("b", plmn="999-02"), False),
        (Rat.LTE, grant("b", tenant="beta"), False),
    ],
)
def test_two_agreements_overlap_where_they_give_a_tenant_the_same_plmn_and_on_nr_a_common_slice(
    rat: Rat, other: Grant, overlaps: bool
) -> None:
    """An agreement without slices is for all of them; LTE knows none."""
    for grants in ((grant("a"), other), (other, grant("a"))):
        found = [
            one for one in share_cell(rat, "999-01", grants, CLAIMS).faults if one.check is Check.AGREEMENT_OVERLAP
        ]
        assert bool(found) is overlaps
        for one in found:
            assert (one.tenant, one.agreement) == ("alfa", grants[1].agreement)
            assert one.text == f"agreements {grants[0].agreement} and {grants[1].agreement} of alfa both give 999-01"
