"""Which jobs may begin: approvals, notices, windows, freezes, holds, overrides, alone and together."""

from __future__ import annotations

from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.intent.windows import HORIZON
from controller.models.approval import (
    Freeze,
    Override,
    PartyWindows,
    Requirement,
    RunConstraints,
    StationConstraints,
    Vote,
    VoteChoice,
)
from controller.models.people import Role
from controller.models.run import Hold, Strategy
from controller.models.sharing import ActionClass, Consent, MaintenanceWindow
from controller.models.waiting import WaitCode, ways
from controller.ports.clock import VirtualClock
from controller.runs.approval.clearance import clearances, earliest_begins, further_clearance
from controller.runs.approval.outlook import LateStep, outlook, outlook_of
from controller.store import ClearanceInput, open_store

#: A Saturday, 22:00 in Lima.
NOW = datetime(2026, 11, 29, 3, tzinfo=UTC)
SAT_NIGHT = (MaintenanceWindow.model_validate({"days": ["sat"], "start": "23:00", "end": "05:00"}),)
OPEN = StationConstraints(region="cusco", timezone="America/Lima", tenants=("alfa",))
NIGHT = StationConstraints(
    region="puno", timezone="America/Lima", tenants=("beta",), windows=(PartyWindows(windows=SAT_NIGHT),)
)
CONSTRAINTS = RunConstraints(
    subject="s", tenants=("alfa", "beta"), groups=(OPEN, NIGHT), stations={"A": ("a", 0), "B": ("b", 1)}
)
FREE = ClearanceInput(requester="ana", seconds=120, constraints=CONSTRAINTS, notified={"alfa": NOW, "beta": NOW})


def hold(target: str, until: datetime | None = None) -> Hold:
    return Hold(id="h", target=target, by="rigger", reason="on the mast", created=NOW, until=until)


def freeze(target: str, begins: int = -1, ends: int = 48) -> Freeze:
    hours = (NOW + timedelta(hours=begins), NOW + timedelta(hours=ends))
    return Freeze(id="f", target=target, begins=hours[0], ends=hours[1], by="eva", reason="elections", created=NOW)


def vote(person: str, side: str, choice: VoteChoice = VoteChoice.APPROVE) -> Vote:
    return Vote(subject="s", person=person, side=side, role=Role.TENANT_APPROVER, choice=choice, reason="no", at=NOW)


def asking(*requirements: Requirement) -> ClearanceInput:
    return replace(FREE, constraints=CONSTRAINTS.model_copy(update={"requirements": requirements}))


def blocked(standing: ClearanceInput, now: datetime = NOW) -> dict[str, str]:
    return {station: one.blocked for station, one in clearances(standing, now).items()}


def test_a_window_is_reported_in_local_time_and_closes() -> None:
    assert blocked(FREE) == {"A": "", "B": "window opens 2026-11-28 23:00 (America/Lima)"}
    assert clearances(FREE, NOW)["B"].until == NOW + timedelta(hours=1)
    inside = clearances(FREE, NOW + timedelta(hours=2))
    assert inside["B"].blocked == ""
    assert inside["B"].closes == NOW + timedelta(hours=7)
    assert inside["A"].closes is None


def test_a_station_that_lost_its_configuration_with_its_function_waits_for_holds_alone() -> None:
    owed = replace(
        asking(Requirement(side="host", needed=1)), owed=frozenset({"B"}), freezes=(freeze("site:b"), freeze("network"))
    )
    assert blocked(owed)["B"] == ""
    assert blocked(owed)["A"]
    assert blocked(replace(owed, holds=(hold("B"),)))["B"] == "hold on B by rigger: on the mast"


def test_what_was_begun_goes_on_until_the_window_closes() -> None:
    begun = replace(FREE, begun=frozenset({"B"}))
    late = NOW + timedelta(hours=7, seconds=-1)
    assert blocked(FREE, late)["B"].startswith("window opens")
    assert clearances(begun, late)["B"].closes == NOW + timedelta(hours=7)
    assert blocked(begun, late)["B"] == ""
    closed = clearances(begun, NOW + timedelta(hours=7))["B"]
    assert (closed.blocked, closed.closes) == (
        "window opens 2026-12-05 23:00 (America/Lima)", NOW + timedelta(hours=7),
    )  # fmt: skip
    # What does not outlast a hold outlasts none that was put meanwhile either.
    assert "hold on B" in blocked(replace(begun, holds=(hold("B"),)), late)["B"]
    by = Override(run="r", by="eva", reason="INC-7", at=NOW)
    assert clearances(replace(begun, override=by), NOW + timedelta(hours=7))["B"].closes is None


