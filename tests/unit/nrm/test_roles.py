"""The engine asks for roles: under a profile with other names it comes to the same."""

from __future__ import annotations

import ast
import json
import re
from collections.abc import Callable, Iterator
from dataclasses import asdict, replace
from pathlib import Path as FilePath
from typing import Any

import pytest

from controller.access.disclosure import visible_config
from controller.access.tenant_scope import tenant_scope
from controller.assurance.health import health_of
from controller.assurance.station_alarms import report_of
from controller.models.alarm import CORE_LINK_DOWN, ActiveAlarm, PerceivedSeverity
from controller.models.errors import PlanRefusedError
from controller.models.network import Network, Rat
from controller.models.plan import Change
from controller.models.sharing import ActionClass
from controller.nrm.fingerprint import differences
from controller.nrm.profiles import PROFILES, broadcast_rat, cells, links, register, root_spec
from controller.nrm.profiles.base import Profile
from controller.nrm.profiles.readings import read_station
from controller.nrm.schema import LeafRole, NodeRole, NodeSpec
from controller.nrm.tree import Path
from controller.plan import (
    PlanOptions,
    StationView,
    administrative_state_change,
    applied,
    drift,
    drifted_nodes,
    recreate_endpoints_change,
    undo_change,
)
from controller.plan.maintenance import removal_plan
from controller.runs.approval.consent import effect_of
from controller.runs.rollout.waves import units_of
from tests.unit.nrm import made_up
from tests.unit.plan import samples

LTE = "lte-28658"
CELL = f"{samples.LTE}/EUtranCellFDD[L1]"
LINK = f"{samples.LTE}/EP_S1C[beta-mme]"


@pytest.fixture(autouse=True)
def _known() -> Iterator[None]:
    with made_up.known():
        yield


def names(node: NodeSpec) -> set[str]:
    return {name for one in node.walk() for name in (one.name, *one.keys, *(leaf.name for leaf in one.leaves))}


def spelled(profile: str, path: Path) -> Path:
    """A path of the LTE profile under a profile."""
    return path if profile == LTE else made_up.renamed(path)


def leaf(profile: str, name: str) -> str:
    return name if profile == LTE else made_up.other(name)


def ordered(found: Any, name: Callable[[str], str] = str) -> Any:
    """What came out, with lists in one order, whatever names they were sorted by."""
    if isinstance(found, dict):
        return {name(key): ordered(value, name) for key, value in found.items()}
    if isinstance(found, list | tuple):
        return sorted((ordered(one, name) for one in found), key=lambda one: json.dumps(one, sort_keys=True))
    return name(found) if isinstance(found, str) else found


def in_made_up(found: Any) -> Any:
    """What came out under the LTE profile, with the names of the made-up one."""
    return ordered(found, _other)


def _other(text: str) -> str:
    if text in NAMES:
        return made_up.other(text)
    entry, _, name = made_up.renamed(text).rpartition("/")
    return f"{entry}/{made_up.other(name)}" if name in NAMES and entry else made_up.renamed(text)


NAMES = {name for function in PROFILES[LTE].functions for name in names(function)} - {"id"}


def plain(change: Change | None) -> Any:
    assert change is not None
    content = change.model_dump(mode="json")
    content["fingerprint"].pop("digest")
    # The root is the same under every profile.
    content["gained"] = [node for node in content["gained"] if node["path"].count("/") > 1]
    return content


def test_the_made_up_profile_shares_no_name_with_those_that_are_shipped() -> None:
    shipped = {name for name in PROFILES if name != made_up.NAME}
    known = {name for profile in shipped for function in PROFILES[profile].functions for name in names(function)}
    assert known.isdisjoint(name for function in made_up.PROFILE.functions for name in names(function))


# ----------------------------------------------------------------- what changes come to


def views(profile: str, *tenants: str, **changes: Any) -> StationView:
    return samples.view(made_up.network(profile, *tenants, **changes))


def change_of(profile: str, before: Network, after: Network, **options: Any) -> Change:
    view = samples.view(before)
    return samples.only_change(samples.plan(after, {"S1": view}, PlanOptions(max_share=1.0, **options)))


def a_tenant_comes(profile: str) -> Change:
    return change_of(profile, made_up.network(profile, "alfa"), made_up.network(profile, "alfa", "beta"))


def a_tenant_goes(profile: str) -> Change:
    both, one = made_up.network(profile, "alfa", "beta"), made_up.network(profile, "alfa")
    return change_of(profile, both, one, remove={"beta": 5})


def a_share_shrinks(profile: str) -> Change:
    before, after = (made_up.network(profile, "alfa", "beta", max_share=most) for most in (80, 60))
    return change_of(profile, before, after)


def a_share_grows(profile: str) -> Change:
    before, after = (made_up.network(profile, "alfa", "beta", max_share=most) for most in (60, 80))
    return change_of(profile, before, after)


def a_cell_is_locked_for_it(profile: str) -> Change:
    before, after = (made_up.network(profile, "alfa", "beta", pci=pci) for pci in (8, 9))
    return change_of(profile, before, after)


