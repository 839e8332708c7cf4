"""Evaluations of KPIs: the latest one of each station, region and the network."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, LargeBinary, Row, String, Table, bindparam, delete, select

from controller.performance.kpi_evaluation import IndicatorValues, KpiEvaluation
from controller.performance.kpis import Level
from controller.store.database.columns import Instant, metadata
from controller.store.database.repository import M_co, Repository, Sync, method, reads, writes
from controller.store.database.transaction import Tx

kpi_evaluations = Table(
    "kpi_evaluations",
    metadata,
    Column("level", String, primary_key=True),
    Column("of", String, primary_key=True),
    # End of the hour that was judged.
    Column("end", Instant, nullable=False),
    Column("content", LargeBinary, nullable=False),
)

_OF_STATIONS = select(kpi_evaluations).where(
    kpi_evaluations.c.level == Level.STATION.value, kpi_evaluations.c.end > bindparam("since", type_=Instant())
)
_OF_PLACES = (
    select(kpi_evaluations)
    .where(kpi_evaluations.c.level != Level.STATION.value)
    .order_by(kpi_evaluations.c.level, kpi_evaluations.c.of)
)
_KEYS = ("level", "of")


class KpiEvaluations(Repository[M_co]):
    """The latest evaluation of each place."""

    @method
    def put(self: KpiEvaluations[Sync], found: Iterable[KpiEvaluation]) -> None:
        """Put evaluations on record in place of older ones; one that is older than the known one is ignored."""
        self._put(tuple(found))  # A second attempt needs the elements again.

    @writes
    def _put(self, tx: Tx, found: Sequence[KpiEvaluation]) -> None:
        if not found:
            return
        rows = [{"level": one.level.value, "of": one.of, "end": one.end, "content": _content(one)} for one in found]
        row = tx.insert(kpi_evaluations)
        newer = {"end": row.excluded.end, "content": row.excluded.content}
        no_older = row.excluded.end >= kpi_evaluations.c.end
        tx.execute(row.on_conflict_do_update(index_elements=_KEYS, set_=newer, where=no_older), rows)

    @reads
    def stations(self, tx: Tx, names: Collection[str] | None, since: datetime) -> list[KpiEvaluation]:
        """Evaluations of these stations, or of all, whose hour ended after a time, by name."""
        rows = tx.rows(_OF_STATIONS, kpi_evaluations.c.of, names, since=since)
        return [_as_noun(row) for row in sorted(rows, key=lambda row: row.of)]

    @reads
    def places(self, tx: Tx) -> list[KpiEvaluation]:
        """Evaluations of the network and of regions, by level and name."""
        return [_as_noun(row) for row in tx.execute(_OF_PLACES)]

    @writes
    def forget(self, tx: Tx, before: datetime) -> None:
        """Delete evaluations whose hour ended before a time: their place does not exist any more."""
        tx.execute(delete(kpi_evaluations).where(kpi_evaluations.c.end < before))


def _content(one: KpiEvaluation) -> bytes:
    return orjson.dumps(one.model_dump(mode="json", exclude={"level", "of", "end"}, exclude_defaults=True))


def _as_noun(row: Row[Any]) -> KpiEvaluation:
    """Not validated again: each scrape reads thousands of them."""
    content = orjson.loads(row.content)
    return KpiEvaluation.model_construct(
        level=Level(row.level),
        of=row.of,
        end=row.end,
        whole=IndicatorValues(*content.get("whole", ())),
        tenants={name: IndicatorValues(*of) for name, of in content.get("tenants", {}).items()},
        cells={name: IndicatorValues(*of) for name, of in content.get("cells", {}).items()},
        verdicts=content.get("verdicts", {}),
    )
