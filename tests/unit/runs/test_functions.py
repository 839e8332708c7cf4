"""Functions and pools are devices: what holds a station holds its functions, and who is served by one has a say."""

from __future__ import annotations

from datetime import timedelta

import pytest

from controller.intent.impact import Sharing, object_class_of
from controller.inventory.selectors import select, select_with_ways
from controller.models.alarm import UNREACHABLE, AlarmReport, AlarmSource, ObjectClass, PerceivedSeverity
from controller.models.approval import Freeze, RunConstraints
from controller.models.errors import InputError
from controller.models.network import DeviceKind, Router
from controller.models.plan import Change, Edit, Fingerprint, Op, Phase, PhaseKind
from controller.models.run import Hold, Holds, LedgerEntry
from controller.models.sharing import ActionClass
from controller.nrm.tree import Path
from controller.plan import nodes_behind, ranks_of
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.reach import reach
from controller.playbook.language.check import check_devices
from controller.playbook.language.playbook import Playbook
from controller.runs.approval.clearance import clearances, places_of
from controller.runs.approval.consent import RunOccasion, effect_on, run_constraints
from controller.runs.rollout.waves import units_of
from controller.store import ClearanceInput
from tests.unit.plan import samples

NETWORK = samples.virtual()
LEDGER: dict[str, dict[Path, LedgerEntry]] = {name: samples.ledger(NETWORK, name) for name in ("S1", "S2")}
#: Sites of both stations have a window, each another one.
WINDOWS = {
    "sites": [
        {**site.model_dump(), "windows": [{"days": ["sun"], "start": f"0{n}:00", "end": "05:00"}]}
        for n, site in enumerate(NETWORK.sites, 1)
    ]
}


def test_a_function_stands_where_its_stations_do() -> None:
    kinds = {name: NETWORK.device_kinds[name] for name in ("S1", "DU-1", "edge-1")}
    assert list(kinds.values()) == [DeviceKind.STATION, DeviceKind.FUNCTION, DeviceKind.POOL]
    assert NETWORK.stations_behind("CU-1") == ("S1", "S2")
    assert NETWORK.sites_behind("CU-1") == ("site-1", "site-2")
    assert NETWORK.stations_in == {"DU-1": ("S1",), "DU-2": ("S2",)}
    assert (NETWORK.site_of("DU-2"), NETWORK.site_of("edge-1")) == ("site-2", "")
    assert {NETWORK.region_of(device) for device in NETWORK.device_kinds} == {"r"}
    assert NETWORK.profiles_of("DU-1") == ("function",)
    assert NETWORK.backhaul_above("DU-1") == ()


@pytest.mark.parametrize(
    ("selector", "found"),
    [
        ("function=*", ("CU-1", "DU-1", "DU-2", "UP-1", "UP-ALFA")),
        ("function=DU-*,site=site-2", ("DU-2",)),
        ("function=*,site=site-2", ("CU-1", "DU-2", "UP-1")),
        ("function=*,owner=alfa", ("UP-ALFA",)),
        ("function=DU-1,tenant=beta", ("DU-1",)),
        ("pool=*", ("edge-1", "edge-2")),
        ("device=CU-1|S1", ("CU-1", "S1")),
        ("*", ("S1", "S2")),
    ],
)
def test_functions_are_selected_by_their_key(selector: str, found: tuple[str, ...]) -> None:
    assert select(NETWORK, selector) == found


def test_the_router_of_a_station_comes_along_with_the_function_that_it_lives_in() -> None:
    router = Router(id="RT-1", site="site-1", address="10.0.0.9", host_key="ssh-ed25519 AAAA")
    network = NETWORK.model_copy(update={"routers": (router,)})
    assert select_with_ways(network, "function=DU-1") == ("DU-1", "RT-1")
    assert select_with_ways(network, "function=CU-1") == ("CU-1",)
    assert select_with_ways(network, "device=DU-1") == ("DU-1",)
    with pytest.raises(InputError, match="no such function: 'DU-9'"):
        select(network, "function=DU-9")


@pytest.mark.parametrize(
    ("target", "held"),
    [
        ("S1", {"S1", "DU-1", "CU-1", "UP-1", "UP-ALFA"}),
        ("site:site-2", {"S2", "DU-2", "CU-1", "UP-1"}),
        ("edge-1", {"edge-1"}),
    ],
)
def test_a_hold_stops_the_functions_that_serve_there(target: str, held: set[str]) -> None:
    hold = Hold(id="h-1", target=target, by="rosa", reason="mast", created=samples.NOW)
    bound = {
        device
        for device in NETWORK.device_kinds
        if Holds([hold]).on(device, NETWORK.site_of(device), NETWORK.bound_by(device))
    }
    assert bound == held == set(hold.targets(NETWORK))


