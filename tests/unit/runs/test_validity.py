"""What of a plan still follows from the network files and the agreements in force, when its run waited."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intent import compile_intent
from controller.models.errors import PlanRefusedError
from controller.models.network import Network, network_digest
from controller.models.plan import Change, PhaseKind, Plan
from controller.models.run import Outcome, Policy, Run, RunState
from controller.plan import PlanOptions, StationView, make_plan
from controller.runs.planning.validity import Basis, Validity, outdated
from controller.runs.rollout.transitions import OUTDATED
from tests.unit.plan import samples
from tests.unit.plan.samples import NOW, network
from tests.unit.playbook.functions_bench import FunctionBench

ALL = ("alfa", "beta", "gamma")
#: Stations as they are before a plan adds gamma.
BEFORE = {name: samples.view(network(), name) for name in ("S1", "S2")}


def basis(net: Network, at: datetime = NOW) -> Basis:
    return Basis(net, compile_intent(net, net.day(at)), at)


def changed(net: Network, kind: str, which: dict[str, str], **values: Any) -> Network:
    """Network files in which some objects of a kind have other values."""
    content = net.model_dump(mode="json")
    for one in content[kind]:
        if which.items() <= one.items():
            one.update(values)
    return Network.model_validate(content)


def plan_of(net: Network, views: dict[str, StationView] | None = None, at: datetime = NOW) -> Plan:
    intent = compile_intent(net, net.day(at))
    return make_plan(net, network_digest(net), intent, views or BEFORE, PlanOptions(max_share=1.0), at)


def void(made: Network, wanted: Network, changes: Iterable[Change] | None = None, at: datetime = NOW) -> set[str]:
    chosen = plan_of(made).changes if changes is None else changes
    return outdated(chosen, basis(made), basis(wanted, at), automatic=False)


FILES = network(ALL)


def test_the_same_files_on_the_same_day_leave_all_as_it_is() -> None:
    assert len(plan_of(FILES).changes) == 2
    assert void(FILES, FILES) == set()


def test_a_change_of_one_station_leaves_the_plan_of_others_as_it_is() -> None:
    bare = {name: samples.factory(name) for name in ("S1", "S2")}
    assert void(FILES, changed(FILES, "cells", {"station": "S2", "id": "L1"}, tac=9), plan_of(FILES, bare).changes) == {
        "S2"
    }


def test_what_a_plan_does_not_touch_may_change() -> None:
    assert void(FILES, changed(FILES, "cells", {"station": "S2", "id": "L1"}, tac=9)) == set()
    other = [{"dedicated": 5, "min": 10, "max": 80}]
    assert void(FILES, changed(FILES, "agreements", {"tenant": "beta"}, shares=other)) == set()


@pytest.mark.parametrize(
    ("kind", "which", "values"),
    [
        ("agreements", {"tenant": "gamma"}, {"shares": [{"dedicated": 5, "min": 10, "max": 80}]}),
        ("agreements", {"tenant": "gamma"}, {"scope": {"everywhere": True, "bands": ["B1"]}}),
        ("agreements", {"tenant": "gamma"}, {"validity": {"start": "2024-01-01", "end": "2026-06-14"}}),
        ("tenants", {"id": "gamma"}, {"plmns": ["716-09"]}),
    ],
)
def test_what_it_provisions_for_a_tenant_has_to_be_wanted_still(kind: str, which: Any, values: Any) -> None:
    assert void(FILES, changed(FILES, kind, which, **values)) == {"S1", "S2"}


def test_what_is_fitted_to_a_stations_own_names_depends_on_nodes_of_its_owners_alone() -> None:
    """A node under a name that the files do not have comes from some node of its owners, and of nobody else."""
    change = plan_of(FILES).changes.on("S1")
    assert change is not None
    (link,) = [node for node in change.gained if node.owners == ("gamma",) and "EP_S1C" in node.path][:1]
    named = link.model_copy(update={"path": link.path.replace("EP_S1C[", "EP_S1C[theirs-")})
    phases = [
        phase.model_copy(update={"edits": tuple(edit for edit in phase.edits if edit.owners == ("gamma",))})
        for phase in change.phases
    ]
    fitted = change.model_copy(update={"gained": (named,), "phases": tuple(phases)})
    share = [{"dedicated": 5, "min": 10, "max": 80}]
    for tenant, gone in (("alfa", set()), ("beta", set()), ("gamma", {"S1"})):
        assert void(FILES, changed(FILES, "agreements", {"tenant": tenant}, shares=share), [fitted]) == gone, tenant


def test_a_core_that_moved_is_another_link() -> None:
    (gamma,) = [one for one in FILES.model_dump(mode="json")["tenants"] if one["id"] == "gamma"]
    core = gamma["core"] | {"mme_pool": [{"id": "mme", "address": "10.3.0.99"}]}
    assert void(FILES, changed(FILES, "tenants", {"id": "gamma"}, core=core)) == {"S1", "S2"}


def test_an_agreement_that_ends_by_its_date_ends_what_waits_for_its_tenant() -> None:
    files = changed(FILES, "agreements", {"tenant": "gamma"}, validity={"start": "2024-01-01", "end": "2026-06-20"})
    ends = files.next_terms(NOW)
    # Midnight in Lima.
    assert ends is not None
    assert ends.isoformat() == "2026-06-21T05:00:00+00:00"
    assert void(files, files, at=ends - timedelta(seconds=1)) == set()
    assert void(files, files, at=ends) == {"S1", "S2"}
    assert files.next_terms(ends) is None


def test_what_is_done_for_others_goes_on_when_an_agreement_ends() -> None:
    files = changed(FILES, "agreements", {"tenant": "beta"}, validity={"start": "2024-01-01", "end": "2026-06-20"})
    assert files.next_terms(NOW) is not None
    assert void(files, files, at=NOW + timedelta(days=10)) == set()


def test_an_agreement_that_begins_does_not_stop_what_was_planned_before() -> None:
    files = changed(FILES, "agreements", {"tenant": "beta"}, validity={"start": "2026-06-20"})
    begins = files.next_terms(NOW)
    assert begins is not None
    assert begins.isoformat() == "2026-06-20T05:00:00+00:00"
    bare = {name: samples.factory(name) for name in ("S1", "S2")}
    # Beta was not planned, and the next plan adds it.
    assert void(files, files, plan_of(files, bare).changes, begins) == set()


def test_a_station_with_a_contract_error_is_not_changed() -> None:
    assert void(FILES, changed(FILES, "cells", {"station": "S1", "id": "L1"}, arfcn_dl=1)) >= {"S1"}


def test_those_whom_it_interrupts_have_to_have_agreed_to_the_same() -> None:
    moved = changed(FILES, "cells", {"station": "S1", "id": "L1"}, bandwidth_mhz=5)
    (change,) = [one for one in plan_of(moved, {"S1": samples.view(FILES, "S1")}).changes if one.station == "S1"]
    assert any(phase.kind is PhaseKind.LOCK for phase in change.phases)
    assert void(moved, moved, [change]) == set()
    windows = [{"days": ["sun"], "start": "01:00", "end": "04:00"}]
    assert void(moved, changed(moved, "agreements", {"tenant": "beta"}, windows=windows), [change]) == {"S1"}
    consents = {"interrupt": "approval"}
    assert void(moved, changed(moved, "agreements", {"tenant": "beta"}, consents=consents), [change]) == {"S1"}
    # Terms that ask for less end nothing: the run still waits for all that it was accepted under.
    asked = changed(moved, "agreements", {"tenant": "beta"}, windows=windows, consents=consents)
    fewer: list[dict[str, Any]] = [{"windows": []}, {"consents": {"interrupt": "standing"}}]
    for less in fewer:
        assert void(asked, changed(asked, "agreements", {"tenant": "beta"}, **less), [change]) == set(), less
    # It asks nobody about what it does not do.
    assert (
        void(moved, changed(moved, "agreements", {"tenant": "beta"}, consents={"reduce": "notice"}), [change]) == set()
    )


CELL = st.sampled_from([{"station": f"S{n}", "id": name} for n in (1, 2) for name in ("L1", "N1")])
TENANT = st.sampled_from([{"tenant": name} for name in ALL])
SHARE = st.fixed_dictionaries({"dedicated": st.just(5), "min": st.sampled_from([10, 20]), "max": st.just(80)})
OTHER_FILES = st.one_of(
    st.tuples(st.just("cells"), CELL, st.fixed_dictionaries({"tac": st.sampled_from([7, 8, 9])})),
    st.tuples(st.just("cells"), CELL, st.fixed_dictionaries({"pci": st.sampled_from([1, 2, 33])})),
    st.tuples(st.just("agreements"), TENANT, st.fixed_dictionaries({"shares": st.tuples(SHARE).map(list)})),
    st.tuples(
        st.just("agreements"),
        TENANT,
        st.fixed_dictionaries({"validity": st.sampled_from([{"start": "2026-06-20"}, {"start": "2024-01-01"}])}),
    ),
)


def edits_of(made: Plan | None, station: str) -> dict[str, Any]:
    change = None if made is None else made.changes.on(station)
    phases = [] if change is None else [phase for phase in change.phases if phase.kind is PhaseKind.EDIT]
    return {edit.path: (edit.op, edit.after) for phase in phases for edit in phase.edits}


@given(
    had=st.sampled_from([None, ("alfa",), ("alfa", "beta")]),
    others=st.lists(OTHER_FILES, max_size=3),
    days=st.sampled_from([0, 10]),
)
def test_what_holds_is_what_a_plan_made_today_would_do_too(had: Any, others: Sequence[Any], days: int) -> None:
    """Judged by a second way: another plan from the files in force, for stations as they are."""
    views = {n: samples.factory(n) if had is None else samples.view(network(had), n) for n in ("S1", "S2")}
    files, at = FILES, NOW + timedelta(days=days)
    for kind, which, values in others:
        files = changed(files, kind, which, **values)
    made = plan_of(FILES, views)
    gone = outdated(made.changes, basis(FILES), basis(files, at), automatic=False)
    try:
        fresh = plan_of(files, views, at)
    except PlanRefusedError:  # it would remove what nobody named
        fresh = None
    for station in (change.station for change in made.changes):
        before, now = edits_of(made, station), edits_of(fresh, station)
        if station not in gone and fresh is not None:
            assert before.items() <= now.items()
        if before == now:
            assert station not in gone


# ------------------------------------------------------------------------- on record


async def waiting(policy: Policy = Policy.STATION, files: Network = FILES) -> FunctionBench:
    """A run that brings two stations up, and waits for a freeze to end."""
    bench = FunctionBench(files)
    digest, _ = bench.store.networks.get()
    for name in ("S1", "S2"):
        bench.devices[name].unreachable = ""
        bench.store.devices.adopt(name, (), digest, "ana")
    plan = await bench.plan("*", expect=2)
    assert [change.station for change in plan.changes] == ["S1", "S2"]
    bench.store.freezes.add("network", NOW, bench.clock.now() + timedelta(days=2), "ana", "elections")
    await bench.begin(plan, policy)
    await bench.live(10)
    assert all(job.blocked for job in bench.jobs)
    return bench


def ends(bench: FunctionBench) -> dict[str, tuple[Outcome | None, str]]:
    return {job.station: (job.outcome, job.detail) for job in bench.jobs}


OTHERS = changed(FILES, "cells", {"station": "S2", "id": "L1"}, tac=9)


async def test_a_run_goes_on_where_its_plan_holds_and_ends_where_it_does_not() -> None:
    bench = await waiting()
    bench.load(OTHERS)
    (freeze,) = bench.store.freezes.find(bench.clock.now())
    bench.store.freezes.end(freeze.id, "ana")
    await bench.live(60)
    assert bench.outcomes == {"S1": None, "S2": None}, "nothing begins before it is judged"
    (wait,) = bench.store.runs.waits([bench.run_id])[bench.run_id]
    assert wait.what == "network files or agreements changed, and it is not known yet what of its plan still holds"
    assert (wait.who, wait.stations) == ("a scheduler", 2)
    await bench.judge()
    assert bench.store.runs.unjudged() == []
    await bench.work()
    assert ends(bench) == {"S1": (Outcome.SUCCEEDED, ""), "S2": (Outcome.CANCELLED, OUTDATED)}
    assert bench.devices["S2"].running == samples.factory("S2").observed.tree  # type: ignore[union-attr]
    run = bench.store.runs.get(bench.run_id)
    assert run.state is RunState.STOPPED
    assert run.outdated is not None


async def test_a_unit_is_whole_or_not_at_all() -> None:
    bench = await waiting(Policy.UNIT, changed(FILES, "stations", {"id": "S2"}, site="site-1"))
    assert len({job.unit for job in bench.jobs}) == 1
    bench.load(changed(bench.network, "cells", {"station": "S2", "id": "L1"}, tac=9))
    await bench.judge()
    await bench.work()
    assert ends(bench) == dict.fromkeys(("S1", "S2"), (Outcome.CANCELLED, OUTDATED))
    assert bench.store.runs.get(bench.run_id).started is not None


async def test_a_run_that_waits_over_the_end_of_an_agreement_is_judged_by_the_day_it_goes_on() -> None:
    validity = {"start": "2024-01-01", "end": "2026-06-16"}
    bench = await waiting(files=changed(FILES, "agreements", {"tenant": "gamma"}, validity=validity))
    run = bench.store.runs.get(bench.run_id)
    assert run.judge_from == bench.network.next_terms(NOW)
    await bench.judge()
    assert bench.store.runs.get(bench.run_id) == run, "it is not due"
    (freeze,) = bench.store.freezes.find(bench.clock.now())
    bench.store.freezes.end(freeze.id, "ana")
    await bench.clock.advance(2 * 86400)
    await bench.live(60)
    assert bench.outcomes == {"S1": None, "S2": None}
    await bench.judge()
    await bench.work()
    assert ends(bench) == dict.fromkeys(("S1", "S2"), (Outcome.CANCELLED, OUTDATED))


async def test_a_station_that_left_the_files_is_not_changed() -> None:
    bench = await waiting()
    content = FILES.model_dump(mode="json")
    content["stations"] = [one for one in content["stations"] if one["id"] != "S2"]
    content["cells"] = [one for one in content["cells"] if one["station"] != "S2"]
    bench.load(Network.model_validate(content))
    await bench.judge()
    assert [job.station for job in bench.jobs if job.outdated] == ["S2"]


async def test_files_that_come_while_it_is_judged_are_judged_next() -> None:
    bench = await waiting()
    bench.load(OTHERS)
    digest, _ = bench.store.networks.get()
    bench.load(FILES)
    assert not bench.store.runs.judge(bench.run_id, digest, [job.id for job in bench.jobs], None)
    assert not any(job.outdated for job in bench.jobs)
    assert [one.id for one in bench.store.runs.unjudged()] == [bench.run_id]
    await bench.judge()
    assert bench.store.runs.unjudged() == []
    assert not any(job.outdated for job in bench.jobs), "the files of its plan are back"


async def test_one_run_that_can_not_be_judged_delays_no_other(monkeypatch: pytest.MonkeyPatch) -> None:
    bench = await waiting()
    validity = Validity(bench.services().planner, bench.clock)
    (known,) = bench.store.runs.active()
    run = bench.store.runs.get(known)
    seen = []

    async def one(asked: Run) -> None:
        seen.append(asked.id)
        raise RuntimeError

    async def unjudged() -> list[Run]:
        return [run, run.model_copy(update={"id": "r-other"})]

    monkeypatch.setattr(validity, "_judge", one)
    monkeypatch.setattr(validity._store.runs, "unjudged", unjudged, raising=False)
    await validity.step()
    assert seen == [run.id, "r-other"]
