"""The controller of a rehearsal: faults that are only played call nobody."""

from __future__ import annotations

from typing import Any, cast

from controller.models.settings import Settings
from controller.ports.clock import VirtualClock
from controller.rehearsal.minka import parts_on
from controller.store import open_store


def test_no_escalation_of_a_rehearsal_leaves_it() -> None:
    clock = VirtualClock()
    store = open_store("sqlite://", clock)
    given = Settings(escalation_url="https://pager.example/call")
    parts = parts_on(cast("Any", None), store, clock, given)
    assert (given.escalation_url, parts.settings.escalation_url) == ("https://pager.example/call", "")
    store.close()