def test_what_is_left_of_a_window_must_be_enough() -> None:
    late = NOW + timedelta(hours=7, seconds=-120)
    assert blocked(FREE, late - timedelta(seconds=1))["B"] == ""
    assert blocked(FREE, late)["B"] == "window opens 2026-12-05 23:00 (America/Lima)"


def test_windows_that_never_meet_are_reported() -> None:
    tuesday = (MaintenanceWindow.model_validate({"days": ["tue"], "start": "01:00", "end": "02:00"}),)
    never = NIGHT.model_copy(update={"windows": tuple(PartyWindows(windows=one) for one in (SAT_NIGHT, tuesday))})
    standing = replace(FREE, constraints=CONSTRAINTS.model_copy(update={"groups": (OPEN, never)}))
    assert blocked(standing)["B"].startswith("no window of all concerned is longer than 120 s")
    assert clearances(standing, NOW)["B"].until is None


@pytest.mark.parametrize(
    ("target", "stations"),
    [("network", "AB"), ("region:cusco", "A"), ("tenant:beta", "B"), ("region:lima", ""), ("tenant:gamma", "")],
)
def test_a_freeze_binds_its_stations_in_its_time(target: str, stations: str) -> None:
    open_hours = NOW + timedelta(hours=2)
    found = blocked(replace(FREE, freezes=(freeze(target),)), open_hours)
    assert "".join(name for name, why in found.items() if "freeze" in why) == stations
    assert not any(blocked(replace(FREE, freezes=(freeze(target, 3, 9),)), open_hours).values())


def test_a_freeze_begins_with_its_first_moment_and_is_over_with_its_last() -> None:
    assert "freeze" in blocked(replace(FREE, freezes=(freeze("network", 0, 1),)))["A"]
    assert blocked(replace(FREE, freezes=(freeze("network", -1, 0),)))["A"] == ""
    assert blocked(replace(FREE, freezes=(freeze("network", -9, -1),)))["A"] == ""
    # Of several the one that lasts longest is told.
    both = replace(FREE, freezes=(freeze("network", 0, 5), freeze("region:cusco", 0, 9), freeze("tenant:alfa", 0, 7)))
    assert "freeze of region:cusco" in blocked(both)["A"]
    assert clearances(both, NOW)["A"].until == NOW + timedelta(hours=9)


def test_what_waits_for_several_things_waits_for_the_last_of_them() -> None:
    held = clearances(replace(FREE, holds=(hold("B", NOW + timedelta(hours=3)),)), NOW)["B"]
    assert held.blocked.startswith("hold on B by rigger: on the mast")
    assert held.blocked.endswith("; window opens 2026-11-28 23:00 (America/Lima)")
    assert held.until == NOW + timedelta(hours=3)
    short = clearances(replace(FREE, holds=(hold("B", NOW + timedelta(minutes=1)),)), NOW)["B"]
    assert short.until == NOW + timedelta(hours=1)


def test_who_was_away_is_tried_again_when_it_is_time() -> None:
    again = NOW + timedelta(minutes=90)
    away = replace(FREE, away={"A": again})
    found = clearances(away, NOW)["A"]
    assert found.blocked == "could not be reached or was busy, tried again 2026-11-28 23:30 (America/Lima)"
    assert found.until == again
    assert blocked(away, again)["A"] == ""
    # It is said beside what else is in the way, and of nobody else.
    assert blocked(replace(away, holds=(hold("A"),)))["A"].startswith("hold on A by rigger: on the mast; could not be")
    assert blocked(away)["B"].startswith("window opens")


