"""People who call the API in tests."""

from __future__ import annotations

from controller.api.auth import digest
from controller.models.approval import Verdict
from controller.models.people import Permission, Person, Role
from controller.models.plan import Plan
from controller.ports.people import NewToken
from controller.ports.store import Store

#: Who may approve, and a reason that names all agreements and tenants of the tiny network: enough for any reduction.
ADMINISTRATOR = Person(name="ana", role=Role.ADMINISTRATOR)
CONTRACTS = "as andes-all, condor-all and vicuna-puno allow; andes, condor and vicuna know"


def agree(store: Store, plan: Plan, person: Person, reason: str = "") -> None:
    """Let a person, who is let in for that, say yes to a plan."""
    admit(store, f"token-of-{person.name}", person.name, person.role, person.tenant)
    store.vote(plan.digest, person, Verdict.APPROVE, reason, plan.id)


def admit(
    store: Store,
    token: str,
    name: str = "ana",
    role: Role = Role.ADMINISTRATOR,
    tenant: str = "",
    scopes: tuple[Permission, ...] | None = None,
) -> Person:
    """Make a user with this token."""
    person = Person(name=name, role=role, tenant=tenant)
    store.ensure_token(NewToken(digest(token), name, scopes=scopes), person)
    return person.model_copy(update={"scopes": scopes})
