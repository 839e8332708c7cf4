"""An agreement of which nothing was applied is not served, not kept and not charged: against a count by minutes."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from controller.api.statements import draft
from controller.intent.agreed_terms import month_of
from controller.models.alarm import AlarmSource
from controller.models.health import Health
from controller.models.network import HOST, Network, network_digest
from controller.models.plan import LedgerNode
from controller.models.sharing import Prices
from controller.models.statement import StatementKind
from controller.observe.exposition import exposition
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from controller.store.network.devices import observed_times
from controller.store.network.ledger import LedgerChange, change_ledger
from tests.unit.api.test_statements import off_air
from tests.unit.intent.test_outages import BEGIN, END, network
from tests.unit.performance.test_volume import rows
from tests.unit.plan import samples

DAYS = 30
LINES = [
    {"id": "base", "per": "month", "amount": "900"},
    {"id": "cells", "per": "cell-month", "amount": "60"},
    {"id": "guaranteed", "per": "percent-cell-month", "amount": "1"},
]


def priced() -> Network:
    made = network()
    prices = Prices.model_validate({"currency": "PEN", "lines": LINES})
    agreements = tuple(one.model_copy(update={"prices": prices}) for one in made.agreements)
    return made.model_copy(update={"agreements": agreements})


MADE = priced()


def nodes(owner: str, station: str) -> list[LedgerNode]:
    return [one.node for one in samples.ledger(MADE, station).values() if one.owners == (owner,)]


@pytest.fixture
def store() -> Iterator[Store]:
    """Both stations carry what is the host's and alfa's since before the month, and are looked at all the time."""
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as made:
        made.networks.save(MADE, network_digest(MADE), "ana")
        for station in ("S1", "S2"):
            known = [*nodes(HOST, station), *nodes("alfa", station)]
            made.devices.adopt(station, known, network_digest(MADE), "ana")
        looked = [{"station": one, "since": BEGIN - timedelta(days=1), "until": END} for one in ("S1", "S2")]
        made.database.run(lambda tx: tx.execute(observed_times.insert(), looked))
        yield made


def day(store: Store, number: float) -> None:
    store.database.clock = VirtualClock(start=BEGIN + timedelta(days=number))


def apply(store: Store, number: float, station: str = "S1", *, undo: bool = False) -> None:
    """Put beta's nodes into the ledger of a station as the end of a run does, or take them out."""
    day(store, number)
    own = nodes("beta", station)
    gained, lost = ([], [one.path for one in own]) if undo else (own, [])
    store.database.run(lambda tx: change_ledger(tx, [LedgerChange(station, gained, lost)]))


def said(store: Store, kind: StatementKind, sheet: str, tenant: str = "beta") -> list[dict[str, Any]]:
    store.database.clock = VirtualClock(start=END + timedelta(days=2))
    return rows(draft(store, END + timedelta(days=2), kind, tenant, "2026-06"), sheet)


def charges(store: Store, tenant: str = "beta") -> dict[str, tuple[Any, Any]]:
    found = said(store, StatementKind.SETTLEMENT, "lines", tenant)
    return {row["line"]: (Decimal(row["quantity"]), Decimal(row["amount"])) for row in found}


def hours(spans: Iterable[tuple[float, float]]) -> int:
    """Hours of the month in one of these spans of days, counted one by one."""
    known = list(spans)
    return sum(any(since <= hour / 24 < until for since, until in known) for hour in range(DAYS * 24))


def test_an_agreement_of_which_nothing_was_applied_is_neither_served_nor_kept_nor_charged(store: Store) -> None:
    (promise,) = said(store, StatementKind.SLA, "agreements")
    assert (promise["availability"], promise["at_worst"], promise["kept"]) == (None, 0, "unproved")
    assert (promise["served"], promise["not_applied"], promise["allowed"]) == (0, 4 * DAYS * 1440, 0)
    cells = said(store, StatementKind.SLA, "cells")
    assert {(row["served"], row["not_applied"], row["availability"]) for row in cells} == {(0, DAYS * 86400, None)}
    assert {(row["part"], row["seconds"]) for row in said(store, StatementKind.SLA, "outages")} == {
        ("not_applied", DAYS * 86400)
    }
    assert charges(store) == {"base": (0, 0), "cells": (0, 0), "guaranteed": (0, 0)}
    assert said(store, StatementKind.SETTLEMENT, "due") == [{"currency": "PEN", "amount": "0.00"}]


