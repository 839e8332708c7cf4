"""What a tenant sees of nodes and lines that are several tenants'."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from controller.access.disclosure import (
    TenantAlarm,
    TenantChange,
    TenantFunction,
    TenantHealth,
    TenantIncident,
    TenantJob,
    TenantPlan,
    TenantRun,
    TenantStation,
    asked_of,
    involved,
    part_of,
    shows,
    visible_act,
    visible_comment,
    visible_config,
    visible_health,
    visible_measured,
    visible_rows,
)
from controller.access.tenant_scope import TenantScope, live_scope, tenant_scope
from controller.intent.impact import Sharing
from controller.models.alarm import (
    Alarm,
    AlarmFilter,
    AlarmPart,
    AlarmSource,
    AlarmState,
    Comment,
    ObjectClass,
    PerceivedSeverity,
    ToldAlarm,
)
from controller.models.facts import Finding, Severity
from controller.models.health import Health, LinkHealth, ServiceState
from controller.models.measurement import Measured
from controller.models.network import HOST, Network, OwnCell, network_digest
from controller.models.outage import FOR_GOOD, NO_OUTAGE, Outage
from controller.models.plan import Change, DiffRow, Edit, Fingerprint, Op, Phase, PhaseKind
from controller.models.run import AuditRow, Job, JobState, LedgerEntry, Outcome, Run, RunState, Strategy
from controller.plan import seal
from tests.unit.plan import samples

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
NETWORK = samples.network(("alfa", "beta"))
OWN, THEIRS, BOTH, HOSTS = ("/ManagedElement[S1]/" + name for name in ("A[1]", "B[1]", "AB[1]", "H[1]"))


def seen(tenant: str) -> TenantScope:
    return tenant_scope(network_digest(NETWORK), NETWORK, tenant)


def test_a_node_of_several_owners_is_disclosed_to_none_of_them() -> None:
    owners = {OWN: ("alfa",), THEIRS: ("beta",), BOTH: ("alfa", "beta"), HOSTS: (HOST,)}
    ledger = {path: LedgerEntry(station="S1", path=path, owners=who, leaves={}) for path, who in owners.items()}
    tree = {path: {"secret": path} for path in owners}
    for tenant, own in (("alfa", OWN), ("beta", THEIRS)):
        assert visible_config(seen(tenant), "S1", tree, tree, ledger) == ({own: tree[own]}, {own: tree[own]})


def row(tenant: str, cell: str = "L1") -> DiffRow:
    return DiffRow(cell=cell, tenant=tenant, what=f"of {tenant}", before="1", after="2")


def test_a_line_about_several_tenants_names_no_other_one() -> None:
    change = Change(
        station="S1",
        phases=(),
        diff=(
            row("alfa, beta"),
            row("alfa"),
            row("beta"),
            row(HOST),
            row(HOST, "elsewhere"),
            row(HOST).model_copy(update={"what": "neighbour relation S2.N9", "elsewhere": True}),
            row("alfabet"),
            row("zeta"),
        ),
        touched=("alfa", "beta"),
        fingerprint=Fingerprint(paths=(), digest=""),
        reverts=True,
    )
    assert [(one.tenant, one.what) for one in visible_rows(seen("alfa"), change)] == [
        ("alfa", "of alfa, beta"),
        ("alfa", "of alfa"),
        (HOST, f"of {HOST}"),
    ]


def on_cells(*cells: str) -> Network:
    """A network where beta is on these cells only, and alfa is everywhere."""
    agreements = [one.model_dump() for one in NETWORK.agreements]
    agreements[1]["scope"] = {"cells": cells}
    return samples.network(("alfa", "beta"), agreements=agreements)


PARTIAL = on_cells("S1/L1")


def partial(tenant: str = "beta") -> TenantScope:
    """What beta sees where it is on the LTE cell of the first station only."""
    return tenant_scope(network_digest(PARTIAL), PARTIAL, tenant)


def of_beta(network: Network, cells: Iterable[str]) -> tuple[str, ...]:
    """Those of these cells that are shared with beta."""
    return Sharing(network, NOW.date()).tenants_at(cells).get("beta", ())


def told_to_beta(made: Alarm, network: Network = PARTIAL, before: AlarmPart | None = None) -> ToldAlarm:
    """An alarm as beta is told of it."""
    part = part_of(network, made, "beta", of_beta(network, made.cells), before)
    assert part is not None
    cells = part.cells if made.cleared is None else part.ever
    return ToldAlarm(**dict(made) | {"cells": cells}, told_to="beta", part=part)


def test_of_a_shared_cell_its_state_is_disclosed_and_nothing_else() -> None:
    """Of the cell's configuration only the administrative state, and of cells that are not shared nothing."""
    cell = {"administrativeState": "UNLOCKED", "pci": "1", "userLabel": "secret"}
    state = {"operationalState": "ENABLED", "cellState": "ACTIVE", "load": "7"}
    tree = {samples.LTE_CELL: cell, samples.NR_CELL: cell}
    nodes, states = visible_config(
        partial(), "S1", tree, {samples.LTE_CELL: state, samples.NR_CELL: state, "/elsewhere": state}, {}
    )
    assert nodes == {}
    assert list(states) == [samples.LTE_CELL]
    assert states[samples.LTE_CELL].items() >= {"operationalState": "ENABLED"}.items()
    assert not {"pci", "userLabel", "load"} & states[samples.LTE_CELL].keys()


