"""What a transaction waits for before it confirms."""

from __future__ import annotations

import asyncio
from typing import cast

from controller.models.plan import WaitFor
from controller.nrm.tree import Observed
from controller.ports.clock import VirtualClock
from controller.ports.devices import DeviceSession
from controller.runs.checks import unmet

CELL = "/ManagedElement[S]/ENBFunction[1]/EUtranCellFDD[1]"
LINK = "/ManagedElement[S]/ENBFunction[1]/EP_S1C[alfa-mme-1]"
BOTH = (WaitFor(kind="cell-on-air", path=CELL), WaitFor(kind="link-up", path=LINK, tenant="alfa"))


def seen(*, on_air: bool, link: bool) -> Observed:
    state = {
        CELL: {"operationalState": "ENABLED", "cellState": "ACTIVE" if on_air else "IDLE"},
        LINK: {"operationalState": "ENABLED" if link else "DISABLED"},
    }
    return Observed({CELL: {"administrativeState": "UNLOCKED"}, LINK: {}}, state)


class Script:
    """A session that reads one after the other, and then the last again and again."""

    def __init__(self, *found: Observed) -> None:
        self.found = list(found)

    async def read(self) -> Observed:
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]


async def waited(script: Script, seconds: float = 30) -> tuple[str, Observed | None]:
    clock = VirtualClock()
    waiting = asyncio.create_task(unmet(cast("DeviceSession", script), BOTH, (), clock, seconds))
    await clock.advance(seconds + 10)
    return await waiting


async def test_conditions_hold_at_once_and_not_one_after_the_other() -> None:
    good = seen(on_air=True, link=True)
    script = Script(seen(on_air=True, link=False), seen(on_air=False, link=True), good)
    assert await waited(script) == ("", good)
    assert script.found == [good]


async def test_what_does_not_hold_in_the_end_is_named_and_only_that() -> None:
    missing, last = await waited(Script(seen(on_air=False, link=False), seen(on_air=False, link=True)), 5)
    assert missing == f"not reached within 5 s: cell-on-air {CELL}"
    assert last == seen(on_air=False, link=True)


async def test_nothing_to_wait_for_reads_nothing() -> None:
    assert await unmet(cast("DeviceSession", Script()), (), (), VirtualClock(), 5) == ("", None)
