"""Statements of a month in which anything changes: each day by what the network said then, money by formulas here."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import closing
from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest
from pydantic import BaseModel

from controller.access.tenant_scope import tenant_scope
from controller.api.statements import draft
from controller.intent.agreed_terms import UNSTATED, terms_of
from controller.models import network as network_model
from controller.models.alarm import ObjectClass, PerceivedSeverity
from controller.models.errors import NotFoundError
from controller.models.measurement import DAY, Measured, Subject
from controller.models.network import Network, network_digest
from controller.models.plan import LedgerNode
from controller.models.statement import Statement, StatementKind
from controller.ports.clock import VirtualClock
from controller.store import Store, open_store
from controller.store.network.ledger import LedgerChange, change_ledger
from tests.support.definitions import put_in_force
from tests.support.observed import observe
from tests.unit.api.test_statements import off_air
from tests.unit.intent.test_outages import BEGIN, END, network
from tests.unit.performance.test_volume import rows
from tests.unit.plan import samples

MONTH = "2026-06"
DAYS = 30
#: Megabits that S1 counts of each PLMN on each day, down.
DAILY = {"716-01": 8000.0, "716-02": 80.0}
PER_GIGABYTE, PER_MONTH = "2.00", "1000"


def priced(month: str = PER_MONTH, gigabyte: str = PER_GIGABYTE, **more: Any) -> dict[str, Any]:
    lines = [
        {"id": "base", "per": "month", "amount": month},
        {"id": "cells", "per": "cell-month", "amount": "10"},
        {"id": "volume", "per": "gigabyte", "amount": gigabyte} | more,
    ]
    return {"currency": "PEN", "lines": lines}


def version(change: Callable[[dict[str, Any]], None] = lambda _: None, **sla: Any) -> Network:
    """Alfa and beta share all and have prices; ``change`` alters the files."""
    content = network(**sla).model_dump(mode="json")
    for agreement in content["agreements"]:
        agreement["prices"] = priced()
    change(content)
    return Network.model_validate(content)


@pytest.fixture
def store() -> Iterator[Store]:
    with closing(open_store("sqlite://", VirtualClock(start=BEGIN - timedelta(days=1)))) as made:
        put_in_force(made)
        observe(made, ("S1", "S2"), BEGIN, END + timedelta(days=40), version(), version(swap_plmns))
        yield made


def load(store: Store, made: Network, day: float = -1) -> None:
    """Load a version at the begin of a day of the month, which is the 1st for 0."""
    store.database.clock = VirtualClock(start=BEGIN + timedelta(days=day))
    store.networks.save(made, network_digest(made), "ana")


def count(store: Store) -> None:
    """Put the counts of each day of the month on record."""
    store.database.clock = VirtualClock(start=END + timedelta(days=2))
    down = {Subject(plmn, 9): megabits for plmn, megabits in DAILY.items()}
    days = [
        Measured(
            station="S1",
            begin=BEGIN + timedelta(days=day),
            seconds=DAY,
            covered=DAY,
            cells={"L1": {"DRB.PdcpSduVolumeDL": down, "DRB.PdcpSduVolumeUL": dict.fromkeys(down, 0.0)}},
        )
        for day in range(DAYS)
    ]
    store.measurements.put(days)


def said(store: Store, kind: StatementKind, tenant: str = "alfa") -> Statement:
    return draft(store, END + timedelta(days=2), kind, tenant, MONTH)


def charges(store: Store, tenant: str = "alfa") -> dict[str, list[tuple[Any, Any]]]:
    """Quantity and amount of each line, in the order of time."""
    found: dict[str, list[tuple[Any, Any]]] = {}
    for row in rows(said(store, StatementKind.SETTLEMENT, tenant), "lines"):
        pair = Decimal(str(row["quantity"])), Decimal(str(row["amount"]))
        found.setdefault(str(row["line"]), []).append(pair)
    return found


def gigabytes(plmn: str, days: int) -> Decimal:
    return Decimal(str(DAILY[plmn])) / 8 / 1000 * days


def swap_plmns(content: dict[str, Any]) -> None:
    alfa, beta, *_ = content["tenants"]
    alfa["plmns"], beta["plmns"] = beta["plmns"], alfa["plmns"]


def test_a_plmn_that_moves_to_another_tenant_is_billed_to_each_for_its_days(store: Store) -> None:
    load(store, version())
    moved = version(swap_plmns)
    load(store, moved, 10)
    count(store)
    for tenant, first, then in (("alfa", "716-01", "716-02"), ("beta", "716-02", "716-01")):
        volume = sum(quantity for quantity, _ in charges(store, tenant)["volume"])
        assert volume == pytest.approx(gigabytes(first, 10) + gigabytes(then, 20)), tenant
        (total,) = rows(said(store, StatementKind.VOLUME, tenant), "total")
        assert total["down"] == pytest.approx(float(volume) * 1000)


def test_prices_count_for_the_time_in_which_they_were_in_force(store: Store) -> None:
    load(store, version())

    def dearer(content: dict[str, Any]) -> None:
        content["agreements"][0]["prices"] = priced("2000", "3.00", included="6")

    load(store, version(dearer), 15)
    count(store)
    found = charges(store)
    half = Decimal("0.5")
    assert found["base"] == [(half, Decimal(500)), (half, Decimal(1000))]
    assert found["cells"] == [(4, Decimal(40))], "what did not change is one line"
    # 15 GB in each half; of the 6 that are included in a month, half count for half of a month.
    assert found["volume"] == [(15, Decimal(30)), (15, (15 - 3) * Decimal(3))]
    assert {row["since"][:10] for row in rows(said(store, StatementKind.SETTLEMENT), "lines")} == {  # type: ignore[index]
        "2026-06-01",
        "2026-06-16",
    }
    assert charges(store, "beta")["base"] == [(1, Decimal(1000))], "others' prices are one line"


@pytest.mark.parametrize(("change", "due"), [("at-once", 10 * 1000 + 5 * 3000 + 15 * 2000), ("next-month", 30_000)])
def test_new_prices_count_from_the_next_month_on_where_the_agreement_says_so(
    store: Store, change: str, due: int
) -> None:
    def dearer(amount: str) -> Callable[[dict[str, Any]], None]:
        def to(content: dict[str, Any]) -> None:
            content["agreements"][0]["prices"] = priced(amount) | {"change": change}

        return to

    load(store, version())
    load(store, version(dearer("3000")), 10)
    load(store, version(dearer("2000")), 15)
    assert sum(amount for _, amount in charges(store)["base"]) == pytest.approx(Decimal(due) / 30, abs=Decimal("0.01"))
    statement = draft(store, END + timedelta(days=40), StatementKind.SETTLEMENT, "alfa", "2026-07")
    (base,) = (row for row in rows(statement, "lines") if row["line"] == "base")
    assert base["amount"] == "2000.00"


def test_prices_that_wait_for_the_next_month_change_nothing_before(store: Store) -> None:
    """Neither what is included, nor what is counted by volume, nor the rounding of a line."""

    def priced_so(prices: dict[str, Any]) -> Callable[[dict[str, Any]], None]:
        def change(content: dict[str, Any]) -> None:
            content["agreements"][0]["prices"] = prices

        return change

    old = priced("1000", "2.00", included="25")
    load(store, version(priced_so(old)))
    count(store)
    before = charges(store)
    assert before["volume"] == [(30, Decimal(10))]
    load(store, version(priced_so(old | {"change": "next-month"})), 7.3)
    load(store, version(priced_so(priced("7", "9.00") | {"lines": old["lines"][:1], "change": "next-month"})), 15)
    load(store, version(lambda content: content["agreements"][0].update(prices=None)), 20.5)
    load(store, version(priced_so(priced("3000") | {"change": "next-month"})), 20.501)
    count(store)
    found = charges(store)
    minutes = Decimal("0.001") / 30
    assert sum(amount for _, amount in found["base"]) == pytest.approx(1000 * (1 - minutes), abs=Decimal("0.02"))
    assert sum(quantity for quantity, _ in found["volume"]) == 30
    assert before["cells"] == [(4, Decimal(40))]


def test_order_in_the_files_and_changes_elsewhere_divide_nothing(store: Store) -> None:
    penalties = [{"below_percent": 98, "credit_percent": 10}, {"below_percent": 99, "credit_percent": 5}]

    def turned(content: dict[str, Any]) -> None:
        one = content["agreements"][0]
        one["prices"] = priced(included="25")
        for values in (one["prices"]["lines"], one["shares"], one["sla"]["penalties"]) if turn else ():
            values.reverse()

    turn = False
    load(store, version(turned, penalties=penalties))
    count(store)
    bill = said(store, StatementKind.SETTLEMENT)
    promise = said(store, StatementKind.SLA)
    turn = True
    load(store, version(turned, penalties=penalties), 15)
    count(store)
    by_line = {row["line"]: row for row in rows(said(store, StatementKind.SETTLEMENT), "lines")}
    assert by_line == {row["line"]: row for row in rows(bill, "lines")}
    assert rows(said(store, StatementKind.SLA), "agreements") == rows(promise, "agreements")


def test_a_quality_of_means_rests_on_the_same_sample_however_often_files_were_loaded(store: Store) -> None:
    load(store, version())
    count(store)
    before = rows(said(store, StatementKind.QUALITY), "kpis")

    def other_people(content: dict[str, Any]) -> None:
        content["sites"][1]["population"] = people

    for people in range(200, 220):
        load(store, version(other_people), people - 195)
    count(store)
    assert rows(said(store, StatementKind.QUALITY), "kpis") == before


def test_an_agreement_that_moves_to_another_tenant_leaves_its_losses_behind(store: Store) -> None:
    """But beta, which had the cell under an agreement of its own before, was without service for 31 hours."""
    load(store, version())
    for day, over in ((9, False), (10.3, True)):
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": BEGIN + timedelta(days=day)}))

    def moved(content: dict[str, Any]) -> None:
        content["agreements"] = content["agreements"][:1]
        content["agreements"][0]["tenant"] = "beta"

    load(store, version(moved), 10)
    (row,) = rows(said(store, StatementKind.SLA, "beta"), "agreements")[:1]
    assert (row["agreement"], row["restored_late"]) == ("alfa-all", 1)
    assert row["lost"] == pytest.approx(0.3 * 1440)
    store.database.clock = VirtualClock(start=BEGIN + timedelta(days=20))
    store.incidents.count_agreements()
    (budget,) = store.incidents.agreements("beta")
    assert budget.used == pytest.approx(0.3 * 1440, abs=0.1)
    assert budget.allowed == pytest.approx(4 * 20 * 1440 * 0.01, abs=0.1)


def test_a_time_zone_that_changes_later_moves_no_day_of_a_month_that_is_over(store: Store) -> None:
    def east(content: dict[str, Any]) -> None:
        content["header"]["timezone"] = "America/La_Paz"

    load(store, version())
    count(store)
    before = [said(store, kind) for kind in (StatementKind.VOLUME, StatementKind.SETTLEMENT, StatementKind.SLA)]
    load(store, version(east), DAYS + 1)
    count(store)
    assert [said(store, one.kind) for one in before] == before


def test_what_is_restored_late_is_late_under_one_promise(store: Store) -> None:
    load(store, version())
    for hour, over in ((15 * 24 - 26, False), (15 * 24 + 1, True)):
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": BEGIN + timedelta(hours=hour)}))
    load(store, version(availability_percent=98.5), 15)
    first, second = rows(said(store, StatementKind.SLA), "agreements")
    assert (first["restored_late"], second["restored_late"]) == (1, 0)


@pytest.mark.parametrize(("before", "after", "late"), [(20, 10, (0, 1)), (26, 1, (1, 0)), (20, 3, (0, 0))])
def test_an_outage_goes_on_when_its_agreement_gets_another_id(
    store: Store, before: int, after: int, late: tuple[int, int]
) -> None:
    """It may last for 24 hours: on each agreement's part it counts for its time, and it is late once."""

    def renamed(content: dict[str, Any]) -> None:
        content["agreements"][0]["id"] = "alfa-anew"

    load(store, version())
    for hour, over in ((15 * 24 - before, False), (15 * 24 + after, True)):
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": BEGIN + timedelta(hours=hour)}))
    load(store, version(renamed), 15)
    statement = said(store, StatementKind.SLA)
    old, new = sorted(rows(statement, "agreements"), key=lambda row: str(row["since"]))
    assert (old["agreement"], new["agreement"]) == ("alfa-all", "alfa-anew")
    assert (old["lost"], new["lost"]) == (before * 60, after * 60)
    assert (old["restored_late"], new["restored_late"]) == late
    (incident,) = rows(statement, "incidents")
    assert incident["lost"] == (before + after) * 60
    assert incident["restored_late"] == {(0, 1): "alfa-anew", (1, 0): "alfa-all", (0, 0): ""}[late]


