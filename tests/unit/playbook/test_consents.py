"""Whom a playbook's run asks, where it has no plan that tells what it changes."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from functools import cache
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from controller.inventory.source import Report
from controller.models.approval import RunConstraints
from controller.models.errors import InputError
from controller.models.network import Network, network_digest
from controller.models.outage import FOR_GOOD, UNKNOWN_OUTAGE, UNTIL_UNLOCKED, Outage, OutageKind
from controller.models.sharing import ActionClass
from controller.plan import CYCLE_SECONDS, nodes_behind, seal
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.consents import (
    asking_acts,
    beyond,
    effect_of_act,
    loss_at_most,
    playbook_constraints,
)
from controller.playbook.language.expressions import evaluate, holds
from controller.playbook.language.library import Loaded, parse
from controller.playbook.language.playbook import TARGET, Playbook, target_names
from controller.playbook.language.registry import ServiceLoss
from tests.strategies.expressions import KNOWN, OUTCOMES, conditions, lists
from tests.support.records import make_change
from tests.unit.plan import samples

NET = samples.network(("alfa", "beta"))
BOTH = {("alfa", ActionClass.INTERRUPT), ("beta", ActionClass.INTERRUPT)}


def constraints(steps: Iterable[dict[str, Any]], net: Network = NET, **more: Any) -> RunConstraints:
    """What a playbook of these steps runs under on S1."""
    content = {"name": "own", "description": "Of a test.", "targets": "S1", "steps": list(steps), **more}
    content["parameters"] = {"cell": {"type": "string", "description": "A cell."}}
    report = Report()
    loaded = parse(yaml.safe_dump(content, sort_keys=False), "own.yaml", registry(), report)
    assert loaded is not None, report.problems
    return constraints_of(loaded, {"cell": "N1"}, net)


def constraints_of(loaded: Loaded, values: dict[str, Any], net: Network) -> RunConstraints:
    plan = seal(created=samples.NOW, network="test", network_digest=network_digest(net), selector="S1", changes=())
    return playbook_constraints(loaded, registry(), values, net, plan, ["S1"], {"S1": samples.ledger(net)})


def own(steps: Iterable[dict[str, Any]]) -> Loaded:
    """A playbook of these steps, whose names nothing checks."""
    content = {"name": "own", "description": "Of a test.", "targets": "S1", "steps": list(steps)}
    return Loaded(Playbook.model_validate(content), "", "0")


@cache
def beta_on_lte() -> Network:
    """beta's agreement reaches LTE cells only."""
    agreements = [one.model_dump(mode="json") for one in NET.agreements]
    agreements[1]["scope"] = {"everywhere": True, "rats": ["LTE"]}
    return samples.network(("alfa", "beta"), agreements=agreements)


def asked(steps: Iterable[dict[str, Any]], net: Network = NET, **more: Any) -> set[tuple[str, ActionClass | None]]:
    """Sides and classes of action that a playbook of these steps asks for on S1."""
    return {(one.side, one.action) for one in constraints(steps, net, **more).requirements}


def step(action: str, **given: Any) -> dict[str, Any]:
    return {"name": action, "action": action, "with": given}


LOCK, UNLOCK = step("lock-cell", cells="all"), step("unlock-cell", cells="all")


def test_looking_asks_nobody() -> None:
    assert asked([step("read-state")]) == set()


def test_every_class_of_action_of_all_steps_counts() -> None:
    assert asked([UNLOCK]) == set()
    assert asked([UNLOCK, LOCK]) == BOTH
    for consents in ({"restore": "approval"}, {"restore": "approval", "interrupt": "standing"}):
        agreements = [one.model_dump(mode="json") for one in NET.agreements]
        agreements[0]["consents"] = consents
        net = samples.network(("alfa", "beta"), agreements=agreements)
        strict = {("alfa", ActionClass.RESTORE)}
        least = set() if "interrupt" in consents else {("alfa", ActionClass.INTERRUPT)}
        assert asked([UNLOCK, LOCK], net) == {*strict, *least, ("beta", ActionClass.INTERRUPT)}, (
            "each class is asked for"
        )
        back = {"undo": {"action": "unlock-cell", "with": {"cells": "all"}}}
        assert asked([LOCK | back], net) == {*strict, *least, ("beta", ActionClass.INTERRUPT)}
    assert asked([LOCK], guards={"approvals": 1}) == {*BOTH, ("host", None)}


NIGHTS = {"windows": [{"days": ["tue", "wed"], "start": "01:00", "end": "05:00"}]}


