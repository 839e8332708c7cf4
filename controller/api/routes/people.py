"""Who calls, users, and API tokens."""

from __future__ import annotations

from datetime import timedelta
from typing import Annotated

from fastapi import Response
from pydantic import AwareDatetime, Field

from controller.access.roles import permissions
from controller.access.tokens import check_renewal, end, grant, may_manage
from controller.api.auth import Router, digest, needs, new_secret
from controller.api.services import Backend, Body, Listing, Paging, cut
from controller.inventory.source import unknown
from controller.models.errors import ConflictError, NotFoundError
from controller.models.people import Permission, Person, Role, Token, User
from controller.models.scalars import Username
from controller.runs.approval.clearance import reassess
from controller.store import NewToken, Store

router = Router(prefix="/v1", tags=["people"])

#: Lifetime of a token in days: by default, and at most.
_DAYS, _MOST_DAYS = 90, 3660


class Me(Body):
    """The caller, their side, what the token in use opens, and when it ends.

    ``ends`` is null if it does not end, or if the caller signed in at an identity provider.
    """

    name: str
    role: Role
    side: str
    permissions: list[Permission]
    ends: AwareDatetime | None


class UserChange(Body):
    """A user's role, the tenant for a tenant's role, and whether the user is disabled."""

    role: Role
    tenant: str = ""
    disabled: bool = False


class NewUser(Body):
    """A user to add."""

    name: Username
    role: Role
    tenant: str = ""


class TokenRequest(Body):
    """A token to make: owner, scope, and lifetime.

    By default it is the caller's own, opens what the token in use opens, and ends after 90 days, or with the token in
    use if that is sooner.
    """

    owner: Username | None = None
    label: str = Field(default="", max_length=200)
    scopes: tuple[Permission, ...] | None = None
    days: int | None = Field(default=_DAYS, ge=1, le=_MOST_DAYS, description="Null for no end.")


class TokenRotation(Body):
    """How long the old token stays valid beside the new one."""

    overlap_hours: float = Field(default=24, ge=0, le=24 * 31)


class IssuedToken(Body):
    """A new token; its secret is shown only here."""

    token: Token
    secret: str


@router.get("/me")
def me(who: Annotated[Person, needs(Permission.READ)]) -> Me:
    """The caller, their permissions, and when the token in use ends."""
    opened = permissions(who)
    opens = [one for one in Permission if one in opened]
    return Me(name=who.name, role=who.role, side=who.side, permissions=opens, ends=who.ends)


@router.get("/users")
def users(backend: Backend, paging: Paging, _: Annotated[Person, needs(Permission.PEOPLE)]) -> Listing[User]:
    """All users by name."""
    return cut(backend.store.users.find(), paging)


@router.post("/users", status_code=201)
def add(asked: NewUser, backend: Backend, who: Annotated[Person, needs(Permission.PEOPLE)]) -> User:
    """Add a user; make a token for them to call with."""
    return backend.store.users.add(_person(backend.store, asked.name, asked.role, asked.tenant), who.name)


@router.put("/users/{name}")
def change(name: str, asked: UserChange, backend: Backend, who: Annotated[Person, needs(Permission.PEOPLE)]) -> User:
    """Change a user's role, disable or enable them. This applies to their tokens and votes at once."""
    backend.store.users.get(name)
    person = _person(backend.store, name, asked.role, asked.tenant)
    user = backend.store.users.change(person, who.name, disabled=asked.disabled)
    reassess(backend.store, backend.clock, backend.wakeups)
    return user


@router.get("/tokens")
def tokens(
    backend: Backend,
    paging: Paging,
    who: Annotated[Person, needs(Permission.TOKENS)],
    owner: Username | None = None,
) -> Listing[Token]:
    """Tokens of the caller, or of another owner (with the permission `people`), without their secrets."""
    return cut(backend.store.tokens.find(_owner(who, owner or who.name)), paging)


@router.post("/tokens", status_code=201)
def issue(
    asked: TokenRequest, backend: Backend, answer: Response, who: Annotated[Person, needs(Permission.TOKENS)]
) -> IssuedToken:
    """Make a token. It opens no more than the token in use, and ends no later.

    Its secret is shown in this answer and kept nowhere.
    """
    owner = backend.store.users.get(_owner(who, asked.owner or who.name))
    scopes = grant(who, Person(name=owner.name, role=owner.role, tenant=owner.tenant), asked.scopes)
    wanted = None if asked.days is None else backend.clock.now() + timedelta(days=asked.days)
    expires = end(who, wanted, said="days" in asked.model_fields_set)
    secret = new_secret()
    new = NewToken(digest(secret), owner.name, asked.label, scopes, expires, who.token)
    token = backend.store.tokens.add(new, who.name)
    return _issued(answer, token, secret)


@router.post("/tokens/{token_id}/rotate", status_code=201)
def rotate(
    token_id: str,
    asked: TokenRotation,
    backend: Backend,
    answer: Response,
    who: Annotated[Person, needs(Permission.TOKENS)],
) -> IssuedToken:
    """Replace a token by a new one like it. The old one stays valid for a while, so that no program is cut off.

    The new one gets the full lifetime of the old one, but ends with the token in use at the latest.
    """
    old = _token(backend.store, who, token_id)
    check_renewal(who, backend.store.users.get(old.owner).role, old)
    secret = new_secret()
    until = backend.clock.now() + timedelta(hours=asked.overlap_hours)
    new = backend.store.tokens.rotate(token_id, digest(secret), until, who)
    return _issued(answer, new, secret)


@router.delete("/tokens/{token_id}", status_code=204)
def revoke(
    token_id: str, backend: Backend, who: Annotated[Person, needs(Permission.TOKENS)], with_made: bool = False
) -> None:
    """Revoke a token now, permanently; ``with_made`` also revokes all tokens that descend from it."""
    backend.store.tokens.revoke(_token(backend.store, who, token_id).id, who, with_made=with_made)
    reassess(backend.store, backend.clock, backend.wakeups)


def _person(store: Store, name: str, role: Role, tenant: str) -> Person:
    """Check a new user, and that the network has the user's tenant.

    Raises:
        ConflictError: Role and tenant don't go together.
        NotFoundError: There is no such tenant.
    """
    if role.of_tenant != bool(tenant):
        raise ConflictError(f"the role {role} {'needs a' if role.of_tenant else 'has no'} tenant")
    if tenant and tenant not in store.networks.get()[1].tenant_by_id:
        raise NotFoundError(unknown("tenant", tenant, store.networks.get()[1].tenant_by_id, "in the network"))
    return Person(name=name, role=role, tenant=tenant)


def _owner(caller: Person, owner: str) -> str:
    if not may_manage(caller, owner):
        raise NotFoundError.of("user", owner)
    return owner


def _token(store: Store, caller: Person, token_id: str) -> Token:
    """A token that the caller may see; for others the answer is the same as for an unknown id."""
    token = store.tokens.get(token_id)
    if not may_manage(caller, token.owner):
        raise NotFoundError.of("token", token_id)
    return token


def _issued(answer: Response, token: Token, secret: str) -> IssuedToken:
    answer.headers["Cache-Control"] = "no-store"
    return IssuedToken(token=token, secret=secret)