def test_of_a_stations_health_shared_cells_and_own_links_are_disclosed() -> None:
    links = tuple(
        LinkHealth(path=f"/{name}", tenant=name, kind="s1", state=ServiceState.UP) for name in ("alfa", "beta", HOST)
    )
    health = Health(
        station="S1", at=NOW, reachable=False, cells={"L1": ServiceState.UP, "N1": ServiceState.DOWN},
        odd={"L1": "cellState 'on'", "N1": "cellState 'off'"}, locked=("L1", "N1"), links=links,
    )  # fmt: skip
    told = TenantHealth.of(partial(), health, NOW)
    assert told == TenantHealth(
        at=NOW, reachable=False, cells={"L1": ServiceState.UP}, odd={"L1": "cellState 'on'"}, locked=("L1",),
        links=(links[1],),
    )  # fmt: skip
    station = TenantStation.of(partial(), "S1", health, NOW)
    assert (station.station, station.site, station.region, station.health) == ("S1", "site-1", "r", told)
    assert station.profiles == samples.PROFILES
    assert TenantStation.of(partial(), "S1", None, NOW).health is None


def test_before_and_after_an_agreement_nothing_live_is_disclosed() -> None:
    """Of a station where no agreement is in force, neither what cells do nor whether it answers."""
    content = [one.model_dump() for one in PARTIAL.agreements]
    content[1]["validity"] = {"start": "2026-03-02", "end": "2026-03-05"}
    net = samples.network(("alfa", "beta"), agreements=content)
    health = Health(station="S1", at=NOW, reachable=True, cells={"L1": ServiceState.UP}, locked=("L1",))
    state = {samples.LTE_CELL: {"operationalState": "ENABLED"}}
    link = {OWN: {"operationalState": "ENABLED"}}
    ledger = {OWN: LedgerEntry(station="S1", path=OWN, owners=("beta",), leaves={})}
    whole = Measured(station="S1", begin=NOW, seconds=900, covered=900, cells={"L1": {}})
    for day, disclosed in ((1, False), (2, True), (5, True), (6, False)):
        live = live_scope(network_digest(net), net, "beta", NOW.date().replace(day=day))
        station = TenantStation.of(live, "S1", health, NOW)
        assert (station.station, station.health is not None) == ("S1", disclosed), day
        assert bool(visible_config(live, "S1", {}, state, {})[1]) is disclosed, day
        assert bool(visible_config(live, "S1", {}, link, ledger)[1]) is disclosed, day
        assert bool(visible_measured(live, whole).cells) is disclosed, day