@pytest.mark.parametrize(
    "because", ["on the mast", "x; window opens soon; no window; freeze of network; approval by 1"]
)
def test_who_can_end_a_wait_follows_from_no_words_of_people(because: str) -> None:
    """A reason that a person wrote is no reason of ours, whatever it says."""
    made = hold("A").model_copy(update={"reason": because})
    (reason,) = clearances(replace(FREE, holds=(made,)), NOW)["A"].reasons
    assert (reason.code, reason.subject, reason.because) == (WaitCode.HOLD, "A", because)
    assert ways([reason.code]) == "whoever may lift it: minka hold lift"


def test_an_override_outdoes_windows_and_freezes_but_no_hold() -> None:
    made = Override(run="r", by="eva", reason="INC-7", at=NOW)
    standing = replace(FREE, freezes=(freeze("network"),), override=made)
    assert blocked(standing) == {"A": "", "B": ""}
    assert blocked(replace(standing, holds=(hold("site:b"),)))["B"] == "hold on site:b by rigger: on the mast"


@pytest.mark.parametrize(("target", "binds"), [("A", "A"), ("A/1", "A"), ("site:a", "A"), ("site:b", "B"), ("AA", "")])
def test_a_hold_binds_station_site_and_all_cells(target: str, binds: str) -> None:
    found = blocked(replace(FREE, holds=(hold(target),)), NOW + timedelta(hours=2))
    assert "".join(name for name, why in found.items() if why) == binds


def test_missing_approvals_block_everything() -> None:
    asked = asking(
        Requirement(side="beta", action=ActionClass.INTERRUPT, needed=2, approvers=("leo", "sol")),
        Requirement(side="host", needed=1),
    )
    found = blocked(asked)
    assert found["A"] == ("approval by 2 of beta (leo, sol) to interrupt; approval by 1 of host")
    assert clearances(asked, NOW)["A"].until is None
    said = replace(asked, votes=(vote("leo", "beta"), vote("sol", "beta"), vote("eva", "host")))
    assert blocked(said)["A"] == ""
    assert blocked(replace(said, votes=(*said.votes, vote("x", "alfa", VoteChoice.REJECT))))["A"] == "rejected by x: no"


def test_an_approval_that_two_agreements_of_a_side_ask_for_is_named_once() -> None:
    both = [
        Requirement(side="beta", agreement=name, action=ActionClass.INTERRUPT) for name in ("beta-1900", "beta-costa")
    ]
    asked = asking(*both)
    assert blocked(asked)["A"] == "approval by 1 of beta to interrupt"
    assert blocked(replace(asked, votes=(vote("leo", "beta"),)))["A"] == ""


def test_a_notice_without_a_lead_waits_for_nobody_whose_clock_is_ahead() -> None:
    asked = asking(Requirement(side="beta", action=ActionClass.INTERRUPT, consent=Consent.NOTICE))
    assert blocked(replace(asked, notified={"beta": NOW + timedelta(hours=1)})) == blocked(asked)


def test_a_notice_has_to_be_old_enough() -> None:
    asked = asking(Requirement(side="beta", action=ActionClass.INTERRUPT, consent=Consent.NOTICE, lead_hours=24))
    assert "24 h notice to beta until 2026-11-30 03:00 UTC" in blocked(asked)["A"]
    assert blocked(asked, NOW + timedelta(hours=24))["A"] == ""
    unnotified = replace(asked, notified={})
    assert "24 h notice" in blocked(unnotified, NOW + timedelta(days=9))["A"]


@pytest.mark.parametrize("stands_for", ["", "alfa"])
@pytest.mark.parametrize(
    ("over", "waits"),
    [((), True), (("B",), True), (("A",), True), (("A", "C"), False)],
)
def test_nobody_is_asked_for_work_that_is_over(over: tuple[str, ...], stands_for: str, *, waits: bool) -> None:
    """The approval and the notice are about A and C; B is left in any case but one, and asks nobody."""
    asks = OPEN.model_copy(update={"asks": (("alfa", ActionClass.INTERRUPT),)})
    constraints = CONSTRAINTS.model_copy(
        update={
            "groups": (asks, OPEN),
            "stations": {"A": ("a", 0), "B": ("b", 1), "C": ("c", 0)},
            "requirements": (
                Requirement(side="host" if stands_for else "alfa", action=ActionClass.INTERRUPT, stands_for=stands_for),
                Requirement(side="alfa", action=ActionClass.INTERRUPT, consent=Consent.NOTICE, lead_hours=24),
            ),
        }
    )
    standing = replace(FREE, constraints=constraints, over=frozenset(over))
    words = blocked(standing)["B"]
    assert ("approval by" in words, "h notice to alfa" in words) == (waits, waits), words
    assert bool(outlook_of(standing, NOW).missing) is waits


