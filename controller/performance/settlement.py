"""Settlement: what a tenant owes for a month by the prices of its agreements, with exact money. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import NamedTuple

from controller.intent.outages import AgreedService
from controller.models.network import Agreement
from controller.models.sharing import Charge, Direction, PriceChange, PriceLine, Prices, ResourceType, RoundingRule
from controller.models.statement import Column, Sheet, Value
from controller.performance.availability import Attainment, Month
from controller.performance.statements import local
from controller.performance.volume import Volumes

RULES = (
    "Each line is its quantity times its price, rounded to the currency's decimals by the agreement's rule (half-even: "
    "to the even digit; half-up: away from zero). What is due is the sum of the rounded lines.\n"
    "Prices, shares and promises count for the time in which they were in force: where they change within the month, "
    "each line comes once for each of these times, and what it includes counts in part, as the time is of the month.\n"
    "Months and cell-months are the part of the month in which the agreement held, and cells were shared under it, to "
    "the second, rounded to 6 digits; they count whether or not there was service.\n"
    "Core-months and Gbit/s-months are what the agreement buys of pools, function-months the functions that it buys "
    "as such, each for the part of the month that it held with these terms, used or not.\n"
    "Gigabytes are 10^9 bytes, to the megabyte, of the cells and PLMNs of the agreement, as stations counted them. "
    "What was not measured is not charged. A day belongs to the terms with which it began.\n"
    "A credit is the percentage that the agreement names for the availability in the time of its promise, of the sum "
    "of the lines of that time."
).splitlines()

_ROUNDING = {RoundingRule.HALF_EVEN: ROUND_HALF_EVEN, RoundingRule.HALF_UP: ROUND_HALF_UP}
_MEGABYTE, _MILLIONTH = Decimal("0.001"), Decimal("0.000001")


#: An agreement, and since when it has the same terms.
_Terms = tuple[str, datetime]


class _ChargeLine(NamedTuple):
    """A line of a statement."""

    agreement: str
    since: str
    until: str
    line: str
    per: str
    quantity: Decimal
    included: Decimal
    price: Decimal
    amount: Decimal
    prices: Prices

    @property
    def row(self) -> tuple[Value, ...]:
        money = self.prices.currency, self.prices.rounding.value
        figures = map(_plain, (self.quantity, self.included, self.price, self.amount))
        return (self.agreement, self.since, self.until, self.line, self.per, *figures, *money)


def charged_by(agreement: Agreement) -> tuple[object, ...]:
    """The terms on which a tenant's bill depends."""
    return agreement.prices, agreement.shares, agreement.sla


def by_volume(agreement: Agreement) -> bool:
    """Whether what its tenant pays depends on volume."""
    return agreement.prices is not None and any(line.per is Charge.GIGABYTE for line in agreement.prices.lines)


def settlement_sheets(
    found: Iterable[Attainment], promises: Sequence[Attainment], volumes: Mapping[_Terms, Volumes], month: Month
) -> tuple[Sheet, ...]:
    """The tables of a statement of what is due.

    Args:
        found: What each agreement promised and its tenant got, for each time with the same ``charged_by``.
        promises: The same, for each time with the same promise.
        volumes: By agreement and time, where prices are by volume.
        month: Which.
    """
    attained = list(_as_charged(found))
    lines = [line for one in attained for line in _lines_of(one, promises, volumes.get(one.promise), month)]
    sums: dict[str, Decimal] = {}
    for line in lines:
        sums[line.prices.currency] = sums.get(line.prices.currency, Decimal(0)) + line.amount
    measured = ((name, local(since, month.zone), one.total.measured) for (name, since), one in sorted(volumes.items()))
    without = tuple(dict.fromkeys((one.agreement.id,) for one in attained if one.agreement.prices is None))
    return (
        Sheet(name="lines", title="Lines", columns=_LINES, rows=tuple(line.row for line in lines)),
        Sheet(
            name="due",
            title="Due",
            columns=(Column(name="currency"), Column(name="amount")),
            rows=tuple((currency, _plain(amount)) for currency, amount in sorted(sums.items())),
        ),
        Sheet(
            name="measured",
            title="How much of the volume was measured",
            columns=(Column(name="agreement"), Column(name="since"), Column(name="measured", unit="% of the time")),
            rows=tuple(measured),
        ),
        Sheet(name="without", title="Agreements without prices", columns=(Column(name="agreement"),), rows=without),
    )


