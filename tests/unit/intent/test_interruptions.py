"""What runs take away, of which cells, from whom, and for how long."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from controller.intent.interruptions import Act, Work, planned, reached
from controller.models.equipment import Operation, OperationKind
from controller.models.network import HOST
from controller.models.plan import Change, Edit, Op, Phase, PhaseKind
from controller.nrm.profiles import administrative_leaf
from tests.support.records import make_change
from tests.unit.plan import samples

AT = datetime(2026, 6, 15, 12, tzinfo=UTC)
MME = f"{samples.LTE}/EP_S1C[alfa-mme]"
BOTH = ("alfa", "beta")


def minute(number: float) -> datetime:
    return AT + timedelta(minutes=number)


def switch(path: str, state: str) -> Edit:
    return Edit(op=Op.MERGE, path=path, after={administrative_leaf(path): state}, owners=(HOST,))


def change(*edits: Edit) -> Change:
    phases = tuple(Phase(kind=PhaseKind.EDIT, edits=(edit,), inverse=()) for edit in edits)
    return make_change("S1").model_copy(update={"phases": phases})


def act(since: float, until: float, *edits: Edit, **more: Any) -> Act:
    return Act(minute(since), minute(until), change(*edits) if edits else None, **more)


def restart(since: float, until: float, kind: OperationKind = OperationKind.RESET, *cells: str) -> Act:
    return act(since, until, operations=(Operation(kind=kind, seconds=60),), cells=cells)


def taken(
    *acts: Act, until: float = 60, device: str = "S1", tenants: Sequence[str] = BOTH, virtual: bool = False, **more: Any
) -> dict[tuple[str, str], list[tuple[float, float]]]:
    made = samples.virtual() if virtual else samples.network()
    found = planned(made, [Work(device, acts, tenants, minute(until), **more)])

    def minutes(at: datetime) -> float:
        return (at - AT).total_seconds() / 60

    return {key: [(minutes(since), minutes(end)) for since, end in times] for key, times in found.items()}


LOCKED, UNLOCKED = switch(samples.LTE_CELL, "LOCKED"), switch(samples.LTE_CELL, "UNLOCKED")


def test_a_change_takes_the_cells_that_it_locks_while_its_transaction_is_open_and_no_others() -> None:
    found = taken(act(1, 3, LOCKED, UNLOCKED), rests=[minute(3)])
    assert found == {("S1/L1", tenant): [(1, 3)] for tenant in BOTH}


def test_a_cell_is_taken_from_its_lock_to_its_unlock_also_while_the_job_waits_for_a_person() -> None:
    found = taken(act(1, 2, LOCKED), act(20, 21, UNLOCKED), rests=[minute(2)], tenants=["alfa"])
    assert found == {("S1/L1", "alfa"): [(1, 21)]}
    assert taken(act(1, 2, LOCKED), tenants=["alfa"]) == {("S1/L1", "alfa"): [(1, 60)]}, "until the job ends"


def test_a_lock_that_was_taken_back_takes_nothing_after_its_transaction() -> None:
    assert taken(act(1, 2, LOCKED, stays=False), tenants=["alfa"]) == {("S1/L1", "alfa"): [(1, 2)]}


def test_a_cell_that_shuts_down_or_is_deleted_is_taken_and_one_that_is_only_edited_is_not() -> None:
    assert taken(act(1, 2, switch(samples.NR_CELL, "SHUTTINGDOWN")), tenants=["beta"]) == {("S1/N1", "beta"): [(1, 60)]}
    gone = Edit(op=Op.DELETE, path=samples.LTE_CELL, owners=(HOST,))
    assert taken(act(1, 2, gone), tenants=["beta"]) == {("S1/L1", "beta"): [(1, 60)]}
    power = Edit(op=Op.MERGE, path=samples.LTE_CELL, after={"tac": "8"}, owners=(HOST,))
    assert taken(act(1, 2, power)) == {}


def test_a_link_that_is_set_up_again_takes_the_cells_of_its_technology_from_its_tenant_only() -> None:
    again = Edit(op=Op.MERGE, path=MME, after={"remoteAddress": "10.0.0.2"}, owners=("alfa",))
    assert taken(act(1, 2, again)) == {("S1/L1", "alfa"): [(1, 2)]}
    new = Edit(op=Op.CREATE, path=MME, after={"remoteAddress": "10.0.0.2"}, owners=("alfa",))
    assert taken(act(1, 2, new)) == {}


def test_a_restart_takes_all_cells_until_the_job_soaks_or_waits() -> None:
    everything = {(f"S1/{cell}", tenant) for cell in ("L1", "N1") for tenant in BOTH}
    assert taken(restart(1, 5), rests=[minute(8)]) == {key: [(1, 8)] for key in everything}
    assert taken(restart(1, 5), rests=[minute(0)], until=7) == {key: [(1, 7)] for key in everything}
    assert taken(restart(1, 5, OperationKind.RESET_UNIT, "N1"), until=5) == {
        ("S1/N1", tenant): [(1, 5)] for tenant in BOTH
    }
    assert taken(restart(1, 5, OperationKind.DOWNLOAD)) == {}


def test_a_function_takes_the_cells_of_its_stations_until_those_are_brought_back() -> None:
    found = taken(act(1, 5), device="DU-1", virtual=True, tenants=["alfa"], inside={"S1": minute(9), "S2": minute(30)})
    assert found == {(f"S1/{cell}", "alfa"): [(1, 9)] for cell in ("L1", "N1")}


def test_a_device_that_left_the_network_takes_nothing() -> None:
    assert taken(act(1, 3, LOCKED), device="gone") == {}


# ---------------------------------------------------------------- cells that work may have reached


def test_an_edit_reaches_its_cell_and_that_of_a_core_link_the_cells_of_its_technology() -> None:
    net = samples.network()
    assert reached(net, "S1", [change(LOCKED)]) == ("S1/L1",)
    assert reached(net, "S1", [change(switch(samples.NR_CELL, "LOCKED"), LOCKED)]) == ("S1/L1", "S1/N1")
    assert reached(net, "S1", [change(Edit(op=Op.DELETE, path=MME, owners=("alfa",)))]) == ("S1/L1",)


def test_what_may_reach_any_cell_is_not_known() -> None:
    net, one_unit = samples.network(), restart(1, 2, OperationKind.RESET_UNIT, "L1")
    assert reached(net, "S1", []) == ()
    assert reached(net, "S1", [change(LOCKED, Edit(op=Op.MERGE, path=samples.LTE, owners=(HOST,)))]) == ()
    assert reached(net, "S1", [change(LOCKED)], [restart(1, 2)]) == ()
    assert reached(net, "S1", [], [one_unit]) == ("S1/L1",)
    assert reached(net, "S1", [], [restart(1, 2, OperationKind.RESET_UNIT)]) == ()
    download = act(1, 2, operations=(Operation(kind=OperationKind.DOWNLOAD, seconds=60),))
    assert reached(net, "S1", [change(LOCKED)], [download]) == ("S1/L1",)