def test_windows_of_its_own_bind_whatever_it_does_beside_those_of_others() -> None:
    agreements = [one.model_dump(mode="json") for one in NET.agreements]
    agreements[0]["windows"] = [{"start": "23:00", "end": "03:00"}]
    net = samples.network(("alfa", "beta"), agreements=agreements)
    for one_step, calendars in ((step("read-state"), 1), (UNLOCK, 1), (LOCK, 2)):
        (group,) = constraints([one_step], net, guards=NIGHTS).groups
        assert len(group.calendars) == calendars, one_step
        assert [str(one.days[0]) for own in group.calendars for one in own if len(one.days) == 2] == ["tue"]
        assert len(constraints([one_step], net).groups[0].calendars) == calendars - 1


@pytest.mark.parametrize(
    ("cells", "names_one"),
    [(["{{ cell }}"], True), (["N1"], True), ("all", False), (["{{ target.cells[0] }}"], False), (["L1", "N1"], False)],
)
def test_only_those_on_the_named_cells_are_asked(cells: Any, names_one: bool) -> None:
    found = asked([step("lock-cell", cells=cells)], beta_on_lte())
    assert (("beta", ActionClass.INTERRUPT) not in found) is names_one
    assert ("alfa", ActionClass.INTERRUPT) in found


@pytest.mark.parametrize("cells", [[], "{{ [] }}", "{{ [] if target.router else run_of }}"])
def test_an_empty_list_of_cells_asks_nobody_also_beside_other_acts(cells: Any) -> None:
    content = {"name": "own", "description": "Of a test.", "targets": "S1"}
    none, one = step("lock-cell", cells=cells), step("soft-lock-cell", cells=["N1"])
    back = {"undo": {"action": "lock-cell", "with": {"cells": cells}}}
    for steps, sides in (([none], set[str]()), ([none, one], {"alfa"}), ([one | back], {"alfa"})):
        playbook = Playbook.model_validate(content | {"steps": steps})
        found = constraints_of(Loaded(playbook, "", "0"), {"run_of": []}, beta_on_lte())
        assert {one.side for one in found.requirements} == sides


def test_an_act_on_cells_says_which_and_an_empty_list_names_none() -> None:
    for name in ("lock-cell", "soft-lock-cell", "unlock-cell"):
        action = registry().action(name)
        for wrong in ({}, {"cells": None}, {"cells": "L1"}, {"cells": "ALL"}, {"cells": {"L1": 1}}):
            with pytest.raises(InputError, match="cells"):
                action.check_inputs(wrong)
        nodes = samples.ledger(NET).values()
        for cells, tenants in (("all", {"alfa", "beta"}), (["N1"], {"alfa", "beta"}), ([], set())):
            effect = effect_of_act(action, action.check_inputs({"cells": cells}), None, NET, "S1", nodes)
            assert effect.tenants == tenants


def test_whoever_is_asked_reads_how_the_outage_ends() -> None:
    back = {"action": "unlock-cell", "with": {"cells": "all"}}
    for steps, outage in (
        ([LOCK], UNTIL_UNLOCKED),
        ([UNLOCK | {"undo": {"action": "lock-cell", "with": {"cells": "all"}}}], UNTIL_UNLOCKED),
        ([step("soft-lock-cell", cells=["N1"]), step("restart-station")], UNTIL_UNLOCKED),
        ([step("restart-station")], UNKNOWN_OUTAGE),
        ([step("cycle-cell", cell="N1") | {"undo": back}], Outage.timed(CYCLE_SECONDS)),
        ([LOCK, step("remove-nodes", nodes=3)], FOR_GOOD),
    ):
        found = constraints(steps)
        assert {one.outage for one in found.requirements} == {outage}
        assert found.outages == {"alfa": outage, "beta": outage}
    assert constraints([UNLOCK]).outages == {}
    only = constraints([step("lock-cell", cells=["N1"])], beta_on_lte())
    assert only.outages == {"alfa": UNTIL_UNLOCKED}


UNTIL_STEP = Outage(kind=OutageKind.UNTIL_STEP)
LOCKS = step("lock-cell", cells=["N1"]) | {"name": "lock", "register": "locked"}
WAITS = step("wait-until", condition="cells-on-air", seconds=90) | {"name": "wait"}
ASKS = step("ask-a-human", text="Go on?", seconds=600) | {"name": "ask", "retries": 0}
ON_NR = {"when": "{{ target.cells | length > 0 }}"}


