"""Stations whose confirmed commit can't be trusted are known as such before anybody agrees to a change."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from controller.drivers.fake import SAFE
from controller.drivers.protocols import Capabilities
from controller.models.behaviour import TRUSTED, UNTRUSTED, Behaviour
from controller.models.network import Network
from controller.models.plan import Change
from controller.models.run import LedgerBefore
from controller.nrm.tree import Observed
from controller.plan import (
    Planning,
    StationView,
    administrative_state_change,
    applied,
    cycle_change,
    open_plmns_change,
    plan_station,
    recreate_endpoints_change,
    switch_router_change,
    undo_change,
    undo_job,
)
from controller.plan.functions import cordoned_change
from controller.plan.maintenance import removal_plan
from controller.runs.planning.planner import Planner
from controller.runs.rollout.group_decisions import LAST
from controller.runs.rollout.waves import ranks_in
from controller.runs.transaction.effects import astray
from tests.unit.plan import samples, test_routers
from tests.unit.plan.samples import PROFILES
from tests.unit.runs.transaction_bench import STATION, TARGET, UNSAFE, InstantStore, TransactionBench, add_tenant


@pytest.mark.parametrize("capabilities", [SAFE, UNSAFE, replace(SAFE, trustworthy=False)])
async def test_a_reading_tells_whether_the_station_reverts_by_itself(capabilities: Capabilities) -> None:
    bench = TransactionBench(add_tenant(capabilities))
    planner = Planner(InstantStore(bench.store), bench.devices, bench.clock, lambda _network, _station: TARGET)
    assert (await planner.read(samples.network(), STATION)).reverts(1) is capabilities.safe_commit


TWO, THREE = samples.network(), samples.network(("alfa", "beta", "gamma"))
LINK = f"{samples.LTE}/EP_S1C[alfa-mme]"
#: It takes one phase back by itself, and no second one: it accepts no further confirmed commit.
ONE_PHASE = Behaviour(follow_up=None)


def seen(network: Network, behaviour: Behaviour, lost: str = "") -> StationView:
    view = samples.view(network, edit={lost: None} if lost else {})
    assert view.observed is not None
    return replace(view, observed=replace(view.observed, behaviour=behaviour))


def planned(behaviour: Behaviour) -> Change | None:
    return samples.only_change(samples.plan(THREE, {STATION: seen(TWO, behaviour)}))


def restored(behaviour: Behaviour) -> Change | None:
    view = seen(TWO, behaviour, LINK)
    return plan_station(STATION, PROFILES, applied(view.ledger), view, samples.FREELY).change


def brought_back(behaviour: Behaviour) -> Change | None:
    planning = Planning(THREE, samples.intent(THREE), samples.FREELY)
    return planning.made(STATION, seen(TWO, behaviour)).change


def recreated(behaviour: Behaviour) -> Change | None:
    view = seen(TWO, behaviour)
    assert view.observed is not None
    return recreate_endpoints_change(STATION, PROFILES, view.observed, {LINK: ("alfa",)})


def removal() -> tuple[Change, StationView]:
    """The removal of a tenant, and the station after it."""
    options = replace(samples.FREELY, remove={"gamma": 100})
    start = seen(THREE, TRUSTED)
    planning = Planning(TWO, samples.intent(TWO), options)
    done = planning.made(STATION, start).change
    assert done is not None
    return done, samples.apply(TWO, done, start)


def undone(behaviour: Behaviour) -> Change | None:
    done, after = removal()
    assert after.observed is not None
    before = LedgerBefore(entries=tuple(entry for path, entry in samples.ledger(THREE).items() if path in done.lost))
    return undo_job(PROFILES, [done], replace(after.observed, behaviour=behaviour), before, after.ledger)


def taken_back(behaviour: Behaviour) -> Change | None:
    done, after = removal()
    assert after.observed is not None
    return undo_change(PROFILES, done, replace(after.observed, behaviour=behaviour))


def locked(behaviour: Behaviour) -> Change | None:
    view = seen(TWO, behaviour)
    assert view.observed is not None
    owners = {path: entry.owners for path, entry in view.ledger.items()}
    return administrative_state_change(STATION, PROFILES, view.observed, ["L1"], owners, "LOCKED")


def cycled(behaviour: Behaviour) -> Change | None:
    view = seen(TWO, behaviour)
    assert view.observed is not None
    owners = {path: entry.owners for path, entry in view.ledger.items()}
    return cycle_change(STATION, PROFILES, view.observed, ["L1"], owners)


def opened(behaviour: Behaviour) -> Change | None:
    start = samples.view(TWO)
    came = samples.only_change(samples.plan(THREE, {STATION: start}, replace(samples.FREELY, reserved=True)))
    after = samples.apply(THREE, came, start)
    assert after.observed is not None
    observed = replace(after.observed, behaviour=behaviour)
    return open_plmns_change(STATION, PROFILES, observed, "gamma", after.ledger)


def removed(behaviour: Behaviour) -> Change | None:
    view = seen(TWO, behaviour)
    assert view.observed is not None
    return removal_plan(STATION, PROFILES, view.observed, view.ledger).change


def switched(behaviour: Behaviour) -> Change | None:
    rendered = test_routers.wanted(test_routers.spare(), test_routers.NAME)
    view = test_routers.view(rendered, {**test_routers.BARE, **rendered.tree})
    assert view.observed is not None
    observed = replace(view.observed, behaviour=behaviour)
    return switch_router_change(test_routers.NAME, observed, view.ledger, standby=True)


def cordoned(behaviour: Behaviour) -> Change | None:
    observed = Observed({"/Pool[p]": {}}, behaviour=behaviour)
    return cordoned_change("p", observed, {}, "n", cordoned=True)


MAKERS = [
    planned, restored, brought_back, recreated, undone, taken_back, locked, cycled, opened, removed, switched, cordoned,
]  # fmt: skip


@pytest.mark.parametrize("make", MAKERS)
def test_each_change_says_whether_its_device_takes_it_back_by_itself(
    make: Callable[[Behaviour], Change | None],
) -> None:
    strong, weak, short = (make(behaviour) for behaviour in (TRUSTED, UNTRUSTED, ONE_PHASE))
    assert strong is not None and weak is not None and short is not None  # noqa: PT018
    assert (strong.reverts, weak.reverts) == (True, False)
    assert short.reverts is (len(short.phases) == 1)
    assert strong == weak.model_copy(update={"reverts": True})


@pytest.mark.parametrize("make", [planned, restored, recreated, undone])
def test_a_device_that_takes_nothing_back_goes_last(make: Callable[[Behaviour], Change | None]) -> None:
    for behaviour, rank in ((TRUSTED, {}), (UNTRUSTED, {STATION: LAST})):
        change = make(behaviour)
        assert change is not None
        plan = samples.plan(THREE, {STATION: samples.view(TWO)})
        plan = plan.model_copy(update={"changes": type(plan.changes).of([change])})
        assert ranks_in(plan, THREE) == rank


def test_what_a_diverged_undo_may_have_made_again_enters_the_ledger_where_nothing_takes_it_back() -> None:
    weak, strong = undone(UNTRUSTED), undone(TRUSTED)
    assert weak is not None
    assert strong is not None
    made = {edit.path for phase in weak.phases for edit in phase.edits}
    assert made
    assert {node.path for node in astray(weak)} >= made & {node.path for node in weak.gained} != set()
    assert astray(strong) == ()
