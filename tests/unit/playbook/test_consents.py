"""Whom a playbook's run asks, where it has no plan that tells what it changes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest
import yaml

from controller.inventory.source import Report
from controller.models.approval import RunConstraints
from controller.models.network import Network, network_digest
from controller.models.sharing import ActionClass
from controller.plan import seal
from controller.playbook.actions.shipped import registry
from controller.playbook.engine.consents import playbook_constraints
from controller.playbook.language.library import parse
from tests.unit.plan import samples

NET = samples.network(("alfa", "beta"))


def constraints(steps: Iterable[dict[str, Any]], net: Network = NET, **more: Any) -> RunConstraints:
    """What a playbook of these steps runs under on S1."""
    content = {"name": "own", "description": "Of a test.", "targets": "S1", "steps": list(steps), **more}
    content["parameters"] = {"cell": {"type": "string", "description": "A cell."}}
    report = Report()
    loaded = parse(yaml.safe_dump(content, sort_keys=False), "own.yaml", registry(), report)
    assert loaded is not None, report.problems
    plan = seal(created=samples.NOW, network="test", network_digest=network_digest(net), selector="S1", changes=())
    ledger = {"S1": samples.ledger(net)}
    return playbook_constraints(loaded, registry(), {"cell": "N1"}, net, plan, ["S1"], ledger)


def asked(steps: Iterable[dict[str, Any]], net: Network = NET, **more: Any) -> set[tuple[str, ActionClass | None]]:
    """Sides and classes of action that a playbook of these steps asks for on S1."""
    return {(one.side, one.action) for one in constraints(steps, net, **more).requirements}


def step(action: str, **given: Any) -> dict[str, Any]:
    return {"name": action, "action": action, "with": given}


def test_looking_asks_nobody() -> None:
    assert asked([step("read-state")]) == set()


def test_the_gravest_class_of_all_steps_counts() -> None:
    unlock, lock = step("unlock-cell"), step("lock-cell")
    assert asked([unlock]) == set()
    both = {("alfa", ActionClass.INTERRUPT), ("beta", ActionClass.INTERRUPT)}
    assert asked([unlock, lock]) == both
    assert asked([lock], guards={"approvals": 1}) == {*both, ("host", None)}


NIGHTS = {"windows": [{"days": ["tue", "wed"], "start": "01:00", "end": "05:00"}]}


def test_windows_of_its_own_bind_whatever_it_does_beside_those_of_others() -> None:
    agreements = [one.model_dump(mode="json") for one in NET.agreements]
    agreements[0]["windows"] = [{"start": "23:00", "end": "03:00"}]
    net = samples.network(("alfa", "beta"), agreements=agreements)
    for action, calendars in (("read-state", 1), ("unlock-cell", 1), ("lock-cell", 2)):
        (group,) = constraints([step(action)], net, guards=NIGHTS).groups
        assert len(group.calendars) == calendars, action
        assert [str(one.days[0]) for own in group.calendars for one in own if len(one.days) == 2] == ["tue"]
        assert len(constraints([step(action)], net).groups[0].calendars) == calendars - 1


@pytest.mark.parametrize(
    ("cells", "names_one"),
    [(["{{ cell }}"], True), (["N1"], True), ([], False), (["{{ target.cells[0] }}"], False), (["L1", "N1"], False)],
)
def test_only_those_on_the_named_cells_are_asked(cells: list[str], names_one: bool) -> None:
    agreements = [one.model_dump(mode="json") for one in NET.agreements]
    agreements[1]["scope"] = {"everywhere": True, "rats": ["LTE"]}
    net = samples.network(("alfa", "beta"), agreements=agreements)
    found = asked([step("lock-cell", cells=cells)], net)
    assert (("beta", ActionClass.INTERRUPT) not in found) is names_one
    assert ("alfa", ActionClass.INTERRUPT) in found