@pytest.mark.parametrize(
    ("turn", "before", "after", "told"),
    [
        (None, None, 0, -3),  # no turn yet: the check itself
        (-10, None, 0, -10),  # the first turn
        (-10, -40, 5, -10),
        (-10, -40, 4.9, -40),  # a change may keep a check waiting for less than half of the time
        (-100, -130, 0, -100),
    ],
)
def test_a_check_is_told_by_the_turn_of_its_station(
    turn: float | None, before: float | None, after: float, told: float
) -> None:
    """A check at three seconds before the hour, by when the turns were, asked for some time after the hour."""

    def at(seconds: float | None) -> datetime | None:
        return None if seconds is None else NOW + timedelta(seconds=seconds)

    earlier = Health(station="S1", at=NOW, reachable=True, turn=at(before))
    checked = Health(station="S1", at=NOW - timedelta(seconds=3), reachable=True).in_turn(at(turn), earlier)
    now = NOW + timedelta(seconds=after)
    assert TenantHealth.of(partial(), checked, now).at == visible_health("beta", (), checked, now).at == at(told)


def test_checks_between_turns_keep_the_turn() -> None:
    seen = [Health(station="S1", at=NOW + timedelta(seconds=number), reachable=True) for number in range(5)]
    turns = [NOW - timedelta(seconds=90), NOW - timedelta(seconds=60)]
    known: Health | None = None
    found = []
    for one, turn in zip(seen, (None, turns[0], turns[0], turns[1], None), strict=True):
        known = one.in_turn(turn, known)
        found.append((known.turn, known.turn_before))
    assert found == [(None, None), (turns[0], None), (turns[0], None), (turns[1], turns[0]), (turns[1], turns[0])]


def change(kind: PhaseKind = PhaseKind.EDIT, path: str = samples.LTE_CELL, **more: Any) -> Change:
    edit = Edit(op=Op.MERGE, path=path, before={"pci": "1"}, after={"pci": "2"}, owners=(HOST,))
    given: dict[str, Any] = {
        "station": "S1", "phases": (Phase(kind=kind, edits=(edit,), inverse=()),), "diff": (), "touched": (),
        "fingerprint": Fingerprint(paths=(), digest=""), "outage": Outage.timed(30), "removes": {"alfa": 2, "beta": 3},
        "reverts": True,
    }  # fmt: skip
    return Change(**given | more)


@pytest.mark.parametrize(
    ("made", "interrupts"),
    [
        (change(), False),
        (change(PhaseKind.UNLOCK), False),
        (change(PhaseKind.LOCK), True),
        (change(PhaseKind.LOCK, samples.NR_CELL), False),
        (change(interrupted=("beta",)), True),
        (change(interrupted=("alfa",)), False),
        (change(withdrawn={"alfa": ("L1",)}), False),
    ],
)
def test_an_outage_is_disclosed_to_those_whom_it_is_about(made: Change, interrupts: bool) -> None:
    told = TenantChange.of(partial(), made)
    assert (told.station, told.interrupts, told.outage) == ("S1", interrupts, made.outage if interrupts else NO_OUTAGE)
    assert told.removes == 3
    assert TenantChange.of(partial(), made.model_copy(update={"removes": {"alfa": 2}})).removes == 0


def test_a_tenant_is_told_which_cells_it_loses_for_good_and_nothing_of_those_that_others_lose() -> None:
    told = TenantChange.of(partial(), change(outage=NO_OUTAGE, withdrawn={"alfa": ("N1",), "beta": ("L1",)}))
    assert (told.interrupts, told.outage, told.withdrawn) == (True, FOR_GOOD, ("L1",))


