"""Later proof is a line of the next settlement with both figures; what was issued never changes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from datetime import datetime, timedelta
from decimal import Decimal

import pytest

from controller.api.statements import draft, settled
from controller.intent.agreed_terms import month_of
from controller.models.alarm import AlarmSource
from controller.models.errors import ConflictError, NotFoundError
from controller.models.measurement import DAY, HOUR, MONTH, QUARTER, Measured, Subject
from controller.models.network import Network, network_digest
from controller.models.settings import Settings
from controller.models.statement import Statement, StatementKind
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from tests.contract.store.test_roots import CLEARED, MAJOR, mains
from tests.support.observed import observe
from tests.unit.api.test_statements import off_air
from tests.unit.intent.test_outages import BEGIN, END
from tests.unit.performance.test_settlement import LINES, priced
from tests.unit.performance.test_volume import rows

_, JULY = month_of(priced(), END + timedelta(days=1))
_, AUGUST = month_of(priced(), JULY + timedelta(days=1))
_, SEPTEMBER = month_of(priced(), AUGUST + timedelta(days=1))


@pytest.fixture
def made() -> Network:
    return priced(lines=LINES[:1])


@pytest.fixture
def store(made: Network) -> Iterator[Store]:
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as opened:
        opened.networks.save(made, network_digest(made), "ana")
        observe(opened, ("S1", "S2"), BEGIN, AUGUST)
        yield opened


def _issue(store: Store, month: str, at: datetime) -> Statement:
    store.database.clock = VirtualClock(start=at)
    made = draft(store, at, StatementKind.SETTLEMENT, "alfa", month)
    store.statements.issue(made, "ana", "")
    return made


def _lose_three_days(store: Store, at: datetime) -> None:
    """An outage of a cell in June comes on record: 2.5 % of four cells' month, so that a credit of 12.5 % is due."""
    store.database.clock = VirtualClock(start=at)
    for over in (False, True):
        began = BEGIN + timedelta(days=1 + 3 * over)
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": began}))


def _due(said: Statement) -> Decimal:
    (row,) = rows(said, "due")
    return Decimal(str(row["amount"]))


def test_what_comes_later_corrects_the_next_settlement_once_and_with_both_figures(store: Store) -> None:
    june = _issue(store, "2026-06", END + timedelta(days=2))
    assert _due(june) == 1500
    assert not rows(june, "corrections")
    _lose_three_days(store, END + timedelta(days=3))
    july = _issue(store, "2026-07", JULY + timedelta(days=2))
    assert rows(july, "corrections") == [
        {
            "month": "2026-06",
            "agreement": "alfa-all",
            "line": "credit",
            "currency": "PEN",
            "stated": "0",
            "now": "-187.50",
            "difference": "-187.50",
        }
    ]
    assert _due(july) == Decimal("1312.50")
    (line,) = [row for row in rows(july, "lines") if row["line"] == "correction"]
    assert (line["per"], line["amount"], line["currency"]) == ("2026-06", "-187.50", "PEN")
    _, kept = store.statements.get(StatementKind.SETTLEMENT, "alfa", "2026-06")
    assert _due(kept) == 1500, "what was issued stays"
    august = _issue(store, "2026-08", AUGUST + timedelta(days=2))
    assert _due(august) == 1500
    assert not rows(august, "corrections"), "it was corrected already"


def test_what_was_never_issued_or_issued_anew_is_not_corrected(store: Store) -> None:
    _lose_three_days(store, END + timedelta(days=1))
    assert rows(_issue(store, "2026-07", JULY + timedelta(days=2)), "corrections") == []


def test_a_correction_is_taken_back_where_the_month_itself_is_issued_anew(store: Store) -> None:
    _issue(store, "2026-06", END + timedelta(days=2))
    _lose_three_days(store, END + timedelta(days=3))
    assert _due(_issue(store, "2026-07", JULY + timedelta(days=2))) == Decimal("1312.50")
    june = _issue(store, "2026-06", JULY + timedelta(days=3))
    (row,) = rows(june, "corrections")
    assert (row["month"], row["stated"], row["now"], row["difference"]) == ("2026-06", "-375.00", "-187.50", "187.50")
    assert _due(june) == 1500, "a credit of 187.50, which July has given already"
    assert _issue(store, "2026-06", JULY + timedelta(days=4)).sheets == june.sheets
    assert _due(_issue(store, "2026-07", JULY + timedelta(days=5))) == Decimal("1312.50"), "it keeps its own"
    assert rows(_issue(store, "2026-08", AUGUST + timedelta(days=2)), "corrections") == []


