"""What a transaction waits for before it confirms."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any, cast

import pytest

from controller.drivers.protocols import DeviceSession
from controller.models.alarm import ActiveAlarm, AlarmRecord, PerceivedSeverity
from controller.models.plan import Edit, Op, Phase, PhaseKind, WaitFor
from controller.nrm.tree import Observed, Tree
from controller.ports.clock import VirtualClock
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


async def waited(
    script: Script, seconds: float = 30, *before: str, quiet: bool = True, conditions: Sequence[WaitFor] = BOTH
) -> tuple[str, Observed]:
    clock, first = VirtualClock(), await script.read()
    session = cast("DeviceSession", script)
    waiting = asyncio.create_task(unmet(session, conditions, before, first, clock, seconds, quiet=quiet))
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


FUNCTION = "/Function[F]/Deployment[edge-1]"
READY = (WaitFor(kind="ready", path=FUNCTION),)


def said(ready: str, **more: str) -> Observed:
    return Observed({FUNCTION: {}}, {FUNCTION: {"ready": ready, **more}})


async def ready(*found: Observed, cut: float = 1e9) -> tuple[str, float]:
    """What a wait for a function ends with, and after how long, where it is cut then."""
    clock, script = VirtualClock(), Script(*found)
    first, begin = await script.read(), clock.monotonic()

    async def wait() -> tuple[str, float]:
        session = cast("DeviceSession", script)
        words, _ = await unmet(
            session, READY, (), first, clock, 30, quiet=True, cut=lambda: clock.monotonic() >= begin + cut
        )
        return words, clock.monotonic() - begin

    waiting = asyncio.create_task(wait())
    await clock.advance(700)
    return await waiting


async def test_a_function_is_waited_for_longer_than_cells_unless_its_operator_gives_up_or_a_person_does() -> None:
    words, seconds = await ready(said("false", reason="Pulling"))
    assert words == f"not reached within 600 s: ready {FUNCTION} (Pulling)"
    assert seconds == pytest.approx(600, abs=3)
    words, seconds = await ready(said("false"), said("false", stalled="true", reason="Stalled: no such image"))
    assert words == f"not reached within {seconds:.0f} s: ready {FUNCTION} (Stalled: no such image)"
    assert 5 <= seconds <= 10
    words, seconds = await ready(said("false", reason="Pulling"), cut=100)
    assert words == f"cancelled by a person; not reached within {seconds:.0f} s: ready {FUNCTION} (Pulling)"
    assert 100 <= seconds <= 103


async def test_an_operator_that_takes_its_word_back_had_seen_a_part_only() -> None:
    gave_up = said("false", stalled="true")
    words, _ = await ready(*[gave_up] * 4, *[said("false")] * 9, *[gave_up] * 3, said("true"))
    assert not words


async def test_an_operator_that_notices_new_parameters_is_waited_for_and_one_that_says_nothing_for_a_while() -> None:
    before = said("true", noticed="false")
    words, seconds = await ready(before, before, *[said("false")] * 100, said("true"))
    assert not words
    assert seconds > 100
    words, seconds = await ready(before)
    assert not words
    assert seconds == pytest.approx(30, abs=3)
    change = make_change("F").model_copy(update={"checks": READY})
    told = f"not checked, since its operator does not say that it noticed the new parameters: {FUNCTION}"
    assert remark(change, before) == told


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


@pytest.mark.parametrize("word", ["enabled", "DEGRADED", ""])
async def test_a_state_in_a_word_that_no_specification_has_fails_no_change_and_is_told(word: str) -> None:
    odd = Observed(TREE, {CELL: {"operationalState": word}, LINK: {"operationalState": word}})
    assert (await waited(Script(odd), 20))[0] == ""
    change = make_change("S").model_copy(update={"checks": BOTH})
    said = remark(change, odd)
    assert said.startswith("not checked, since their state is in no known word: ")
    assert f"{CELL} operationalState '{word}'" in said
    assert f"{LINK} operationalState '{word}'" in said
    half = Observed(TREE, {CELL: {"operationalState": "ENABLED"}, LINK: {"operationalState": word}})
    assert (await waited(Script(half), 20))[0] == ""
    assert CELL not in remark(change, half)


async def test_a_link_behind_that_only_rises_is_not_reached() -> None:
    rising, waits = links(BEHIND[:1], operationalState="RISING")
    behind = tuple(WaitFor(kind="link-up", path=wait.path, tenant="alfa") for wait in waits)
    assert behind[0].behind
    missing, _ = await waited(Script(rising), 20, conditions=behind)
    assert missing == f"not reached within 20 s: link-up {BEHIND[0]}"
    any_of_them = (WaitFor(kind="any-link-up", path=""),)
    missing, _ = await waited(Script(rising), 20, conditions=any_of_them)
    assert missing == "not reached within 20 s: any core link behind it up"


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


# ------------------------------------------------------------------- in a few words

LINKS = [f"/ManagedElement[S]/ENBFunction[1]/EP_S1C[alfa-mme-{number}]" for number in range(4)]
BEHIND = [f"S{path}" for path in LINKS]


def links(paths: list[str], **state: str) -> tuple[Observed, tuple[WaitFor, ...]]:
    """A device that tells one state of all links, and checks of them."""
    waits = tuple(WaitFor(kind="link-up", path=path, tenant="alfa") for path in paths)
    tree: Tree = {path: {} for path in paths if path.startswith("/")}
    return Observed({CELL: TREE[CELL], **tree}, dict.fromkeys(paths, state)), waits


@pytest.mark.parametrize(("count", "named"), [(1, ""), (3, ""), (4, " and 1 more")])
def test_three_of_what_was_not_checked_are_named(count: int, named: str) -> None:
    observed, waits = links(LINKS[:count], farEndEntity="MME=1")
    change = make_change("S").model_copy(update={"checks": waits})
    paths = ", ".join(LINKS[: min(count, 3)])
    assert remark(change, observed) == f"not checked, since their state is not reported: {paths}{named}"


def test_links_behind_a_device_that_are_down_as_before_are_counted_and_named() -> None:
    down, waits = links(BEHIND, operationalState="DISABLED")
    change = make_change("R").model_copy(update={"checks": waits})
    up = {BEHIND[3]: {"operationalState": "ENABLED"}}
    some = replace(down, state={**down.state, **up})
    assert remark(change, some) == f"3 of 4 core links behind it are down, as before: {', '.join(BEHIND[:3])}"
    assert remark(change, down).startswith("4 of 4 core links behind it are down")
    assert remark(change, links(BEHIND, operationalState="ENABLED")[0]) == ""


async def test_a_cell_that_failed_before_the_transaction_is_excused_where_the_change_is_about_something_else() -> None:
    off, on = seen(on_air=False, link=True), seen(on_air=True, link=True)
    lock = Phase(kind=PhaseKind.LOCK, edits=(), inverse=())
    unlock = Phase(kind=PhaseKind.UNLOCK, edits=(), inverse=(), wait=BOTH[:1])
    edit = Phase(kind=PhaseKind.EDIT, edits=(), inverse=())
    other = make_change("S").model_copy(update={"phases": (lock, edit, unlock), "checks": BOTH})
    assert excused(other, off) == (CELL,)
    assert excused(other, on) == ()
    assert (await waited(Script(off), 5, *excused(other, off)))[0] == ""
    assert (await waited(Script(off), 5, *excused(other, on)))[0] == f"not reached within 5 s: cell-on-air {CELL}"
    assert remark(other, off) == "off the air, as before: 1"
    assert remark(other, on) == ""
    locked = replace(off, tree=TREE | {CELL: {"administrativeState": "LOCKED"}})
    assert excused(other, locked) == (), "it is unlocked by the change"
    cycle = other.model_copy(update={"phases": (lock, unlock)})
    assert excused(cycle, off) == (), "to bring it back on air is all that it is for"


@pytest.mark.parametrize(
    ("edited", "behind", "state", "excuse"),
    [
        (False, False, "DISABLED", True),
        (False, False, "ENABLED", False),
        # What the change makes again has to come up whatever it was.
        (True, False, "DISABLED", False),
        (False, True, "DISABLED", True),
        (False, True, "ENABLED", False),
        (False, True, "RISING", False),
    ],
)
def test_only_links_that_were_down_and_that_nobody_edits_are_excused(
    edited: bool, behind: bool, state: str, excuse: bool
) -> None:
    (path,) = paths = (BEHIND if behind else LINKS)[:1]
    observed, waits = links(paths, operationalState=state)
    edit = Edit(op=Op.CREATE, path=f"{path}/localAddress[10.0.0.1,101]", owners=("alfa",))
    phases = (Phase(kind=PhaseKind.EDIT, edits=(edit,) if edited else (), inverse=()),)
    change = make_change("S").model_copy(update={"phases": phases, "checks": waits})
    assert excused(change, observed) == ((path,) if excuse else ())
    if not behind:
        assert excused(change, replace(observed, tree={CELL: TREE[CELL]})) == (), "it was not there"


def test_what_stood_before_is_excused_once_each_and_in_order() -> None:
    twice = replace(UNIT, source="ru-0")
    before = seen(UNIT, FAN, twice, UNIT, on_air=True, link=True)
    assert excused(make_change("S"), before) == tuple(sorted((UNIT.name, twice.name)))


async def test_three_new_alarms_are_named() -> None:
    alarms = [replace(UNIT, source=f"ru-{number}") for number in range(4)]
    missing, _ = await waited(Script(seen(*alarms, on_air=True, link=True)), 5)
    assert [f"ru-{number}" in missing for number in range(4)] == [True, True, True, False]


@pytest.mark.parametrize(
    ("kind", "path", "state", "said"),
    [
        ("cell-off-air", CELL, {CELL: {"operationalState": "ENABLED", "cellState": "ACTIVE"}}, f"cell-off-air {CELL}"),
        ("cell-off-air", CELL, {CELL: {"operationalState": "DISABLED"}}, ""),
        ("any-link-up", "", {BEHIND[0]: {"operationalState": "DISABLED"}}, "any core link behind it up"),
        ("any-link-up", "", {path: {"operationalState": "ENABLED"} for path in BEHIND[:1]}, ""),
        # A link of the device itself is none behind it.
        (
            "any-link-up",
            "",
            {BEHIND[0]: {"operationalState": "DISABLED"}, LINK: {"operationalState": "ENABLED"}},
            "any core link behind it up",
        ),
    ],
)
async def test_what_else_is_waited_for(kind: Any, path: str, state: Tree, said: str) -> None:
    now, clock = Observed(TREE, state), VirtualClock()
    session = cast("DeviceSession", Script(now))
    waiting = asyncio.create_task(unmet(session, (WaitFor(kind=kind, path=path),), (), now, clock, 2))
    await clock.advance(5)
    assert await waiting == (f"not reached within 2 s: {said}" if said else "", now)


async def test_looks_become_rare_and_there_is_one_at_the_end() -> None:
    off, clock = seen(on_air=False, link=True), VirtualClock()
    looks: list[float] = []

    class Timed(Script):
        async def read(self) -> Observed:
            looks.append(clock.monotonic())
            return await super().read()

    start = clock.monotonic()
    session = cast("DeviceSession", Timed(off))
    waiting = asyncio.create_task(unmet(session, BOTH, (), off, clock, 20))
    await clock.advance(40)
    assert (await waiting)[0] == f"not reached within 20 s: cell-on-air {CELL}"
    gaps = [round(later - earlier, 3) for earlier, later in pairwise([start, *looks])]
    assert gaps == [0.1, 0.16, 0.256, 0.41, 0.655, 1.049, 1.678, *[2.0] * 8]
    assert 20 <= looks[-1] - start < 22