def test_an_outage_goes_on_when_its_cell_moves_to_another_agreement_of_the_tenant(store: Store) -> None:
    """Both hold all the month: S1, which is off air for 30 hours, belongs to the second one from the 15th day on."""

    def two(*first: str) -> Callable[[dict[str, Any]], None]:
        def change(content: dict[str, Any]) -> None:
            one = content["agreements"][0]
            other = {**one, "id": "alfa-other", "scope": {"stations": [x for x in ("S1", "S2") if x not in first]}}
            one["scope"] = {"stations": [*first]}
            content["agreements"].append(other)

        return change

    load(store, version(two("S1")))
    for hour, over in ((15 * 24 - 20, False), (15 * 24 + 10, True)):
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": BEGIN + timedelta(hours=hour)}))
    load(store, version(two("S2")), 15)
    found = {
        row["agreement"]: (row["lost"], row["restored_late"])
        for row in rows(said(store, StatementKind.SLA), "agreements")
    }
    assert found == {"alfa-all": (1200, 0), "alfa-other": (600, 1)}


def test_a_month_costs_a_month_also_where_its_cells_are_swapped(store: Store) -> None:
    def only(site: str) -> Callable[[dict[str, Any]], None]:
        def change(content: dict[str, Any]) -> None:
            content["agreements"][0]["scope"] = {"stations": [site]}

        return change

    load(store, version(only("S1")))
    load(store, version(only("S2")), 15)
    assert charges(store)["base"] == [(1, Decimal(1000))]
    assert charges(store)["cells"] == [(2, Decimal(20))]


