"""What is in the way of undoing a job, and in what order stations are undone."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.models.facts import Finding, Severity
from controller.models.network import network_digest
from controller.models.plan import Change, Edit, Fingerprint, Op, Phase, PhaseKind
from controller.models.run import LedgerBefore, LedgerEntry, Outcome, RunState, Strategy
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import ROUTER_PROFILES, root_spec
from controller.nrm.tree import Leaves, Observed, Tree, Value
from controller.plan import PlanOptions, StationPlan, StationView, undo_change, without_agreement
from controller.runs.planning.planner import Planner
from controller.runs.planning.undo import undo_plan, undo_station
from controller.runs.procedures import Undo, UndoneRun
from controller.runs.rollout.transitions import decide
from controller.runs.rollout.waves import cut_stages
from controller.store import EndedJob
from controller.store.jobs.divergences import unresolved
from tests.support.records import make_network, make_plan
from tests.unit.plan import samples, test_routers
from tests.unit.runs.test_planning import target
from tests.unit.runs.transaction_bench import (
    QUICK,
    STATION,
    InstantStore,
    Scenario,
    TransactionBench,
    add_tenant_in_two,
    change_primary,
    retune,
)

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
    change = Change(
        station="A",
        phases=phases,
        diff=(),
        touched=("a",),
        fingerprint=Fingerprint(paths=(), digest=""),
        reverts=True,
    )
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
        ((ended(2, TAC, undoes="r-1"),), "taken back already by run r-2"),
        # An undo that was undone itself took nothing back.
        (
            (
                ended(2, merge(CELL, tac=("3", "2"))),
                ended(3, merge(CELL, tac=("2", "3")), undoes="r-2"),
                ended(4, merge(CELL, tac=("3", "2")), undoes="r-3"),
            ),
            f"changed since: run r-2 (apply) changed {CELL[19:]}; to take this back too, first: minka undo r-2",
        ),
        ((ended(2, TAC, undoes="r-1"), ended(3, TAC, undoes="r-2")), ""),
    ],
)
def test_later_jobs_in_the_way_are_named(later: tuple[EndedJob, ...], reason: str) -> None:
    made = undo_station(PROFILES, ended(1, TAC), later, view())
    assert made.reason.startswith(reason) if reason else made.reason == ""
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
        (view(tac="9"), f"changed since by somebody else: {CELL[19:]}; see what differs: minka device drift A"),
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


# Where some cells of a station were changed since, the others go back.


def cell(number: int) -> str:
    return f"{ENB}/EUtranCellFDD[{number}]"


def station(cells: Mapping[int, Leaves], **others: Leaves) -> StationView:
    """The station with these cells."""
    tree = {"/ManagedElement[A]": {}, ENB: {}, **{cell(number): leaves for number, leaves in cells.items()}, **others}
    ledger = {path: LedgerEntry(station="A", path=path, owners=("a",), leaves=dict(tree[path])) for path in tree}
    return StationView(Observed(tree), adopted=True, ledger=ledger)


def after(made: StationPlan, seen: StationView) -> Tree:
    """What the station carries once the undo is done, and again once that is taken back."""
    assert made.change is not None, made.reason
    assert seen.observed is not None
    tree = seen.observed.tree
    for phase in made.change.phases:
        assert phase.edits
        tree = apply_edits(ROOT, tree, phase.edits)
    back = tree
    for phase in reversed(made.change.phases):
        back = apply_edits(ROOT, back, phase.inverse)
    assert back == seen.observed.tree
    return tree


ALL_CELLS = [merge(cell(number), tac=("1", "2")) for number in (1, 2, 3)]


@pytest.mark.parametrize(
    ("later", "tac", "said"),
    [
        (
            (ended(2, merge(cell(2), tac=("2", "3"))),),
            "3",
            "run r-2 (apply) changed ENBFunction[1]/EUtranCellFDD[2]; to take this back too, first: minka undo r-2",
        ),
        ((), "9", "changed since by somebody else: ENBFunction[1]/EUtranCellFDD[2]; see what differs: minka device"),
    ],
)
def test_cells_that_nobody_changed_since_go_back(later: tuple[EndedJob, ...], tac: str, said: str) -> None:
    seen = station({1: {"tac": "2"}, 2: {"tac": tac}, 3: {"tac": "2"}})
    made = undo_station(PROFILES, ended(1, *ALL_CELLS), later, seen)
    tree = after(made, seen)
    assert [tree[cell(number)]["tac"] for number in (1, 2, 3)] == ["1", tac, "1"]
    assert made.change is not None
    assert made.change.left == (cell(2),)
    assert {row.cell for row in made.change.diff} == {"1", "3"}
    assert not any("EUtranCellFDD[2]" in path for path in made.change.fingerprint.paths)
    (finding,) = made.findings
    assert (finding.code, finding.station, finding.cell) == ("stays-as-it-is", "A", "2")
    assert said in finding.message


def test_a_cell_that_another_run_locked_since_is_not_unlocked() -> None:
    """The first run locked each cell for its work, so that its own lock came to nothing."""
    lock, unlock = ({"administrativeState": pair} for pair in (("UNLOCKED", "LOCKED"), ("LOCKED", "UNLOCKED")))
    work = [
        edit for number in (1, 2) for edit in (merge(cell(number), **lock), TACS[number], merge(cell(number), **unlock))
    ]
    locked = ended(2, merge(cell(2), **lock))
    on, off = {"tac": "2", "administrativeState": "UNLOCKED"}, {"tac": "2", "administrativeState": "LOCKED"}
    seen = station({1: on, 2: off})
    made = undo_station(PROFILES, ended(1, *work), (locked,), seen)
    tree = after(made, seen)
    assert (tree[cell(1)], tree[cell(2)]) == ({"tac": "1", "administrativeState": "UNLOCKED"}, off)
    assert ["run r-2 (apply) changed" in one.message for one in made.findings] == [True]


TACS = {number: merge(cell(number), tac=("1", "2")) for number in (1, 2)}


def test_what_a_cell_that_stays_needs_stays_too() -> None:
    """A tenant came with a core link and a PLMN in two cells; its share of one of these was changed since."""
    plmns = [f"{cell(number)}/plmnIdList[716,15]" for number in (1, 2)]
    came = [Edit(op=Op.CREATE, path=path, owners=("a",)) for path in (LINK, *plmns)]
    later = ended(2, merge(plmns[1], cellReservedForOperatorUse=("false", "true")))
    there = {LINK: {}, plmns[0]: {}, plmns[1]: {"cellReservedForOperatorUse": "true"}}
    seen = station({1: {}, 2: {}}, **there)
    made = undo_station(PROFILES, ended(1, *came, ledger=(LINK, *plmns)), (later,), seen)
    tree = after(made, seen)
    assert (plmns[0] in tree, plmns[1] in tree, LINK in tree) == (False, True, True)
    assert made.change is not None
    assert made.change.lost == (plmns[0],)
    assert sum(made.change.removes.values()) == 1
    assert ["cell 2, which stays, needs it" in one.message for one in made.findings] == [False, True]


@pytest.mark.parametrize("changed", [True, False])
def test_what_watches_a_station_stays_as_long_as_a_cell_does(*, changed: bool) -> None:
    """Else an undo of the first run after a later change would silence the alarms of cells that go on serving."""
    alarms, job = "/ManagedElement[A]/AlarmList[1]", "/ManagedElement[A]/PerfMetricJob[minka]"
    brought = [
        *(Edit(op=Op.CREATE, path=path, owners=("a",)) for path in (cell(1), cell(2))),
        merge(alarms, administrativeState=("LOCKED", "UNLOCKED")),
        Edit(op=Op.CREATE, path=job, owners=("a",)),
    ]
    later = (ended(2, merge(cell(2), tac=("1", "2"))),) if changed else ()
    watching = {alarms: {"administrativeState": "UNLOCKED"}, job: {}}
    seen = station({1: {}, 2: {"tac": "2"} if changed else {}}, **watching)
    made = undo_station(PROFILES, ended(1, *brought, ledger=(cell(1), cell(2), job)), later, seen)
    tree = after(made, seen)
    assert (cell(1) in tree, cell(2) in tree) == (False, changed)
    assert (tree[alarms].get("administrativeState", "LOCKED"), job in tree) == (
        "UNLOCKED" if changed else "LOCKED",
        changed,
    )
    assert any("it watches cell 2, which stays" in one.message for one in made.findings) == changed


def test_what_a_run_brought_goes_around_what_stays_in_it() -> None:
    """A run brought the function with its cells; another one works in one of these."""
    paths = [ENB, cell(1), cell(2), f"{cell(2)}/plmnIdList[716,15]"]
    brought = ended(1, *(Edit(op=Op.CREATE, path=path, owners=("a",)) for path in paths[:3]), ledger=tuple(paths[:3]))
    later = ended(2, Edit(op=Op.CREATE, path=paths[3], owners=("b",)), ledger=(paths[3],))
    seen = station({1: {}, 2: {}}, **{paths[3]: {}})
    made = undo_station(PROFILES, _with_one_delete(brought), (later,), seen)
    assert sorted(after(made, seen)) == sorted(["/ManagedElement[A]", ENB, cell(2), paths[3]])
    assert made.change is not None
    assert made.change.lost == (cell(1),)


def _with_one_delete(ended: EndedJob) -> EndedJob:
    """As devices are told: who removes an entry removes all below it."""
    (change,) = ended.changes
    phase = Phase(
        kind=PhaseKind.EDIT,
        edits=tuple(edit for phase in change.phases for edit in phase.edits),
        inverse=change.phases[0].inverse,
    )
    return replace(ended, changes=(change.model_copy(update={"phases": (phase,)}),))


def test_a_neighbour_that_a_cell_which_stays_names_stays_too() -> None:
    """A run brought two cells that name each other; another one works in one of these."""
    relation = f"{cell(2)}/EUtranRelation[1]"
    leaves = {"adjacentCell": "SubNetwork=x,ManagedElement=A,ENBFunction=1,EUtranCellFDD=1"}
    brought = [Edit(op=Op.CREATE, path=cell(number), owners=("a",)) for number in (1, 2, 3)]
    job = ended(1, *brought, Edit(op=Op.CREATE, path=relation, after=leaves, owners=("a",)))
    seen = station({1: {}, 2: {"tac": "3"}, 3: {}}, **{relation: leaves})
    made = undo_station(PROFILES, job, (ended(2, merge(cell(2), tac=("2", "3"))),), seen)
    assert set(seen.observed.tree if seen.observed else ()) - set(after(made, seen)) == {cell(3)}
    assert {one.cell: "neighbour" in one.message for one in made.findings} == {"1": True, "2": False}


def test_after_a_part_was_taken_back_the_rest_follows_once_nothing_is_in_its_way() -> None:
    changed = ended(2, merge(cell(2), tac=("2", "3")))
    part = ended(3, *(merge(cell(number), tac=("2", "1")) for number in (1, 3)), undoes="r-1")
    seen = station({1: {"tac": "1"}, 2: {"tac": "3"}, 3: {"tac": "1"}})
    made = undo_station(PROFILES, ended(1, *ALL_CELLS), (changed, part), seen)
    assert made.change is None
    assert "run r-2 (apply) changed" in made.reason
    back = ended(4, merge(cell(2), tac=("3", "2")), undoes="r-2")
    seen = station({1: {"tac": "1"}, 2: {"tac": "2"}, 3: {"tac": "1"}})
    made = undo_station(PROFILES, ended(1, *ALL_CELLS), (changed, part, back), seen)
    assert {path: leaves["tac"] for path, leaves in after(made, seen).items() if "Cell" in path} == {
        cell(number): "1" for number in (1, 2, 3)
    }
    assert made.findings == ()  # nobody has to hear of what is back already
    assert made.change is not None
    assert made.change.left == ()


def test_what_an_undo_left_of_a_run_still_counts() -> None:
    """An undo of the later run took back one cell of two: the other one is still that run's."""
    later = ended(2, *(merge(cell(number), tac=("2", "3")) for number in (1, 2)))
    part = ended(3, merge(cell(1), tac=("3", "2")), undoes="r-2")
    seen = station({1: {"tac": "2"}, 2: {"tac": "3"}})
    made = undo_station(PROFILES, ended(1, *ALL_CELLS[:2]), (later, part), seen)
    assert after(made, seen)[cell(1)]["tac"] == "1"
    assert ["run r-2 (apply) changed" in one.message for one in made.findings] == [True]


