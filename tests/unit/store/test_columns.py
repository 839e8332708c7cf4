"""Points in time on SQLite: the texts that SQLAlchemy's own type would write, and the same instant back."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone

import pytest
from sqlalchemy import Column, DateTime, MetaData, Table, create_engine, insert, select

from controller.store.database.columns import Instant

PLAIN = datetime(2026, 6, 15, 12, tzinfo=UTC)
EARLY = datetime(987, 1, 2, 3, 4, 5, 6, tzinfo=UTC)
IN_KATHMANDU = datetime(2026, 6, 15, 2, 3, 4, 560000, tzinfo=timezone(timedelta(hours=5, minutes=45)))


@pytest.mark.parametrize("moment", [PLAIN, EARLY, IN_KATHMANDU, None])
def test_sqlite_keeps_the_text_that_sqlalchemy_would_and_gives_back_utc(moment: datetime | None) -> None:
    ours = Table("moments", MetaData(), Column("at", Instant))
    theirs = Table("moments", MetaData(), Column("at", DateTime))
    engine = create_engine("sqlite://")
    ours.metadata.create_all(engine)
    with engine.connect() as connection:
        connection.execute(insert(ours).values(at=moment))
        text = connection.exec_driver_sql("SELECT at FROM moments").scalar_one()
        (found,) = connection.execute(select(ours.c.at)).one()
        assert found == moment
        assert found is None or found.tzinfo is UTC
        connection.execute(theirs.delete())
        connection.execute(insert(theirs).values(at=moment and moment.astimezone(UTC).replace(tzinfo=None)))
        assert connection.exec_driver_sql("SELECT at FROM moments").scalar_one() == text