@pytest.mark.parametrize(
    ("steps", "outage"),
    [
        ([LOCKS, step("unlock-cell", cells="{{ locked.cells }}")], UNTIL_STEP),
        ([LOCKS, step("unlock-cell", cells="all")], UNTIL_STEP),
        ([LOCKS, step("unlock-cell", cells=["L1", "N1"])], UNTIL_STEP),
        ([LOCKS, step("unlock-cell", cells=["L1"])], UNTIL_UNLOCKED),
        ([LOCKS | {"with": {"cells": "all"}}, step("unlock-cell", cells=["L1", "N1"])], UNTIL_UNLOCKED),
        # It is known whether these steps are carried out.
        ([LOCKS | ON_NR, step("unlock-cell", cells="{{ locked.cells }}") | ON_NR], UNTIL_STEP),
        ([LOCKS, step("unlock-cell", cells="{{ locked.cells }}") | {"when": "{{ 1 == 1 }}"}], UNTIL_STEP),
        ([LOCKS, step("unlock-cell", cells="{{ locked.cells }}") | {"when": "{{ 1 == 2 }}"}], UNTIL_UNLOCKED),
        # Where the lock changed nothing, nothing of it is to be ended.
        ([LOCKS, step("unlock-cell", cells="{{ locked.cells }}") | {"when": "{{ locked.changed }}"}], UNTIL_STEP),
        ([LOCKS, step("unlock-cell", cells="all") | {"when": "{{locked.changed}}"}], UNTIL_STEP),
        ([LOCKS, step("unlock-cell", cells=["L1"]) | {"when": "{{ locked.changed }}"}], UNTIL_UNLOCKED),
        ([LOCKS, step("unlock-cell", cells="all") | {"when": "{{ not locked.changed }}"}], UNTIL_UNLOCKED),
        # An unlock before the lock ends nothing, and a second lock needs one of its own.
        ([UNLOCK, LOCKS], UNTIL_UNLOCKED),
        ([LOCKS, step("unlock-cell", cells="all"), LOCKS | {"name": "again", "register": "more"}], UNTIL_UNLOCKED),
        ([LOCKS, WAITS, step("unlock-cell", cells="all")], UNTIL_STEP.model_copy(update={"seconds": 90})),
        ([LOCKS, WAITS, ASKS, step("unlock-cell", cells="all")], UNTIL_STEP.model_copy(update={"seconds": 690})),
        (
            [LOCKS, WAITS | {"retries": 2, "retry_seconds": 15}, step("unlock-cell", cells="all")],
            UNTIL_STEP.model_copy(update={"seconds": 300}),
        ),
        (
            [LOCKS, step("unlock-cell", cells="all") | {"retries": 2, "retry_seconds": 15}],
            UNTIL_STEP.model_copy(update={"seconds": 30}),
        ),
        (
            [
                LOCKS,
                ASKS | {"with": ASKS["with"] | {"seconds": "{{ 60 if locked.changed else 90 }}"}},
                step("unlock-cell", cells="all"),
            ],
            UNTIL_STEP,
        ),
    ],
)
def test_a_step_that_unlocks_for_certain_bounds_the_outage_of_one_before(steps: list[Any], outage: Outage) -> None:
    found = constraints(json.loads(json.dumps(steps)))  # without aliases
    assert {one.outage for one in found.requirements} == {outage}
    assert set(found.outages.values()) == {outage}
    assert outage.is_open is (outage == UNTIL_UNLOCKED)


# ------------------------------------------------------------ what depends on earlier steps

LOOK = {"name": "look", "action": "read-state", "register": "before"}


@pytest.mark.parametrize(
    "when",
    [
        "{{ before is defined }}",
        "{{ before is undefined or true }}",
        "{{ (before | default([])) | length > 0 }}",
        "{{ before.dark | length > 0 }}",
        "{{ run is defined }}",
        "{{ cell == 'N1' and before.cells_on_air > 0 }}",
    ],
)
def test_a_step_that_depends_on_an_earlier_one_asks_as_if_it_was_done(when: str) -> None:
    assert asked([LOOK, LOCK | {"when": when}]) == BOTH


def test_a_step_that_can_not_be_done_asks_nobody() -> None:
    skipped = LOOK | {"when": "{{ target.router }}"}
    for when in ("{{ before is defined }}", "{{ target.router and before.dark == [] }}"):
        assert asked([skipped, LOCK | {"when": when}]) == set()


@pytest.mark.parametrize(
    "cells",
    [
        "{{ before.dark | default(['N1']) }}",
        "{{ before.dark if before is defined else ['N1'] }}",
        ["{{ 'N1' if before is undefined else 'L1' }}"],
        "N1",  # no list, but a text whose characters are no cells
    ],
)
def test_cells_that_depend_on_an_earlier_step_are_all_cells(cells: Any) -> None:
    lock = {"name": "lock", "action": "lock-cell", "with": {"cells": cells}, "register": "locked"}
    playbook = Playbook.model_validate(
        {"name": "own", "description": "Of a test.", "targets": "S1", "steps": [LOOK, lock]}
    )
    found = constraints_of(Loaded(playbook, "", "0"), {}, beta_on_lte())
    assert {(one.side, one.action) for one in found.requirements} == BOTH


def test_what_a_step_is_undone_by_asks_too_where_it_takes_more() -> None:
    restart, lock = {"action": "restart-station"}, step("lock-cell", cells=["N1"])
    assert asked([UNLOCK | {"undo": restart}]) == BOTH
    assert asked([lock | {"undo": {"action": "lock-cell", "with": {"cells": "all"}}}], beta_on_lte()) == BOTH
    back = {"action": "unlock-cell", "with": {"cells": ["N1"]}}
    assert asked([lock | {"undo": back}], beta_on_lte()) == {("alfa", ActionClass.INTERRUPT)}


