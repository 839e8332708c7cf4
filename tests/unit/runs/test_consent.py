"""Who must say yes, and whether enough did."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.access.votes import is_approved, rejection, unanswerable
from controller.models.approval import Contract, Requirement, RunConstraints, Vote, VoteChoice, Withdrawal
from controller.models.errors import InputError
from controller.models.network import HOST, Network
from controller.models.outage import FOR_GOOD, NO_OUTAGE, UNTIL_UNLOCKED, OffAir, Outage
from controller.models.people import Person, Role
from controller.models.plan import Change, Edit, Op, Phase, PhaseKind, WaitFor
from controller.models.sharing import ActionClass, Consent
from controller.nrm.apply import apply_edits
from controller.nrm.profiles import administrative_leaf, root_spec
from controller.plan import PlanOptions, administrative_state_change, undo_change
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.consents import effect_of_act
from controller.runs.approval.consent import (
    CellsOff,
    Effect,
    RunOccasion,
    check_contracts,
    effect_of,
    effect_on,
    run_constraints,
    subject_of,
    together,
)
from tests.unit.plan import samples

TWO = samples.network(("alfa", "beta"))
THREE = samples.network(("alfa", "beta", "gamma"))


def agreements(**changes: Any) -> Network:
    """Three tenants, each agreement with what is changed for its tenant."""
    made = [one.model_dump(mode="json") for one in THREE.agreements]
    made = [one | changes.get(one["tenant"], {}) for one in made]
    return samples.network(("alfa", "beta", "gamma"), agreements=made)


def change(before: Network, after: Network, remove: dict[str, int] | None = None) -> Change:
    """What is planned on S1."""
    options = PlanOptions(max_share=1.0, remove=remove or {})
    return samples.only_change(samples.plan(after, {"S1": samples.view(before)}, options))


def constraints(network: Network, *changes: Change, **asked: Any) -> RunConstraints:
    effects = [effect_of(one, restores=asked.get("restores", False)) for one in changes]
    return run_constraints(network, effects, RunOccasion("subject", samples.NOW, **asked))


def retuned(network: Network) -> Network:
    """The same with another PCI of the LTE cells: they have to be locked for it, which interrupts everybody."""
    cells = [cell.model_dump(mode="json") for cell in network.cells]
    return network.model_copy(
        update={"cells": Network.model_validate(network.model_dump() | {"cells": [
            cell | ({"pci": 7} if cell["rat"] == "LTE" else {}) for cell in cells
        ]}).cells}
    )  # fmt: skip


def shares(network: Network, tenant: str, share: dict[str, Any]) -> Network:
    made = [one.model_dump(mode="json") for one in network.agreements]
    return samples.network(
        [one["tenant"] for one in made],
        agreements=[one | ({"shares": [share]} if one["tenant"] == tenant else {}) for one in made],
    )


def who(found: RunConstraints) -> set[tuple[str, ActionClass | None, Consent]]:
    return {(one.side, one.action, one.consent) for one in found.requirements}


# ---------------------------------------------------------------------- what is asked of whom


def test_a_share_that_somebody_raised_is_brought_back_without_asking_whose_it_is() -> None:
    agreed = shares(THREE, "beta", {"resource": "PRB", "min": 20, "max": 60})
    path = "/ManagedElement[S1]/GNBDUFunction[1]/NRCellDU[N1]/RRMPolicyRatio[beta-prb]"
    raised = samples.view(agreed, edit={path: {"rRMPolicyMaxRatio": "90"}})
    brought_back = samples.only_change(samples.plan(agreed, {"S1": raised}))
    assert effect_of(brought_back).asks == frozenset()
    # The same edit is a reduction where the agreement was another one before.
    more = shares(THREE, "beta", {"resource": "PRB", "min": 20, "max": 80})
    assert ("beta", ActionClass.REDUCE) in effect_of(change(more, agreed)).asks


@pytest.mark.parametrize(
    ("agreed", "carried", "now", "reduces"),
    [
        (60, 60, 40, True),
        (60, 30, 40, True),  # somebody lowered it by hand: the tenant gave up nothing
        (60, 40, 40, True),
        (60, 90, 70, False),  # somebody raised it by hand: the tenant gets more than before
        (60, 90, 40, True),
        (60, 50, 60, False),
    ],
)
def test_a_share_is_reduced_if_it_gets_smaller_than_the_ledger_says(
    agreed: int, carried: int, now: int, *, reduces: bool
) -> None:
    before, after = (shares(THREE, "beta", {"resource": "PRB", "min": 20, "max": most}) for most in (agreed, now))
    cells = [one | ({"tac": 99} if one["id"] == "N1" else {}) for one in after.model_dump(mode="json")["cells"]]
    after = Network.model_validate(after.model_dump(mode="json") | {"cells": cells})
    path = "/ManagedElement[S1]/GNBDUFunction[1]/NRCellDU[N1]/RRMPolicyRatio[beta-prb]"
    view = samples.view(before, edit={path: {"rRMPolicyMaxRatio": str(carried)}})
    lte = "/ManagedElement[S1]/GNBDUFunction[1]/NRCellDU[N1]"
    made = samples.only_change(samples.plan(after, {"S1": view}, PlanOptions(max_share=1.0)))
    assert any(edit.path == lte for phase in made.phases for edit in phase.edits), "something else changes too"
    on_nr = [
        cell for tenant, action, cell in effect_of(made).places if (tenant, action) == ("beta", ActionClass.REDUCE)
    ]
    assert ("N1" in on_nr) is reduces
    assert (made.lowers is None) is (carried == agreed or (carried > now) is reduces)


def test_unlocking_cells_brings_service_back_and_waits_for_no_window() -> None:
    view = samples.view(THREE)
    observed = view.observed
    assert observed is not None
    owners = {path: entry.owners for path, entry in view.ledger.items()}
    locked = administrative_state_change("S1", samples.PROFILES, observed, None, owners, "LOCKED")
    assert locked is not None
    assert effect_of(locked).interrupted == {"alfa", "beta", "gamma"}
    assert {action for _, action in effect_of(locked).asks} == {ActionClass.INTERRUPT}
    tree = observed.tree
    for phase in locked.phases:
        tree = apply_edits(root_spec(samples.PROFILES), tree, phase.edits)
    back = undo_change(samples.PROFILES, locked, replace(observed, tree=tree))
    assert effect_of(back).interrupted == frozenset()
    assert effect_of(back).asks == {(tenant, ActionClass.RESTORE) for tenant in ("alfa", "beta", "gamma")}
    # Taking an unlock back locks: that interrupts.
    again = undo_change(samples.PROFILES, back, observed)
    assert effect_of(again).asks == effect_of(locked).asks


PLANNED = change(TWO, THREE)


def acts(*phases: tuple[PhaseKind, str, tuple[str, ...]], **told: Any) -> Effect:
    """What a change does whose phases edit one cell each, as owned by whom."""
    made = tuple(
        Phase(kind=kind, edits=(Edit(op=Op.MERGE, path=path, after={"tac": "8"}, owners=owners),), inverse=())
        for kind, path, owners in phases
    )
    nothing: dict[str, Any] = {"touched": (), "checks": (), "gained": PLANNED.gained, "outage": NO_OUTAGE}
    return effect_of(PLANNED.model_copy(update=nothing | {"phases": made} | told))


LOCK, EDIT, UNLOCK = PhaseKind.LOCK, PhaseKind.EDIT, PhaseKind.UNLOCK
LTE, NR = samples.LTE_CELL, samples.NR_CELL


def test_nodes_of_several_owners_need_each_of_them() -> None:
    assert acts((EDIT, LTE, ("alfa", "beta"))).asks == {
        ("alfa", ActionClass.CONFIGURE),
        ("beta", ActionClass.CONFIGURE),
    }
    assert acts((EDIT, LTE, (HOST, "alfa"))).asks == {("alfa", ActionClass.CONFIGURE)}
    assert acts((EDIT, LTE, ("alfa",))).asks == acts((EDIT, LTE, (HOST,))).asks == frozenset()
    # That a cell is locked is told by whom it interrupts, and not by whose cell it is.
    assert acts((LOCK, LTE, ("alfa", "beta"))).asks == frozenset()


def test_who_is_off_the_air_while_a_cell_is_locked_is_asked() -> None:
    whole = acts((LOCK, LTE, (HOST,)), (EDIT, NR, (HOST,)), (UNLOCK, LTE, (HOST,)), interrupted=("alfa",))
    assert whole.asks == {("alfa", ActionClass.INTERRUPT)}
    assert whole.interrupted == whole.tenants == {"alfa"}
    assert whole.cells == {"L1"}
    # What says itself whom it interrupts needs no lock for that, as a restart does not.
    assert acts((EDIT, LTE, (HOST,)), interrupted=("alfa",)).asks == {("alfa", ActionClass.INTERRUPT)}
    assert acts((EDIT, LTE, (HOST,)), interrupted=("alfa",)).cells == frozenset()
    assert acts(interrupted=("alfa",)).asks == {("alfa", ActionClass.INTERRUPT)}


def test_an_outage_interrupts_those_that_were_served_before() -> None:
    """Their windows bind; they are asked only where all of a cell goes off the air for them."""
    served = {"touched": ("alfa", "gamma"), "outage": Outage.timed(5)}
    own = (EDIT, LTE, ("alfa",))
    assert acts(own, **served).interrupted == {"alfa"}
    assert acts(own, **served).asks == frozenset()
    assert acts((LOCK, LTE, (HOST,)), own, **served).asks == {("alfa", ActionClass.INTERRUPT)}
    assert acts(own, **served | {"outage": NO_OUTAGE}).interrupted == frozenset()
    # One that has a link there is served, even where the change is about other nodes of its.
    link = WaitFor(kind="link-up", path="/EP_S1C[x]", tenant="gamma")
    assert acts(own, **served, checks=(link,)).interrupted == {"alfa", "gamma"}
    off = WaitFor(kind="cell-on-air", path="/EP_S1C[x]", tenant="gamma")
    assert acts(own, **served, checks=(off,)).interrupted == {"alfa"}
    assert acts(own, **served).outage == Outage.timed(5)
    new = acts(own, **served | {"touched": ("gamma",)})
    assert (new.interrupted, new.outage) == (frozenset(), NO_OUTAGE), "who gets service for the first time loses none"


def test_a_tenants_own_nodes_need_nobody_but_who_asks() -> None:
    made = constraints(THREE, change(TWO, THREE))
    assert made.requirements == ()
    assert made.tenants == ("gamma",)
    assert made.side == "gamma"
    assert all(not group.calendars for group in made.groups)


def test_who_is_interrupted_is_notified_or_asked() -> None:
    asks = agreements(
        alfa={"consents": {"interrupt": "standing"}},
        beta={"consents": {"interrupt": "approval"}, "approvals_needed": 2, "approvers": ["eva", "leo", "sol"]},
    )
    made = constraints(asks, change(THREE, retuned(THREE)))
    assert who(made) == {
        ("beta", ActionClass.INTERRUPT, Consent.APPROVAL),
        ("gamma", ActionClass.INTERRUPT, Consent.NOTICE),
    }
    asked = next(one for one in made.requirements if one.side == "beta")
    assert (asked.needed, asked.approvers, asked.agreement, asked.stations) == (2, ("eva", "leo", "sol"), "beta-all", 1)
    assert made.tenants == ("alfa", "beta", "gamma")
    assert made.side == HOST


def test_only_agreements_that_cover_the_cells_are_asked() -> None:
    far = {"scope": {"everywhere": True, "bands": ["n78"]}, "consents": {"interrupt": "approval"}}
    made = constraints(agreements(beta=far), change(THREE, retuned(THREE)))
    # Its agreement is about NR, and an LTE cell is locked: what stands on the cell is ruled by what is usual.
    assert ("beta", ActionClass.INTERRUPT, Consent.APPROVAL) not in who(made)


def by_rat(**lte: Any) -> Network:
    """Beta has an agreement for LTE and one for NR, whose consents are approvals."""
    alfas, betas = (one.model_dump(mode="json") for one in TWO.agreements)
    every = {"consents": dict.fromkeys(("interrupt", "reduce", "configure"), "approval")}
    windows = [{"start": "01:00", "end": "04:00"}]
    four = betas | every | {"id": "beta-lte", "scope": {"everywhere": True, "bands": ["B28"]}} | lte
    five = betas | every | {"id": "beta-nr", "scope": {"everywhere": True, "bands": ["n78"]}, "windows": windows}
    return samples.network(("alfa", "beta"), agreements=[alfas, four, five])


def test_only_the_agreement_whose_cells_a_plan_touches_is_asked() -> None:
    before = by_rat()
    for part, after in {
        "beta-lte": by_rat(shares=[{"dedicated": 5, "min": 10, "max": 70}]),  # its share of the LTE cell
        "": by_rat(shares=[{"dedicated": 5, "min": 25, "max": 90}]),
    }.items():
        made = constraints(after, change(before, after))
        assert {one.agreement for one in made.requirements} == ({part} if part else set())
        assert made.groups[0].calendars == ()
    locks = constraints(before, change(before, retuned(before)))
    assert {one.agreement for one in locks.requirements if one.side == "beta"} == {"beta-lte"}
    assert locks.groups[0].calendars == (), "nothing of NR is off the air"


def test_who_is_on_no_locked_cell_is_not_interrupted_although_something_changes_for_it() -> None:
    """The share of beta grows on the NR cell, while the host retunes the LTE cells, where beta has nothing."""
    alfas, betas = (one.model_dump(mode="json") for one in TWO.agreements)
    only_nr = betas | {"scope": {"everywhere": True, "bands": ["n78"]}}
    before = samples.network(("alfa", "beta"), agreements=[alfas, only_nr])
    larger = {"shares": [{"dedicated": 5, "min": 25, "max": 90}]}
    after = retuned(samples.network(("alfa", "beta"), agreements=[alfas, only_nr | larger]))
    made = change(before, after)
    assert "beta" in made.touched
    assert made.outage.interrupts
    asked = constraints(after, made)
    assert {(one.side, one.action) for one in asked.requirements} == {("alfa", ActionClass.INTERRUPT)}
    assert asked.outages.keys() == {"alfa"}


OWN_CELLS = frozenset({("beta", "L1"), ("beta", "N1")})


@pytest.mark.parametrize(
    ("action", "outage"), [(ActionClass.INTERRUPT, UNTIL_UNLOCKED), (ActionClass.REDUCE, FOR_GOOD)]
)
def test_who_is_asked_under_two_agreements_is_told_of_the_cells_of_each_by_itself(
    action: ActionClass, outage: Outage
) -> None:
    lost = OWN_CELLS if action is ActionClass.REDUCE else frozenset[tuple[str, str]]()
    whole = effect_on("S1", {"beta"}, action, outage=UNTIL_UNLOCKED)
    effect = replace(whole, withdrawn=lost, off=CellsOff(OWN_CELLS - lost, OWN_CELLS))
    made = run_constraints(by_rat(), [effect], RunOccasion("s", samples.NOW))
    assert [one.agreement for one in made.requirements] == ["beta-lte", "beta-nr"]
    for one, cell in zip(made.requirements, ("S1/L1", "S1/N1"), strict=True):
        assert (one.stations, one.outage) == (1, outage)
        if lost:
            assert one.withdrawn is not None
            assert (one.withdrawn.cells, one.off_air) == ((cell,), None)
        else:
            assert (one.withdrawn, one.off_air) == (None, OffAir(cells=(cell,), count=1, of=2))
    # The run as a whole says all of it.
    assert made.outages == {"beta": outage}
    assert sum(one.count for one in made.off_air.values()) == len(OWN_CELLS - lost)
    assert {tenant: one.cells for tenant, one in made.withdrawn.items()} == (
        {"beta": ("S1/L1", "S1/N1")} if lost else {}
    )


def test_cells_that_no_agreement_reaches_are_told_with_those_that_one_does() -> None:
    alfas, four, _ = (one.model_dump(mode="json") for one in by_rat().agreements)
    net = samples.network(("alfa", "beta"), agreements=[alfas, four])
    effect = replace(
        effect_on("S1", {"beta"}, ActionClass.INTERRUPT, outage=UNTIL_UNLOCKED), off=CellsOff(OWN_CELLS, OWN_CELLS)
    )
    (one,) = run_constraints(net, [effect], RunOccasion("s", samples.NOW)).requirements
    assert (one.agreement, one.off_air) == ("beta-lte", OffAir(count=2, of=2))


def test_a_requirement_tells_the_outage_of_its_own_stations() -> None:
    """An agreement about one station says nothing of the worse outage at another, about which another one is."""
    alfas, betas = (one.model_dump(mode="json") for one in TWO.agreements)
    every = {"consents": {"interrupt": "approval"}}
    here = betas | every | {"id": "beta-here", "scope": {"everywhere": True, "bands": ["B28"]}}
    there = betas | every | {"id": "beta-there", "scope": {"everywhere": True, "bands": ["n78"]}}
    net = samples.network(("alfa", "beta"), agreements=[alfas, here, there])
    lasts = {"L1": Outage.timed(8), "N1": UNTIL_UNLOCKED}
    assert len(net.stations) > 1, "one for each"
    effects = [
        effect_on(station.id, {"beta"}, ActionClass.INTERRUPT, frozenset({cell}), outage=outage)
        for station, (cell, outage) in zip(net.stations, lasts.items(), strict=False)
    ]
    made = run_constraints(net, effects, RunOccasion("s", samples.NOW))
    assert {one.agreement: one.outage for one in made.requirements} == {
        "beta-here": lasts["L1"],
        "beta-there": lasts["N1"],
    }
    assert made.outages == {"beta": UNTIL_UNLOCKED}


def test_who_leaves_cells_is_asked_under_their_agreement_and_in_its_windows() -> None:
    both = by_rat()
    alfas, four, five = (one.model_dump(mode="json") for one in both.agreements)
    ended = {"validity": {"start": "2024-01-01", "end": "2024-12-31"}}
    for gone, asked, bound in ((four, "", 0), (five, "", 0)):
        after = samples.network(
            ("alfa", "beta"), agreements=[alfas, *(one | (ended if one is gone else {}) for one in (four, five))]
        )
        count = sum("beta" in owners for owners in missing_nodes(both, after))
        made = constraints(after, change(both, after, {"beta": count}))
        (requirement,) = [one for one in made.requirements if one.side == "beta"]
        assert (requirement.action, requirement.agreement) == (ActionClass.REDUCE, asked), "none in force is about it"
        assert len(made.groups[0].calendars) == bound


def missing_nodes(before: Network, after: Network) -> list[tuple[str, ...]]:
    """Owners of nodes that a station carries by one network and not by another."""
    kept = samples.view(after).ledger
    return [entry.owners for path, entry in samples.view(before).ledger.items() if path not in kept]


def test_agreements_that_are_not_in_force_say_nothing() -> None:
    old = {"validity": {"start": "2020-01-01", "end": "2025-12-31"}, "consents": {"interrupt": "approval"}}
    made = constraints(agreements(beta=old), change(THREE, retuned(THREE)))
    assert ("beta", ActionClass.INTERRUPT, Consent.NOTICE) in who(made)


@pytest.mark.parametrize(
    ("start", "end", "holds"),
    [
        ("2020-01-01", "{today}", True),
        ("2020-01-01", "{yesterday}", False),
        ("{today}", None, True),
        ("{tomorrow}", None, False),
    ],
)
def test_an_agreement_holds_on_its_first_and_its_last_day_of_local_time(
    start: str, end: str | None, holds: bool
) -> None:
    # In Lima it is still the evening of the day before.
    now = datetime(2026, 3, 2, 3, tzinfo=UTC)
    days = {"yesterday": "2026-02-28", "today": "2026-03-01", "tomorrow": "2026-03-02"}
    validity = {"start": start.format(**days), "end": end and end.format(**days)}
    asks = agreements(beta={"validity": validity, "consents": {"interrupt": "approval"}})
    effects = [effect_on("S1", ("beta",), ActionClass.INTERRUPT)]
    found = run_constraints(asks, effects, RunOccasion("s", now))
    assert who(found) == {("beta", ActionClass.INTERRUPT, Consent.APPROVAL if holds else Consent.NOTICE)}


def test_an_agreement_says_nothing_of_stations_that_are_another_tenants_own() -> None:
    asks = agreements(beta={"consents": {"interrupt": "approval"}})
    effects = [effect_on("S1", ("beta",), ActionClass.INTERRUPT)]
    assert who(run_constraints(asks, effects, RunOccasion("s", samples.NOW))) == {
        ("beta", ActionClass.INTERRUPT, Consent.APPROVAL)
    }
    stations = [one.model_dump(mode="json") | {"owner": "alfa"} for one in asks.stations]
    owned = Network.model_validate(asks.model_dump(mode="json") | {"stations": stations})
    assert {one.agreement for one in run_constraints(owned, effects, RunOccasion("s", samples.NOW)).requirements} == {
        ""
    }


def test_what_is_approved_of_a_playbook_is_its_text_parameters_stations_plan_and_cells_off_the_air() -> None:
    usual: dict[str, Any] = {"playbook": "d", "parameters": {"cell": "1"}, "stations": ["S1", "S2"], "plan": "p"}
    usual["off"] = [("S1", "alfa", "L1"), ("S2", "alfa", "L1")]
    known = subject_of(**usual)
    assert subject_of(**usual | {"stations": ["S2", "S1"]}) == known
    others: list[dict[str, Any]] = [
        {"playbook": "e"},
        {"parameters": {"cell": "2"}},
        {"parameters": {"cell": "1", "force": True}},
        {"parameters": {}},
        {"stations": ["S1"]},
        {"plan": "q"},
        {"off": usual["off"][:1]},
        {"off": [("S1", "alfa", "L1"), ("S2", "alfa", "N1")]},
        {"off": []},
    ]
    assert subject_of(**usual | {"off": usual["off"][::-1]}) == known
    assert len({known, *(subject_of(**usual | other) for other in others)}) == 1 + len(others)


def test_bringing_back_what_was_applied_is_another_class() -> None:
    asks = agreements(beta={"consents": {"interrupt": "approval"}})
    assert constraints(asks, change(THREE, retuned(THREE)), restores=True).requirements == ()
    asks = agreements(beta={"consents": {"restore": "approval"}})
    assert who(constraints(asks, change(THREE, retuned(THREE)), restores=True)) == {
        ("beta", ActionClass.RESTORE, Consent.APPROVAL)
    }


@pytest.mark.parametrize(
    ("leaf", "asked"),
    [("tac", ActionClass.RESTORE), ("administrativeState", ActionClass.CONFIGURE)],
)
def test_a_change_that_also_switches_a_cell_does_more_than_bring_back(leaf: str, asked: ActionClass) -> None:
    assert administrative_leaf(LTE) == "administrativeState"
    edit = Edit(op=Op.MERGE, path=LTE, before={leaf: "1"}, after={leaf: "2"}, owners=("alfa", "beta"))
    phase = Phase(kind=EDIT, edits=(edit,), inverse=())
    nothing: dict[str, Any] = {"touched": (), "checks": (), "gained": (), "lost": (), "outage": NO_OUTAGE}
    found = effect_of(PLANNED.model_copy(update=nothing | {"phases": (phase,)}))
    assert found.asks == {("alfa", asked), ("beta", asked)}


def test_of_a_router_that_is_managed_no_more_the_agreements_at_its_site_count() -> None:
    asks = agreements(
        alfa={"scope": {"stations": ["S2"]}, "consents": {"interrupt": "approval"}},
        beta={"scope": {"stations": ["S1"]}, "consents": {"interrupt": "approval"}},
    )
    content = asks.model_dump(mode="json") | {"routers": [{"id": "R1", "site": "site-1", "address": "10.7.0.1"}]}
    made = Network.model_validate(content)
    assert not made.manages("R1")
    effect = effect_on("R1", ("alfa", "beta"), ActionClass.INTERRUPT)
    told = run_constraints(made, [effect], RunOccasion("s", samples.NOW)).requirements
    assert {(one.side, one.agreement) for one in told} == {("alfa", ""), ("beta", "beta-all")}


def test_a_rule_needs_standing_consent_or_a_person() -> None:
    asks = agreements(beta={"consents": {"restore": "notice"}})
    made = constraints(asks, change(THREE, retuned(THREE)), restores=True, automatic=True)
    assert who(made) == {
        (HOST, ActionClass.RESTORE, Consent.APPROVAL),
        ("beta", ActionClass.RESTORE, Consent.NOTICE),
    }
    (instead,) = (one for one in made.requirements if one.side == HOST)
    assert instead.as_reason.words == "approval by 1 of host to restore beta, which gave no standing consent"


def test_taking_service_away_needs_its_side() -> None:
    removed = change(THREE, TWO, {"gamma": 14})
    assert ("gamma", ActionClass.REDUCE, Consent.APPROVAL) in who(constraints(TWO, removed))


@pytest.mark.parametrize(
    ("share", "reduces"),
    [
        ({"dedicated": 5, "min": 20, "max": 80}, None),
        ({"dedicated": 5, "min": 25, "max": 90}, False),
        ({"dedicated": 5, "min": 20, "max": 70}, True),
        ({"dedicated": 0, "min": 20, "max": 90}, True),
        ({"min": 20}, True),
    ],
)
def test_a_smaller_share_is_a_reduction(share: dict[str, int], reduces: bool | None) -> None:
    after = shares(THREE, "beta", share)
    if reduces is None:
        assert not samples.plan(after, {"S1": samples.view(THREE)}).changes
        return
    made = constraints(after, change(THREE, after))
    assert (("beta", ActionClass.REDUCE, Consent.APPROVAL) in who(made)) is reduces


def test_windows_bind_what_interrupts() -> None:
    nightly = [{"start": "01:00", "end": "04:00"}]
    asks = agreements(beta={"windows": nightly})
    (group,) = constraints(asks, change(THREE, retuned(THREE))).groups
    assert [len(calendar) for calendar in group.calendars] == [1]
    assert constraints(asks, change(TWO, THREE)).groups[0].calendars == ()
    assert constraints(asks, change(THREE, retuned(THREE)), restores=True).groups[0].calendars == ()
    region = asks.regions[0].model_copy(update={"windows": asks.agreements[1].windows, "timezone": "America/Tijuana"})
    site = asks.sites[0].model_copy(update={"windows": asks.agreements[1].windows[:1]})
    placed = asks.model_copy(update={"regions": (region,), "sites": (site, *asks.sites[1:])})
    (group,) = constraints(placed, change(THREE, retuned(THREE))).groups
    assert (len(group.calendars), group.timezone) == (1, "America/Tijuana")
    assert {(one.tenant, one.agreement) for one in group.windows} == {("", ""), ("beta", "beta-all")}


def test_actions_whose_changes_are_not_known_ask_all_who_are_there() -> None:
    asks = agreements(beta={"consents": {"interrupt": "approval"}})
    effects = [
        effect_on("S1", ("alfa", "beta"), ActionClass.INTERRUPT),
        effect_on("S2", ("beta",), ActionClass.RESTORE),
    ]
    made = run_constraints(asks, effects, RunOccasion("s", samples.NOW, approvals=2))
    assert who(made) == {
        ("alfa", ActionClass.INTERRUPT, Consent.NOTICE),
        ("beta", ActionClass.INTERRUPT, Consent.APPROVAL),
        (HOST, None, Consent.APPROVAL),
    }


# --------------------------------------------------------------------------- who can say it


def test_an_approval_that_too_few_people_may_give_is_named() -> None:
    people = [
        Person(name=name, role=Role.TENANT_APPROVER if side else Role.APPROVER, tenant=side, issuer=issuer)
        for name, side, issuer in (
            ("leo", "beta", ""),
            ("sol", "beta", "https://id"),
            ("ida", "alfa", ""),
            ("eva", "", ""),
        )
    ]
    one = Requirement(side="beta", action=ActionClass.REDUCE)
    answered = [
        one,
        one.model_copy(update={"needed": 2}),
        one.model_copy(update={"approvers": ("leo",)}),
        one.model_copy(update={"sign_in": True}),
        Requirement(side="gamma", action=ActionClass.INTERRUPT, consent=Consent.NOTICE),
        Requirement(side=HOST),
    ]
    short = [
        one.model_copy(update={"needed": 3}),
        one.model_copy(update={"approvers": ("ida", "rosa")}),
        one.model_copy(update={"sign_in": True, "needed": 2}),
        one.model_copy(update={"sign_in": True, "approvers": ("leo",)}),
        Requirement(side="gamma", action=ActionClass.INTERRUPT),
        Requirement(side=HOST, needed=2),
    ]
    assert unanswerable([*answered, *short], people, "ana") == set(short)
    assert unanswerable([*answered, *short], people, "eva") == {*short, answered[-1]}, "nobody approves their own"
    again = Requirement(side=HOST, action=ActionClass.RESTORE, stands_for="beta")
    assert unanswerable([again], people, "eva") == frozenset()


# --------------------------------------------------------------------------- what was said

PEOPLE = [(f"{side}-{n}", side) for side in (HOST, "alfa", "beta") for n in range(3)]
#: Agreement and clause of a contractual reason: one that gives the right, and others that do not.
RIGHT = Contract(agreement="beta-all", clause="7.3")
contracts = st.sampled_from(
    [(), (RIGHT,), (Contract(agreement="beta-all", clause="7.4"),), (Contract(agreement="beta-all-x", clause="7.3"),)]
)
casts = st.lists(st.tuples(st.sampled_from(PEOPLE), st.booleans(), contracts))


def votes(said: Iterable[tuple[tuple[str, str], bool, Any]]) -> list[Vote]:
    """The last of each person."""
    last = {
        person: Vote(
            subject="s",
            person=person,
            side=side,
            role=Role.APPROVER if side == HOST else Role.TENANT_APPROVER,
            choice=VoteChoice.APPROVE if yes else VoteChoice.REJECT,
            reason="beta-all has NOT agreed yet, says clause 7.3",
            contracts=tuple(given),
            at=samples.NOW,
        )
        for (person, side), yes, given in said
    }
    return list(last.values())


@settings(deadline=None)
@given(casts, st.sampled_from([HOST, "alfa", "beta"]), st.integers(1, 3), st.sampled_from([None, *ActionClass]))
def test_distinct_people_of_the_side_count(said: list[Any], side: str, needed: int, action: ActionClass | None) -> None:
    requirement = Requirement(side=side, action=action, needed=needed, agreement="beta-all", clauses=("7.3", "8"))
    cast = votes(said)
    requester = "host-0"
    yes = {v.person for v in cast if v.choice is VoteChoice.APPROVE and v.side == side}
    if action is None:
        yes -= {requester}
    named = any(v.side == HOST and v.choice is VoteChoice.APPROVE and RIGHT in v.contracts for v in cast)
    expected = len(yes) >= needed or (action is ActionClass.REDUCE and named)
    assert is_approved(requirement, cast, requester) is expected


@settings(deadline=None)
@given(casts)
def test_one_no_is_enough(said: list[Any]) -> None:
    cast = votes(said)
    assert (rejection(cast) is not None) is any(vote.choice is VoteChoice.REJECT for vote in cast)


def test_the_no_of_whoever_is_gone_stands_until_their_side_says_yes() -> None:
    no, own, others = votes(
        [(("alfa-0", "alfa"), False, ""), (("alfa-1", "alfa"), True, ""), (("beta-0", "beta"), True, "")]
    )
    gone = no.model_copy(update={"gone": True})
    assert rejection([no, own, others]) == no
    assert rejection([gone, others]) == gone
    assert rejection([gone, own.model_copy(update={"gone": True})]) == gone
    assert rejection([gone, own]) is None


def test_only_the_yes_of_whoever_may_say_it_now_counts() -> None:
    own, host = votes([(("alfa-0", "alfa"), True, ""), (("host-1", HOST), True, (RIGHT,))])
    for vote, requirement in (
        (own, Requirement(side="alfa", action=ActionClass.INTERRUPT)),
        (host, Requirement(side=HOST)),
        (host, Requirement(side="beta", action=ActionClass.REDUCE, agreement="beta-all", clauses=("7.3",))),
    ):
        assert is_approved(requirement, [vote], "ana")
        assert not is_approved(requirement, [vote.model_copy(update={"gone": True})], "ana")


def test_an_agreement_may_want_who_says_yes_to_have_signed_in() -> None:
    own, host = votes([(("beta-0", "beta"), True, ""), (("host-1", HOST), True, (RIGHT,))])
    asked = Requirement(side="beta", action=ActionClass.REDUCE, agreement="beta-all", clauses=("7.3",), sign_in=True)
    for vote in (own, host):
        assert not is_approved(asked, [vote.model_copy(update={"token": "t-1", "maker": "noc"})], "ana")
        assert is_approved(asked, [vote.model_copy(update={"issuer": "https://id.example"})], "ana")


def test_terms_say_by_which_clauses_and_whether_signed_in() -> None:
    more = {"reduce_clauses": ["7.3", "8"], "sign_in_to_approve": True}
    effects = [effect_on("S1", ("beta",), ActionClass.REDUCE), effect_on("S2", ("alfa",), ActionClass.REDUCE)]
    found = {
        one.side: one
        for one in run_constraints(agreements(beta=more), effects, RunOccasion("s", samples.NOW)).requirements
    }
    assert (found["beta"].clauses, found["beta"].sign_in) == (("7.3", "8"), True)
    assert (found["alfa"].clauses, found["alfa"].sign_in) == ((), False)
    asks = agreements(beta=more | {"consents": {"interrupt": "approval"}})
    effect = effect_on("S1", ("beta",), ActionClass.INTERRUPT)
    (interrupt,) = run_constraints(asks, [effect], RunOccasion("s", samples.NOW)).requirements
    assert (interrupt.clauses, interrupt.sign_in) == ((), True), "its clauses give no right to interrupt"


@pytest.mark.parametrize(
    ("agreement", "clause", "wrong"),
    [
        ("beta-all", "7.3", ""),
        ("beta-all", "9", "clause '9' of beta-all gives no such right; its reduce_clauses are 7.3, 8"),
        ("beta", "7.3", "no service is reduced under beta here; what it asks for is alfa-all, beta-all, gamma"),
        ("alfa-all", "1", "it has no reduce_clauses"),
        ("gamma", "whatever the contract says", ""),
    ],
)
def test_a_contractual_reason_is_one_of_what_is_asked_for(agreement: str, clause: str, wrong: str) -> None:
    reduce = ActionClass.REDUCE
    asked = (
        Requirement(side="alfa", action=reduce, agreement="alfa-all"),
        Requirement(side="beta", action=reduce, agreement="beta-all", clauses=("7.3", "8")),
        Requirement(side="gamma", action=reduce),
    )
    found = RunConstraints(subject="s", requirements=asked)
    eva, given = Person(name="eva", role=Role.APPROVER), [Contract(agreement=agreement, clause=clause)]
    if wrong:
        with pytest.raises(InputError, match=re.escape(wrong)):
            check_contracts(found, given, eva)
    else:
        check_contracts(found, given, eva)
        (vote,) = votes([(("host-1", HOST), True, given)])
        assert sum(is_approved(one, [vote], "ana") for one in asked) == 1
    for nobody in (None, Person(name="leo", role=Role.TENANT_APPROVER, tenant="beta")):
        check_contracts(found, [], nobody)
        with pytest.raises(InputError, match="only an approver of the host"):
            check_contracts(found, given, nobody)


def test_who_asks_is_none_of_the_four_eyes_that_a_playbook_wants() -> None:
    own, other = votes([(("host-0", HOST), True, ""), (("host-1", HOST), True, "")])
    eyes = Requirement(side=HOST, needed=1)
    assert not is_approved(eyes, [own], "host-0")
    assert is_approved(eyes, [own, other], "host-0")
    assert not is_approved(eyes.model_copy(update={"needed": 2}), [own, other], "host-0")
    # What an action asks of the host is another thing: a rule asked for it, or the one who asks may agree.
    assert is_approved(Requirement(side=HOST, action=ActionClass.RESTORE), [own], "host-0")


@settings(deadline=None)
@given(casts, st.sets(st.sampled_from([name for name, side in PEOPLE if side == "alfa"]), min_size=1))
def test_named_approvers_are_the_only_ones(said: list[Any], named: set[str]) -> None:
    requirement = Requirement(side="alfa", action=ActionClass.INTERRUPT, approvers=tuple(sorted(named)))
    yes = {v.person for v in votes(said) if v.choice is VoteChoice.APPROVE and v.side == "alfa"}
    assert is_approved(requirement, votes(said), "host-0") is bool(yes & named)


@settings(deadline=None)
@given(casts)
def test_notice_needs_nobodys_yes(said: list[Any]) -> None:
    assert is_approved(Requirement(side="alfa", consent=Consent.NOTICE), votes(said), "x")


@pytest.mark.parametrize(
    ("tenants", "side"), [((), HOST), (("alfa",), "alfa"), (("alfa", "beta"), HOST), (("beta", "beta"), "beta")]
)
def test_a_run_is_of_the_only_tenant_that_it_concerns(tenants: tuple[str, ...], side: str) -> None:
    effects = [Effect(f"S{number}", frozenset({tenant})) for number, tenant in enumerate(tenants, 1)]
    made = run_constraints(TWO, [*effects, Effect("S1")], RunOccasion("s", samples.NOW))
    assert (made.side, made.tenants) == (side, tuple(sorted(set(tenants))))


def test_two_effects_on_a_station_are_those_of_both_and_about_all_of_it_where_one_is() -> None:
    ask, other = ("alfa", ActionClass.CONFIGURE), ("beta", ActionClass.REDUCE)
    one = Effect("S1", frozenset({"alfa"}), frozenset({"alfa"}), frozenset({ask}), frozenset({"L1"}))
    two = Effect("S1", frozenset({"beta"}), frozenset(), frozenset({other}), frozenset({"N1"}))
    both = Effect(
        "S1", frozenset({"alfa", "beta"}), frozenset({"alfa"}), frozenset({ask, other}), frozenset({"L1", "N1"}),
        places=frozenset({(*ask, "L1"), (*other, "N1")}),
    )  # fmt: skip
    assert together(one, two) == together(two, one) == both
    assert together(one, replace(two, cells=frozenset())).cells == frozenset()
    assert together(replace(one, cells=frozenset()), two).cells == frozenset()
    # Each is asked about its own cells, also where the other is about all of the station.
    assert together(one, replace(two, cells=frozenset())).cells_of(*ask) == {"L1"}
    again = replace(one, cells=frozenset({"N1"}))
    assert together(one, again).cells_of(*ask) == {"L1", "N1"}
    assert together(one, replace(again, cells=frozenset())).cells_of(*ask) == frozenset()


def test_who_is_asked_to_give_up_its_plmns_is_told_for_good_with_cells_and_people_by_whatever_door() -> None:
    ledger = samples.view(THREE).ledger
    count = sum("gamma" in entry.owners for entry in ledger.values())
    planned = effect_of(change(THREE, TWO, {"gamma": count}))
    sites = [site.model_dump() | {"population": 700} for site in THREE.sites]
    net = THREE.model_copy(update={"sites": type(THREE).model_validate(THREE.model_dump() | {"sites": sites}).sites})
    nodes = [entry.node for entry in ledger.values() if entry.owners == ("gamma",)]
    removal = registry().action("remove-nodes")
    by_step = effect_of_act(removal, removal.inputs.model_validate({"nodes": count}), None, net, "S1", nodes)
    for effect in (planned, by_step):
        assert effect.interrupted == {"gamma"}, "its windows bind, and nobody else's"
        made = run_constraints(net, [effect], RunOccasion("s", samples.NOW))
        lost = Withdrawal(cells=("S1/L1", "S1/N1"), people=700)
        assert (made.outages, made.withdrawn) == ({"gamma": FOR_GOOD}, {"gamma": lost})
        (asked,) = made.requirements
        assert (asked.side, asked.action, asked.outage, asked.withdrawn) == (
            "gamma", ActionClass.REDUCE, FOR_GOOD, lost
        )  # fmt: skip


@pytest.mark.parametrize("backwards", [False, True])
def test_each_tenant_is_told_its_worst_outage_whatever_the_order_of_devices(*, backwards: bool) -> None:
    lasts = [("alfa", UNTIL_UNLOCKED), ("alfa", Outage.timed(8)), ("beta", Outage.timed(3)), ("beta", Outage.timed(9))]
    effects = [effect_on("S1", {tenant}, ActionClass.INTERRUPT, outage=outage) for tenant, outage in lasts]
    made = run_constraints(TWO, effects[::-1] if backwards else effects, RunOccasion("s", samples.NOW))
    worst = {"alfa": UNTIL_UNLOCKED, "beta": Outage.timed(9)}
    assert made.outages == worst
    assert {one.side: one.outage for one in made.requirements} == worst