def test_shares_count_as_they_were_agreed_then(store: Store) -> None:
    line = [{"id": "guaranteed", "per": "percent-cell-month", "amount": "1"}]

    def sharing(percent: int) -> Callable[[dict[str, Any]], None]:
        def change(content: dict[str, Any]) -> None:
            content["agreements"][0]["prices"]["lines"] = line
            content["agreements"][0]["shares"] = [{"resource": "PRB", "min": percent, "max": 60}]

        return change

    observe(store, ("S1", "S2"), BEGIN, END, version(sharing(30)))
    load(store, version(sharing(10)))
    load(store, version(sharing(30)), 15)
    assert [quantity for quantity, _ in charges(store)["guaranteed"]] == [4 * 10 / 2, 4 * 30 / 2]


def test_a_promise_counts_for_its_time_and_its_penalty_for_the_lines_of_that_time(store: Store) -> None:
    """Two days of one cell of four in the first half: 96.7 % there, 98.3 % in the month."""
    load(store, version(penalties=[{"below_percent": 98, "credit_percent": 10}]))
    for day, over in ((1, False), (3, True)):
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": BEGIN + timedelta(days=day)}))
    lax: dict[str, Any] = {"availability_percent": 90, "penalties": [{"below_percent": 80, "credit_percent": 50}]}
    load(store, version(**lax), 15)
    first, second = rows(said(store, StatementKind.SLA), "agreements")
    assert (first["promised"], first["kept"], first["lost"], first["restored_late"]) == (99, "no", 2880, 1)
    assert (second["promised"], second["kept"], second["lost"], second["restored_late"]) == (90, "yes", 0, 0)
    assert first["availability"] == pytest.approx(100 * (1 - 2 / (4 * 15)), abs=0.0001)
    assert [first["allowed"], second["allowed"]] == [4 * 15 * 1440 * 0.01, 4 * 15 * 1440 * 0.1]
    ((percent, credit),) = charges(store)["credit"]
    assert (percent, credit) == (10, -(Decimal(500) + Decimal(20)) / 10)