# ------------------------------------------------------------------- what bounds the outputs of earlier steps


def locking(cells: Any, action: str = "lock-cell", **more: Any) -> dict[str, Any]:
    return {"name": "lock", "action": action, "with": {"cells": cells}, "register": "locked", **more}


def bounded_by(*steps: dict[str, Any], values: dict[str, Any] | None = None) -> RunConstraints:
    return constraints_of(own(steps), values or {}, beta_on_lte())


@pytest.mark.parametrize(
    "cells",
    [
        "{{ locked.cells }}",
        "{{ locked['cells'] }}",
        ["{{ locked.cells[0] }}"],
        ["{{ locked.cells | last }}"],
        "{{ locked.cells | sort | unique | list }}",
        "{{ locked.cells or ['N1'] }}",
        "{{ locked.cells + ['N1'] }}",
        "{{ locked.cells if locked.changed else [] }}",
        "{{ (locked.cells if locked is defined else ['N1']) | default([]) }}",
    ],
)
def test_a_step_that_takes_its_cells_from_an_earlier_one_asks_no_more_than_that_was_given(cells: Any) -> None:
    alfa = {("alfa", ActionClass.INTERRUPT)}
    for given_cells, asks in ((["N1"], alfa), (["{{ cell }}"], alfa), (["L1", "N1"], BOTH), ("all", BOTH)):
        look = locking(given_cells, "check-cells-on-air")
        found = bounded_by(look, step("lock-cell", cells=cells), values={"cell": "N1"})
        assert {(one.side, one.action) for one in found.requirements} == asks, given_cells
        assert bool(found.open_inputs) is (given_cells == "all")


def test_a_bound_holds_over_several_steps_in_an_undo_and_for_one_cell() -> None:
    again = locking("{{ locked.cells }}", "check-cells-on-air") | {"name": "again", "register": "again"}
    third = step("lock-cell", cells="{{ again.cells }}")
    assert {one.side for one in bounded_by(locking(["N1"]), again, third).requirements} == {"alfa"}
    back = {"undo": {"action": "lock-cell", "with": {"cells": "{{ locked.cells }}"}}}
    agreements = [one.model_dump(mode="json") for one in beta_on_lte().agreements]
    agreements[1]["consents"] = {"restore": "approval"}
    net = samples.network(("alfa", "beta"), agreements=agreements)
    found = constraints_of(own([locking(["N1"], "unlock-cell", **back)]), {}, net)
    assert {one.side for one in found.requirements} == {"alfa"}
    cycle = {"name": "cycle", "action": "cycle-cell", "with": {"cell": "N1"}, "register": "cycled"}
    acts = asking_acts(own([cycle, step("lock-cell", cells="{{ cycled.cells }}")]).playbook, registry(), {})
    assert [act.cells for act in acts] == [None, {"N1"}]


@pytest.mark.parametrize(
    ("steps", "restarts"),
    [
        ([step("restart-station")], True),
        ([step("reset-radio-unit", unit="ru-1")], True),
        ([step("lock-cell", cells=["N1"]), step("rollback-software", slot="s-1")], True),
        ([{**step("restart-station"), "when": "{{ target.router }}"}], False),
        ([step("cycle-cell", cell="N1")], False),
    ],
)
def test_a_run_that_may_restart_its_device_says_so_whoever_has_nodes_there(
    steps: list[dict[str, Any]], restarts: bool
) -> None:
    empty = seal(created=samples.NOW, network="test", network_digest=network_digest(NET), selector="S1", changes=())
    for nodes in ({}, samples.ledger(NET)):
        found = playbook_constraints(own(steps), registry(), {}, NET, empty, ["S1"], {"S1": nodes})
        assert [group.restarts for group in found.groups] == [restarts]


def test_nothing_is_asked_or_told_where_an_earlier_step_was_given_no_cell() -> None:
    unlock = step("unlock-cell", cells="{{ locked.cells }}")
    lock = step("lock-cell", cells="{{ locked.cells | sort }}")
    for steps in ([locking([])], [locking([]), unlock, lock], [locking("{{ target.cells if target.router else [] }}")]):
        found = bounded_by(*steps)
        assert (found.requirements, found.tenants, found.outages) == ((), (), {})
        assert (found.groups[0].tenants, found.groups[0].interrupts) == ((), False)