def _as_charged(found: Iterable[Attainment]) -> Iterator[Attainment]:
    """Agreements with the prices that count; new ones may wait for the next month."""
    before: dict[str, Agreement] = {}
    for one in found:
        agreement = one.agreement
        known = before.setdefault(agreement.id, agreement).prices
        if known and agreement.prices not in (None, known) and agreement.prices.change is PriceChange.NEXT_MONTH:
            agreement = agreement.model_copy(update={"prices": known})
        before[agreement.id] = agreement
        yield one._replace(agreement=agreement)


_LINES = (
    Column(name="agreement"),
    Column(name="since", meaning="since when these terms held, in the month"),
    Column(name="until"),
    Column(name="line"),
    Column(name="per"),
    Column(name="quantity"),
    Column(name="included", meaning="of the quantity, which costs nothing"),
    Column(name="price"),
    Column(name="amount"),
    Column(name="currency"),
    Column(name="rounding"),
)


def _lines_of(
    one: Attainment, promises: Sequence[Attainment], volumes: Volumes | None, month: Month
) -> Iterator[_ChargeLine]:
    agreement, prices = one.agreement, one.agreement.prices
    if prices is None:
        return
    charged = Decimal(0)
    begin, until = local(one.begin, month.zone), local(one.until, month.zone)
    length = (month.end - month.begin).total_seconds()
    share = _part((one.until - one.begin).total_seconds(), length)
    for line in prices.lines:
        quantity = _quantity(line, one, volumes, length)
        included = min((line.included * share).quantize(_MILLIONTH), quantity) if line.included else Decimal(0)
        amount = _rounded((quantity - included) * line.amount, prices)
        charged += amount
        figures = quantity, included, line.amount, amount
        yield _ChargeLine(agreement.id, begin, until, line.id, line.per.value, *figures, prices)
    promise = next(
        each for each in promises if each.agreement.id == agreement.id and each.begin <= one.begin < each.until
    )
    penalty = agreement.sla.penalty(promise.availability)
    if penalty is not None:
        percent = Decimal(str(penalty.credit_percent))
        credit = _rounded(-charged * percent / 100, prices)
        figures = percent, Decimal(0), -charged / 100, credit
        yield _ChargeLine(agreement.id, begin, until, "credit", "percent of lines", *figures, prices)


def _quantity(line: PriceLine, one: Attainment, volumes: Volumes | None, length: float) -> Decimal:
    if line.per is Charge.GIGABYTE:
        return _gigabytes(line, volumes)
    if line.per is Charge.MONTH:
        return _part(one.owed.held, length)
    cells = _part(one.seconds, length)
    if line.per is Charge.CELL_MONTH:
        return cells
    if line.per in (Charge.CORE_MONTH, Charge.GBPS_MONTH, Charge.FUNCTION_MONTH):
        return _part(_bought(line, one.owed), length)
    shares = one.agreement.shares
    percent = max((share.min for share in shares if share.resource is ResourceType.PRB), default=0)
    return cells * percent


def _bought(line: PriceLine, owed: AgreedService) -> float:
    """Capacity bought of pools, times seconds."""
    if line.per is Charge.FUNCTION_MONTH:
        return owed.functions
    by_pool = owed.cores if line.per is Charge.CORE_MONTH else owed.gbps
    return sum(amount for pool, amount in by_pool.items() if not line.pools or pool in line.pools)


def _part(seconds: float, length: float) -> Decimal:
    return (Decimal(round(seconds * 1_000_000)) / Decimal(round(length * 1_000_000))).quantize(_MILLIONTH)


def _gigabytes(line: PriceLine, volumes: Volumes | None) -> Decimal:
    if volumes is None:
        return Decimal(0)
    chosen = (
        [volumes.total]
        if not line.qos
        else [found for subject, found in sorted(volumes.by_subject.items()) if subject.qos in line.qos]
    )
    places = {Direction.DOWN: 0, Direction.UP: 1, Direction.BOTH: 2}
    megabytes = sum((Decimal(str(found.row[places[line.direction]])) for found in chosen), Decimal(0))
    return (megabytes / 1000).quantize(_MEGABYTE, ROUND_HALF_EVEN)


def _rounded(amount: Decimal, prices: Prices) -> Decimal:
    return amount.quantize(Decimal(1).scaleb(-prices.decimals), _ROUNDING[prices.rounding])


def _plain(value: Decimal) -> str:
    """A number without an exponent."""
    return f"{value:f}"