def test_a_month_that_is_issued_anew_after_the_last_settlement_that_corrects_it_is_credited_once(store: Store) -> None:
    months = [f"2026-{month:02}" for month in range(6, 12)]
    _, october = month_of(priced(), SEPTEMBER + timedelta(days=1))
    _, november = month_of(priced(), october + timedelta(days=1))
    ends = dict(zip(months, (END, JULY, AUGUST, SEPTEMBER, october, november), strict=True))
    observe(store, ("S1", "S2"), AUGUST, november)
    for month, end in ends.items():
        _issue(store, month, end + timedelta(days=2))
        if end == END:
            _lose_three_days(store, END + timedelta(days=3))
        if end == SEPTEMBER:
            _issue(store, "2026-06", SEPTEMBER + timedelta(days=3))
    said = (store.statements.get(StatementKind.SETTLEMENT, "alfa", month) for month in months)
    assert sum(_due(one) for _, one in said) == 6 * 1500 - Decimal("187.50")


def test_a_settlement_that_is_issued_anew_does_not_correct_what_a_later_one_corrected(store: Store) -> None:
    for month, end in (("2026-06", END), ("2026-07", JULY), ("2026-08", AUGUST)):
        _issue(store, month, end + timedelta(days=2))
    _lose_three_days(store, AUGUST + timedelta(days=3))
    observe(store, ("S1", "S2"), AUGUST, SEPTEMBER)
    assert _due(_issue(store, "2026-09", SEPTEMBER + timedelta(days=2))) == Decimal("1312.50")
    assert rows(_issue(store, "2026-08", SEPTEMBER + timedelta(days=3)), "corrections") == []
    assert _due(_issue(store, "2026-09", SEPTEMBER + timedelta(days=4))) == Decimal("1312.50"), "it keeps its own"


def test_settlements_that_are_issued_out_of_order_correct_a_month_once(store: Store) -> None:
    _issue(store, "2026-06", END + timedelta(days=2))
    _lose_three_days(store, END + timedelta(days=3))
    assert _due(_issue(store, "2026-08", AUGUST + timedelta(days=2))) == Decimal("1312.50")
    assert _due(_issue(store, "2026-07", AUGUST + timedelta(days=3))) == 1500


def _prove_by_counters(store: Store, *, off: float, volume: float) -> None:
    """S1 can't be reached for three days of June; it counts them nevertheless."""
    began = BEGIN + timedelta(days=1)
    for over in (False, True):
        at = began + timedelta(days=3 * over)
        store.database.clock = VirtualClock(start=at)
        severity = CLEARED if over else MAJOR
        report = mains(severity, 0, "S1").model_copy(
            update={"probable_cause": "station-unreachable", "source": AlarmSource.CHECK, "at": at}
        )
        store.alarms.report(report)
    counters = {
        "RRU.CellUnavailableTime.fault": {Subject(): off},
        "DRB.PdcpSduVolumeDL": {Subject("716-01"): volume},
    }
    periods = [began + n * timedelta(seconds=QUARTER) for n in range(3 * 96)]
    cells = {"L1": counters, "N1": counters}
    store.database.clock = VirtualClock(start=END + timedelta(days=1))
    store.measurements.put(
        [Measured(station="S1", begin=one, seconds=QUARTER, covered=QUARTER, cells=cells) for one in periods]
    )


def _work_out(store: Store, at: datetime, period_days: float) -> None:
    store.database.clock = VirtualClock(start=at)
    while store.measurements.roll_up(at):
        pass
    keep = {QUARTER: period_days, HOUR: period_days, DAY: 3653.0, MONTH: 3653.0}
    while store.measurements.retire(at, {level: timedelta(days=days) for level, days in keep.items()}):
        pass