def test_further_eyes_of_the_host_are_asked_while_anything_is_left() -> None:
    standing = asking(Requirement(side="host"), Requirement(side="beta", action=ActionClass.REDUCE))
    said = "approval by 1 of host; approval by 1 of beta to reduce"
    assert blocked(replace(standing, over=frozenset("A")))["B"].startswith(said)
    assert replace(standing, over=frozenset("AB")).requirements == ()


switches = st.fixed_dictionaries(
    {name: st.booleans() for name in ("approval", "notice", "hold", "freeze", "window", "override")}
)


@settings(deadline=None)
@given(switches)
def test_a_job_begins_only_if_nothing_forbids_it(on: dict[str, bool]) -> None:
    needs = []
    if on["approval"]:
        needs.append(Requirement(side="alfa", action=ActionClass.CONFIGURE))
    if on["notice"]:
        needs.append(Requirement(side="alfa", consent=Consent.NOTICE, lead_hours=1))
    more: dict[str, Any] = {
        "holds": (hold("site:b"),) if on["hold"] else (),
        "freezes": (freeze("region:puno"),) if on["freeze"] else (),
        "override": Override(run="r", by="eva", reason="x", at=NOW) if on["override"] else None,
    }
    now = NOW if on["window"] else NOW + timedelta(minutes=59, seconds=3)
    standing = replace(asking(*needs), **more, notified={"alfa": now, "beta": now})
    closed = (on["freeze"] or now < NOW + timedelta(hours=1)) and not on["override"]
    expected = on["approval"] or on["notice"] or on["hold"] or closed
    found = clearances(standing, now)["B"]
    assert bool(found.blocked) is expected
    assert (found.until is None) is (not expected or on["approval"] or on["hold"])


def test_what_a_run_waits_for_is_told_with_how_many_stations_do() -> None:
    asked = asking(Requirement(side="beta", action=ActionClass.INTERRUPT))
    told = outlook_of(replace(asked, votes=(vote("eva", "host"),)), NOW)
    assert (told.subject, told.tenants, told.requirements) == ("s", ("alfa", "beta"), asked.constraints.requirements)
    assert told.missing == ("approval by 1 of beta to interrupt",)
    assert [one.person for one in told.votes] == ["eva"]
    assert told.waits == {
        "approval by 1 of beta to interrupt": 1,
        "approval by 1 of beta to interrupt; window opens 2026-11-28 23:00 (America/Lima)": 1,
    }
    assert told.overridden == ""
    made = Override(run="r", by="eva", reason="INC-7", at=NOW)
    free = outlook_of(replace(FREE, override=made), NOW)
    assert (free.waits, free.missing, free.overridden) == ({}, (), "by eva: INC-7")


#: An hour on each Sunday.
SUNDAY = (MaintenanceWindow.model_validate({"days": ["sun"], "start": "03:00", "end": "04:00"}),)
#: An hour on each Monday.
MONDAY = (MaintenanceWindow.model_validate({"days": ["mon"], "start": "03:00", "end": "04:00"}),)


def lima(text: str) -> datetime:
    return datetime.fromisoformat(f"2026-{text}-05:00")


def begins(*freezes: Freeze, seconds: float = 120, lead: int = 0, **owners: tuple[MaintenanceWindow, ...]) -> datetime:
    """When beta's work begins at the earliest at a station whose windows belong to these."""
    windows = tuple(PartyWindows(windows=one, tenant="" if who == "host" else who) for who, one in owners.items())
    group = OPEN.model_copy(update={"tenants": ("alfa", "beta"), "windows": windows})
    asked = Requirement(side="beta", action=ActionClass.INTERRUPT, consent=Consent.NOTICE, lead_hours=lead)
    constraints = RunConstraints(
        subject="s", requirements=(asked,), tenants=("beta",), groups=(group,), stations={"A": ("a", 0)}
    )
    return earliest_begins(constraints, freezes, NOW, seconds)["beta"]


