"""People who call the API in tests."""

from __future__ import annotations

from collections.abc import Iterable

from controller.api.auth import digest
from controller.models.approval import Contract, Requirement, VoteChoice
from controller.models.people import Permission, Person, Role
from controller.models.plan import Plan
from controller.models.run import Run
from controller.models.sharing import ActionClass
from controller.ports.clock import Clock
from controller.ports.queue import FakeWakeups
from controller.runs.approval.clearance import reassess
from controller.runs.approval.consent import RunOccasion, plan_constraints
from controller.store import NewToken, Store

ADMINISTRATOR = Person(name="ana", role=Role.ADMINISTRATOR)
#: Clauses of the tiny network's agreements that let the host reduce service.
CLAUSE = "9.1"


def contracts(requirements: Iterable[Requirement]) -> tuple[Contract, ...]:
    """Contractual reasons for any loss of service."""
    reduced = {one.contract for one in requirements if one.action is ActionClass.REDUCE}
    return tuple(Contract(agreement=name, clause=CLAUSE) for name in sorted(reduced))


def contracts_for(store: Store, plan: Plan) -> tuple[Contract, ...]:
    """Contractual reasons for all service that a plan interrupts or reduces."""
    _, network = store.networks.get(plan.network_digest)
    return contracts(plan_constraints(network, plan, RunOccasion(plan.digest, plan.created)).requirements)


def agree_by_contract(store: Store, clock: Clock, run: Run) -> None:
    """Let the administrator give contractual reasons for all service that a run interrupts or reduces."""
    standing = store.approvals.standing(run.id)
    given = contracts(standing.constraints.requirements) if standing is not None else ()
    if standing is not None and given:
        store.approvals.vote(standing.constraints.subject, ADMINISTRATOR, VoteChoice.APPROVE, "", run.id, given)
        reassess(store, clock, FakeWakeups())


def agree(store: Store, plan: Plan, person: Person, reason: str = "") -> None:
    """Admit a person, and approve a plan in that person's name."""
    admit(store, f"token-of-{person.name}", person.name, person.role, person.tenant)
    store.approvals.vote(plan.digest, person, VoteChoice.APPROVE, reason, plan.id)


def admit(
    store: Store,
    token: str,
    name: str = "ana",
    role: Role = Role.ADMINISTRATOR,
    tenant: str = "",
    scopes: tuple[Permission, ...] | None = None,
) -> Person:
    """Add a user with this token."""
    person = Person(name=name, role=role, tenant=tenant)
    store.tokens.ensure(NewToken(digest(token), name, scopes=scopes), person)
    return person.model_copy(update={"scopes": scopes})