def test_a_promise_that_is_missed_makes_nothing_dearer(store: Store) -> None:
    """Most volume is of the second half, whose promise is another one: what is included is not halved by that."""

    def sold(content: dict[str, Any]) -> None:
        lines = [{"id": "volume", "per": "gigabyte", "amount": "2", "included": "20"}]
        content["agreements"][0]["prices"] = {"currency": "PEN", "lines": lines}

    penalties = [{"below_percent": 99, "credit_percent": 1}]
    load(store, version(sold, penalties=penalties))
    load(store, version(sold, penalties=penalties, restore_hours=2), 15)
    store.database.clock = VirtualClock(start=END + timedelta(days=2))
    for number, megabytes in ((2, 1000), (20, 24000)):
        cells = {"L1": {"DRB.PdcpSduVolumeDL": {Subject("716-01"): megabytes * 8.0}}}
        day = Measured(station="S1", begin=BEGIN + timedelta(days=number), seconds=DAY, covered=DAY, cells=cells)
        store.measurements.put([day])
    assert charges(store) == {"volume": [(Decimal(25), Decimal(10))]}
    for day_, over in ((20, False), (22, True)):
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": BEGIN + timedelta(days=day_)}))
    found = charges(store)
    assert found["volume"] == [(Decimal(1), Decimal("0.4")), (Decimal(24), Decimal("9.6"))]
    assert found["credit"] == [(Decimal(1), Decimal("-0.10"))]