def a_station_starts(profile: str) -> Change:
    return samples.only_change(samples.plan(made_up.network(profile, "alfa", "beta"), {"S1": samples.factory()}))


def an_address_moves(profile: str) -> Change:
    after = made_up.network(profile, "alfa", "beta")
    view = samples.view(after, edit={spelled(profile, LINK): {leaf(profile, "remoteAddress"): "10.9.9.9"}})
    return samples.only_change(samples.plan(after, {"S1": view}))


def cells_are_shut_down(profile: str) -> Change:
    view = views(profile, "alfa", "beta")
    owners = {path: entry.owners for path, entry in view.ledger.items()}
    assert view.observed is not None
    made = administrative_state_change("S1", (profile,), view.observed, None, owners, "SHUTTINGDOWN")
    assert made is not None
    return made


def cells_are_locked(profile: str) -> Change:
    view = views(profile, "alfa", "beta")
    owners = {path: entry.owners for path, entry in view.ledger.items()}
    assert view.observed is not None
    made = administrative_state_change("S1", (profile,), view.observed, None, owners, "LOCKED")
    assert made is not None
    return made


def cells_come_back(profile: str) -> Change:
    locked = cells_are_locked(profile)
    after = samples.apply(made_up.network(profile, "alfa", "beta"), locked, views(profile, "alfa", "beta"))
    assert after.observed is not None
    return undo_change((profile,), locked, after.observed)


def a_link_is_made_anew(profile: str) -> Change:
    view = views(profile, "alfa", "beta")
    assert view.observed is not None
    return recreate_endpoints_change("S1", (profile,), view.observed, {spelled(profile, LINK): ("beta",)})


def all_is_removed(profile: str) -> Change:
    view = views(profile, "alfa", "beta")
    assert view.observed is not None
    made = removal_plan("S1", (profile,), view.observed, view.ledger).change
    assert made is not None
    return made


CHANGES = (
    a_tenant_comes,
    a_tenant_goes,
    a_share_shrinks,
    a_share_grows,
    a_cell_is_locked_for_it,
    a_station_starts,
    an_address_moves,
    cells_are_shut_down,
    cells_are_locked,
    cells_come_back,
    a_link_is_made_anew,
    all_is_removed,
)


@pytest.mark.parametrize("of", CHANGES, ids=lambda of: of.__name__)
def test_a_change_is_the_same_but_for_names(of: Any) -> None:
    assert ordered(plain(of(made_up.NAME))) == in_made_up(plain(of(LTE)))


@pytest.mark.parametrize("of", CHANGES, ids=lambda of: of.__name__)
def test_the_same_people_are_asked(of: Any) -> None:
    assert effect_of(of(made_up.NAME)) == effect_of(of(LTE))


def test_a_tenant_is_asked_before_its_share_shrinks() -> None:
    assert ("beta", ActionClass.REDUCE) in effect_of(a_share_shrinks(made_up.NAME)).asks
    assert ("beta", ActionClass.REDUCE) not in effect_of(a_share_grows(made_up.NAME)).asks


def test_what_is_removed_is_counted() -> None:
    assert a_tenant_goes(made_up.NAME).removes == {"beta": 5}
    both, one = (made_up.network(made_up.NAME, *tenants) for tenants in (("alfa", "beta"), ("alfa",)))
    with pytest.raises(PlanRefusedError, match="remove 5 nodes of beta on 1 device"):
        samples.plan(one, {"S1": samples.view(both)}, PlanOptions(max_share=1.0, remove={"beta": 4}))


def test_a_tracking_area_moves_together() -> None:
    before, after = (made_up.network(made_up.NAME, *tenants) for tenants in (("alfa",), ("alfa", "beta")))
    plan = samples.plan(after, {name: samples.view(before, name) for name in ("S1", "S2")})
    assert set(units_of(plan.changes, after)) == {("S1", "S2")}
    shares = made_up.network(made_up.NAME, "alfa", max_share=60)
    plan = samples.plan(shares, {name: samples.view(before, name) for name in ("S1", "S2")})
    assert set(units_of(plan.changes, shares)) == {("S1",), ("S2",)}


# ----------------------------------------------------------------- what stations say


def said(profile: str, edit: dict[Path, dict[str, str]] | None = None) -> StationView:
    named = {
        spelled(profile, path): {leaf(profile, n): v for n, v in found.items()} for path, found in (edit or {}).items()
    }
    return samples.view(made_up.network(profile, "alfa", "beta"), edit=dict(named))


LOCKED = {CELL: {"administrativeState": "LOCKED"}}


@pytest.mark.parametrize("edit", [{}, LOCKED, {LINK: {"administrativeState": "LOCKED"}}])
def test_health_is_the_same(edit: dict[Path, dict[str, str]]) -> None:
    lte, other = (said(profile, edit) for profile in (LTE, made_up.NAME))
    assert lte.observed is not None
    assert other.observed is not None
    was, now = (health_of("S1", view.observed, view.ledger, 0, samples.NOW) for view in (lte, other))  # type: ignore[arg-type]
    assert ordered(now.model_dump(mode="json")) == in_made_up(was.model_dump(mode="json"))
    assert len(now.cells) == 1
    assert len(now.links) == 2


