"""What the database does for an alarm, however many others stand: counted in steps of SQLite's virtual machine."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Sequence
from contextlib import closing

from sqlalchemy import event

from controller.models.alarm import AlarmReport, AlarmSource, ObjectClass, PerceivedSeverity
from controller.models.network import network_digest
from controller.store import Store, open_store
from tests.support.records import START
from tests.unit.intent.backhaul_tree import network


def _link(tenant: str) -> AlarmReport:
    return AlarmReport(
        station="S1",
        object=f"/ManagedElement[S1]/ENBFunction[1]/EP_S1C[{tenant}-mme-1]",
        object_class=ObjectClass.CORE_LINK,
        tenant=tenant,
        probable_cause="core-link-down",
        severity=PerceivedSeverity.MAJOR,
        source=AlarmSource.CHECK,
        at=START,
    )


def _steps(store: Store, reports: Sequence[AlarmReport]) -> int:
    """Hundreds of steps that it takes to put reports on record."""
    counted: Counter[str] = Counter()

    def count(connection: sqlite3.Connection, *_: object) -> None:
        connection.set_progress_handler(lambda: counted.update(("step",)), 100)

    event.listen(store.database.engine, "checkout", count)
    store.alarms.report_all(reports)
    event.remove(store.database.engine, "checkout", count)
    return counted["step"]


def test_an_alarm_takes_as_much_work_beside_two_thousand_others() -> None:
    with closing(open_store("sqlite://")) as store:
        store.networks.save(network(), network_digest(network()), "ana")
        store.alarms.report_all([_link(f"before{number}") for number in range(10)])
        alone = _steps(store, [_link(f"early{number}") for number in range(10)])
        store.alarms.report_all([_link(f"many{number}") for number in range(2000)])
        assert _steps(store, [_link(f"late{number}") for number in range(10)]) < 1.5 * alone