def test_steps_of_a_playbook_are_left_cell_by_cell_too() -> None:
    """The last step unlocked what the first one had locked; in between another step worked in all cells."""
    steps = [
        ended(1, *(merge(cell(number), administrativeState=("UNLOCKED", "LOCKED")) for number in (1, 2))),
        ended(1, *ALL_CELLS[:2]),
        ended(1, merge(cell(1), administrativeState=("LOCKED", "UNLOCKED"))),
    ]
    run = replace(steps[0], changes=tuple(change for step in steps for change in step.changes))
    later = ended(2, merge(cell(2), administrativeState=("LOCKED", "UNLOCKED")))
    seen = station({number: {"tac": "2", "administrativeState": "UNLOCKED"} for number in (1, 2)})
    made = undo_station(PROFILES, run, (later,), seen)
    tree = after(made, seen)
    assert tree[cell(1)] == {"tac": "1", "administrativeState": "UNLOCKED"}
    assert tree[cell(2)] == {"tac": "2", "administrativeState": "UNLOCKED"}


def test_a_diverged_station_comes_back_but_for_what_changed_since() -> None:
    """It stopped after two of three cells, and another run works in the first one meanwhile."""
    diverged = replace(ended(1), outcome=Outcome.DIVERGED, changes=(), unsure=ended(1, *ALL_CELLS).changes)
    later = ended(2, merge(cell(1), tac=("2", "5")))
    seen = station({1: {"tac": "5"}, 2: {"tac": "2"}, 3: {"tac": "1"}})
    made = undo_station(PROFILES, diverged, (later,), seen)
    tree = after(made, seen)
    assert [tree[cell(number)]["tac"] for number in (1, 2, 3)] == ["5", "1", "1"]
    assert made.change is not None
    assert made.change.left == (cell(1),)
    undo = replace(ended(3, undoes="r-1"), changes=(made.change,))
    assert unresolved([diverged, undo]) == [diverged]  # one cell is in neither state, for all that is known
    assert unresolved([diverged, undo, ended(4, merge(cell(1), tac=("5", "1")))]) == []


