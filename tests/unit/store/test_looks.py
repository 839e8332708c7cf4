"""What processes look for each second costs little: its statements are made once."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from itertools import count
from typing import Any

import pytest
from sqlalchemy.sql import coercions

from controller.ports.clock import VirtualClock
from controller.store import Store, open_store

LOOKS: dict[str, Callable[[Store], object]] = {
    "alarms that changed": lambda store: store.alarms.changes(0),
    "stations under repair": lambda store: store.alarms.under_repair(VirtualClock().now()),
    "notifications of people": lambda store: store.escalations.pending(),
    "notices": lambda store: store.notices.write(),
    "their delivery": lambda store: store.notices.pending(),
    "performance data that is due": lambda store: store.collections.waiting(),
    "hours to be worked out": lambda store: store.measurements.roll_up(VirtualClock().now()),
    "checks that somebody asked for": lambda store: store.healths.asked(),
    "whether the record can be written": lambda store: store.status.check_writable(),
}


@pytest.mark.parametrize("look", LOOKS)
def test_a_look_of_each_second_makes_no_statement_anew(look: str, monkeypatch: pytest.MonkeyPatch) -> None:
    parts = count()
    first = coercions.expect

    def counted(*args: Any, **kwargs: Any) -> Any:
        """Each part of a statement that is being made."""
        next(parts)
        return first(*args, **kwargs)

    with closing(open_store("sqlite://", VirtualClock())) as store:
        LOOKS[look](store)
        monkeypatch.setattr(coercions, "expect", counted)
        LOOKS[look](store)
    assert next(parts) == 0