def constraints(device: str, **changes: object) -> RunConstraints:
    network = samples.virtual(**changes)  # type: ignore[arg-type]
    tenants = {owner for node in nodes_behind(network, device, LEDGER) for owner in node.owners} - {"host"}
    asked = RunOccasion("s", samples.NOW)
    return run_constraints(network, [effect_on(device, tenants, ActionClass.INTERRUPT)], asked)


def test_whoever_a_function_serves_is_asked_and_its_windows_bind() -> None:
    agreements = [
        {**one.model_dump(), "consents": {"interrupt": "approval"}, "approvals_needed": 1} for one in NETWORK.agreements
    ]
    shared = constraints("CU-1", agreements=agreements, **WINDOWS)
    assert [(one.side, one.action) for one in shared.requirements] == [("alfa", "interrupt"), ("beta", "interrupt")]
    bound = shared.of("CU-1")
    assert bound is not None
    assert len(bound.calendars) == 2
    own = constraints("UP-ALFA", agreements=agreements)
    assert own.tenants == ("alfa",)


@pytest.mark.parametrize("target", ["region:r", "site:site-2", "tenant:beta", "network"])
def test_a_freeze_where_a_function_serves_stops_it(target: str) -> None:
    day = timedelta(days=1)
    freeze = Freeze(
        id="f-1",
        target=target,
        begins=samples.NOW - day,
        ends=samples.NOW + day,
        created=samples.NOW,
        by="ana",
        reason="Christmas",
    )
    standing = ClearanceInput(constraints=constraints("CU-1"), requester="ana", seconds=60.0, freezes=(freeze,))
    assert "Christmas" in clearances(standing, samples.NOW)["CU-1"].blocked
    assert {"region:r", "site:site-1", "site:site-2"} < places_of(NETWORK, "CU-1")


def change(device: str, path: Path, op: Op = Op.CREATE) -> Change:
    edit = Edit(op=op, path=path, owners=("host",))
    phase = Phase(kind=PhaseKind.EDIT, edits=(edit,), inverse=())
    fingerprint = Fingerprint(paths=(), digest="")
    return Change(station=device, phases=(phase,), diff=(), touched=(), fingerprint=fingerprint, reverts=True)


def test_a_function_goes_before_its_stations_and_leaves_after_them() -> None:
    du, cell = "/Function[DU-1]/Deployment[edge-1]", f"{samples.LTE_CELL}/x[1]"
    coming = [change("DU-1", du), change("S1", cell), change("S2", cell)]
    assert ranks_of(coming, NETWORK) == {"S1": 1}
    assert set(units_of(coming, NETWORK)) == {("DU-1", "S1"), ("S2",)}
    leaving = [change("DU-1", du, Op.DELETE), change("S1", cell, Op.DELETE)]
    assert ranks_of(leaving, NETWORK) == {"DU-1": 1}
    assert set(units_of([], NETWORK, ["CU-1", "S1", "S2"])) == {("CU-1", "S1", "S2")}


def test_what_a_function_reaches_is_what_it_serves() -> None:
    reached = reach(NETWORK, ["CU-1"], None, LEDGER)
    assert (reached.stations, reached.cells, reached.tenants) == (1, 4, ("alfa", "beta"))
    report = AlarmReport(
        station="CU-1",
        object="function",
        object_class=object_class_of(NETWORK, "CU-1", "function"),
        probable_cause=UNREACHABLE,
        severity=PerceivedSeverity.MAJOR,
        text="",
        source=AlarmSource.CHECK,
        at=samples.NOW,
    )
    assert report.object_class is ObjectClass.FUNCTION
    impact = Sharing(NETWORK, samples.DAY).impact_of(report)
    assert (len(impact.cells), set(impact.tenants)) == (4, {"alfa", "beta"})


def test_a_step_for_stations_is_refused_on_a_function() -> None:
    step = {"name": "restart", "action": "restart-station"}
    playbook = Playbook.model_validate({"name": "own", "description": "d", "targets": "function=*", "steps": [step]})
    with pytest.raises(InputError, match="restart-station is for stations only, and DU-1 is a function"):
        check_devices(playbook, registry(), {}, NETWORK, ["DU-1"])
    spared = playbook.model_copy(
        update={"steps": (playbook.steps[0].model_copy(update={"when": "{{ not target.function }}"}),)}
    )
    check_devices(spared, registry(), {}, NETWORK, ["DU-1", "S1"])