def _bear(store: Store, bearer: str) -> None:
    content = priced(lines=LINES[:1]).model_dump(mode="json")
    for one in content["agreements"]:
        one["sla"]["unseen_borne_by"] = bearer
    made = Network.model_validate(content)
    store.networks.save(made, network_digest(made), "ana")


#: Who bears unseen time, what each period counts, what is due for June, and whether it was proved to be lost.
_PROOFS = [("tenant", 900.0, 0.0, Decimal("1312.50")), ("host", 0.0, 5.0, Decimal(1500))]


@pytest.mark.parametrize(("bearer", "off", "volume", "due"), _PROOFS)
def test_the_default_retention_keeps_proof_for_all_settlements_that_may_correct_its_month(
    store: Store, bearer: str, off: float, volume: float, due: Decimal
) -> None:
    _bear(store, bearer)
    _prove_by_counters(store, off=off, volume=volume)
    # The last settlement that corrects June, issued a month late.
    for month, end in (("2026-06", END), ("2026-09", SEPTEMBER + timedelta(days=30))):
        _work_out(store, end + timedelta(days=1), Settings().period_days)
        said = _issue(store, month, end + timedelta(days=1))
        assert rows(said, "corrections") == []
        assert not any("deleted" in rule or "not corrected" in rule for rule in said.rules)
        if month == "2026-06":
            assert _due(said) == due


@pytest.mark.parametrize(("bearer", "off", "volume", "due"), _PROOFS)
def test_proof_that_was_deleted_corrects_nothing_and_the_settlement_says_so(
    store: Store, bearer: str, off: float, volume: float, due: Decimal
) -> None:
    _bear(store, bearer)
    _prove_by_counters(store, off=off, volume=volume)
    _work_out(store, END + timedelta(days=2), 35)
    assert _due(_issue(store, "2026-06", END + timedelta(days=2))) == due
    _work_out(store, JULY + timedelta(days=2), 35)
    with pytest.raises(ConflictError, match=r"counters before 2026-06-29 \(UTC\), on which it may rest, were deleted"):
        draft(store, JULY + timedelta(days=2), StatementKind.SETTLEMENT, "alfa", "2026-06")
    july = _issue(store, "2026-07", JULY + timedelta(days=2))
    assert rows(july, "corrections") == []
    assert _due(july) == 1500
    assert [rule for rule in july.rules if rule.startswith("2026-06 is not corrected here")]
    sla = draft(store, JULY + timedelta(days=2), StatementKind.SLA, "alfa", "2026-06")
    assert [rule for rule in sla.rules if rule.startswith("Counters before 2026-06-29")]


def test_a_settlement_that_is_issued_anew_keeps_corrections_whose_proof_was_deleted_since(store: Store) -> None:
    _bear(store, "tenant")
    _work_out(store, END + timedelta(days=2), 35)
    _issue(store, "2026-06", END + timedelta(days=2))
    _prove_by_counters(store, off=900.0, volume=0.0)
    _work_out(store, JULY + timedelta(days=1), 90)
    july = _issue(store, "2026-07", JULY + timedelta(days=1))
    assert [row["difference"] for row in rows(july, "corrections")] == ["-187.50"]
    _work_out(store, JULY + timedelta(days=2), 35)
    anew = _issue(store, "2026-07", JULY + timedelta(days=2))
    assert anew.sheets == july.sheets


def _move(store: Store, made: Network, zone: str, at: datetime) -> None:
    """The network gets another time zone."""
    store.database.clock = VirtualClock(start=at)
    content = made.model_dump(mode="json")
    content["header"]["timezone"] = zone
    moved = Network.model_validate(content)
    store.networks.save(moved, network_digest(moved), "ana")