def test_of_a_plan_a_tenant_sees_the_stations_that_concern_it() -> None:
    others = change(station="S2", touched=("alfa", HOST))
    touching = change(touched=("beta", HOST), diff=(row("beta"), row("alfa")))
    assert involved(others) == {"alfa"}
    assert involved(change(touched=(HOST,), interrupted=("beta",))) == {"beta"}
    plan = seal(created=NOW, network="n", network_digest="d", selector="*", changes=(touching, others))
    told = TenantPlan.of(partial(), "handle", plan)
    assert (told.id, told.created, [one.station for one in told.changes]) == ("handle", NOW, ["S1"])
    assert [one.tenant for one in told.changes[0].diff] == ["beta"]


def test_what_an_undo_leaves_since_others_changed_it_is_not_told() -> None:
    """Neither that a part stays, nor because of which run: the tenant is told of the part that goes back."""
    back = change(touched=("beta", HOST), diff=(row("beta"),))
    why = Finding(
        "stays-as-it-is", Severity.WARNING, "S1: changed since: run r-gamma (apply) changed RRMPolicyRatio", "S1", "L1"
    )
    left = back.model_copy(update={"left": ("/ManagedElement[S1]/B[1]",), "as_of": NOW})
    said = {"findings": (why,), "undoes": "r-1", "unplanned": {"S2": why.message}}
    plain = seal(created=NOW, network="n", network_digest="d", selector="*", changes=(back,))
    undo = seal(created=NOW, network="n", network_digest="d", selector="*", changes=(left,)).model_copy(update=said)
    assert TenantPlan.of(partial(), "handle", plain) == TenantPlan.of(partial(), "handle", undo)


# -------------------------------------------------------------------------- runs

RUN = Run(
    id="r", procedure="apply", plan="p", state=RunState.STOPPED, strategy=Strategy(), cause="person",
    requested_by="ana", created=NOW, waves=9,
)  # fmt: skip


def job(
    outcome: Outcome | None = None, state: JobState = JobState.DONE, begun: int | None = 1, ended: int | None = 2
) -> Job:
    started, finished = (None if minutes is None else NOW + timedelta(minutes=minutes) for minutes in (begun, ended))
    return Job(
        id="r.3.S1", run="r", wave=3, station="S1", state=state, outcome=outcome, started=started, finished=finished
    )


@pytest.mark.parametrize(
    ("state", "told"),
    [
        (JobState.WAITING, JobState.WAITING),
        (JobState.READY, JobState.WAITING),
        (JobState.CLAIMED, JobState.CLAIMED),
        (JobState.DONE, JobState.DONE),
    ],
)
def test_a_job_does_not_tell_which_wave_is_open(state: JobState, told: JobState) -> None:
    shown = TenantJob.of(job(Outcome.SUCCEEDED, state))
    assert shown.state is told
    assert shown.model_dump(exclude={"state"}) == {
        "run": "r", "station": "S1", "outcome": Outcome.SUCCEEDED, "started": NOW + timedelta(minutes=1),
        "finished": NOW + timedelta(minutes=2),
    }  # fmt: skip


WAITING = job(None, JobState.WAITING, None, None)


@pytest.mark.parametrize(
    ("jobs", "state"),
    [
        ([WAITING, WAITING], RunState.QUEUED),
        ([job(None, JobState.CLAIMED, 1, None), WAITING], RunState.RUNNING),
        ([job(Outcome.SUCCEEDED), WAITING], RunState.RUNNING),
        ([job(Outcome.SUCCEEDED), job(Outcome.UNCHANGED)], RunState.SUCCEEDED),
        ([job(Outcome.SUCCEEDED), job(Outcome.ROLLED_BACK)], RunState.PARTIAL),
        ([job(Outcome.REFUSED), job(Outcome.ROLLED_BACK)], RunState.FAILED),
        ([job(Outcome.CANCELLED), job(Outcome.SUCCEEDED)], RunState.CANCELLED),
        ([job(Outcome.CANCELLED), job(Outcome.DIVERGED), job(Outcome.SUCCEEDED)], RunState.DIVERGED),
    ],
)
def test_a_run_is_shown_as_if_it_were_about_the_tenants_stations_only(jobs: list[Job], state: RunState) -> None:
    assert TenantRun.of(RUN, "", jobs).state is state


