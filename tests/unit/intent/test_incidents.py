"""Which alarm is part of which incident: the pure decisions, on a record in memory."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.intent.incidents import (
    QUIET,
    SETTLES,
    Outcome,
    RecordedIncidents,
    Stay,
    cleared_of_blame,
    fault_of,
    has_settled,
    sort_out,
    split_off,
)
from controller.intent.roots import WINDOW, may_be_root
from controller.models.alarm import Alarm, AlarmSource
from controller.models.incident import Incident, IncidentState
from controller.models.network import Network
from tests.support.roots import root_of
from tests.unit.intent.backhaul_tree import HANGS, network
from tests.unit.intent.test_roots import ALL_LINKS, AT, DRIFT, MAINS, ROUTER, UNREACHABLE, alarm, cell, cut, link, lost


@dataclass
class Record:
    """Alarms and incidents as the store keeps them; each call is one transaction."""

    now: datetime = AT
    alarms: dict[str, Alarm] = field(default_factory=dict)
    incidents: dict[str, Incident] = field(default_factory=dict)
    belongs: dict[str, str] = field(default_factory=dict)
    decisions: list[tuple[str, str]] = field(default_factory=list)
    times: dict[str, int] = field(default_factory=dict)

    def raise_all(self, *what: Alarm) -> None:
        new = []
        for one in what:
            number = self.times[one.id] = self.times.get(one.id, 0) + 1
            new.append(one.model_copy(update={"id": f"{one.id}#{number}", "raised": self.now, "changed": self.now}))
        self._take(new)

    def clear(self, *what: Alarm) -> None:
        self._take(
            [self.alarms[f"{one.id}#{self.times[one.id]}"].model_copy(update={"cleared": self.now}) for one in what]
        )

    def settle(self) -> None:
        standing = self.standing()
        due = [one for one in standing if has_settled(one, self.incidents[self.belongs[one.id]], self.now)]
        symptoms = [one for one in standing if one.root in {alarm.id for alarm in due}]
        self._write(split_off(due, symptoms, self._known(), self.now))

    def standing(self) -> list[Alarm]:
        return [one for one in self.alarms.values() if one.cleared is None]

    def open(self) -> set[frozenset[str]]:
        """What stands, as it is parted among incidents, without the numbers of alarms."""
        parts: dict[str, set[str]] = {}
        for one in self.standing():
            parts.setdefault(self.belongs[one.id], set()).add(one.id.partition("#")[0])
        return {frozenset(part) for part in parts.values()}

    def incident_of(self, one: Alarm) -> Incident:
        return self.incidents[self.belongs[f"{one.id}#{self.times[one.id]}"]]

    def _take(self, news: list[Alarm]) -> None:
        self.alarms |= {one.id: one for one in news}
        standing = self.standing()
        changed = {one.id: one for one in news}
        for one in standing:
            root = root_of(network(), one, [other for other in standing if may_be_root(other)])
            if (root.id if root else "") != one.root:
                now = {"root": root.id, "released": None} if root else {"root": "", "released": self.now}
                changed[one.id] = one.model_copy(update=now)
        self.alarms |= changed
        self._write(sort_out(changed.values(), self._known(), self.now))

    def _known(self) -> RecordedIncidents:
        roots = {one.id: one for one in self.standing() if may_be_root(one)}
        newest = {fault_of(one): one for one in self.incidents.values()}
        live = {name: self.incidents[name] for name in self.belongs.values()}
        return RecordedIncidents(dict(self.belongs), live | {one.id: one for one in newest.values()}, roots)

    def _write(self, outcome: Outcome) -> None:
        for name in outcome.left:
            del self.belongs[name]
        for source, target in outcome.merged.items():
            self.belongs = {name: target if of == source else of for name, of in self.belongs.items()}
        for part in outcome.joined:
            assert part.alarm not in self.belongs, "an alarm is part of one incident at a time"
            self.belongs[part.alarm] = part.incident
        self.incidents |= outcome.incidents
        self.decisions += [(one.action.removeprefix("incident."), one.incident) for one in outcome.decisions]
        self.check()

    def check(self) -> None:
        assert self.belongs.keys() == {one.id for one in self.standing()}
        counts = {name: list(self.belongs.values()).count(name) for name in self.incidents}
        assert counts == {name: one.standing for name, one in self.incidents.items()}
        for name, one in self.incidents.items():
            assert (one.state is IncidentState.OPEN) is (counts[name] > 0)

    def said(self) -> list[str]:
        return [action for action, _ in self.decisions]


DARK = tuple(alarm(station, **UNREACHABLE) for station in ("S3", "S4", "S5"))


def test_symptoms_grow_their_roots_incident_and_what_stood_before_merges_into_it() -> None:
    record = Record()
    record.raise_all(DARK[0])
    own = record.incident_of(DARK[0])
    record.raise_all(cut("radio"))
    record.raise_all(*DARK[1:])
    assert record.open() == {frozenset(one.id for one in (cut("radio"), *DARK))}
    assert record.incidents[own.id].merged_into == record.incident_of(cut("radio")).id
    assert record.said() == ["opened", "opened", "merged", "grew"]


@pytest.mark.parametrize("ids", [("a", "b"), ("b", "a")])
def test_of_faults_of_the_same_moment_the_root_follows_from_the_faults_and_not_from_their_ids(
    ids: tuple[str, str],
) -> None:
    links = zip(ids, ("mme-1", "mme-2"), strict=True)
    first, second = (link("S3", name=name).model_copy(update={"id": one}) for one, name in links)
    record = Record()
    record.raise_all(second, first)
    (incident,) = record.incidents.values()
    assert record.alarms[incident.root].object == first.object


def test_what_outlives_its_root_settles_with_it_and_then_splits_off_into_its_own_incident() -> None:
    record = Record()
    record.raise_all(DARK[0])
    before = record.incident_of(DARK[0])
    record.raise_all(cut("radio"), DARK[1])
    record.clear(cut("radio"))
    record.settle()
    (whole,) = record.open()
    assert whole == {DARK[0].id, DARK[1].id}
    record.now += SETTLES
    record.clear(DARK[1])
    record.settle()
    assert record.open() == {frozenset({DARK[0].id})}
    assert record.incident_of(DARK[0]).id == before.id, "it is the one that it had, and no longer part of another"
    assert record.incident_of(DARK[0]).merged_into == ""
    assert record.said()[-2:] == ["split", "closed"]


def test_what_splits_off_takes_along_what_follows_from_it() -> None:
    record = Record()
    record.raise_all(cut("radio"), alarm("S3", **ALL_LINKS), link("S3"))
    record.clear(cut("radio"))
    record.now += SETTLES
    record.settle()
    assert record.open() == {frozenset({alarm("S3", **ALL_LINKS).id, link("S3").id})}
    assert record.incident_of(link("S3")).root == f"{alarm('S3', **ALL_LINKS).id}#1"


def test_a_fault_that_flaps_is_one_incident_with_all_that_follows_each_time() -> None:
    record = Record()
    for _ in range(4):
        record.raise_all(cut("radio"), *DARK)
        record.now += timedelta(seconds=20)
        record.clear(cut("radio"))
        record.clear(*DARK)
        record.now += timedelta(seconds=40)
    (one,) = record.incidents.values()
    assert (one.flaps, one.flapping, one.state) == (3, True, IncidentState.CLOSED)
    assert record.said() == ["opened", "grew", "closed", *["reopened", "grew", "closed"] * 3]
    record.now += QUIET + timedelta(seconds=1)
    record.raise_all(cut("radio"))
    assert record.incident_of(cut("radio")).id != one.id
    assert not record.incident_of(cut("radio")).flaps


def test_a_root_that_comes_again_while_its_symptoms_settle_keeps_them() -> None:
    record = Record()
    record.raise_all(cut("radio"), *DARK)
    record.clear(cut("radio"))
    record.now += timedelta(minutes=1)
    record.raise_all(cut("radio"))
    record.now += 2 * SETTLES
    record.settle()
    (one,) = record.incidents.values()
    assert (one.standing, one.flaps) == (4, 1)
    assert record.said() == ["opened", "grew", "reopened"]


def test_an_alarm_whose_wider_root_is_over_goes_back_to_the_narrower_one() -> None:
    record = Record()
    record.raise_all(lost("claro", "mme-1"), link("S3"))
    record.raise_all(cut("radio"))
    assert record.open() == {frozenset({lost("claro", "mme-1").id}), frozenset({cut("radio").id, link("S3").id})}
    record.clear(cut("radio"))
    assert record.open() == {frozenset({lost("claro", "mme-1").id, link("S3").id})}


def test_core_nodes_of_one_tenant_are_one_incident_and_those_of_two_are_two() -> None:
    record = Record()
    first, second, theirs = lost("claro", "mme-1"), lost("claro", "mme-2"), lost("entel", "mme-1")
    record.raise_all(first, link("S3"))
    record.raise_all(second, theirs)
    own = record.incident_of(first)
    assert record.open() == {frozenset({first.id, second.id, link("S3").id}), frozenset({theirs.id})}
    record.clear(first)
    record.now += 2 * SETTLES
    record.settle()
    assert record.incident_of(second) == record.incidents[own.id], "what is left of the core is the same incident"
    record.raise_all(first)
    assert (record.incidents[own.id].flaps, record.incidents[own.id].standing) == (1, 2)
    assert frozenset({link("S3").id}) in record.open(), "the link did not come back with its node, nor go with it again"
    record.clear(first, second)
    record.now += timedelta(minutes=1)
    record.raise_all(second)
    assert record.incident_of(second).id == own.id


def test_core_links_of_one_tenant_at_a_station_are_one_incident() -> None:
    record = Record()
    first, second = link("S3"), link("S3", name="s1u", cause="user-plane-down")
    record.raise_all(first, second, link("S3", "entel"), link("S4"))
    own = record.incident_of(first)
    assert frozenset({first.id, second.id}) in record.open()
    assert len(record.open()) == 3
    record.clear(first, second)
    record.now += timedelta(minutes=1)
    record.raise_all(second, first)
    assert record.incident_of(first) == record.incident_of(second)
    assert record.incident_of(first).id == own.id
    assert record.incident_of(first).flaps == 1, "it came again once, with both"


def test_a_tenants_core_links_follow_one_by_one_and_their_incident_ends_with_the_last() -> None:
    record = Record()
    first, second = link("S3"), link("S3", name="mme-2")
    record.raise_all(first, second)
    own = record.incident_of(first)
    record.raise_all(lost("claro", "mme-1"))
    core = record.incident_of(lost("claro", "mme-1"))
    assert (record.incident_of(first).id, record.incident_of(second).id) == (core.id, own.id)
    record.raise_all(lost("claro", "mme-2"))
    assert len(record.open()) == 1
    assert record.incidents[own.id].merged_into == core.id
    record.clear(lost("claro", "mme-1"), lost("claro", "mme-2"))
    record.now += SETTLES
    record.settle()
    record.settle()
    assert record.open() == {frozenset({first.id, second.id})}
    assert record.incident_of(second).id == own.id, "it is the one that they had"
    assert record.said()[-3:] == ["split", "split", "closed"]


def test_a_root_that_comes_later_leaves_what_stood_before_it_alone() -> None:
    """Two faults below one node, and a cut later: one that had its own cause before, and one that came with the cut."""
    record = Record()
    record.raise_all(DARK[0], link("S6", "entel"))
    before = {one.id: record.incident_of(one).id for one in (DARK[0], link("S6", "entel"))}
    record.now += WINDOW + timedelta(seconds=1)
    record.raise_all(DARK[1])
    record.now += timedelta(seconds=50)
    record.raise_all(cut("radio"), DARK[2])
    assert record.open() == {
        frozenset({DARK[0].id}),
        frozenset({link("S6", "entel").id}),
        frozenset({cut("radio").id, DARK[1].id, DARK[2].id}),
    }
    assert {one.id: record.incident_of(one).id for one in (DARK[0], link("S6", "entel"))} == before
    # The cut is repaired: what is left of it is not the older fault's.
    record.clear(cut("radio"), DARK[1], DARK[2])
    assert record.open() == {frozenset({DARK[0].id}), frozenset({link("S6", "entel").id})}


def test_an_incident_has_no_alarm_of_which_a_tenant_is_told_without_its_root() -> None:
    """Its id and its alarms would show the tenant that the root stands."""
    dark = DARK[0].model_copy(update={"tenants": ("alfa", "beta"), "cells": ("S3/1",)})
    away = link("S3").model_copy(update={"tenants": ("alfa",), "cells": ("S3/1",)})
    record = Record()
    record.raise_all(cut("radio").model_copy(update={"tenants": ("alfa",)}), dark, away)
    assert record.open() == {frozenset((cut("radio").id, away.id)), frozenset((dark.id,))}
    assert all(record.alarms[f"{one.id}#1"].root == f"{cut('radio').id}#1" for one in (dark, away))


def test_a_cut_that_becomes_part_of_a_bigger_one_goes_on_as_itself_when_that_is_repaired() -> None:
    record = Record()
    record.raise_all(cut("radio"), *DARK)
    own = record.incident_of(cut("radio"))
    record.now += timedelta(minutes=2)
    others = (alarm("S1", **UNREACHABLE), alarm("S2", **UNREACHABLE))
    record.raise_all(cut("trunk"), *others)
    whole = record.incident_of(cut("trunk"))
    assert len(record.open()) == 1
    assert (record.incidents[own.id].state, record.incidents[own.id].merged_into) == (IncidentState.MERGED, whole.id)
    assert record.incidents[own.id].opened == own.opened
    assert record.incidents[whole.id].opened == own.opened
    record.now += timedelta(hours=1)
    record.clear(cut("trunk"))
    record.settle()
    rest, _ = sorted(record.open(), key=len, reverse=True)
    assert record.incident_of(cut("radio")).root == f"{cut('radio').id}#1", "it names what stands, and at once"
    assert record.incident_of(others[0]).id == whole.id, "what has no other root may end with the one that was repaired"
    record.clear(*others)
    assert rest == {cut("radio").id, *(one.id for one in DARK)}
    again = record.incident_of(cut("radio"))
    assert (again.id, again.opened, again.state) == (own.id, own.opened, IncidentState.OPEN)
    assert record.incidents[whole.id].state is IncidentState.CLOSED


_ANY = st.sampled_from(
    [
        *(cut(node) for node in ("core", "trunk", "radio")),
        *(lost("claro", name) for name in ("mme-1", "s1u")),
        *(make for station in HANGS for make in (link(station), link(station, name="s1u"), cell(station))),
        *(alarm(station, **what) for station in HANGS for what in (UNREACHABLE, ALL_LINKS, MAINS)),
        *(ROUTER, DRIFT),
    ]
)
_SOME = st.lists(_ANY, unique_by=lambda one: one.id, min_size=1, max_size=10)


@given(_SOME, st.randoms(use_true_random=False), st.booleans())
def test_the_same_alarms_have_the_same_incidents_in_whatever_order_they_came(
    found: list[Alarm], dice: Any, together: bool
) -> None:
    first, second = Record(), Record()
    mixed = found.copy()
    dice.shuffle(mixed)
    first.raise_all(*found)
    for group in [mixed] if together else [[one] for one in mixed]:
        second.raise_all(*group)
    assert first.open() == second.open()


@given(_SOME, st.data())
def test_however_alarms_come_and_go_they_are_parted_by_their_roots_once_they_have_settled(
    found: list[Alarm], data: st.DataObject
) -> None:
    record, standing = Record(), set[str]()
    for one in data.draw(st.lists(st.sampled_from(found), max_size=25)):
        record.now += timedelta(seconds=data.draw(st.sampled_from([1, 200, 800])))
        if one.id in standing:
            record.clear(one)
        else:
            record.raise_all(one)
        standing ^= {one.id}
        if data.draw(st.booleans()):
            record.settle()
    record.now += SETTLES
    record.settle()
    parts: dict[tuple[str, ...], set[str]] = {}
    for one in record.standing():
        top = one
        while top.root:
            top = record.alarms[top.root]
            assert top.cleared is None
        parts.setdefault(fault_of(top), set()).add(one.id.partition("#")[0])
    assert record.open() == {frozenset(part) for part in parts.values()}


STAYS_DOWN, CAME_BACK = None, AT + timedelta(hours=1, minutes=4)


@pytest.mark.parametrize(
    ("links", "more", "cleared"),
    [
        ((STAYS_DOWN, STAYS_DOWN, CAME_BACK), {}, {0, 1, 2}),
        ((STAYS_DOWN, AT + timedelta(hours=2), CAME_BACK), {}, {0, 1, 2}),
        ((STAYS_DOWN, CAME_BACK), {}, set()),
        ((STAYS_DOWN, STAYS_DOWN), {"source": AlarmSource.ALERTMANAGER}, set()),
        ((STAYS_DOWN, STAYS_DOWN), {"object": "gone"}, set()),
        ((STAYS_DOWN, STAYS_DOWN), {"object": "claro-mme-2"}, set()),
    ],
    ids=[
        "most stay down",
        "most stayed down",
        "half came back",
        "somebody told of it",
        "it is no more",
        "another core",
    ],
)
def test_a_core_did_not_take_links_most_of_which_stay_down_when_it_works(
    links: tuple[datetime | None, ...], more: dict[str, Any], cleared: set[int]
) -> None:
    over, content = AT + timedelta(hours=1), network(tenants=True).model_dump(mode="json")
    content["tenants"][0]["core"]["mme_pool"].append({"id": "mme-2", "address": "10.1.0.9"})
    made = Network.model_validate(content)
    core = Stay(9, lost("claro", "mme").model_copy(update=more), AT, over)
    stays = [core, *(Stay(number, link(f"S{number}", name="mme"), AT, until) for number, until in enumerate(links))]

    def found(minutes: float) -> set[int]:
        at = over + timedelta(minutes=minutes)
        return {one.number for _, taken in cleared_of_blame(stays, made, at) for one in taken}

    assert found(70) == cleared
    assert found(4) == set(), "links come back one after the other"