def test_a_tenant_beside_it_that_got_all_is_served_and_charged(store: Store) -> None:
    (promise,) = said(store, StatementKind.SLA, "agreements", "alfa")
    assert (promise["availability"], promise["at_worst"], promise["kept"]) == (100, 100, "yes")
    assert (promise["served"], promise["not_applied"]) == (4 * DAYS * 1440, 0)
    assert charges(store, "alfa") == {"base": (1, 900), "cells": (4, 240), "guaranteed": (80, 80)}


def test_a_tenant_is_served_and_charged_from_its_first_run_until_it_is_taken_away(store: Store) -> None:
    """S1 from the 10th day to the 20th and from the 25th on; S2 from the 15th to the 22nd: two cells at each."""
    apply(store, 10)
    apply(store, 15, "S2")
    apply(store, 20, undo=True)
    apply(store, 22, "S2", undo=True)
    apply(store, 25)
    first, second = [(10, 20), (25, 30)], [(15, 22)]
    cells = {row["cell"]: row for row in said(store, StatementKind.SLA, "cells")}
    for names, spans in ((("S1/L1", "S1/N1"), first), (("S2/L1", "S2/N1"), second)):
        for name in names:
            assert cells[name]["served"] == hours(spans) * 3600
            assert cells[name]["not_applied"] == (DAYS * 24 - hours(spans)) * 3600
            assert cells[name]["availability"] == 100
    served, whole = 2 * hours(first) + 2 * hours(second), DAYS * 24
    (promise,) = said(store, StatementKind.SLA, "agreements")
    assert (promise["availability"], promise["kept"]) == (100, "unproved")
    assert promise["at_worst"] == pytest.approx(100 * served / (4 * whole), abs=0.0001)
    found = charges(store)
    assert found["cells"][0] == pytest.approx(Decimal(served) / whole, abs=Decimal("0.000001"))
    assert found["guaranteed"][0] == pytest.approx(20 * Decimal(served) / whole, abs=Decimal("0.0001"))
    assert found["base"][0] == pytest.approx(Decimal(hours([*first, *second])) / whole, abs=Decimal("0.000001"))


def test_what_fails_before_the_first_run_is_nobodys_loss_and_what_fails_after_it_is(store: Store) -> None:
    """S1/L1 is off air on the 2nd day and on the 12th; beta has it from the 10th on."""
    apply(store, 10)
    for begin in (1.0, 11.0):
        for at, over in ((begin, False), (begin + 0.25, True)):
            day(store, at)
            store.alarms.report(off_air(0, over=over).model_copy(update={"at": BEGIN + timedelta(days=at)}))
    (promise,) = said(store, StatementKind.SLA, "agreements")
    assert (promise["lost"], promise["restored_late"]) == (360, 0)
    delivered = 2 * hours([(10, 30)])
    assert promise["availability"] == pytest.approx(100 * (1 - 6 / delivered), abs=0.0001)
    assert promise["allowed"] == pytest.approx(delivered * 60 / 100)
    assert [row["lost"] for row in said(store, StatementKind.SLA, "incidents")] == [360]
    assert [row["lost"] for row in said(store, StatementKind.SLA, "incidents", "alfa")] == [360, 360]


@pytest.mark.parametrize(("applied", "kept"), [(0.25, "yes"), (0.35, "unproved")])
def test_a_short_time_before_the_first_run_leaves_a_promise_kept(store: Store, applied: float, kept: str) -> None:
    """The agreement lets 1 % of a month of 30 days be without proof: 0.3 days."""
    for station in ("S1", "S2"):
        apply(store, applied, station)
    (promise,) = said(store, StatementKind.SLA, "agreements")
    assert (promise["kept"], promise["availability"]) == (kept, 100)


def test_a_second_plmn_of_a_tenant_counts_from_its_run_on(store: Store) -> None:
    """Alfa gets another PLMN on the 16th day, and never a run: from then on it has not got what was agreed."""
    content = MADE.model_dump(mode="json")
    content["tenants"][0]["plmns"].append("716-11")
    more = Network.model_validate(content)
    day(store, 15)
    store.networks.save(more, network_digest(more), "ana")
    (promise,) = said(store, StatementKind.SLA, "agreements", "alfa")
    assert promise["not_applied"] == 4 * 15 * 1440
    assert charges(store, "alfa")["cells"][0] == 2


def test_a_station_that_was_not_adopted_is_unobserved_and_not_charged(store: Store) -> None:
    day(store, 10)
    store.devices.retire("S2", "ana")
    # What was checked before it was taken out of service; nobody looks at it from then on.
    seen = observed_times.update().where(observed_times.c.station == "S2").values(until=BEGIN + timedelta(days=10))
    store.database.run(lambda tx: tx.execute(seen))
    (promise,) = said(store, StatementKind.SLA, "agreements", "alfa")
    assert (promise["not_adopted"], promise["not_applied"]) == (2 * 20 * 1440, 0)
    assert charges(store, "alfa")["cells"][0] == pytest.approx(Decimal(2 * 30 + 2 * 10) / 30, abs=Decimal("0.000001"))


