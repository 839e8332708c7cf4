"""Settlement: what a tenant owes for a month by the prices of its agreements, with exact money. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta
from decimal import ROUND_HALF_EVEN, ROUND_HALF_UP, Decimal
from typing import NamedTuple

from controller.intent.agreed_service import AgreedService
from controller.intent.agreed_terms import AgreedSpan
from controller.models.network import Agreement
from controller.models.sharing import (
    CORRECTION,
    CREDIT,
    Charge,
    Direction,
    PriceChange,
    PriceLine,
    Prices,
    RoundingRule,
)
from controller.models.statement import Column, Sheet, Statement, Value
from controller.performance.availability import Attainment, Month
from controller.performance.statements import local
from controller.performance.volume import Volumes

RULES = (
    "Each line is its quantity times its price, rounded to the currency's decimals by the agreement's rule (half-even: "
    "to the even digit; half-up: away from zero). What is due is the sum of the rounded lines.\n"
    "Prices and shares count for the time in which they were in force: where a line changes within the month, or what "
    "it depends on, it comes once for each of these times, and what it includes counts in part, as the time is of the "
    "month. Prices that an agreement lets wait for the next month change nothing before.\n"
    "Cell-months are the part of the month in which cells were shared under the agreement and carried all its PLMNs "
    "by Minka's own record: a run counts from its end on, an adopted station from its adoption. Months are the part in "
    "which at least one cell did, or in which the agreement was in force where it reaches no cell. Both are to the "
    "second, rounded to 6 digits, and count whether or not there was service. Nothing is charged for the time before "
    "the first network was loaded.\n"
    "Percent-cell-months are cell-months times the percent of PRBs that the cell guaranteed by the same record, at "
    "most what was agreed then: a share that is raised counts from the end of the run that applied it, one that is "
    "lowered from when it was agreed.\n"
    "An issued settlement never changes. Where something that is known since makes an amount of one of the three "
    "months before another one, a line of this month corrects it, and the sheet of corrections has both figures. One "
    "that is issued anew takes back, by such a line, what others that were issued corrected of it.\n"
    "Core-months and Gbit/s-months are what the agreement buys of pools, function-months the functions that it buys "
    "as such, each for the part of the month that it held with these terms, used or not.\n"
    "Quantities of both kinds are the sum of units times seconds of their pieces, divided by the seconds of the month, "
    "rounded once to 6 digits.\n"
    "Gigabytes are 10^9 bytes, to the megabyte, of the cells and PLMNs of the agreement, as stations counted them. "
    "What was not measured is not charged. A day, and its part of what a line of volume includes, belongs to the terms "
    "with which it began: the volume of the day on which an agreement ends is charged, and that of a day that began "
    "without it is not.\n"
    "A credit is the percentage that the agreement names for the availability in the time of its promise, of the sum "
    "of the lines of that time."
).splitlines()

#: Stands beside the rules where an earlier month is not corrected.
NOT_CORRECTED = (
    "{month} is not corrected here beyond what was issued: counters on which its settlement may rest are not on record "
    "any more."
)

_ROUNDING = {RoundingRule.HALF_EVEN: ROUND_HALF_EVEN, RoundingRule.HALF_UP: ROUND_HALF_UP}
_MEGABYTE, _MILLIONTH = Decimal("0.001"), Decimal("0.000001")


class ChargeSpan(NamedTuple):
    """A time in which a price line of an agreement, and all that its amount depends on, stayed the same.

    Attributes:
        agreement: The agreement, with the prices that count.
        share: Percent of PRBs that is agreed; 0 where the line does not depend on it.
        promise: Begin of the promise that was missed, and the percentage of its penalty; None if none is due.
    """

    agreement: Agreement
    line: PriceLine
    begin: datetime
    until: datetime
    share: int
    promise: tuple[datetime, float] | None

    @property
    def time(self) -> ChargedTime:
        """The agreement and time."""
        return ChargedTime(self.agreement.id, self.begin, self.until)

    def goes_on_as(self, later: ChargeSpan) -> bool:
        """Whether another one begins at its end, and nothing differs."""
        return self.promise == later.promise and self.priced_as(later)

    def priced_as(self, later: ChargeSpan) -> bool:
        """Whether another one begins at its end, and nothing differs but what is credited."""
        return self.until == later.begin and self._price == later._price

    @property
    def _price(self) -> tuple[object, ...]:
        prices = _prices_of(self.agreement)
        money = prices.currency, prices.decimals, prices.rounding
        return (self.agreement.id, self.line, self.share, *money)


class ChargedTime(NamedTuple):
    """An agreement, and a time for which something is charged."""

    agreement: str
    begin: datetime
    until: datetime


#: Agreement, line and currency of an amount.
_Amounts = dict[tuple[str, str, str], Decimal]


class Correction(NamedTuple):
    """An amount of a month that is another one by what is known now.

    Attributes:
        stated: As it was issued, with what was corrected since.
        now: As it would be issued now.
    """

    month: str
    agreement: str
    line: str
    currency: str
    stated: Decimal
    now: Decimal

    @property
    def amount(self) -> Decimal:
        """What is due in addition."""
        return self.now - self.stated


def corrections(
    month: str, issued: Iterable[Sheet], others: Iterable[Statement], now: Iterable[Sheet]
) -> list[Correction]:
    """What a settlement is to be corrected by.

    Args:
        month: Its month.
        issued: Its sheets as they were issued last, or are about to be.
        others: The settlements that were issued and corrected it, as they were last.
        now: Its sheets as they would be now, without corrections.
    """
    stated, known = _amounts(issued), _amounts(now)
    for one in others:
        for key, amount in _corrected(one.sheets, month).items():
            stated[key] = stated.get(key, Decimal(0)) + amount
    keys = sorted(stated.keys() | known.keys())
    found = (Correction(month, *key, stated.get(key, Decimal(0)), known.get(key, Decimal(0))) for key in keys)
    return [one for one in found if one.amount]


def stated_corrections(issued: Statement | None, month: str) -> list[Correction]:
    """What a settlement corrected of a month, as it was issued; nothing if there is none."""
    return [
        Correction(month, *key, Decimal(str(row["stated"])), Decimal(str(row["now"])))
        for row in _rows(issued.sheets if issued else (), "corrections")
        if row["month"] == month
        for key in ((str(row["agreement"]), str(row["line"]), str(row["currency"])),)
    ]


def _amounts(sheets: Iterable[Sheet]) -> _Amounts:
    """Amounts of a settlement by agreement, line and currency; without corrections."""
    found: _Amounts = {}
    for row in _rows(sheets, "lines"):
        if row["line"] != CORRECTION:
            key = str(row["agreement"]), str(row["line"]), str(row["currency"])
            found[key] = found.get(key, Decimal(0)) + Decimal(str(row["amount"]))
    return found


def _corrected(sheets: Iterable[Sheet], month: str) -> _Amounts:
    """What a settlement corrected of a month."""
    return {
        (str(row["agreement"]), str(row["line"]), str(row["currency"])): Decimal(str(row["difference"]))
        for row in _rows(sheets, "corrections")
        if row["month"] == month
    }


def _rows(sheets: Iterable[Sheet], name: str) -> Iterator[dict[str, Value]]:
    for sheet in sheets:
        for row in sheet.rows if sheet.name == name else ():
            yield {column.name: value for column, value in zip(sheet.columns, row, strict=True)}


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


def charge_spans(spans: Iterable[AgreedSpan], promises: Sequence[Attainment]) -> list[ChargeSpan]:
    """What is charged for which time; by agreement, line and time.

    Args:
        spans: When the agreements of a tenant were in force, divided wherever anything changed.
        promises: What they promised, and what the tenant got.
    """
    found: dict[tuple[str, str], list[ChargeSpan]] = {}
    for agreement, begin, until in _as_charged(spans):
        missed = _missed(agreement, begin, promises)
        for line in agreement.prices.lines if agreement.prices else ():
            share = agreement.guaranteed_prbs if line.per is Charge.PERCENT_CELL_MONTH else 0
            one = ChargeSpan(agreement, line, begin, until, share, missed)
            of_line = found.setdefault((agreement.id, line.id), [])
            if of_line and of_line[-1].goes_on_as(one):
                one = one._replace(begin=of_line.pop().begin)
            of_line.append(one)
    return [one for of_line in found.values() for one in of_line]


def _as_charged(spans: Iterable[AgreedSpan]) -> Iterator[AgreedSpan]:
    """Agreements with the prices that count; new ones may wait for the next month."""
    before: dict[str, Prices] = {}
    for one in spans:
        prices = one.agreement.prices
        known = before.get(one.agreement.id)
        if prices is not None and known is not None and prices.change is PriceChange.NEXT_MONTH:
            prices = known
        if prices is not None:
            before[one.agreement.id] = prices
        yield one._replace(agreement=one.agreement.model_copy(update={"prices": prices}))


def _missed(agreement: Agreement, begin: datetime, promises: Sequence[Attainment]) -> tuple[datetime, float] | None:
    """Begin of the promise in force, and the percentage of the penalty that is due for it."""
    promise = next(one for one in promises if one.agreement.id == agreement.id and one.begin <= begin < one.until)
    penalty = promise.agreement.sla.penalty(promise.availability)
    return None if penalty is None else (promise.begin, penalty.credit_percent)


def settlement_sheets(
    spans: Sequence[ChargeSpan],
    services: Mapping[ChargedTime, AgreedService],
    volumes: Mapping[ChargedTime, Volumes],
    without: Iterable[str],
    month: Month,
    corrected: Sequence[Correction] = (),
) -> tuple[Sheet, ...]:
    """The tables of a statement of what is due.

    Args:
        spans: What is charged for which time.
        services: What the tenant got in each of these times.
        volumes: What its users sent and received, where a price is by volume.
        without: Ids of agreements without prices.
        month: Which.
        corrected: What is corrected of earlier months, or by others of this one.
    """
    lines = list(_charged(spans, services, volumes, month))
    every = [*(line for _, line in lines), *_credits(lines, month)]
    every.sort(key=lambda line: line.agreement)
    sums: dict[str, Decimal] = {}
    for line in every:
        sums[line.prices.currency] = sums.get(line.prices.currency, Decimal(0)) + line.amount
    for one in corrected:
        sums[one.currency] = sums.get(one.currency, Decimal(0)) + one.amount
    measured = (
        (time.agreement, local(time.begin, month.zone), local(time.until, month.zone), one.total.share)
        for time, one in sorted(volumes.items())
    )
    return (
        Sheet(
            name="lines",
            title="Lines",
            columns=_LINES,
            rows=(*(line.row for line in every), *(_line_for(one, month) for one in corrected)),
        ),
        Sheet(
            name="pieces",
            title="What the quantities of lines are made of",
            columns=_PIECES,
            rows=tuple(
                (
                    *(one.agreement.id, one.line.id, local(one.begin, month.zone), piece.of),
                    *(local(piece.begin, month.zone), local(piece.end, month.zone)),
                    *map(_plain, (piece.seconds, piece.units)),
                )
                for one in sorted(spans, key=lambda one: (one.agreement.id, one.line.id, one.begin))
                for piece in _pieces(one.line, services[one.time])
            ),
        ),
        Sheet(
            name="corrections",
            title="Corrections, by what is known since",
            columns=_CORRECTIONS,
            rows=tuple((*one[:4], *map(_plain, (one.stated, one.now, one.amount))) for one in corrected),
        ),
        Sheet(
            name="due",
            title="Due",
            columns=(Column(name="currency"), Column(name="amount")),
            rows=tuple((currency, _plain(amount)) for currency, amount in sorted(sums.items())),
        ),
        Sheet(
            name="measured",
            title="How much of the volume was measured",
            columns=(
                Column(name="agreement"),
                Column(name="since"),
                Column(name="until"),
                Column(name="measured", unit="% of the time", meaning="empty where no day begins in that time"),
            ),
            rows=tuple(measured),
        ),
        Sheet(
            name="without",
            title="Agreements without prices",
            columns=(Column(name="agreement"),),
            rows=tuple((name,) for name in without),
        ),
    )


_CORRECTIONS = (
    Column(name="month"),
    Column(name="agreement"),
    Column(name="line"),
    Column(name="currency"),
    Column(name="stated", meaning="as it was issued, with what was corrected since"),
    Column(name="now", meaning="by what is known now"),
    Column(name="difference", meaning="which is due in addition"),
)
_PIECES = (
    Column(name="agreement"),
    Column(name="line", meaning="by percent-cell-months, core-months, Gbit/s-months or function-months"),
    Column(name="since", meaning="of the line: since when these terms held, in the month"),
    Column(name="of", meaning="the cell, pool or function"),
    Column(name="begin", meaning="when its time of just these units begins"),
    Column(name="end"),
    Column(name="seconds", unit="s", meaning="from begin to end, to the microsecond"),
    Column(name="units", meaning="percent of PRBs, cores, Gbit/s, or 1 for a function"),
)
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


def _line_for(one: Correction, month: Month) -> tuple[Value, ...]:
    """The line of a correction."""
    times = local(month.begin, month.zone), local(month.end, month.zone)
    amount = _plain(one.amount)
    return (one.agreement, *times, CORRECTION, one.month, "1", "0", amount, amount, one.currency, "")


def _charged(
    spans: Sequence[ChargeSpan],
    services: Mapping[ChargedTime, AgreedService],
    volumes: Mapping[ChargedTime, Volumes],
    month: Month,
) -> Iterator[tuple[ChargeSpan, _ChargeLine]]:
    """Each span with its line. What a credit alone divides has one quantity that is included, so it costs the same."""
    length = (month.end - month.begin).total_seconds()
    for together in _as_priced(spans):
        quantities = [_quantity(one, services[one.time], volumes.get(one.time), length) for one in together]
        for one, quantity, included in zip(together, quantities, _included(together, quantities, month), strict=True):
            yield one, _line_of(one, quantity, included, month)


def _as_priced(spans: Iterable[ChargeSpan]) -> Iterator[list[ChargeSpan]]:
    """Spans that follow each other and differ only in what is credited."""
    together: list[ChargeSpan] = []
    for one in spans:
        if together and not together[-1].priced_as(one):
            yield together
            together = []
        together.append(one)
    if together:
        yield together


def _included(together: Sequence[ChargeSpan], quantities: Sequence[Decimal], month: Month) -> Iterator[Decimal]:
    """What is included of each quantity: of all of them what their whole time includes, of each in proportion."""
    line = together[0].line
    time = _time_of(line, together[0].begin, together[-1].until, month)
    total = sum(quantities, Decimal(0))
    part = _part(time.total_seconds(), (month.end - month.begin).total_seconds())
    whole = min((line.included * part).quantize(_MILLIONTH), total)
    for quantity in quantities:
        yield (whole * quantity / total).quantize(_MILLIONTH) if whole else Decimal(0)


def _time_of(line: PriceLine, begin: datetime, until: datetime, month: Month) -> timedelta:
    """The time for which quantities of a line count: of volume, the days that begin in it."""
    if line.per is not Charge.GIGABYTE:
        return until - begin
    return sum((day[1] - day[0] for day in month.days if begin <= day[0] < until), timedelta())


def _line_of(one: ChargeSpan, quantity: Decimal, included: Decimal, month: Month) -> _ChargeLine:
    line, prices = one.line, _prices_of(one.agreement)
    amount = _rounded((quantity - included) * line.amount, prices)
    times = local(one.begin, month.zone), local(one.until, month.zone)
    figures = quantity, included, line.amount, amount
    return _ChargeLine(one.agreement.id, *times, line.id, line.per.value, *figures, prices)


def _credits(lines: Sequence[tuple[ChargeSpan, _ChargeLine]], month: Month) -> Iterator[_ChargeLine]:
    """The credit of each promise that was missed, of the sum of the lines of its time, by currency."""
    missed: dict[tuple[str, tuple[datetime, float], Prices], list[tuple[ChargeSpan, _ChargeLine]]] = {}
    for span, line in lines:
        if span.promise is not None:
            meant = line.prices.model_copy(update={"lines": (), "change": PriceChange.AT_ONCE})
            missed.setdefault((span.agreement.id, span.promise, meant), []).append((span, line))
    for (agreement, (_, credit_percent), prices), of_promise in missed.items():
        charged = sum((line.amount for _, line in of_promise), Decimal(0))
        begin, until = min(span.begin for span, _ in of_promise), max(span.until for span, _ in of_promise)
        percent = Decimal(str(credit_percent))
        figures = percent, Decimal(0), -charged / 100, _rounded(-charged * percent / 100, prices)
        times = local(begin, month.zone), local(until, month.zone)
        yield _ChargeLine(agreement, *times, CREDIT, "percent of lines", *figures, prices)


def _prices_of(agreement: Agreement) -> Prices:
    assert agreement.prices is not None, "only agreements with prices are charged"
    return agreement.prices


def _quantity(one: ChargeSpan, service: AgreedService, volumes: Volumes | None, length: float) -> Decimal:
    line = one.line
    if line.per is Charge.GIGABYTE:
        return _gigabytes(line, volumes)
    if line.per is Charge.MONTH:
        return _part(service.held, length)
    if line.per is Charge.CELL_MONTH:
        return _part(sum(service.carried.values()), length)
    return _part(sum((one.seconds * one.units for one in _pieces(line, service)), Decimal(0)), length)


class _Piece(NamedTuple):
    """A part of a quantity.

    Attributes:
        of: The cell, pool or function.
        units: How much of it there was all of that time.
    """

    of: str
    begin: datetime
    end: datetime
    units: Decimal

    @property
    def seconds(self) -> Decimal:
        """Its length, exactly."""
        return _seconds(self.end - self.begin)


def _pieces(line: PriceLine, service: AgreedService) -> list[_Piece]:
    """Parts whose units times seconds add up to the quantity of a line, in order; none of lines of other kinds."""
    match line.per:
        case Charge.PERCENT_CELL_MONTH:
            bought = service.guaranteed
        case Charge.CORE_MONTH:
            bought = service.cores
        case Charge.GBPS_MONTH:
            bought = service.gbps
        case Charge.FUNCTION_MONTH:
            bought = service.functions
        case _:
            return []
    return sorted(
        _Piece(of, begin, end, Decimal(str(units)))
        for (of, units), times in bought.items()
        if units and (not line.pools or of in line.pools)
        for begin, end in times
    )


def _seconds(length: timedelta) -> Decimal:
    return Decimal(length // timedelta.resolution).scaleb(-6)


def _part(seconds: float | Decimal, length: float) -> Decimal:
    return (Decimal(round(seconds * 1_000_000)) / Decimal(round(length * 1_000_000))).quantize(_MILLIONTH)


def _gigabytes(line: PriceLine, volumes: Volumes | None) -> Decimal:
    assert volumes is not None, "whatever is charged by volume was counted"
    chosen = (
        [volumes.total]
        if not line.qos
        else [found for subject, found in sorted(volumes.by_subject.items()) if subject.qos in line.qos]
    )
    places = {Direction.DOWN: 0, Direction.UP: 1, Direction.BOTH: 2}
    megabytes = sum((Decimal(str(found.row[places[line.direction]])) for found in chosen), Decimal(0))
    return (megabytes / 1000).quantize(_MEGABYTE, ROUND_HALF_EVEN)


def _rounded(amount: Decimal, prices: Prices) -> Decimal:
    rounded = amount.quantize(Decimal(1).scaleb(-prices.decimals), _ROUNDING[prices.rounding])
    return rounded or abs(rounded)  # A zero has no sign: money is no -0.00.


def _plain(value: Decimal) -> str:
    """A number without an exponent."""
    return f"{value:f}"