def test_a_run_began_with_its_first_job_and_ended_with_its_last() -> None:
    first, second = job(Outcome.SUCCEEDED, begun=3, ended=4), job(Outcome.UNCHANGED, begun=1, ended=9)
    ended = TenantRun.of(RUN, "handle", [first, second])
    assert (ended.started, ended.finished) == (second.started, second.finished)
    assert ended.counts == {"succeeded": 1, "unchanged": 1}
    assert (ended.id, ended.procedure, ended.plan, ended.created) == ("r", "apply", "handle", NOW)
    going_on = TenantRun.of(RUN, "handle", [first, WAITING, WAITING])
    assert (going_on.started, going_on.finished) == (first.started, None)
    assert list(going_on.counts.items()) == [("pending", 2), ("succeeded", 1)]
    assert TenantRun.of(RUN, "", [WAITING]).started is None


# ------------------------------------------------------------------------ alarms


def alarm(**changed: Any) -> Alarm:
    given: dict[str, Any] = {
        "id": "a", "station": "S1", "object": "S1/L1", "object_class": ObjectClass.CELL, "tenant": "",
        "probable_cause": "cell-down", "specific_problem": "x", "severity": PerceivedSeverity.MAJOR,
        "text": "MME 10.2.0.1 is away", "source": AlarmSource.CHECK, "state": AlarmState.RAISED, "raised": NOW,
        "changed": NOW, "note": "ana sees to it", "run": "r", "count": 3, "cells": ("S1/L1", "S1/N1", "S2/L1"),
    }  # fmt: skip
    return Alarm(**given | changed)


@pytest.mark.parametrize(("tenant", "text"), [("beta", "MME 10.2.0.1 is away"), ("", "")])
def test_the_words_of_a_shared_alarm_are_not_disclosed(tenant: str, text: str) -> None:
    made = alarm(tenant=tenant)
    told = TenantAlarm.of(told_to_beta(made))
    assert told.text == text
    assert told.cells == ("S1/L1",)
    kept = made.model_dump(include=set(TenantAlarm.model_fields) - {"text", "cells"})
    assert told.model_dump(exclude={"text", "cells", "until", "announced"}) == kept


LINK = "/ManagedElement[S1]/ENBFunction[1]/EP_S1C[beta-mme]"


@pytest.mark.parametrize(
    ("changed", "station", "named"),
    [
        ({}, "S1", True),
        ({"object": samples.LTE_CELL}, "S1", True),
        ({"object": "S1/N1"}, "S1", False),
        # Read from the record, equal names are not the same objects.
        ({"object": "S1/N1", "tenant": "".join(("be", "ta"))}, "S1", True),
        (
            {"object": LINK, "object_class": ObjectClass.CORE_LINK},
            "S1",
            True,
        ),
        (
            {
                "object": "/ManagedElement[S1]/ENBFunction[1]/EP_S1C[beta-mme]/Alfa[716-01]",
                "object_class": ObjectClass.CORE_LINK,
            },
            "S1",
            False,
        ),
        ({"object": "/ManagedElement[S1]/Alfa[716-01]/EUtranCellFDD[L1]"}, "S1", False),
        ({"object": "/ManagedElement[S1]", "object_class": ObjectClass.STATION}, "S1", False),
        ({"object": "/ManagedElement[S1]/Unit[1]", "object_class": ObjectClass.BACKHAUL}, "S1", False),
        ({"station": "S2", "object": "S2/L1"}, "", False),
    ],
)
def test_only_what_is_shared_is_named(changed: dict[str, Any], station: str, named: bool) -> None:
    made = alarm(**changed)
    told = TenantAlarm.of(told_to_beta(made))
    assert told.station == station
    assert told.object == (made.object if named else made.object_class.value)