def test_a_price_that_changes_divides_no_promise(store: Store) -> None:
    promise: dict[str, Any] = {"penalties": [{"below_percent": 98, "credit_percent": 10}]}
    load(store, version(**promise))
    for day, over in ((1, False), (3, True)):
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": BEGIN + timedelta(days=day)}))

    def dearer(content: dict[str, Any]) -> None:
        content["agreements"][0]["prices"] = priced("2000")

    load(store, version(dearer, **promise), 15)
    (only,) = rows(said(store, StatementKind.SLA), "agreements")
    assert only["availability"] == pytest.approx(100 * (1 - 2 / (4 * 30)), abs=0.0001)
    assert "credit" not in charges(store), "98.3 % of the month is no less than 98"


def test_quality_is_that_of_all_parts_of_the_month(store: Store) -> None:
    load(store, version())
    load(store, version(swap_plmns), 10)
    count(store)
    kpis = {row["kpi"]: row["value"] for row in rows(said(store, StatementKind.QUALITY), "kpis")}
    assert kpis["volume-down"] == pytest.approx(float(gigabytes("716-01", 10) + gigabytes("716-02", 20)), rel=0.001)


@pytest.mark.parametrize("kind", StatementKind)
def test_a_tenant_that_left_has_statements_for_the_time_it_was_there(store: Store, kind: StatementKind) -> None:
    def left(content: dict[str, Any]) -> None:
        content["tenants"].pop(0)
        content["agreements"].pop(0)
        for cell in content["cells"]:
            cell["primary_plmn"] = "716-02"
        for station in content["stations"]:
            station.update({name: "716-02" for name in ("enb_plmn", "gnb_plmn") if station.get(name)})

    load(store, version())
    load(store, version(left), 10)
    store.alarms.report(off_air(0).model_copy(update={"at": BEGIN + timedelta(days=9)}))
    count(store)
    made = said(store, kind)
    assert (made.tenant, made.tenant_name) == ("alfa", version().tenants[0].name)
    if kind is StatementKind.SETTLEMENT:
        assert charges(store)["volume"] == [(gigabytes("716-01", 10), 2 * gigabytes("716-01", 10))]
        assert charges(store)["base"][0][0] == pytest.approx(Decimal(10) / 30, abs=Decimal("0.000001"))
    if kind is StatementKind.SLA:
        (only,) = rows(made, "agreements")
        assert only["lost"] == 1440, "only what was lost until it left"
    with pytest.raises(NotFoundError, match="no tenant alfa"):
        draft(store, END + timedelta(days=40), kind, "alfa", "2026-07")


def _unstated() -> set[tuple[str, str]]:
    """Class and field of all that makes no era."""
    found = set()
    for name, of in UNSTATED.items():
        if of is True:
            found.add(("Network", name))
            continue
        annotation = Network.model_fields[name].annotation
        (model,) = (one for one in (annotation, *getattr(annotation, "__args__", ())) if hasattr(one, "model_fields"))
        fields = of if isinstance(of, set) else of["__all__"]
        assert fields <= set(model.model_fields), f"{model.__name__} has no such field"
        found |= {(model.__name__, one) for one in fields}
    return found