@pytest.mark.parametrize(
    ("cells", "why"),
    [
        ("{{ before.dark }}", r"before.dark is known only after step 'look' \(read-state\), and no input of that step"),
        (["N1", "{{ before.dark[0] }}"], "before.dark is known only after step 'look'"),
        ("{{ run.cells }}", "run.cells is known only when the run is accepted"),
        ("{{ locked.cells }}", r"step 'lock' \(lock-cell\), whose input cells may name any cell: {{ before.dark }}"),
        ("{{ [] + before.dark + locked.cells }}", "before.dark is .*; locked.cells is "),
        ("{{ nobody.knows + nothing }}", "nobody.knows is known only when .*; nothing is known only when"),
        ("{{ [] + target.nothing }}", "nothing"),
        ("{{ fixed.cells | join('') | list }}", "it may result in other names than those that it is made of"),
    ],
)
def test_an_expression_that_asks_tenants_of_all_cells_is_named_with_the_reason(cells: Any, why: str) -> None:
    before = (LOOK, locking("{{ before.dark }}"), locking(["N1"]) | {"name": "fixed", "register": "fixed"})
    found = bounded_by(*before, step("unlock-cell", cells=cells) | {"name": "back on air"})
    told = {one.step: one for one in found.open_inputs}
    assert set(told) == {"lock", "back on air"}, "each expression that asks for all cells, and no other"
    one = told["back on air"]
    assert (one.file, one.input, one.stations) == ("own.yaml", "cells", 1)
    assert one.expression == (cells if isinstance(cells, str) else cells[-1])
    assert re.search(why, one.why), one.why
    assert not bounded_by(LOCK, step("lock-cell", cells=["N1"])).open_inputs, "all cells that are named so need none"


def test_other_tenants_are_asked_where_one_step_names_cells_and_another_a_whole_station() -> None:
    one, whole = step("lock-cell", cells=["N1"]), step("restart-station")
    for steps in ([one, whole], [whole, one], [one, LOCK], [LOCK, one]):
        found = bounded_by(*steps)
        assert {(one.side, one.action) for one in found.requirements} == BOTH
        assert found.about == {}, "it is about all of the station"
    assert bounded_by(one, step("soft-lock-cell", cells=["L1"])).about == {"S1": ("L1", "N1")}


# ------------------------------------------------------------------- beside a plan

APPLY = step("apply-intent")


def planned(*steps: dict[str, Any], source: str = "network") -> RunConstraints:
    """What a playbook runs under whose plan brings a core link of entel to S1."""
    content = {"name": "own", "description": "Of a test.", "targets": "S1", "steps": list(steps)}
    loaded = Loaded(Playbook.model_validate(content | {"plan": {"source": source}}), "", "0")
    change = make_change("S1")
    assert [node.owners for node in change.gained] == [("entel",)]
    plan = seal(created=samples.NOW, network="t", network_digest="d", selector="S1", changes=[change])
    return playbook_constraints(loaded, registry(), {}, NET, plan, ["S1"], {"S1": samples.ledger(NET)})


def test_a_tenant_that_the_plan_brings_is_asked_for_what_comes_after_it_and_not_before() -> None:
    look, entel = step("read-state"), ("entel", ActionClass.INTERRUPT)
    for steps, brought in (
        ((APPLY, LOCK), True),
        ((APPLY, look, LOCK), True),
        ((UNLOCK, APPLY, LOCK), True),
        ((LOCK, APPLY), False),
        ((APPLY, look), False),
    ):
        found = planned(*steps)
        asks = {(one.side, one.action) for one in found.requirements}
        assert (entel in asks) is brought, [one["action"] for one in steps]
        assert (("alfa", ActionClass.INTERRUPT) in asks) is (LOCK in steps)
        assert "entel" in found.tenants, "it gets a notice of what the plan does"


def test_an_act_is_after_the_plan_whatever_stands_between() -> None:
    content = {"name": "own", "description": "Of a test.", "targets": "S1", "plan": {}}
    steps = [LOCK, APPLY, UNLOCK, step("read-state"), step("restart-station")]
    acts = asking_acts(Playbook.model_validate(content | {"steps": steps}), registry(), {})
    assert [(act.action.name, act.planned) for act in acts] == [
        ("lock-cell", False),
        ("unlock-cell", True),
        ("restart-station", True),
    ]


@pytest.mark.parametrize(("source", "waits"), [("network", True), ("applied", False), ("endpoint", False)])
def test_what_only_brings_back_what_was_applied_waits_for_no_window(source: str, waits: bool) -> None:
    agreements = [one.model_dump(mode="json") for one in NET.agreements]
    agreements[0]["windows"] = [{"start": "23:00", "end": "03:00"}]
    net = samples.network(("alfa", "beta"), agreements=agreements)
    more = {"endpoint": "x"} if source == "endpoint" else {}
    content = {"name": "own", "description": "Of a test.", "targets": "S1", "steps": [APPLY, LOCK]}
    loaded = Loaded(Playbook.model_validate(content | {"plan": {"source": source, **more}}), "", "0")
    (group,) = constraints_of(loaded, {}, net).groups
    assert bool(group.calendars) is waits