def test_administrative_state_is_nobodys_drift() -> None:
    view = said(made_up.NAME, LOCKED)
    root = root_spec((made_up.NAME,))
    assert view.observed is not None
    assert drifted_nodes(root, applied(view.ledger), view.observed) == ()
    assert drift(root, applied(view.ledger), view) == ()
    made = samples.plan(made_up.network(made_up.NAME, "alfa", "beta"), {"S1": view})
    assert made.is_empty
    assert [one.code for one in made.findings if one.code != "user-plane-pool-missing"] == ["foreign-lock"]
    path, name = spelled(made_up.NAME, CELL), made_up.other("administrativeState")
    there = view.observed.tree
    assert differences(root, there, {**there, path: {**there[path], name: "SHUTTINGDOWN"}}, [path]) == ()


def test_an_alarm_of_a_core_link_is_one_of_a_core_link() -> None:
    view = said(made_up.NAME)
    alarm = ActiveAlarm("17", f"{made_up.other('EP_S1C')}=beta-mme", PerceivedSeverity.MAJOR, "no heartbeat")
    report = report_of("S1", alarm, samples.NOW, view.ledger)
    assert (report.probable_cause, report.tenant, report.object) == (
        CORE_LINK_DOWN,
        "beta",
        spelled(made_up.NAME, LINK),
    )
    of_cell = ActiveAlarm("18", f"{made_up.other('EUtranCellFDD')}=L1", PerceivedSeverity.MAJOR, "no power")
    assert report_of("S1", of_cell, samples.NOW, view.ledger).probable_cause == "o-ran-fault-18"


def test_a_tenant_sees_its_own_nodes_and_the_states_of_shared_cells() -> None:
    found = []
    for profile in (LTE, made_up.NAME):
        network, view = made_up.network(profile, "alfa", "beta"), said(profile)
        assert view.observed is not None
        seen = tenant_scope(profile, network, "beta")
        found.append(visible_config(seen, "S1", view.observed.tree, view.observed.state, view.ledger))
        assert seen.is_cell("S1", spelled(profile, CELL))
        assert not seen.is_cell("S1", spelled(profile, LINK))
    assert ordered(found[1]) == in_made_up(found[0])
    assert len(found[1][1][spelled(made_up.NAME, CELL)]) == 3


def test_a_station_is_read_back_alike() -> None:
    readings = [read_station(said(profile).observed.tree) for profile in (LTE, made_up.NAME)]  # type: ignore[union-attr]
    assert readings[1].profiles == (made_up.NAME,)
    assert asdict(replace(readings[1], profiles=(LTE,))) == asdict(readings[0])


def test_what_entries_are_about() -> None:
    tree = said(made_up.NAME).observed.tree  # type: ignore[union-attr]
    assert [(cell.cell, cell.rat) for cell in cells(tree)] == [("L1", Rat.LTE)]
    assert {link.plmns for link in links(tree)} == {("716-01",), ("716-02",)}
    assert sum(broadcast_rat(path) is Rat.LTE for path in tree) == 2


# --------------------------------------------------------------------------- the rule


def test_a_profile_declares_what_its_roles_need() -> None:
    cell = NodeSpec("Bare", "urn:example:bare", role=NodeRole.CELL)
    bare = Profile("bare", Rat.LTE, (cell,), (), lambda *_: None, lambda *_: "")
    with pytest.raises(ValueError, match="Bare has no leaf for administrative-state, operational-state"):
        register(bare)
    assert "bare" not in PROFILES


def test_a_name_means_the_same_in_all_profiles() -> None:
    clash = replace(made_up.PROFILE.functions[0], name="EP_S1C", role=NodeRole.CELL_PART, leaves=(), children=())
    with pytest.raises(ValueError, match="EP_S1C means something else in another profile"):
        register(replace(made_up.PROFILE, name="clash", functions=(clash,)))


def test_nobody_but_profiles_knows_their_names() -> None:
    """Names of shipped profiles stand in no string of the engine; help texts may have them as examples."""
    known = {name for profile in PROFILES.values() for function in profile.functions for name in names(function)}
    telling = [name for name in known if re.search(r"[a-z][A-Z]|[A-Z]{2}|_", name)]
    wrong = re.compile(rf"^/?({'|'.join(map(re.escape, [*telling, *PROFILES]))})[\[=]?$")
    engine = FilePath(made_up.__file__).parents[3] / "controller"
    outside = ("nrm/profiles", "store/migrations")
    found = [
        f"{file.relative_to(engine)}:{node.lineno}: {node.value}"
        for file in sorted(engine.rglob("*.py"))
        if not str(file.relative_to(engine)).startswith(outside)
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8")))
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and wrong.match(node.value)
    ]
    shipped = "models/scalars.py"  # which profiles there are
    assert [one for one in found if not one.startswith(shipped)] == []
    assert LeafRole.ADMINISTRATIVE_STATE not in known