@pytest.mark.parametrize("kind", StatementKind)
def test_whatever_a_statement_reads_makes_an_era(
    store: Store, kind: StatementKind, monkeypatch: pytest.MonkeyPatch
) -> None:
    load(store, version())
    load(store, version(swap_plmns), 10)
    for day, over in ((12, False), (13, True)):
        store.alarms.report(off_air(0, over=over).model_copy(update={"at": BEGIN + timedelta(days=day)}))
    count(store)
    tenant_scope(*store.networks.get(), "alfa")  # what today's network discloses of an incident is no figure
    read: set[tuple[str, str]] = set()
    usual = BaseModel.__getattribute__

    def noted(self: BaseModel, name: str) -> Any:
        if name in type(self).model_fields:
            read.add((type(self).__name__, name))
        return usual(self, name)

    models = {one for one in vars(network_model).values() if isinstance(one, type) and issubclass(one, BaseModel)}
    for model in models:
        monkeypatch.setattr(model, "__getattribute__", noted)
    said(store, kind)
    monkeypatch.undo()
    assert ("Network", "agreements") in read
    assert not read & _unstated()


@pytest.mark.parametrize(
    ("path", "era"), [(("cells", "pci"), False), (("cells", "band"), True), (("tenants", "plmns"), True)]
)
def test_a_field_makes_an_era_unless_nothing_stated_depends_on_it(path: tuple[str, str], era: bool) -> None:
    made = version()
    of, field = path
    first, *others = getattr(made, of)
    other = {"pci": 503, "band": "B7", "plmns": ("716-77",)}[field]
    changed = made.model_copy(update={of: (first.model_copy(update={field: other}), *others)})
    assert (terms_of(changed) != terms_of(made)) == era


@pytest.mark.parametrize(
    ("before", "after", "lost"),
    [
        (("mme-1", "mme-2"), ("mme-1", "mme-2"), 0),
        (("mme-1", "mme-2"), ("mme-1",), 0),
        (("mme-1", "mme-2"), (), 0),
        (("mme-1",), ("mme-1",), 2880),
        (("mme-1",), ("mme-1", "mme-2"), 2880),
    ],
    ids=["both stay", "the other is removed", "both are removed", "one stays", "another comes"],
)
def test_links_that_come_or_go_later_move_no_past_outage(
    store: Store, before: tuple[str, ...], after: tuple[str, ...], lost: float
) -> None:
    """A link of alfa is down for two days; on the 20th, what the station carries changes."""

    def planned(nodes: Sequence[str]) -> Network:
        def pool(content: dict[str, Any]) -> None:
            content["tenants"][0]["core"]["mme_pool"] = [
                {"id": node, "address": f"10.1.1.{number}"} for number, node in enumerate(nodes, 1)
            ]

        return version(pool)

    made = planned(before)
    load(store, made)

    def paths(nodes: Iterable[str]) -> list[str]:
        return [f"{samples.LTE}/EP_S1C[{made.tenants[0].link_id(node)}]" for node in nodes]

    def links(nodes: Iterable[str]) -> list[LedgerNode]:
        return [LedgerNode(path=path, owners=("alfa",)) for path in paths(nodes)]

    store.devices.adopt("S1", links(before), network_digest(made), "ana")
    down = off_air(0).model_copy(update={"object": paths(["mme-1"])[0], "object_class": ObjectClass.CORE_LINK})
    down = down.model_copy(update={"tenant": "alfa", "probable_cause": "core-link-down"})
    for day, severity in ((3, PerceivedSeverity.MAJOR), (5, PerceivedSeverity.CLEARED)):
        store.alarms.report(down.model_copy(update={"severity": severity, "at": BEGIN + timedelta(days=day)}))
    load(store, planned(after or before), 20)
    change = LedgerChange("S1", links(after), paths(set(before) - set(after)))
    store.database.run(lambda tx: change_ledger(tx, [change]))
    (row,) = rows(said(store, StatementKind.SLA), "agreements")
    assert row["lost"] == lost