def test_a_router_goes_back_whole_or_not() -> None:
    """Its interfaces, routes and instances carry one another."""
    profiles = (next(iter(ROUTER_PROFILES)),)
    vrfs = [f"/Router[A]/Vrf[{number}]" for number in (1, 2)]
    made = ended(1, *(merge(path, description=("a", "b")) for path in vrfs))
    tree: Tree = {"/Router[A]": {}, vrfs[0]: {"description": "b"}, vrfs[1]: {"description": "c"}}
    seen = StationView(Observed(tree), adopted=True)
    found = undo_station(profiles, made, (ended(2, merge(vrfs[1], description=("b", "c"))),), seen)
    assert found.change is None
    assert found.reason.startswith("changed since: run r-2 (apply) changed Vrf[2]")


@pytest.mark.parametrize("seed", range(60))
def test_nothing_that_changed_since_is_touched_and_all_else_is_as_before(seed: int) -> None:
    """Judged leaf by leaf, by who wrote it last, without a plan."""
    draw = random.Random(seed)
    before: dict[str, dict[str, Value]] = {cell(number): {"tac": "1", "pci": "1"} for number in range(1, 5)}
    mine = _drawn(draw, before, "2")
    theirs = _drawn(draw, mine, "3")
    seen = station({number: theirs[cell(number)] for number in range(1, 5)})
    job, later = ended(1, *_merges(before, mine)), ended(2, *_merges(mine, theirs))
    made = undo_station(PROFILES, job, (later,) if later.changes else (), seen)
    wanted = {
        path: theirs[path]
        if (own := _wrote(before, mine, path)) & _wrote(mine, theirs, path)
        else {name: value if name in own else theirs[path][name] for name, value in leaves.items()}
        for path, leaves in before.items()
    }
    if wanted == theirs:
        assert made.change is None
    else:
        assert {path: dict(leaves) for path, leaves in after(made, seen).items() if path in before} == wanted


