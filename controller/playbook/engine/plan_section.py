"""The plan of a playbook's section ``plan``."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime, timedelta

from pydantic import ValidationError

from controller.models.errors import InputError, PlanRefusedError
from controller.models.network import Network, Snssai
from controller.models.plan import Change, Plan
from controller.nrm.tree import Path, within_root
from controller.plan import Limit
from controller.playbook.engine.context import ActionServices
from controller.playbook.language.expressions import Expression, evaluate, expressions_in
from controller.playbook.language.parameters import Parameter, ParameterType, Plain
from controller.playbook.language.playbook import PlanLimit, PlanSection, PlanSource, count_of, removals
from controller.runs.planning.planner import PlanRequest
from controller.runs.planning.restore import recreate_plan, restore_plan

#: How long a repair is remembered: a node that drifts again within this time is written by something else.
AGAIN = timedelta(days=1)


async def section_plan(
    services: ActionServices,
    section: PlanSection,
    values: Mapping[str, Plain],
    selector: str,
    actor: str,
    *,
    expect_stations: int | None = None,
    skip_under_hold: bool = False,
) -> Plan:
    """Make the plan; stations are read, nothing is changed. Those under a hold are left out if ``skip_under_hold``.

    ``expect_stations`` is the number that the request names, where the section's own expression names none.

    Raises:
        InputError: An expression results in something wrong, as in a slice that the tenant does not have.
        PlanRefusedError: It removes or touches more than was named.
    """
    named = expected_stations(section, values)
    request = PlanRequest(
        selector,
        removals(str(evaluate(section.remove or "", values))),
        expect_stations if named is None else named,
        limit=None if section.limit is None else _limit(section.limit, values),
        adopt=section.adopt,
        skip_under_hold=skip_under_hold,
        identities=section.identities,
        reserved=section.reserved,
        beneath=section.beneath,
        stations=False,
    )
    if section.source is PlanSource.NETWORK:
        if request.limit is not None and not request.remove:
            _, network = await services.store.networks.get()
            _known_slice(network, request.limit)
        return await services.planner.plan(request, actor)
    if section.source is PlanSource.ENDPOINT:
        return await recreate_plan(services.planner, request, actor, str(evaluate(section.endpoint or "", values)))
    state = str(evaluate(section.state or "", values))
    return await restore_plan(services.planner, request, actor, state)


def expected_stations(section: PlanSection, values: Mapping[str, Plain]) -> int | None:
    """The number of devices that the section says the plan touches; None if it names none. Raises InputError."""
    expected = evaluate(section.expect_stations, values)
    return None if expected is None else count_of(expected)


def in_parameters(section: PlanSection, parameters: Mapping[str, Parameter], refusal: PlanRefusedError) -> str:
    """How to give the numbers that a refusal asks for as parameters of the playbook; empty if that is not possible."""
    found = []
    devices = () if refusal.expect_stations is None else (refusal.expect_stations,)
    for wanted, expression in (((*refusal.remove.values(),), section.remove), (devices, section.expect_stations)):
        named = {name for text in expressions_in(expression) for name in Expression(text).names}
        numbers = [name for name in named if parameters[name].type is ParameterType.INT]
        if len(wanted) == len(numbers) == 1:  # which of several would it be?
            found.append(f"{numbers[0]}={wanted[0]}")
    return f" ({' '.join(found)})" if found else ""


async def drifted_again(
    services: ActionServices, section: PlanSection, values: Mapping[str, Plain], name: str, plan: Plan
) -> list[str]:
    """Nodes that a repair repaired recently and that drifted again, in words; empty if repairing again is allowed."""
    if section.source is not PlanSource.APPLIED or evaluate(section.again or "", values) is True:
        return []
    since = services.clock.now() - AGAIN
    return [said for change in plan.changes if (said := await _again(services, change, name, since))]


async def _again(services: ActionServices, change: Change, name: str, since: datetime) -> str:
    """The first node of a change that was repaired recently, in words; empty if there is none."""
    now = _edited([change])
    for ended in await services.store.runs.ended_jobs([change.station], since):
        if ended.procedure == name and (again := sorted(now & _edited(ended.changes))):
            what = within_root(again[0])
            return (
                f"{change.station}: {what} drifted again since run {ended.run} brought it back: something else "
                "writes it. Find out what does, or ask for it again"
            )
    return ""


def _edited(changes: Iterable[Change]) -> set[Path]:
    return {edit.path for change in changes for phase in change.phases for edit in phase.edits}


def _limit(limit: PlanLimit, values: Mapping[str, Plain]) -> Limit:
    tenant, text = str(evaluate(limit.tenant, values)), evaluate(limit.slice, values)
    if text is None:
        return Limit(tenant)
    sst, _, sd = str(text).partition("-")
    try:
        return Limit(tenant, Snssai.model_validate({"sst": sst, **({"sd": sd} if sd else {})}))
    except ValidationError as error:
        raise InputError(f"{text!r} is not a slice: give SST and SD, as in 1-0000D1") from error


def _known_slice(network: Network, limit: Limit) -> None:
    """Refuse a slice that the files don't give the tenant, since the plan would silently change nothing."""
    tenant = network.tenant_by_id.get(limit.tenant)
    if tenant is not None and limit.snssai is not None and limit.snssai not in tenant.slices:
        known = ", ".join(map(str, tenant.slices)) or "none"
        raise InputError(
            f"{tenant.id} has no slice {limit.snssai} in the network files that are loaded; it has {known}"
        )