def adopted_on(number: float, *, loaded: float = -1.0) -> Store:
    """Both stations are adopted, and looked at, from a day on; 99 % are promised, with a credit below 97 %."""
    content = MADE.model_dump(mode="json")
    penalties = [{"below_percent": 99.0, "credit_percent": 5.0}, {"below_percent": 97.0, "credit_percent": 20.0}]
    for one in content["agreements"]:
        one["sla"] |= {"availability_percent": 99.0, "penalties": penalties}
    promised = Network.model_validate(content)
    made = open_store("sqlite://", VirtualClock(start=BEGIN + timedelta(days=loaded)))
    made.networks.save(promised, network_digest(promised), "ana")
    day(made, number)
    for station in ("S1", "S2"):
        known = [*nodes(HOST, station), *nodes("alfa", station)]
        made.devices.adopt(station, known, network_digest(promised), "ana")
    since = BEGIN + timedelta(days=number)
    looked = [{"station": one, "since": since, "until": END} for one in ("S1", "S2")]
    made.database.run(lambda tx: tx.execute(observed_times.insert(), looked))
    return made


def off_air_between(store: Store, since: float, until: float) -> None:
    """S1/L1 is off air between two days, by what checks or, before there is anything to check, the station says."""
    for at, over in ((since, False), (until, True)):
        day(store, at)
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": BEGIN + timedelta(days=at)}))


@pytest.mark.parametrize(("loaded", "reason"), [(-1.0, "not_adopted"), (26.0, "no_network")])
def test_availability_and_what_may_be_lost_are_those_of_adopted_stations(loaded: float, reason: str) -> None:
    """Adopted on the 26th day, one of four cells lost 6 of the 96 hours that are left: 1 of 64 cell-hours."""
    with closing(adopted_on(26, loaded=loaded)) as store:
        off_air_between(store, 27, 27.25)
        (promise,) = said(store, StatementKind.SLA, "agreements", "alfa")
        assert promise["availability"] == pytest.approx(100 * (1 - 1 / 64), abs=0.0001)
        assert promise["at_worst"] == pytest.approx(100 * (4 * 96 - 6) / (4 * 720), abs=0.0001)
        assert (promise["kept"], promise["credit"], promise["lost"]) == ("no", 5, 360)
        assert promise[reason] == promise["unobserved"] == 4 * 26 * 1440
        assert promise["allowed"] == 4 * 4 * 1440 / 100
        cells = {row["cell"]: row["availability"] for row in said(store, StatementKind.SLA, "cells", "alfa")}
        assert cells == {"S1/L1": 93.75, "S1/N1": 100, "S2/L1": 100, "S2/N1": 100}
        assert charges(store, "alfa")["cells"][0] == pytest.approx(Decimal(16) / 30, abs=Decimal("0.000001"))


@pytest.mark.parametrize("loaded", [-1.0, 31.0])
def test_a_month_in_which_nothing_was_adopted_states_no_availability(loaded: float) -> None:
    """A station that was not adopted may have told that a cell was off air: nobody owed anything there."""
    with closing(adopted_on(31, loaded=loaded)) as store:
        for at, over in ((3, False), (5, True)):
            day(store, at)
            seen = {"at": BEGIN + timedelta(days=at), "source": AlarmSource.VES, "cells": ("S1/L1",)}
            store.alarms.report(off_air(0, over=over).model_copy(update=seen))
        (promise,) = said(store, StatementKind.SLA, "agreements", "alfa")
        figures = {name: promise[name] for name in ("availability", "at_worst", "kept", "lost", "allowed", "credit")}
        assert figures == {
            "availability": None,
            "at_worst": 0,
            "kept": "unproved",
            "lost": 0,
            "allowed": 0,
            "credit": 0,
        }
        assert promise["unobserved"] == 4 * DAYS * 1440
        assert {row["availability"] for row in said(store, StatementKind.SLA, "cells", "alfa")} == {None}


