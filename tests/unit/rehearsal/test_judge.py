"""The judge of rehearsals: each act by its own moment, and harm wherever it is."""

from __future__ import annotations

from collections.abc import Mapping
from types import SimpleNamespace
from typing import Any, cast

import pytest

from controller.rehearsal.day import Day
from controller.rehearsal.judge import WrongAttempt, judged
from controller.rehearsal.play import DAY_BEGINS
from controller.rehearsal.truth import Act, Attempt, StruckFault
from simulators.equipment.fault_kinds import Remedy
from tests.unit.intent.test_outages import network

RESTART, RESET = Remedy.RESTART, Remedy.RESET_UNIT
LOST = StruckFault("1", "radio-unit-lost", "S1", "unit-1", DAY_BEGINS, frozenset({RESET}))
MAINS = StruckFault("2", "mains-failure", "S1", "", DAY_BEGINS)


def act(remedy: Remedy | None = None, *open_: StruckFault, target: str = "unit-1") -> Act:
    return Act(open_, {remedy} if remedy else set(), {target} if remedy else set())


def wrongs(
    *acts: Act,
    minutes: Mapping[tuple[str, str], float] | None = None,
    nothing: Mapping[tuple[str, str], float] | None = None,
) -> tuple[WrongAttempt, ...]:
    attempts = [Attempt(DAY_BEGINS + 60, "S1", DAY_BEGINS + 300, list(acts))] if acts else []
    stage = SimpleNamespace(
        outages=SimpleNamespace(minutes=lambda: minutes or {}, causes=dict),
        watch=SimpleNamespace(struck=[], attempts=attempts, edits=len(acts)),
        network=SimpleNamespace(stations=[SimpleNamespace(id=name, region="r", site="s") for name in ("S1", "S2")]),
        rules={},
        words=[],
    )
    return judged("minka", cast("Any", stage), Day("1", 1.0, (), ()), network(), nothing).wrong


def test_an_act_is_judged_by_what_stood_at_its_own_moment() -> None:
    assert wrongs(act(RESET, LOST)) == ()
    assert wrongs(act(RESET, LOST), act(RESTART, LOST)) == (), "the first one did not help"
    (wrong,) = wrongs(act(RESET, LOST), act(RESTART))
    assert wrong.why == ("root elsewhere (at the station: nothing)",), "the first one had cured it"
    (wrong,) = wrongs(act(RESET), act(RESET, LOST))
    assert wrong.why == ("root elsewhere (at the station: nothing)",), "it began afterwards"
    (wrong,) = wrongs(act(RESET, LOST, target="unit-2"))
    assert wrong.why == ("root elsewhere (at the station: radio-unit-lost)",)


def test_an_edit_of_a_right_configuration_is_wrong_and_one_after_a_remedy_is_part_of_it() -> None:
    (wrong,) = wrongs(act())
    assert wrong.why == ("root elsewhere (the configuration was right)",)
    assert wrongs(act(RESET, LOST), act()) == ()
    reverted = StruckFault("3", "configuration-reverted", "S1", "", DAY_BEGINS, before=cast("Any", object()))
    assert wrongs(act(None, reverted)) == ()


def test_what_interrupts_on_battery_is_wrong_at_the_moment_of_that_act() -> None:
    (wrong,) = wrongs(act(RESET, LOST), act(RESTART, LOST, MAINS))
    assert wrong.why == ("on battery",)
    assert wrongs(act(RESET, LOST), act(None, MAINS)) == ()


@pytest.mark.parametrize(("lost", "harmed"), [(3.0, False), (3.05, False), (4.0, True)])
def test_harm_counts_where_it_is_though_nobody_worked_there(lost: float, harmed: bool) -> None:
    before = {("S1", "alfa"): 9.0, ("S2", "alfa"): 3.0}
    found = wrongs(act(RESET, LOST), minutes={("S1", "alfa"): 1.0, ("S2", "alfa"): lost}, nothing=before)
    assert [(one.station, one.what, one.why) for one in found] == (
        [("S2", "acts elsewhere", ("1.0 more minutes for alfa",))] if harmed else []
    )
    (own,) = wrongs(act(RESET, LOST), minutes={("S1", "alfa"): 12.0, ("S2", "alfa"): 3.0}, nothing=before)
    assert (own.station, own.why) == ("S1", ("3.0 more minutes for alfa",))