def test_planned_work_begins_in_ones_own_windows_after_ones_notice() -> None:
    assert begins() == NOW
    assert begins(beta=SAT_NIGHT) == lima("11-28T23:00")
    assert begins(beta=SUNDAY) == lima("11-29T03:00")
    assert begins(beta=SUNDAY, lead=3) == lima("11-29T03:00")
    assert begins(beta=SUNDAY, lead=6) == lima("12-06T03:00"), "its notice ends after this Sunday's window"
    assert begins(beta=SUNDAY, lead=5, seconds=3000) == lima("11-29T03:00")
    assert begins(beta=SUNDAY, seconds=3601) == NOW + HORIZON, "no window is as long: nothing begins before the end"


def test_who_is_notified_learns_nothing_of_the_windows_and_freezes_of_other_tenants() -> None:
    """The host's own count, whoever has the same."""
    assert begins(host=SAT_NIGHT, beta=SUNDAY, alfa=MONDAY) == lima("11-29T03:00")
    assert begins(alfa=SUNDAY) == NOW
    assert begins(host=SUNDAY, alfa=SUNDAY) == lima("11-29T03:00")
    assert begins(freeze("tenant:alfa")) == NOW
    assert begins(freeze("tenant:beta")) == NOW + timedelta(hours=48)


def test_planned_work_begins_after_freezes_and_in_the_window_after_them() -> None:
    for target in ("network", "region:cusco", "site:a"):
        assert begins(freeze(target, ends=5)) == NOW + timedelta(hours=5)
        assert begins(freeze(target, begins=1, ends=30), beta=SUNDAY) == lima("12-06T03:00")
        assert begins(freeze(target, ends=3), freeze(target, begins=2, ends=4)) == NOW + timedelta(hours=4)
    assert begins(freeze("site:b"), freeze("region:puno")) == NOW
    warning = freeze("network").model_copy(update={"warning": "tsunami-17"})
    assert begins(warning) == NOW, "it binds what interrupts, and this does not"


def test_a_tenant_is_told_the_earliest_time_of_its_stations() -> None:
    late = OPEN.model_copy(update={"windows": (PartyWindows(windows=SUNDAY, tenant="alfa"),)})
    constraints = CONSTRAINTS.model_copy(
        update={"groups": (late, NIGHT, OPEN), "stations": {"A": ("a", 0), "B": ("b", 1), "C": ("c", 0)}}
    )
    assert earliest_begins(constraints, (), NOW, 60) == {"alfa": lima("11-29T03:00"), "beta": lima("11-28T23:00")}
    held = constraints.model_copy(update={"stations": {"A": ("a", 0), "C": ("c", 2)}})
    assert earliest_begins(held, (), NOW, 60) == {"alfa": NOW, "beta": NOW}


# ------------------------------------------------------------------ between two steps


def further(standing: ClearanceInput, now: datetime = NOW) -> dict[str, str]:
    return {station: further_clearance(standing, station, now).blocked for station in standing.constraints.stations}


IN_TIME = NOW + timedelta(hours=6, minutes=57)  # 4:57 in Lima, 180 s before the window closes


@pytest.mark.parametrize(
    ("now", "words"),
    [
        (NOW, "window opens 2026-11-28 23:00 (America/Lima)"),
        (NOW + timedelta(hours=1), ""),
        (IN_TIME, ""),
        (IN_TIME + timedelta(seconds=61), "window opens 2026-12-05 23:00 (America/Lima)"),
        (IN_TIME + timedelta(seconds=181), "window opens 2026-12-05 23:00 (America/Lima)"),
    ],
)
def test_a_further_step_needs_a_window_as_long_as_the_first_one_does(now: datetime, words: str) -> None:
    assert further(FREE, now) == {"A": "", "B": words} == blocked(FREE, now)
    assert (further_clearance(FREE, "B", now).until is not None) == bool(words)


