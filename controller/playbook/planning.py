"""The plan that a playbook's section ``plan`` asks for."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from typing import Any

from pydantic import ValidationError

from controller.models.errors import InputError
from controller.models.network import Snssai
from controller.models.plan import Plan
from controller.plan import Limit
from controller.playbook.context import World
from controller.playbook.expressions import evaluate
from controller.playbook.language import PlanLimit, PlanSection, PlanSource
from controller.playbook.parameters import Plain
from controller.runs.planner import PlanRequest
from controller.runs.restore import restore_plan

#: How long a repair is remembered: a node that drifts again within it is written by something else.
AGAIN = timedelta(days=1)
#: Stands for a number of nodes that is asked for: no plan removes so many.
_ASKED = -1


async def section_plan(
    world: World, section: PlanSection, values: Mapping[str, Plain], selector: str, actor: str
) -> Plan:
    """Make the plan; stations are read, nothing is changed.

    Raises:
        InputError: An expression results in something wrong.
        PlanRefusedError: It removes or touches more than was named.
    """
    expected = evaluate(section.expect_stations, values)
    request = PlanRequest(
        selector,
        removals(str(evaluate(section.remove or "", values))),
        None if expected is None else _count(expected),
        None if section.limit is None else _limit(section.limit, values),
        section.adopt,
    )
    if section.source is PlanSource.NETWORK:
        return await world.planner.plan(request, actor)
    state = str(evaluate(section.state or "", values))
    return await restore_plan(world.planner, request, actor, state)


async def drifted_again(
    world: World, section: PlanSection, values: Mapping[str, Plain], name: str, plan: Plan
) -> list[str]:
    """Nodes of a repair that were repaired not long ago, in words; none where repairing them again is asked for."""
    if section.source is not PlanSource.APPLIED or evaluate(section.again or "", values) is True:
        return []
    stations = [change.station for change in plan.changes]
    since = world.clock.now() - AGAIN
    deeds = await world.store.call(lambda store: store.deeds(stations, since))
    found = []
    for change in plan.changes:
        now = {edit.path for phase in change.phases for edit in phase.edits}
        for deed in deeds:
            if deed.station != change.station or not (deed.procedure == name or deed.cause.startswith("alarm:")):
                continue
            before = {edit.path for done in deed.changes for phase in done.phases for edit in phase.edits}
            if again := sorted(now & before):
                what = again[0].partition("]/")[2]
                found.append(
                    f"{change.station}: {what} drifted again since run {deed.run} brought it back: something else "
                    "writes it. Find out what does, or ask for it again"
                )
                break
    return found


def removals(text: str) -> dict[str, int]:
    """Nodes by owner, from ``bitel=102 host=3``.

    Raises:
        InputError: It reads otherwise.
    """
    return dict(_removals(text))


def _removals(text: str) -> Iterator[tuple[str, int]]:
    for word in text.split():
        owner, _, count = word.partition("=")
        if not owner or not (count.isdecimal() or count == "?"):
            raise InputError(f"{word!r} names no owner and number of nodes, as in bitel=102")
        yield owner, _ASKED if count == "?" else int(count)


def _limit(limit: PlanLimit, values: Mapping[str, Plain]) -> Limit:
    tenant, text = str(evaluate(limit.tenant, values)), evaluate(limit.slice, values)
    if text is None:
        return Limit(tenant)
    sst, _, sd = str(text).partition("-")
    try:
        return Limit(tenant, Snssai.model_validate({"sst": sst, **({"sd": sd} if sd else {})}))
    except ValidationError as error:
        raise InputError(f"{text!r} is no slice: SST and SD, as in 1-0000D1") from error


def _count(value: Any) -> int:
    if isinstance(value, int) and not isinstance(value, bool):
        return value
    if isinstance(value, str) and value.isdecimal():
        return int(value)
    raise InputError(f"{value!r} is not a number of stations")