def _wrote(before: Mapping[str, Leaves], after: Mapping[str, Leaves], path: str) -> set[str]:
    return {name for name, value in before[path].items() if after[path][name] != value}


def _drawn(draw: random.Random, tree: Mapping[str, Leaves], value: str) -> dict[str, dict[str, Value]]:
    return {
        path: {name: value if draw.random() < 0.4 else old for name, old in leaves.items()}
        for path, leaves in tree.items()
    }


def _merges(tree: Mapping[str, Leaves], new: Mapping[str, Leaves]) -> list[Edit]:
    found = []
    for path in tree:
        names = [name for name in tree[path] if tree[path][name] != new[path][name]]
        if names:
            found.append(merge(path, **{name: (str(tree[path][name]), str(new[path][name])) for name in names}))
    return found


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


# ------------------------------------------------------ tenants without an agreement


def agreed(**scope: Any) -> dict[str, Any]:
    """An agreement of gamma, which is everywhere and in force since 2024 if nothing else is said."""
    validity = {"start": "2024-01-01", **scope.pop("validity", {})}
    shares = [{"dedicated": 5, "min": 20, "max": 80}]
    found = {"id": "gamma-all", "tenant": "gamma", "scope": scope or {"everywhere": True}, "shares": shares}
    return {**found, "validity": validity}