@pytest.mark.parametrize("tenant", ["beta", ""])
@pytest.mark.parametrize(
    "changed",
    [
        *({name: value} for name, value in {
            "severity": PerceivedSeverity.MINOR, "state": AlarmState.REPAIRING, "cleared": NOW, "text": "other words",
            "source": AlarmSource.VES, "note": "shelved for beta", "run": "r-2", "count": 9, "acknowledged": NOW,
            "acknowledged_by": "ana", "shelved_until": NOW, "escalated": NOW, "root": "a-2", "incident": "i-2",
            "tenants": ("alfa", "beta"), "functions": ("F",), "seen": NOW, "ended": NOW, "released": NOW,
            "cells": ("S1/L1",),
        }.items()),
        {"cells": ("S1/N1", "S2/L1")}, {"cells": ("S1/L1", "S1/N1", "S2/L1", "S2/N1")}, {},
    ],
)  # fmt: skip
def test_an_alarm_changes_for_a_tenant_where_it_is_told_otherwise(changed: dict[str, Any], tenant: str) -> None:
    was = alarm(tenant=tenant)
    now = alarm(tenant=tenant, **changed)
    first, second = told_to_beta(was), told_to_beta(now)
    moved = first.part != second.part
    assert (shows(was, now) or moved) is (TenantAlarm.of(first) != TenantAlarm.of(second))


@pytest.mark.parametrize("tenant", ["", "beta"])
def test_an_alarm_concerns_who_shares_something_of_it_and_nobody_who_does_no_more(tenant: str) -> None:
    made = alarm(tenant=tenant)
    both, nowhere = on_cells("S1/L1", "S1/N1"), samples.network(("alfa",))
    part = told_to_beta(made, both).part
    assert (part.cells, part.sites, part.left_cells) == (("S1/L1", "S1/N1"), both.people_by_site(["S1/L1"]), ())
    less = told_to_beta(made, PARTIAL, part).part
    assert (less.cells, less.left_cells, less.ever) == (("S1/L1",), ("S1/N1",), ("S1/L1", "S1/N1"))
    assert told_to_beta(made, both, less).part == part, "it came back"
    for network in (nowhere, on_cells("S2/N1")):
        assert part_of(network, made, "beta", of_beta(network, made.cells), less) is None
    # An alarm that names none of its cells concerns it where it is told of the station.
    own = alarm(tenant="beta", cells=(), object="/link", object_class=ObjectClass.CORE_LINK)
    assert part_of(PARTIAL, own, "beta", ()) == AlarmPart(there=True, named=True)
    assert part_of(on_cells("S2/L1"), own, "beta", ()) is None
    # A core node of its own is on no station.
    node = alarm(tenant="beta", cells=(), station="", object="mme", object_class=ObjectClass.CORE_NODE)
    assert part_of(on_cells("S2/L1"), node, "beta", ()) == AlarmPart(there=False, named=True)
    assert part_of(nowhere, node, "beta", ()) is None


def test_cells_that_a_fault_no_longer_affects_were_not_left() -> None:
    part = told_to_beta(alarm(), on_cells("S1/L1", "S1/N1")).part
    assert told_to_beta(alarm(cells=("S1/L1",)), PARTIAL, part).part.ever == ("S1/L1",)


def test_an_alarm_that_is_over_names_the_cells_that_it_took_and_people_of_their_sites() -> None:
    part = told_to_beta(alarm(), on_cells("S1/L1", "S2/L1")).part
    assert set(part.sites) == {"site-1", "site-2"}
    stands, over = (told_to_beta(alarm(cleared=at), PARTIAL, part) for at in (None, NOW))
    assert [TenantIncident.of("i", [one]).cells for one in (stands, over)] == [("S1/L1",), ("S1/L1", "S2/L1")]
    people = [sum(PARTIAL.people_by_site(cells).values()) for cells in (["S1/L1"], ["S1/L1", "S2/L1"])]
    assert [TenantIncident.of("i", [one]).people for one in (stands, over)] == people


