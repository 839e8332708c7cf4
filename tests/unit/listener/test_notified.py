"""The words of a notification that go on record with its alarm."""

from __future__ import annotations

from contextlib import closing
from datetime import UTC, datetime
from typing import Any, cast

import pytest
from lxml import etree

from controller.drivers.netconf.active_alarms import ALARM_NOTIF
from controller.drivers.protocols import Notification
from controller.intent import folding
from controller.listener.floods import APART, BURST
from controller.listener.process import Listener, _words
from controller.models.alarm import LONGEST_BODY
from controller.ports.clock import VirtualClock
from controller.store import Page, Store, open_store
from tests.support.quick_stores import DirectStore

AT = datetime(2026, 1, 1, tzinfo=UTC)


def words(text: str, at: datetime | None = AT) -> str:
    content = etree.fromstring(f"<alarm-notif><fault-text>{text}</fault-text></alarm-notif>")
    return _words(Notification("S", at, "alarm-notif", content), AT)


def test_short_words_are_kept_as_they_came_with_their_time() -> None:
    assert words("x") == "2026-01-01T00:00:00+00:00 <alarm-notif><fault-text>x</fault-text></alarm-notif>"
    assert words("x", None) == words("x")


@pytest.mark.parametrize("letters", [LONGEST_BODY, 3_000_000])
def test_long_words_are_bounded_and_told_apart_by_all_that_they_say(letters: int) -> None:
    one, other = "x" * letters, "x" * (letters - 1) + "y"
    assert len(words(one)) == LONGEST_BODY
    assert words(one) == words(one) != words(other)
    assert words(one)[: LONGEST_BODY // 2] == words(other)[: LONGEST_BODY // 2]


class Nobody:
    """Whoever has nothing to do here."""

    def wake_scheduler(self) -> None:
        """Nobody sleeps."""


def listener(store: Store, clock: VirtualClock) -> Listener:
    nobody = cast("Any", Nobody())
    return Listener(DirectStore(store), nobody, nobody, clock, nobody, nobody, health_interval=60)


def notified(number: int, clock: VirtualClock, station: str = "S", *, over: bool = False) -> Notification:
    fields = (
        f"<fault-id>{number}</fault-id><fault-source>src{number}</fault-source><fault-severity>MAJOR</fault-severity>"
        f"<is-cleared>{str(over).lower()}</is-cleared><fault-text>t</fault-text>"
    )
    content = etree.fromstring(f'<alarm-notif xmlns="urn:o-ran:fm:1.0">{fields}</alarm-notif>')
    return Notification(station, clock.now(), ALARM_NOTIF, content)


async def test_a_station_that_floods_makes_few_alarms_and_leaves_room_to_others() -> None:
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        made = listener(store, clock)
        for number in range(5 * BURST):
            await made._take(notified(number, clock))
        assert store.alarms.page(Page())[0] == BURST
        assert store.status.figures()["minka_alerts_refused_total"]["too-many",] == 1
        await made._take(notified(0, clock, "T"))
        assert store.alarms.page(Page())[0] == BURST + 1
        # After a while there is room again, and what was left out is counted.
        await clock.advance(APART)
        for number in (1000, 1001):
            await made._take(notified(number, clock))
        assert store.alarms.page(Page())[0] == BURST + 2
        assert store.status.figures()["minka_alerts_refused_total"]["too-many",] == 4 * BURST + 1


async def test_a_station_may_name_so_many_faults_by_notifications_and_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(folding, "MOST_READ", 3)
    clock = VirtualClock()
    with closing(open_store("sqlite://", clock)) as store:
        made = listener(store, clock)
        for number in range(5):
            await made._take(notified(number, clock))
        assert store.alarms.page(Page())[0] == 3
        # What is on record goes on.
        await made._take(notified(0, clock, over=True))
        (over,) = [one for one in store.alarms.page(Page())[1] if one.cleared is not None]
        assert over.state.value == "cleared"