def test_a_rules_run_asks_the_host_for_a_tenant_that_only_gets_notice() -> None:
    agreements = [one.model_dump(mode="json") for one in NET.agreements]
    agreements[0]["consents"] = {"interrupt": "notice"}
    net = samples.network(("alfa", "beta"), agreements=agreements)
    loaded = own([LOCK])
    plan = seal(created=samples.NOW, network="test", network_digest=network_digest(net), selector="S1", changes=())
    for automatic in (False, True):
        found = playbook_constraints(
            loaded, registry(), {}, net, plan, ["S1"], {"S1": samples.ledger(net)}, automatic=automatic
        )
        assert (("host", "alfa") in {(one.side, one.stands_for) for one in found.requirements}) is automatic


@pytest.mark.parametrize(
    ("does", "undo", "counts"),
    [
        (step("lock-cell", cells=["N1"]), step("lock-cell", cells=["N1"]), False),
        (step("lock-cell", cells=["L1", "N1"]), step("lock-cell", cells=["N1"]), False),
        (step("lock-cell", cells=["N1"]), step("lock-cell", cells=["L1", "N1"]), True),
        (step("lock-cell", cells=["N1"]), step("lock-cell", cells=["L1"]), True),
        (LOCK, step("lock-cell", cells=["N1"]), False),
        (LOCK, step("restart-station"), False),
        (step("lock-cell", cells=["N1"]), step("restart-station"), True),
        (LOCK, UNLOCK, True),
        (UNLOCK, UNLOCK, False),
        (step("restart-station"), LOCK, True),  # the restart asks only whom it takes service from
        (step("cycle-cell", cell="N1"), step("lock-cell", cells=["N1"]), True),
        (step("reload-licence"), UNLOCK, False),
        (step("remove-nodes", nodes=3), step("remove-nodes", nodes=3), False),
    ],
)
def test_an_undo_counts_unless_it_takes_nothing_that_the_step_does_not_take(
    does: dict[str, Any], undo: dict[str, Any], counts: bool
) -> None:
    back = {"undo": {name: undo[name] for name in ("action", "with")}}
    acts = asking_acts(own([does | back]).playbook, registry(), {})
    assert [act.action.name for act in acts] == [does["action"], *([undo["action"]] if counts else [])]


@pytest.mark.parametrize(
    ("serving", "idle", "cells"),
    [
        ({("N1", "alfa")}, set(), {"N1"}),
        (set(), {("N1", "alfa")}, {"N1"}),
        ({("L1", "beta")}, {("N1", "alfa")}, {"L1"}),
        (set(), set(), set()),
    ],
)
def test_an_outage_that_is_known_is_about_its_cells(
    serving: set[tuple[str, str]], idle: set[tuple[str, str]], cells: set[str]
) -> None:
    action = registry().action("cycle-cell")
    loss = ServiceLoss(frozenset(serving), frozenset(idle))
    effect = effect_of_act(action, action.check_inputs({"cell": "N1"}), loss, NET, "S1", ())
    assert effect.cells == cells
    assert effect.interrupted == {tenant for _, tenant in serving}


ONE, OTHER = step("lock-cell", cells=["N1"]), step("soft-lock-cell", cells=["L1"])


@pytest.mark.parametrize(
    ("steps", "cells"),
    [
        ([ONE], {"N1"}),
        ([OTHER], {"L1"}),
        ([ONE, UNLOCK], {"N1"}),
        ([step("reload-licence"), ONE, step("acknowledge-alarm", alarm="a-1")], {"N1"}),
        ([ONE | {"undo": {"action": "unlock-cell", "with": {"cells": "all"}}}], {"N1"}),
        ([ONE, OTHER], {"L1", "N1"}),
        ([ONE | {"register": "locked"}, step("soft-lock-cell", cells="{{ locked.cells }}")], {"N1"}),
        ([ONE, LOCK], None),
        ([ONE, step("lock-cell", cells="{{ later }}")], None),
        ([ONE, step("restart-station")], None),
        ([ONE, step("remove-nodes", nodes=3)], None),
        ([UNLOCK], None),
    ],
)
def test_steps_that_name_their_cells_reach_these_and_what_brings_service_back_adds_none(
    steps: list[dict[str, Any]], cells: set[str] | None
) -> None:
    acts = asking_acts(own(steps).playbook, registry(), {})
    nodes = [*nodes_behind(beta_on_lte(), "S1", {"S1": samples.ledger(beta_on_lte())})]
    found = loss_at_most(acts, [None for _ in acts], nodes, ())
    assert (None if found is None else found.cells) == cells
    if found is not None:
        assert found.tenants == ({"alfa"} if cells == {"N1"} else {"alfa", "beta"})