def test_an_incident_is_over_for_a_tenant_when_nothing_of_it_concerns_the_tenant() -> None:
    left = told_to_beta(alarm(id="a-1")).model_copy(update={"until": NOW + timedelta(hours=1)})
    told = TenantIncident.of("i", [left])
    assert (told.state, told.closed, told.standing, told.cells) == ("closed", left.until, 0, ("S1/L1",))
    assert (told.root.state, told.root.cleared, told.root.until) == (AlarmState.RAISED, None, left.until)
    both = TenantIncident.of("i", [left, told_to_beta(alarm(id="a-2", raised=NOW + timedelta(hours=2)))])
    assert (both.state, both.root.id, both.standing) == ("open", "a-2", 1)


@pytest.mark.parametrize(
    ("asked", "found"),
    [
        ({"tenants": ("alfa",)}, None),
        ({"tenants": ("alfa", "beta")}, {}),
        ({"root": "a"}, None),
        ({"shelved": True}, None),
        ({"acknowledged": True}, None),
        ({"shelved": False, "acknowledged": False, "roots": True}, {}),
        ({"stations": ("S1",), "standing": True}, {"stations": ("S1",), "standing": True}),
    ],
)
def test_no_alarm_is_found_by_how_the_host_handles_it(asked: dict[str, Any], found: dict[str, Any] | None) -> None:
    assert asked_of("beta", AlarmFilter(**asked)) == (None if found is None else AlarmFilter(**found))


# ------------------------------------------------------------------- audit trail


def test_of_the_hosts_acts_only_what_was_done_is_disclosed() -> None:
    detail = {"reason": "maintenance", "stations": "62"}
    act = AuditRow(id=900, at=NOW, actor="ana", action="run.created", object="r", detail=detail)
    assert visible_act(act, 4, False) == AuditRow(id=4, at=NOW, actor=HOST, action="run.created", object="r")
    own = visible_act(act, 4, True)
    assert (own.id, own.actor, own.detail) == (4, "ana", {"reason": "maintenance"})


def test_a_jobs_end_does_not_tell_its_wave() -> None:
    act = AuditRow(id=900, at=NOW, actor="ana", action="job.finished", object="r.12.S1.x")
    assert visible_act(act, 4, False).object == "r S1.x"
    for other in ("run.created", "approval.given"):
        assert visible_act(act.model_copy(update={"action": other}), 4, False).object == "r.12.S1.x"


def test_a_tenant_sees_its_own_identities_and_nobody_elses() -> None:
    net = samples.network()
    code = {"station": "S1", "cell": "L1", "tac": 9, "node_id_length": 20, "local_id": 1}
    own = tuple(OwnCell(tenant=name, node_id=number, **code) for number, name in enumerate(("alfa", "beta"), 70))
    net = net.model_copy(update={"own_cells": own})
    assert tenant_scope(network_digest(net), net, "beta").network.own_cells == own[1:]


# ------------------------------------------------- two of everything: tenants, cells, alarms, comments, functions


def test_links_of_nobody_and_of_others_are_not_disclosed() -> None:
    sides = ("", "alfa", "beta")
    links = tuple(LinkHealth(path=f"/{who}", tenant=who, kind="s1", state=ServiceState.UP) for who in sides)
    health = Health(station="S1", at=NOW, reachable=True, links=links)
    assert visible_health("beta", (), health, NOW).links == links[2:]


def test_a_comment_of_the_host_names_neither_its_author_nor_its_other_readers() -> None:
    said = Comment(id="c", about="a", at=NOW, by="ana", side=HOST, to=("alfa", "beta"), text="seen")
    assert visible_comment(said, "beta") == said.model_copy(update={"by": HOST, "to": ("beta",)})
    for side, as_said in (("beta", True), ("alfa", False)):
        one = said.model_copy(update={"side": side, "by": "tom", "to": ()})
        assert (visible_comment(one, "beta") == one) is as_said