@pytest.mark.parametrize(
    ("agreement", "told"),
    [
        (None, "gamma comes back to 2 cells (L1, N1) with "),
        (agreed(validity={"end": "2026-06-14"}), "gamma comes back to 2 cells (L1, N1) with "),
        (agreed(validity={"start": "2026-06-16"}), "gamma comes back to 2 cells (L1, N1) with "),
        (agreed(stations=["S2"]), "gamma comes back to 2 cells (L1, N1) with "),
        (agreed(cells=["S1/L1"]), "gamma comes back to 1 cell (N1) with "),
        (agreed(validity={"end": "2026-06-15"}), ""),
        (agreed(validity={"start": "2026-06-15"}), ""),
        (agreed(stations=["S1"]), ""),
    ],
    ids=["none", "ended", "not-yet", "elsewhere", "one-cell", "last-day", "first-day", "there"],
)
def test_a_tenant_that_no_agreement_lets_in_does_not_come_back_unsaid(
    agreement: dict[str, Any] | None, told: str
) -> None:
    """The next plan, which compiles the same files, calls nodes of that tenant orphaned; no more of them are told."""
    # Each station in tracking areas of its own: a tenant need not be at both.
    cells = [one.model_copy(update={"tac": one.tac + one.pci}) for one in samples.network().cells]
    before = samples.network(("alfa", "beta", "gamma"), cells=cells)
    others = [one.model_dump() for one in before.agreements if one.tenant != "gamma"]
    now = samples.network(cells=cells, agreements=[*others, *([agreement] if agreement else [])])
    start, gone = samples.view(before), samples.network(cells=cells)
    count = sum(entry.owners == ("gamma",) for entry in start.ledger.values())
    left = samples.only_change(samples.plan(gone, {"S1": start}, PlanOptions(max_share=1.0, remove={"gamma": count})))
    without = samples.apply(gone, left, start)
    assert without.observed is not None
    back = undo_change(samples.PROFILES, left, without.observed)
    # The ledger gets what it lost again.
    back = back.model_copy(update={"gained": tuple(start.ledger[path].node for path in left.lost)})
    found = list(without_agreement(now, back, without.observed.tree, without.ledger, samples.DAY))
    again = samples.plan(now, {"S1": samples.apply(now, back, without)})
    orphaned = 0 if again.orphans is None else again.orphans.nodes["gamma"]
    if not told:
        assert (found, orphaned) == ([], 0)
        return
    (finding,) = found
    assert finding == Finding(
        "no-agreement",
        Severity.WARNING,
        f"S1: {told}{_said(finding)} nodes that the next plan will call orphaned: "
        "no agreement in force on 2026-06-15 lets gamma in there",
        "S1",
        tenant="gamma",
    )
    assert 0 < _said(finding) <= orphaned
    if "2 cells" in told:
        assert _said(finding) == orphaned == count