def test_an_act_that_tells_what_it_takes_reaches_that_beside_one_that_names_its_cells() -> None:
    acts = asking_acts(own([step("restart-station"), ONE]).playbook, registry(), {})
    tells = ServiceLoss(frozenset({("L1", "beta")}), cells=frozenset({"L1"}))
    found = loss_at_most(acts, [tells, None], [], ["N1"])
    assert found == ServiceLoss(tells.serving, cells=frozenset({"L1", "N1"}))


@pytest.mark.parametrize(
    ("files", "applied", "reached"),
    [
        (("L1", "N1"), True, {"N1"}),
        # A cell that was never applied is there, and so is one that the network files have no more.
        (("L1", "N1"), False, {"N1"}),
        (("L1",), True, {"N1"}),
        (("L1",), False, set()),
    ],
)
def test_a_cell_that_the_station_does_not_have_is_not_reached(
    files: tuple[str, ...], applied: bool, reached: set[str]
) -> None:
    acts = asking_acts(own([step("lock-cell", cells=["N1", "N9"])]).playbook, registry(), {})
    nodes = [*samples.ledger(NET).values()] if applied else []
    found = loss_at_most(acts, [None], nodes, files)
    assert found is not None
    assert found.cells == frozenset(reached)
    assert found.tenants == ({"alfa", "beta"} if applied else set())


#: Who gets service of each cell, by the agreements.
SERVED = {"L1": {"alfa", "beta"}, "N1": {"alfa"}}
STEPS = st.lists(
    st.fixed_dictionaries(
        {
            "action": st.sampled_from(["lock-cell", "soft-lock-cell", "unlock-cell"]),
            "when": conditions(),
            "with": st.one_of(st.just("all"), lists()).map(lambda cells: {"cells": cells}),
        }
    ),
    min_size=1,
    max_size=3,
)


@settings(max_examples=150, deadline=None)
@given(
    STEPS,
    st.sampled_from(["{{ yes }}", "{{ no }}", "{{ count > 1 }}"]),
    OUTCOMES,
    st.one_of(st.just("all"), lists()),
    st.sets(st.sampled_from(["L1", "N1"])),
)
def test_whatever_values_turn_out_to_be_whom_a_step_interrupts_was_asked(
    given_steps: list[dict[str, Any]], looks: str, later: dict[str, Any], first: str, found_locked: set[str]
) -> None:
    net = beta_on_lte()
    look = {"name": "look", "action": "read-state", "register": "before", "when": looks}
    lock = locking(first, "check-cells-on-air")
    steps = [look, lock, *({"name": f"step {number}", **one} for number, one in enumerate(given_steps))]
    loaded = own(steps)
    found = constraints_of(loaded, KNOWN, net)
    names = {**KNOWN, **(later if holds(looks, KNOWN) else {}), TARGET: target_names(net, "S1")}
    try:
        checked = evaluate(first, names)
        registry().action("check-cells-on-air").check_inputs({"cells": checked})
    except InputError:
        return  # the step fails
    names["locked"] = {"cells": sorted(found_locked & {*(SERVED if checked == "all" else checked)})}
    for one in loaded.playbook.steps[2:]:
        action = registry().action(one.action)
        try:
            if not evaluate(one.when, names):
                continue
            inputs = action.check_inputs(evaluate(one.with_, names))
        except InputError:
            return  # the step fails, and what was done before is undone
        cells = evaluate(one.with_["cells"], names)
        effect = effect_of_act(action, inputs, None, net, "S1", samples.ledger(net).values())
        assert beyond(found, effect) == []
        if one.action != "unlock-cell":
            hit = set().union(*(SERVED[cell] for cell in (SERVED if cells == "all" else cells) if cell in SERVED))
            assert hit <= {side.side for side in found.requirements if side.action is ActionClass.INTERRUPT}
            assert hit <= {*found.groups[0].tenants}, "their freezes bind, and they get a notice"
            assert found.groups[0].interrupts or not hit


# -------------------------------------------------------------------- cells off the air


def off_air(found: RunConstraints, tenant: str = "alfa") -> str:
    """What a tenant is told of its cells by its requirement, in words."""
    (asked_for,) = (one for one in found.requirements if (one.side, one.action) == (tenant, ActionClass.INTERRUPT))
    assert asked_for.off_air == found.off_air.get(tenant)
    return str(asked_for.off_air)


