"""The words of a notification that go on record with its alarm."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from lxml import etree

from controller.listener.process import _words
from controller.models.alarm import LONGEST_BODY
from controller.ports.devices import Notification

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