def test_a_further_step_of_a_group_that_has_begun_needs_a_window_that_is_open() -> None:
    begun = replace(FREE, begun=frozenset("B"))
    assert further(begun, IN_TIME + timedelta(seconds=179))["B"] == ""
    assert further(begun, IN_TIME + timedelta(seconds=181))["B"].startswith("window opens")


@pytest.mark.parametrize(
    ("target", "binds"),
    [("network", "AB"), ("region:cusco", "A"), ("site:b", "B"), ("site:x", "B"), ("tenant:alfa", "A"), ("site:c", "")],
)
def test_a_freeze_binds_a_further_step_where_it_binds_the_first_one(target: str, binds: str) -> None:
    beside = CONSTRAINTS.model_copy(update={"beside": {"B": ("site:x",)}})
    standing = replace(FREE, constraints=beside, freezes=(freeze(target),))
    open_ = NOW + timedelta(hours=2)
    assert "".join(name for name, why in further(standing, open_).items() if why) == binds
    assert further(replace(standing, override=Override(run="r", by="eva", reason="INC-7", at=NOW)), NOW) == {
        "A": "",
        "B": "",
    }


def test_holds_and_approvals_do_not_stand_among_what_binds_a_further_step() -> None:
    asked = Requirement(side="alfa", agreement="a", action=ActionClass.INTERRUPT, stations=1, consent=Consent.APPROVAL)
    standing = replace(asking(asked), holds=(hold("A"),))
    assert blocked(standing)["A"]
    assert further(standing)["A"] == ""


# --------------------------------------------------------------------- outlook


def between(
    seconds: float | None, now: datetime = NOW + timedelta(hours=2), *freezes: Freeze, busy: str = ""
) -> tuple[dict[str, int], dict[str, int]]:
    """What A and B would wait for at once, and between their steps, if the last interruption comes so late."""
    late = dict.fromkeys("AB", LateStep("other", ("ask",), seconds))
    with closing(open_store("sqlite://", VirtualClock(now))) as store:
        for one in freezes:
            store.freezes.add(one.target, one.begins, one.ends, one.by, one.reason)
        store.claims.busy = lambda stations: frozenset(busy) & {*stations}
        seen = outlook(store, CONSTRAINTS, Strategy(confirm_timeout=120), now, late)
    return seen.waits, seen.between


LATER = "window opens 2026-12-05 23:00 (America/Lima)"


@pytest.mark.parametrize(
    ("seconds", "says"),
    [
        (60.0, {}),
        (4 * 3600.0, {}),
        (5 * 3600.0, {f"step 'other' may come up to 18000 s later, after ask: {LATER}": 1}),
        (None, {f"step 'other' may come after a time that is not known, after ask: {LATER}": 1}),
    ],
)
def test_who_asks_is_told_which_step_may_come_after_the_window(seconds: float | None, says: dict[str, int]) -> None:
    assert between(seconds) == ({}, says)


def test_a_run_that_waits_for_a_window_is_told_of_what_may_come_after_that() -> None:
    waits, later = between(6 * 3600.0 + 1, NOW)
    assert waits == {"window opens 2026-11-28 23:00 (America/Lima)": 1}
    assert later == {f"step 'other' may come up to 21601 s later, after ask: {LATER}": 1}
    assert between(5 * 3600.0, NOW)[1] == {}


def test_a_freeze_that_begins_meanwhile_is_told_of() -> None:
    frozen = freeze("region:cusco", begins=3, ends=9)
    assert between(1800.0, NOW + timedelta(hours=2), frozen) == ({}, {})
    _, later = between(5400.0, NOW + timedelta(hours=2), frozen)
    assert later == {
        "step 'other' may come up to 5400 s later, after ask: "
        "freeze of region:cusco until 2026-11-29 07:00 (America/Lima): elections": 1
    }


def test_a_station_on_which_another_run_works_does_not_begin_now() -> None:
    assert between(60.0, NOW + timedelta(hours=2), busy="A")[0] == {"another run works there": 1}
    assert between(60.0, NOW, busy="B")[0] == {"window opens 2026-11-28 23:00 (America/Lima)": 1}