def test_a_tenant_is_told_which_of_its_own_cells_go_off_the_air_and_of_which_step() -> None:
    net = beta_on_lte()
    one, every = constraints([step("lock-cell", cells=["L1"])], net), constraints([LOCK], net)
    assert off_air(one) == "1 of 2 cells: S1/L1"
    assert off_air(every) == "all 2 cells"
    assert off_air(one, "beta") == off_air(every, "beta") == "the only cell there", "it has no other to be told of"
    assert one.subject != every.subject
    other = constraints([step("unlock-cell", cells=["L1"]), step("lock-cell", cells=["N1"])], net)
    assert off_air(other) == "1 of 2 cells: S1/N1", "no cell that is only unlocked"
    assert (other.named_off("alfa"), every.named_off("alfa")) == (("S1/N1",), ())
    both = constraints([step("lock-cell", cells=["L1"]), step("soft-lock-cell", cells=["N1"])], net)
    assert off_air(both) == "all 2 cells"
    told = {name: {side: str(off) for side, off in sides.items()} for name, sides in both.steps_off_air.items()}
    assert told == {
        "lock-cell": {"alfa": "1 of 2 cells: S1/L1", "beta": "the only cell there", "host": "1 of 2 cells: S1/L1"},
        "soft-lock-cell": {"alfa": "1 of 2 cells: S1/N1", "host": "1 of 2 cells: S1/N1"},
    }
    assert both.steps_about == {"lock-cell": ("alfa", "beta"), "soft-lock-cell": ("alfa",)}
    assert every.steps_about == {"lock-cell": ("alfa", "beta")}


def test_a_tenant_is_told_that_a_step_says_only_later_which_cells_go_off_the_air() -> None:
    look = {"name": "look", "action": "read-state", "register": "before"}
    found = constraints([look, step("lock-cell", cells="{{ before.dark }}")], beta_on_lte())
    assert found.open_inputs
    assert off_air(found) == "all 2 cells (which of them is known only when an earlier step has run)"
    assert found.steps_off_air["lock-cell"]["alfa"].open
    assert not found.asked_off, "all that they may be were asked about"


def test_of_cells_that_serve_nobody_a_tenant_is_not_told_that_they_go_off_the_air() -> None:
    loaded = own([LOCK])
    plan = seal(created=samples.NOW, network="test", network_digest=network_digest(NET), selector="S1", changes=())
    lost = ServiceLoss(frozenset({("L1", "alfa")}), frozenset({("N1", "alfa"), ("L1", "beta")}))
    ledger = {"S1": samples.ledger(NET)}
    found = playbook_constraints(loaded, registry(), {}, NET, plan, ["S1"], ledger, outages={"S1": lost})
    assert {tenant: str(off) for tenant, off in found.off_air.items()} == {"alfa": "1 of 2 cells: S1/L1"}
    assert found.asked_off == {"S1": (("L1", "alfa"),)}


def test_a_yes_to_some_cells_is_to_none_that_became_its_tenants_since() -> None:
    net = beta_on_lte()
    bound = constraints([step("lock-cell", cells=["L1", "N1"])], net)
    action = registry().action("lock-cell")
    both = ("alfa", "beta")
    grown = samples.ledger(samples.network(both)).values()  # beta came to the NR cell meanwhile
    for cells, wrong in ((["L1"], []), (["N1"], ["interrupt beta at cell N1"])):
        effect = effect_of_act(action, action.check_inputs({"cells": cells}), None, net, "S1", grown)
        assert beyond(bound, effect) == wrong, cells


# ------------------------------------------------------------------- when a step is due


@pytest.mark.parametrize(
    ("asks", "about", "cells", "wrong"),
    [
        ((("alfa", "interrupt"), ("beta", "interrupt")), (), (), []),
        ((("alfa", "interrupt"),), (), (), ["interrupt beta"]),
        ((("alfa", "interrupt"), ("beta", "configure")), (), ("L1",), ["interrupt beta at cell L1"]),
        ((("alfa", "interrupt"), ("beta", "reduce")), (), (), ["interrupt beta"]),
        ((("alfa", "interrupt"),), ("N1",), ("N1",), []),
        ((("alfa", "interrupt"), ("beta", "interrupt")), ("N1",), ("L1", "N1"), ["interrupt alfa", "interrupt beta"]),
        ((("alfa", "interrupt"), ("beta", "interrupt")), ("N1",), (), ["interrupt alfa", "interrupt beta"]),
        ((), (), (), ["interrupt alfa", "interrupt beta"]),
    ],
)
def test_an_act_goes_no_further_than_what_was_asked(
    asks: tuple[tuple[str, str], ...], about: tuple[str, ...], cells: tuple[str, ...], wrong: list[str]
) -> None:
    net = beta_on_lte()
    found = constraints([LOCK], net)
    (group,) = found.groups
    asked_for = tuple((tenant, ActionClass(action)) for tenant, action in asks)
    bound = found.model_copy(
        update={"groups": (group.model_copy(update={"asks": asked_for}),), "about": {"S1": about} if about else {}}
    )
    action = registry().action("lock-cell")
    inputs = action.check_inputs({"cells": cells or "all"})
    effect = effect_of_act(action, inputs, None, net, "S1", samples.ledger(net).values())
    said = beyond(bound, effect)
    assert len(said) == len(wrong)
    assert all(one.startswith(words) for one, words in zip(said, wrong, strict=True))
