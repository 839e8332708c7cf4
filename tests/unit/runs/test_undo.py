"""What is in the way of undoing a job, and in what order stations are undone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from controller.models.plan import Change, Edit, Fingerprint, Op, Phase, PhaseKind
from controller.models.run import LedgerBefore, LedgerEntry, Outcome, Strategy
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import root_spec
from controller.nrm.tree import Leaves, Observed, Tree
from controller.plan import StationView
from controller.ports.store import EndedJob
from controller.runs.planning.undo import undo_station
from controller.runs.procedures import Undo, UndoneRun
from controller.runs.rollout.waves import cut_stages
from tests.support.records import make_network, make_plan
from tests.unit.plan import samples
from tests.unit.runs.transaction_bench import STATION, Scenario, add_tenant_in_two, change_primary, retune

PROFILES = ("lte-28658",)
ROOT = root_spec(PROFILES)
ENB = "/ManagedElement[A]/ENBFunction[1]"
CELL = f"{ENB}/EUtranCellFDD[1]"
LINK = f"{ENB}/EP_S1C[x]"
START = datetime(2026, 1, 1, tzinfo=UTC)


def merge(path: str, **leaves: tuple[str, str]) -> Edit:
    before = {name: pair[0] for name, pair in leaves.items()}
    return Edit(op=Op.MERGE, path=path, before=before, after={n: p[1] for n, p in leaves.items()}, owners=("a",))


def ended(number: int, *edits: Edit, ledger: tuple[str, ...] = (), undoes: str = "") -> EndedJob:
    """A job that made these edits, each in a phase; nodes of ``ledger`` were not ours before."""
    opposite = {Op.CREATE: Op.DELETE, Op.DELETE: Op.CREATE, Op.MERGE: Op.MERGE}
    phases = tuple(
        Phase(
            kind=PhaseKind.EDIT,
            edits=(edit,),
            inverse=(
                Edit(op=opposite[edit.op], path=edit.path, before=edit.after, after=edit.before, owners=edit.owners),
            ),
        )
        for edit in edits
    )
    change = Change(station="A", phases=phases, diff=(), touched=("a",), fingerprint=Fingerprint(paths=(), digest=""))
    return EndedJob(
        run=f"r-{number}",
        procedure="apply",
        cause="person",
        job=f"r-{number}.0.A",
        station="A",
        finished=START + timedelta(minutes=number),
        outcome=Outcome.SUCCEEDED,
        changes=(change,) if edits else (),
        before=LedgerBefore(absent=ledger),
        undoes=undoes,
    )


def view(**cell: str) -> StationView:
    tree: dict[str, Leaves] = {"/ManagedElement[A]": {}, ENB: {}, CELL: {"tac": "2", "pci": "5", **cell}}
    return StationView(Observed(tree), adopted=True)


TAC = merge(CELL, tac=("1", "2"))


@pytest.mark.parametrize(
    ("later", "reason"),
    [
        ((), ""),
        ((ended(2, merge(CELL, pci=("4", "5"))),), ""),
        ((ended(2, merge(CELL, userLabel=("a", "b"))),), ""),
        ((ended(2, merge(CELL, tac=("2", "3")), merge(CELL, tac=("3", "2"))),), ""),
        ((ended(2, merge(CELL, tac=("2", "3"))), ended(3, merge(CELL, tac=("3", "2")), undoes="r-2")), ""),
        ((ended(2, merge(CELL, tac=("3", "2"))),), f"changed since: run r-2 (apply) changed {CELL[19:]}"),
        ((ended(2, ledger=(CELL,)),), ""),
        # It left the ledger as it was: it brought back what a pod had taken.
        ((ended(2, Edit(op=Op.CREATE, path=CELL, after={"tac": "2"}, owners=("a",))),), ""),
        (
            (ended(2, merge(CELL, tac=("2", "3")), Edit(op=Op.CREATE, path=LINK, owners=("a",))),),
            "changed since: run r-2 (apply) changed ENBFunction[1]/EUtranCellFDD[1]",
        ),
        (
            (ended(2, Edit(op=Op.CREATE, path=CELL, owners=("a",)), ledger=(CELL,)),),
            f"changed since: run r-2 (apply) changed {CELL[19:]}",
        ),
        ((ended(2, TAC, undoes="r-1"),), f"changed since: run r-2 (apply) changed {CELL[19:]}"),
    ],
)
def test_later_jobs_in_the_way_are_named(later: tuple[EndedJob, ...], reason: str) -> None:
    made = undo_station(PROFILES, ended(1, TAC), later, view())
    assert made.reason == reason
    assert (made.change is None) == bool(reason)


def test_what_the_ledger_got_twice_is_in_the_way() -> None:
    made = undo_station(PROFILES, ended(1, TAC, ledger=(CELL,)), (ended(2, ledger=(CELL,)),), view())
    assert made.reason.startswith("changed since: run r-2")


def test_an_entry_that_was_made_holds_all_below_it() -> None:
    made = ended(1, Edit(op=Op.CREATE, path=LINK, after={"remoteAddress": "10.0.0.1"}, owners=("a",)))
    served = f"{LINK}/servedPlmnList[999,01]"
    below = ended(2, Edit(op=Op.CREATE, path=served, owners=("a",)), ledger=(served,))
    assert "run r-2" in undo_station(PROFILES, made, (below,), view()).reason


@pytest.mark.parametrize(
    ("seen", "reason"),
    [
        (None, "not in the network files"),
        (StationView(None, True, {}, "no route"), "unreachable: no route"),
        (StationView(Observed({}, dark={ENB: "no answer"}), True), "unreachable: no answer"),
        (StationView(Observed({}), False), "not adopted: observe-only"),
        (view(tac="9"), f"changed since by somebody else: {CELL[19:]}"),
        (view(), ""),
    ],
)
def test_stations_that_are_not_as_the_job_left_them_say_why(seen: StationView | None, reason: str) -> None:
    assert undo_station(PROFILES, ended(1, TAC), (), seen).reason == reason


@pytest.mark.parametrize(
    ("put", "unknown", "reason"),
    [
        ({}, (), ""),
        # The station makes its neighbour relations itself, and they can't be without their cell.
        ({f"{CELL}/EUtranRelation[17]": {}}, (), ""),
        ({f"{CELL}/plmnIdList[716,15]": {}}, (), "somebody else's node is inside of what it would take away: "),
        ({}, (f"{CELL}/{{urn:v}}x",), "somebody else's node is inside of what it would take away: "),
        (
            {f"{CELL}/plmnIdList[716,15]": {}, f"{CELL}/plmnIdList[716,16]": {}},
            (),
            "2 nodes of somebody else are inside of what it would take away: ",
        ),
    ],
)
def test_nothing_of_others_goes_unnamed_with_what_a_run_made(
    put: dict[str, Leaves], unknown: tuple[str, ...], reason: str
) -> None:
    made = ended(1, Edit(op=Op.CREATE, path=CELL, after={"tac": "2"}, owners=("a",)), ledger=(CELL,))
    seen = view(tac="2")
    assert seen.observed is not None
    entry = LedgerEntry(station="A", path=CELL, owners=("a",), leaves={"tac": "2"})
    there = replace(seen, observed=Observed({**seen.observed.tree, **put}, unknown=unknown), ledger={CELL: entry})
    found = undo_station(PROFILES, made, (), there)
    assert found.reason.startswith(reason) if reason else found.reason == ""
    told = [one.message for one in found.findings if one.code == "goes-along"]
    assert [("1 node inside it" in one) for one in told] == ([True] if put and not reason else [])


def test_stages_are_cut_apart_and_units_are_not() -> None:
    stages = {"A": 2, "B": 0, "C": 0, "D": 1, "E": 0}
    units = [("A", "B"), ("C",), ("D",), ("E",)]
    jobs = cut_stages(units, stages.__getitem__, Strategy(canary=1, wave_size=5), region_of=lambda _: "r")
    assert [(job.station, job.wave) for job in jobs] == [("C", 0), ("E", 1), ("D", 2), ("A", 3), ("B", 3)]
    stages = {"A": 0, "B": 0, "C": -1, "D": -1}
    jobs = cut_stages([("A",), ("B",), ("C", "D")], stages.__getitem__, Strategy(), region_of=lambda _: "r")
    assert [(job.station, job.wave) for job in jobs] == [("C", 0), ("D", 0), ("A", 1), ("B", 2)], (
        "no canary is made ready"
    )
    assert cut_stages([], stages.__getitem__, Strategy(), region_of=lambda _: "r") == ()


def test_the_canary_of_an_undo_is_of_what_came_last() -> None:
    undone = UndoneRun(check_timeout=30, waves={"A": 0, "B": 0, "C": 1, "D": 1})
    plan = make_plan(["A", "B", "C", "D"]).model_copy(update={"undoes": "r-1"})
    _, cut = Undo()._cut(plan, make_network()[1], Strategy(canary=1), undone)
    assert [(job.station, job.wave) for job in cut] == [("C", 0), ("D", 1), ("A", 2), ("B", 2)]


# A job that diverged: the way back begins at what the station really carries.


def _diverged(change: Change) -> EndedJob:
    return replace(ended(1), station=STATION, outcome=Outcome.DIVERGED, changes=(), unsure=(change,))


def _states(scenario: Scenario) -> list[Tree]:
    """What a station may carry when a job ended in the middle: after each single edit of each phase."""
    root, tree, found = root_spec(samples.PROFILES), scenario.before.tree, []
    for phase in scenario.change.phases:
        for edit in phase.edits:
            tree = apply_edits(root, tree, [edit])
            found.append(tree)
    return found


SCENARIOS = [
    pytest.param(add_tenant_in_two, id="creates"),
    pytest.param(retune, id="lock, edit, unlock"),
    pytest.param(change_primary, id="five phases"),
]


@pytest.mark.parametrize("scenario_of", SCENARIOS)
def test_a_diverged_station_comes_back_from_wherever_it_is(scenario_of: Callable[[], Scenario]) -> None:
    scenario = scenario_of()
    root, before = root_spec(samples.PROFILES), scenario.before.tree
    states = _states(scenario)
    for tree in states:
        made = undo_station(samples.PROFILES, _diverged(scenario.change), (), StationView(Observed(tree), adopted=True))
        if tree == before:
            assert made.change is None
            continue
        assert made.change is not None, made.reason
        assert made.change.diff
        assert made.findings == ()
        after = tree
        for phase in made.change.phases:
            after = apply_edits(root, after, phase.edits)
        assert after == before
        # Its own inverse leads back to what it found.
        for phase in reversed(made.change.phases):
            after = apply_edits(root, after, phase.inverse)
        assert after == tree


def test_a_locked_cell_of_a_diverged_station_is_named_and_unlocked() -> None:
    scenario = retune()
    root = root_spec(samples.PROFILES)
    locked = apply_edits(root, scenario.before.tree, scenario.change.phases[0].edits)
    made = undo_station(samples.PROFILES, _diverged(scenario.change), (), StationView(Observed(locked), adopted=True))
    assert made.change is not None
    assert made.change.only_unlocks
    assert {(row.before, row.after) for row in made.change.diff} == {("LOCKED", "UNLOCKED")}


def test_a_value_of_nobody_known_is_named_and_goes_back_too() -> None:
    scenario = retune()
    cell = next(edit.path for edit in scenario.change.phases[1].edits)
    tree = {**scenario.after, cell: {**scenario.after[cell], "pci": "499"}}
    made = undo_station(samples.PROFILES, _diverged(scenario.change), (), StationView(Observed(tree), adopted=True))
    assert made.change is not None
    assert [finding.code for finding in made.findings] == ["neither-state"]
    assert ("499", scenario.before.tree[cell]["pci"]) in {(row.before, row.after) for row in made.change.diff}


@pytest.mark.parametrize("emptied", [False, True])
def test_where_nothing_is_left_to_undo_the_way_out_is_named(*, emptied: bool) -> None:
    scenario = retune()
    seen = StationView(Observed({} if emptied else scenario.before.tree), adopted=True)
    made = undo_station(samples.PROFILES, _diverged(scenario.change), (), seen)
    assert made.change is None
    assert made.reason.startswith("it carries nothing of what the run changed; ")
    assert f"minka playbook run repair-drift where=device={STATION}" in made.reason


def test_what_can_not_be_put_back_since_more_is_lost_is_said() -> None:
    gone = ended(1, Edit(op=Op.DELETE, path=LINK, before={"remoteAddress": "10.0.0.1"}, owners=("a",)))
    emptied = StationView(Observed({"/ManagedElement[A]": {}}), adopted=True)
    made = undo_station(PROFILES, replace(gone, outcome=Outcome.DIVERGED), (), emptied)
    assert made.change is None
    assert made.reason.startswith("it lost more than the run changed")


def test_a_diverged_operation_has_nothing_to_undo() -> None:
    made = undo_station(PROFILES, replace(ended(1), outcome=Outcome.DIVERGED, changes=()), (), view())
    assert made.reason.startswith("the run diverged here without a change of configuration")


def test_a_later_change_of_a_diverged_job_is_in_the_way() -> None:
    later = replace(ended(2), outcome=Outcome.DIVERGED, unsure=ended(2, merge(CELL, tac=("2", "3"))).changes)
    assert undo_station(PROFILES, ended(1, TAC), (later,), view()).reason.startswith("changed since: run r-2")
