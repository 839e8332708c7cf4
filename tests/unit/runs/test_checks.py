"""What a transaction waits for before it confirms."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import cast

from controller.models.alarm import ActiveAlarm, AlarmRecord, PerceivedSeverity
from controller.models.plan import WaitFor
from controller.nrm.tree import Observed
from controller.ports.clock import VirtualClock
from controller.ports.devices import DeviceSession
from controller.runs.transaction.checks import excused, remark, unmet
from tests.support.records import make_change

CELL = "/ManagedElement[S]/ENBFunction[1]/EUtranCellFDD[1]"
LINK = "/ManagedElement[S]/ENBFunction[1]/EP_S1C[alfa-mme-1]"
TREE = {CELL: {"administrativeState": "UNLOCKED"}, LINK: dict[str, str]()}
BOTH = (WaitFor(kind="cell-on-air", path=CELL), WaitFor(kind="link-up", path=LINK, tenant="alfa"))


FAN = ActiveAlarm("5", "fan-1", PerceivedSeverity.MINOR, "fan broken")
UNIT = ActiveAlarm("30", "ru-1", PerceivedSeverity.CRITICAL, "no answer from radio unit")


def seen(*alarms: ActiveAlarm, on_air: bool, link: bool) -> Observed:
    state = {
        CELL: {"operationalState": "ENABLED", "cellState": "ACTIVE" if on_air else "IDLE"},
        LINK: {"operationalState": "ENABLED" if link else "DISABLED"},
    }
    return Observed(TREE, state, alarms=alarms)


class Script:
    """A session that reads one after the other, and then the last again and again."""

    def __init__(self, *found: Observed) -> None:
        self.found = list(found)

    async def read(self) -> Observed:
        return self.found.pop(0) if len(self.found) > 1 else self.found[0]


async def waited(script: Script, seconds: float = 30, *before: str, quiet: bool = True) -> tuple[str, Observed]:
    clock, first = VirtualClock(), await script.read()
    session = cast("DeviceSession", script)
    waiting = asyncio.create_task(unmet(session, BOTH, before, first, clock, seconds, quiet=quiet))
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


async def test_what_holds_at_the_first_look_is_not_read_again() -> None:
    good = seen(on_air=True, link=True)
    for conditions in ((), BOTH):
        assert await unmet(cast("DeviceSession", Script()), conditions, (), good, VirtualClock(), 5) == ("", good)


async def test_a_new_grave_alarm_is_waited_out_and_named_where_it_stays() -> None:
    good, alarmed = seen(on_air=True, link=True), seen(FAN, UNIT, on_air=True, link=True)
    assert await waited(Script(alarmed, alarmed, good)) == ("", good)
    missing, _ = await waited(Script(alarmed), 5)
    assert missing == "new alarms for 5 s: alarm 30 ru-1: no answer from radio unit"
    both, _ = await waited(Script(seen(UNIT, on_air=False, link=True)), 5)
    assert both == f"not reached within 5 s: cell-on-air {CELL}; {missing}"


async def test_alarms_that_stood_before_minor_ones_and_those_between_phases_do_not_matter() -> None:
    alarmed = seen(FAN, UNIT, on_air=True, link=True)
    assert (await waited(Script(alarmed), 5, UNIT.name))[0] == ""
    assert (await waited(Script(alarmed), 5, quiet=False))[0] == ""
    assert (await waited(Script(seen(FAN, on_air=True, link=True)), 5))[0] == ""


async def test_what_is_not_reported_is_waited_for_and_then_excused() -> None:
    silent = Observed(TREE, {CELL: {"operationalState": "ENABLED", "cellState": "ACTIVE"}})
    assert await waited(Script(silent), 5) == ("", silent)
    late = seen(on_air=True, link=True)
    assert await waited(Script(silent, silent, late), 5) == ("", late)
    told = seen(on_air=True, link=False)
    assert (await waited(Script(silent, silent, told), 5))[0] == f"not reached within 5 s: link-up {LINK}"
    off = Observed(TREE, {CELL: {"operationalState": "DISABLED"}})
    assert (await waited(Script(off), 5))[0] == f"not reached within 5 s: cell-on-air {CELL}"


def test_nothing_is_waited_for_where_the_station_tells_it_of_no_other() -> None:
    other = f"{LINK[:-1]}0]"
    change = make_change("S").model_copy(update={"checks": BOTH})
    before = Observed({CELL: TREE[CELL], other: {}}, {CELL: {"operationalState": "ENABLED", "cellState": "ACTIVE"}})
    assert excused(change, before) == (LINK,)
    assert excused(change, Observed({CELL: TREE[CELL]})) == (CELL,)
    assert excused(change, Observed({CELL: TREE[CELL], other: {}}, {other: {"operationalState": "DISABLED"}})) == (
        CELL,
    )
    assert excused(change, Observed({})) == ()


def test_what_was_not_checked_is_reported() -> None:
    change = make_change("S").model_copy(update={"checks": BOTH})
    assert remark(change, seen(on_air=True, link=True)) == ""
    silent = Observed(TREE, {CELL: {"operationalState": "ENABLED", "cellState": "ACTIVE"}})
    assert remark(change, silent) == f"not checked, since their state is not reported: {LINK}"
    assert remark(change, Observed(TREE)) == "the station reports no states: cells and core links were not checked"


async def test_alarms_of_a_station_that_reports_no_states_matter() -> None:
    missing, _ = await waited(Script(Observed(TREE, alarms=(UNIT,))), 5)
    assert missing == "new alarms for 5 s: alarm 30 ru-1: no answer from radio unit"


MAINS = AlarmRecord(
    *("a-1", "ManagedElement=S", "EQUIPMENT_ALARM", "powerProblem", "mains"), PerceivedSeverity.CRITICAL, "mains lost"
)


async def test_new_records_of_an_alarm_list_that_was_kept_before_matter() -> None:
    change, good = make_change("S"), seen(on_air=True, link=True)
    alarmed = replace(good, records=(MAINS,))
    missing, _ = await waited(Script(alarmed), 5, *excused(change, replace(good, records=())))
    assert missing == "new alarms for 5 s: alarm powerProblem mains ManagedElement=S: mains lost"
    assert (await waited(Script(alarmed), 5, *excused(change, alarmed)))[0] == "", "it stood before"
    assert (await waited(Script(alarmed), 5, *excused(change, good)))[0] == "", "the list was locked before"
    over = replace(good, records=(replace(MAINS, severity=PerceivedSeverity.CLEARED),))
    assert (await waited(Script(over), 5, *excused(change, replace(good, records=()))))[0] == ""