def test_budgets_and_burn_rates_leave_out_stations_that_were_not_adopted() -> None:
    with closing(adopted_on(26)) as store:
        off_air_between(store, 27, 27.25)
        day(store, 28)
        store.incidents.count_agreements()
        alfa = store.incidents.agreements()[0]
        allowed = 4 * 4 * 1440 / 100
        assert (alfa.used, alfa.allowed) == (360, allowed)
        assert alfa.left == pytest.approx(allowed - 360, abs=0.1)
        assert alfa.share == pytest.approx(360 / allowed, abs=0.0001)
        assert alfa.burn_rate == pytest.approx(360 / allowed / (28 / 30), abs=0.0001)
        page = exposition(store, store.database.clock).decode()
        name = 'minka_agreement_outage_allowed_seconds{agreement="alfa-all",tenant="alfa"} '
        (value,) = (line.removeprefix(name) for line in page.splitlines() if line.startswith(name))
        assert float(value) == pytest.approx(allowed * 60)


@pytest.mark.parametrize(("ends", "lost"), [("found", 360), ("silence", 360)])
def test_what_a_station_lost_after_it_was_delivered_is_lost_service(store: Store, ends: str, lost: int) -> None:
    """Somebody takes beta's PLMN out of S1/L1; six hours later it is there again, or the station can't be reached."""
    for station in ("S1", "S2"):
        apply(store, -0.5, station)
    gone = (("L1", "716-02", "beta", "/PLMN[716-02]"),)
    last = ((), True) if ends == "found" else (gone, False)
    for at, missing, reachable in ((9.0, (), True), (10.0, gone, True), (10.25, *last)):
        day(store, at)
        seen = BEGIN + timedelta(days=at)
        store.healths.save([Health(station="S1", at=seen, reachable=reachable, missing=missing)])
    cells = {row["cell"]: row["lost"] for row in said(store, StatementKind.SLA, "cells")}
    assert cells == {"S1/L1": lost * 60, "S1/N1": 0, "S2/L1": 0, "S2/N1": 0}
    (promise,) = said(store, StatementKind.SLA, "agreements")
    assert (promise["lost"], promise["not_applied"]) == (lost, 0)
    (others,) = said(store, StatementKind.SLA, "agreements", "alfa")
    assert others["lost"] == 0, "its PLMN stayed"
    assert charges(store)["cells"][0] == 4, "it was delivered, and lost: a credit is for that"


@pytest.mark.parametrize(("found_in_between", "lost"), [(False, 287 * 5), (True, (99 + 87) * 5)])
def test_silence_between_two_checks_that_find_a_plmn_gone_is_lost_service(
    store: Store, lost: int, *, found_in_between: bool
) -> None:
    """For a day S1 answers every other check, and lacks beta's PLMN each time, or but for some hours."""
    for station in ("S1", "S2"):
        apply(store, -0.5, station)
    gone = (("L1", "716-02", "beta", "/PLMN[716-02]"),)
    for number in range(-1, 290):
        day(store, 10 + number / 288)
        lacks = 0 <= number < 288 and not (found_in_between and 100 <= number < 200)
        seen = Health(
            station="S1",
            at=store.database.clock.now(),
            reachable=number % 2 == 0 or not 0 <= number < 288,
            missing=gone if lacks else (),
        )
        store.healths.save([seen])
    (promise,) = said(store, StatementKind.SLA, "agreements")
    assert promise["lost"] == lost, "until the last silence of each"


def test_budgets_and_metrics_say_the_same(store: Store) -> None:
    apply(store, 10)
    for at, over in ((11.0, False), (11.25, True)):
        day(store, at)
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": BEGIN + timedelta(days=at)}))
    day(store, 12)
    # A version that changes beta's promise alone: what was not applied under the first one is counted once.
    content = MADE.model_dump(mode="json")
    content["agreements"][1]["sla"]["availability_percent"] = 98.0
    later = Network.model_validate(content)
    store.networks.save(later, network_digest(later), "ana")
    day(store, 20)
    store.incidents.count_agreements()
    alfa, beta = store.incidents.agreements()
    assert (alfa.not_applied, alfa.used) == (0, 360)
    assert beta.not_applied == (2 * 10 + 2 * 20) * 1440
    # At 99 % for 12 days and at 98 % for 18: of four cells, less what was not applied.
    whole = 4 * 1440 * (12 * 0.01 + 18 * 0.02)
    assert beta.allowed == pytest.approx(whole - 1440 * 0.01 * (2 * 10 + 2 * 12) - 1440 * 0.02 * 2 * 8, abs=0.1)
    assert beta.used == 360
    outages = store.incidents.outages(*month_of(later, store.database.clock.now()))
    assert outages is not None
    assert outages.agreements(store.database.clock.now()) == (alfa, beta)
    page = exposition(store, store.database.clock).decode()
    name = 'minka_agreement_not_applied_seconds{agreement="beta-all",tenant="beta"} '
    (value,) = (line.removeprefix(name) for line in page.splitlines() if line.startswith(name))
    assert float(value) == beta.not_applied * 60
