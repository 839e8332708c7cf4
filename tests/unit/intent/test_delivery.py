"""When a cell carried what an agreement asks for."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from hypothesis import given
from hypothesis import strategies as st

from controller.intent.delivery import Carried, Delivery

AT = datetime(2026, 6, 15, 12, tzinfo=UTC)
MINUTE = timedelta(minutes=1)
WHOLE = 40
PLMNS = ("716-01", "716-11")

_span = st.tuples(st.integers(0, WHOLE), st.integers(0, WHOLE)).filter(lambda one: one[0] < one[1])
_rows = st.lists(st.tuples(st.sampled_from(PLMNS), st.sampled_from(("alfa", "beta")), _span), max_size=8)


def _minutes(times: tuple[tuple[datetime, datetime], ...]) -> list[int]:
    return [m for since, until in times for m in range(round((since - AT) / MINUTE), round((until - AT) / MINUTE))]


@given(
    rows=_rows, since=st.integers(0, WHOLE - 1), length=st.integers(1, WHOLE), wanted=st.sets(st.sampled_from(PLMNS))
)
def test_all_plmns_of_an_agreement_count_together(
    rows: list[tuple[str, str, tuple[int, int]]], since: int, length: int, wanted: set[str]
) -> None:
    """Minute by minute: a tenant's own, at this cell, all of them."""
    until = min(WHOLE, since + length)
    found = Delivery(
        tuple(
            Carried("S1", ("L1", "L2"), plmn, tenant, AT + first * MINUTE, AT + last * MINUTE)
            for plmn, tenant, (first, last) in rows
        )
    )
    span = AT + since * MINUTE, AT + until * MINUTE
    there = {
        minute: {plmn for plmn, tenant, (first, last) in rows if tenant == "alfa" and first <= minute < last}
        for minute in range(since, until)
    }
    for part in (found, found.between(*span)):
        for cell in ("S1/L1", "S1/L2"):
            lacking = _minutes(part.lacking((cell,), "alfa", sorted(wanted), *span))
            assert lacking == [m for m, plmns in there.items() if not wanted or not wanted <= plmns]
            nothing = _minutes(part.without_any((cell,), "alfa", *span))
            assert nothing == [minute for minute, plmns in there.items() if not plmns]
        for cell in ("S1/L3", "S2/L1"):
            assert _minutes(part.lacking((cell,), "alfa", PLMNS, *span)) == [*there], "another cell"


@given(rows=_rows, at_unit=_rows, wanted=st.sets(st.sampled_from(PLMNS), min_size=1))
def test_a_cell_in_two_halves_carries_what_both_of_them_do(
    rows: list[tuple[str, str, tuple[int, int]]], at_unit: list[tuple[str, str, tuple[int, int]]], wanted: set[str]
) -> None:
    halves = {("S1", "N1"): rows, ("CP", "S1.N1"): at_unit}
    found = Delivery(
        tuple(
            Carried(device, (cell,), plmn, tenant, AT + first * MINUTE, AT + last * MINUTE)
            for (device, cell), of_half in halves.items()
            for plmn, tenant, (first, last) in of_half
        )
    )
    there = [
        set.intersection(
            *(
                {plmn for plmn, tenant, (first, last) in of_half if tenant == "alfa" and first <= minute < last}
                for of_half in halves.values()
            )
        )
        for minute in range(WHOLE)
    ]
    names, span = ("S1/N1", "CP/S1.N1"), (AT, AT + WHOLE * MINUTE)
    lacking = found.lacking(names, "alfa", sorted(wanted), *span)
    assert _minutes(lacking) == [minute for minute, plmns in enumerate(there) if not wanted <= plmns]
    nothing = found.without_any(names, "alfa", *span)
    assert _minutes(nothing) == [minute for minute, plmns in enumerate(there) if not plmns]