def _said(finding: Finding) -> int:
    return int(finding.message.split(" nodes ")[0].rpartition(" ")[2])


def test_a_tenant_comes_back_to_a_router_by_an_agreement_of_a_station_there_only() -> None:
    name, both = test_routers.NAME, test_routers.tiny()
    wanted = test_routers.wanted(both, name)
    with_all = test_routers.view(wanted, {**test_routers.BARE, **wanted.tree})
    gone = test_routers.tiny("condor-all")
    count = sum(entry.owners == ("condor",) for entry in with_all.ledger.values())
    views = {name: with_all}
    planning = test_routers.planned(gone, views, condor=count)
    (left,) = planning.changes
    tree = test_routers.after(gone, with_all, left)
    back = undo_change(both.profiles_of(name), left, Observed(tree))
    assert list(without_agreement(both, back, tree, {}, test_routers.TODAY)) == []
    (finding,) = without_agreement(gone, back, tree, {}, test_routers.TODAY)
    assert finding.message == (
        f"{name}: condor comes back with {count} nodes that the next plan will call orphaned: "
        "no agreement in force on 2026-06-15 lets condor in there"
    )


async def test_the_plan_that_undoes_the_removal_of_a_tenant_whose_agreement_is_gone_says_so() -> None:
    both, one_less = samples.network(("alfa", "beta", "gamma")), samples.network()
    start = samples.view(both)
    count = sum(entry.owners == ("gamma",) for entry in start.ledger.values())
    removal = samples.plan(one_less, {STATION: start}, PlanOptions(max_share=1.0, remove={"gamma": count}))
    world = TransactionBench(Scenario(samples.carrying(both), removal), QUICK)
    planner = Planner(InstantStore(world.store), world.devices, world.clock, target)
    world.store.networks.save(both, network_digest(both), "ana")
    await planner.adopt(STATION, "ana")
    world.store.networks.save(one_less, network_digest(one_less), "ana")
    await world.work()
    while world.store.runs.advance(world.run.id, lambda run, jobs: decide(run, jobs, world.clock.now())):
        pass
    assert world.store.runs.get(world.run.id).state is RunState.SUCCEEDED
    plan = await undo_plan(planner, world.run.id, {}, "ana")
    (told,) = [one for one in plan.findings if one.code == "no-agreement"]
    assert (told.station, told.tenant, told.severity) == (STATION, "gamma", Severity.WARNING)
    assert told.message == (
        f"{STATION}: gamma comes back to 2 cells (L1, N1) with {count} nodes that the next plan will call orphaned: "
        f"no agreement in force on {both.day(world.clock.now())} lets gamma in there"
    )
    assert world.store.plans.get(plan.id).findings == plan.findings
    world.store.networks.save(both, network_digest(both), "ana")
    invited = await undo_plan(planner, world.run.id, {}, "ana")
    assert [one for one in invited.findings if one.code == "no-agreement"] == []
    assert invited.changes == plan.changes
