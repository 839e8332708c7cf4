"""A station whose lists name ever other faults makes alarms without end of none of them."""

from __future__ import annotations

from contextlib import closing
from datetime import timedelta

import pytest

from controller.assurance.checker import _take
from controller.intent import folding
from controller.models.alarm import AlarmReport, AlarmSource, PerceivedSeverity
from controller.ports.clock import VirtualClock
from controller.store import Page, open_store
from tests.support.records import make_network


def test_lists_that_name_ever_other_faults_are_bounded_and_what_minka_finds_is_not(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(folding, "MOST_READ", 5)
    clock = VirtualClock()

    def report(number: int, source: AlarmSource) -> AlarmReport:
        return AlarmReport(
            station="A",
            object=f"x{number}",
            probable_cause="y",
            severity=PerceivedSeverity.MAJOR,
            source=source,
            at=clock.now() + timedelta(seconds=number),
        )

    with closing(open_store("sqlite://", clock)) as store:
        digest, network = make_network()
        store.networks.save(network, digest, "ana")
        for reading in range(4):
            listed = [report(3 * reading + one, AlarmSource.ALARM_LIST) for one in range(3)]
            own = report(100 + reading, AlarmSource.CHECK)
            taken = _take(store, [own, *listed])
            assert taken[0].object == own.object
        assert store.alarms.page(Page())[0] == 5 + 4
        assert store.status.figures()["minka_alerts_refused_total"]["too-many",] == 7