@pytest.mark.parametrize("zone", ["America/Santiago", "America/Mexico_City", "Asia/Tokyo"])
def test_a_new_time_zone_is_no_correction_of_the_months_that_were_issued_before(store: Store, zone: str) -> None:
    """10 GB a day of Lima; Santiago is an hour ahead of Lima, Mexico City one behind."""
    made = priced(lines=[{"id": "volume", "per": "gigabyte", "amount": "1"}])
    store.networks.save(made, network_digest(made), "ana")
    store.database.clock = VirtualClock(start=END + timedelta(days=2))
    counted = {"DRB.PdcpSduVolumeDL": {Subject("716-01", 9): 8e4}}
    days = [BEGIN + timedelta(days=day) for day in range(45)]
    store.measurements.put(
        [Measured(station="S1", begin=day, seconds=DAY, covered=DAY, cells={"L1": counted}) for day in days]
    )
    june = _issue(store, "2026-06", END + timedelta(days=2))
    assert _due(june) == 300
    _move(store, made, zone, END + timedelta(days=14, hours=7))
    assert rows(_issue(store, "2026-07", JULY + timedelta(days=2)), "corrections") == []
    assert draft(store, JULY + timedelta(days=2), StatementKind.SETTLEMENT, "alfa", "2026-06") == june
    _lose_three_days(store, JULY + timedelta(days=3))
    (row,) = rows(_issue(store, "2026-08", AUGUST + timedelta(days=2)), "corrections")
    assert (row["month"], row["difference"]) == ("2026-06", "-37.50"), "what is known since corrects it all the same"


def test_a_month_that_is_issued_anew_keeps_its_bounds_whatever_time_zone_came_as_it_ended(
    store: Store, made: Network
) -> None:
    """For an hour after the end of June in Lima it is still June in Mexico City."""
    june = _issue(store, "2026-06", END + timedelta(minutes=10))
    _move(store, made, "America/Mexico_City", END + timedelta(minutes=20))
    anew = draft(store, END + timedelta(days=2), StatementKind.SETTLEMENT, "alfa", "2026-06")
    assert (anew.timezone, anew.begin, anew.end) == ("America/Lima", BEGIN, END)
    assert anew == june


def _leave(store: Store, made: Network, at: datetime) -> None:
    """Alfa leaves the network files, with its agreement."""
    store.database.clock = VirtualClock(start=at)
    content = made.model_dump(mode="json")
    content["agreements"] = [one for one in content["agreements"] if one["tenant"] != "alfa"]
    content["tenants"] = [one for one in content["tenants"] if one["id"] != "alfa"]
    left = Network.model_validate(content)
    store.networks.save(left, network_digest(left), "ana")


def test_a_tenant_that_left_gets_what_is_known_since_of_its_last_months(store: Store, made: Network) -> None:
    _leave(store, made, END - timedelta(minutes=1))
    june = _issue(store, "2026-06", END + timedelta(days=2))
    with pytest.raises(NotFoundError, match="alfa left before 2026-07, and nothing that was issued for it"):
        _issue(store, "2026-07", JULY + timedelta(days=2))
    _lose_three_days(store, JULY + timedelta(days=3))
    july = _issue(store, "2026-07", JULY + timedelta(days=4))
    assert (july.tenant_name, rows(july, "due")) == (june.tenant_name, [{"currency": "PEN", "amount": "-187.50"}])
    assert [(row["line"], row["per"]) for row in rows(july, "lines")] == [("correction", "2026-06")]
    with pytest.raises(NotFoundError, match="nothing that was issued"):
        _issue(store, "2026-08", AUGUST + timedelta(days=2))
    for kind, month in ((StatementKind.SLA, "2026-07"), (StatementKind.SETTLEMENT, "2026-11")):
        with pytest.raises(NotFoundError, match="the network has no tenant alfa"):
            draft(store, AUGUST + timedelta(days=80), kind, "alfa", month)
    _issue(store, "2026-06", AUGUST + timedelta(days=3))
    anew = _issue(store, "2026-07", AUGUST + timedelta(days=4))
    assert rows(anew, "due") == rows(july, "due"), "June has taken it back"


@pytest.mark.parametrize("kind", StatementKind)
def test_every_statement_waits_a_day_for_late_measurements(store: Store, kind: StatementKind) -> None:
    said = draft(store, END, StatementKind.SLA, "alfa", "2026-06").model_copy(update={"kind": kind})
    assert settled(said) == END + timedelta(days=1)
