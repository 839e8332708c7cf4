"""Stations that were looked at all the time, for tests of something else."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

from controller.store import SqlStore
from controller.store.devices import observed_times


def observe(store: SqlStore, stations: Iterable[str], since: datetime, until: datetime) -> None:
    """Put on record that stations were checked without a gap between two times."""
    rows = [{"station": one, "since": since, "until": until} for one in stations]
    store.database.run(lambda tx: tx.execute(observed_times.insert(), rows))