def test_an_incident_is_that_of_its_alarms() -> None:
    """Two alarms that stand and one that cleared: the root is that which follows from none of them and stands."""
    hour = timedelta(hours=1)
    first = alarm(id="a-1", raised=NOW - 3 * hour, cleared=NOW - hour, changed=NOW - hour, cells=("S1/L1", "S1/N1"))
    root = alarm(id="a-2", raised=NOW - 2 * hour, changed=NOW - hour, cells=(), severity=PerceivedSeverity.MINOR)
    after = alarm(id="a-3", raised=NOW - 4 * hour, changed=NOW, root="a-2", cells=("S1/L1",))
    told = TenantIncident.of("i-1", list(map(told_to_beta, [first, after, root])))
    assert (told.id, told.root.id, told.state, told.standing) == ("i-1", "a-2", "open", 2)
    assert (told.opened, told.changed, told.closed) == (NOW - 4 * hour, NOW, None)
    assert (told.cells, told.severity) == (("S1/L1",), PerceivedSeverity.MAJOR)
    last = alarm(id="a-4", cleared=NOW - 2 * hour, cells=())
    over = TenantIncident.of("i-1", list(map(told_to_beta, [first, last])))
    assert (over.state, over.closed, over.standing, over.cells) == ("closed", NOW - hour, 0, ("S1/L1",))
    now = TenantIncident.of("i-1", list(map(told_to_beta, [first, root])))
    assert (now.cells, now.severity) == ((), PerceivedSeverity.MINOR), "of what stands"


def test_the_end_of_an_incident_changes_nothing_of_what_failed() -> None:
    """The root that was told last stays, whichever began first, and however long what follows from it lasts."""

    def at(hours: int, *ends: int) -> TenantIncident:
        found = [
            alarm(
                id=f"a-{number}",
                raised=NOW - timedelta(hours=9 - number),
                cleared=NOW + timedelta(hours=end) if end <= hours else None,
                changed=NOW,
                root=("", "", "a-2")[number - 1],
            )
            for number, end in enumerate(ends, 1)
        ]
        return TenantIncident.of("i-1", list(map(told_to_beta, found)))

    for ends in itertools.product(range(1, 5), repeat=3):
        said = [at(hours, *ends) for hours in range(max(ends) + 1)]
        assert said[0].root.id == "a-1"
        assert [one.state for one in said] == ["open"] * max(ends) + ["closed"]
        assert said[-1].root.id == said[-2].root.id, ends
        # It changes once at most: where the first fault is over and the second one is not.
        roots = [name for name, _ in itertools.groupby(one.root.id for one in said)]
        assert roots == (["a-1", "a-2"] if ends[0] < ends[1] else ["a-1"]), ends


@pytest.mark.parametrize(("station", "told"), [("S1", {"L1"}), ("S2", set())])
def test_of_a_stations_counts_those_of_shared_cells_are_disclosed(station: str, told: set[str]) -> None:
    whole = Measured(station=station, begin=NOW, seconds=900, covered=900, cells={"L1": {}, "N1": {}})
    assert set(visible_measured(partial(), whole).cells) == told


@pytest.mark.parametrize(
    ("health", "wrong"),
    [
        (None, ()),
        ({"reachable": True, "function": {}}, ()),
        (
            {"reachable": True, "function": {"function-down": "0 of 1 replicas", "drift": "1 field"}},
            ("drift", "function-down"),
        ),
        ({"reachable": False, "function": {"function-down": "as it was last"}}, ("station-unreachable",)),
    ],
)
def test_a_tenant_is_told_of_its_function_what_is_wrong_or_that_nobody_can_see_it(
    health: dict[str, Any] | None, wrong: tuple[str, ...]
) -> None:
    known = None if health is None else Health(station="UP-ALFA", at=NOW, **health)
    told = TenantFunction.of(samples.virtual(), "UP-ALFA", {}, ("edge-1",), 1, known, NOW, {"S1"})
    assert (told.wrong, told.stations) == (wrong, 1)
