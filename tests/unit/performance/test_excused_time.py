"""What a cause that nobody owes excuses in a statement: the time in which it stood, whatever it has an incident with.

A fault that comes back within ten minutes is the same incident, which may then follow from such a cause. What the host
owed before stays owed.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import timedelta

import pytest

from controller.api.statements import draft
from controller.models.alarm import AlarmReport
from controller.models.incident import IncidentFilter
from controller.models.network import network_digest
from controller.models.statement import Statement, StatementKind
from controller.ports.clock import VirtualClock
from controller.store import Page, Store, open_store
from tests.contract.store.test_roots import CLEARED, MAJOR, link, lost, mains
from tests.support.observed import observe
from tests.unit.api.test_statements import off_air
from tests.unit.intent.test_outages import BEGIN, END, MME, OTHER_MME, network
from tests.unit.performance.test_corrections import JULY
from tests.unit.performance.test_settlement import LINES, priced
from tests.unit.performance.test_volume import rows

#: Minutes in which the cause stood, and in which the fault did that came of it.
CAUSE, ITS_FAULT = (15.5, 41), (15, 40)
#: Faults of the host before: each comes back within ten minutes, the last one with the cause.
ONCE, OFTEN = [(0, 10)], [(13 * n + 2, 13 * n + 8) for n in range(-30, 1)]


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as opened:
        made = network(outside_causes=["mains-lost"])
        opened.networks.save(made, network_digest(made), "ana")
        observe(opened, ("S1", "S2"), BEGIN - timedelta(hours=1), END)
        yield opened


def _fault(*, core: bool, over: bool = False, path: str = MME) -> AlarmReport:
    """S1/L1 of alfa is off air, or without its core."""
    if not core:
        return off_air(0, over=over)
    known = {"object": path, "tenant": "alfa", "severity": CLEARED if over else MAJOR}
    return link("S1").model_copy(update=known)


def _cause(*, core: bool, over: bool = False) -> AlarmReport:
    severity = CLEARED if over else MAJOR
    if not core:
        return mains(severity, 0, "S1")
    return lost(severity).model_copy(update={"object": "alfa-mme", "tenant": "alfa"})


def _happen(store: Store, day: int, *reports: tuple[float, AlarmReport]) -> None:
    for minute, report in sorted(reports, key=lambda one: one[0]):
        at = BEGIN + timedelta(days=day, minutes=minute)
        store.database.clock = VirtualClock(start=at)
        store.alarms.report(report.model_copy(update={"at": at}))


def _seconds(store: Store) -> dict[str, int]:
    """What the cell lost by what that counts as, in seconds; the incidents of the statement have as much."""
    said = draft(store, END + timedelta(days=2), StatementKind.SLA, "alfa", "2026-06")
    found: dict[str, int] = {}
    for row in rows(said, "outages"):
        if row["cell"] == "S1/L1":
            found[str(row["part"])] = found.get(str(row["part"]), 0) + int(str(row["seconds"]))
    for part, seconds in found.items():
        assert sum(float(str(row[part])) for row in rows(said, "incidents")) == pytest.approx(seconds / 60, abs=0.1)
    return found


@pytest.mark.parametrize("core", [False, True])
@pytest.mark.parametrize("before", [[], ONCE, OFTEN], ids=["none", "once", "often"])
def test_a_cause_that_nobody_owes_excuses_the_time_in_which_it_stood_and_no_fault_before(
    store: Store, before: list[tuple[int, int]], core: bool
) -> None:
    faults = [(at, _fault(core=core, over=at == pair[1])) for pair in (*before, ITS_FAULT) for at in pair]
    _happen(store, 9, *faults, *((at, _cause(core=core, over=at == CAUSE[1])) for at in CAUSE))
    owed = 60 * sum(until - since for since, until in before)
    excused = {"own_core" if core else "outside": 60 * (ITS_FAULT[1] - ITS_FAULT[0])}
    assert _seconds(store) == excused | ({"lost": owed} if owed else {})


def test_no_correction_takes_back_what_a_cause_of_the_next_month_does_not_excuse() -> None:
    """Both links fail for three days of June, the second one into July; then the core of the first one is lost."""
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as store:
        made = priced(lines=LINES[:1])
        store.networks.save(made, network_digest(made), "ana")
        observe(store, ("S1", "S2"), BEGIN, JULY)

        def fail(day: float, path: str = MME, *, over: bool = False) -> None:
            _happen(store, 0, (1440 * day, _fault(core=True, over=over, path=path)))

        def issued(month: str, day: int) -> Statement:
            store.database.clock = VirtualClock(start=BEGIN + timedelta(days=day))
            said = draft(store, BEGIN + timedelta(days=day), StatementKind.SETTLEMENT, "alfa", month)
            store.statements.issue(said, "ana", "")
            return said

        fail(1)
        fail(1, OTHER_MME)
        fail(4, over=True)
        june = issued("2026-06", 32)
        assert "credit" in [row["line"] for row in rows(june, "lines")]
        fail(33)
        fail(33.001, OTHER_MME, over=True)
        _happen(store, 33, (2, _cause(core=True)))
        _, (one,) = store.incidents.page(Page(), IncidentFilter())
        assert one.probable_cause == "core-node-down", "what was lost in June is part of it"
        assert rows(issued("2026-07", 63), "corrections") == []
