"""Votes on plans and runs, and which of them count now."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from functools import cache
from typing import Any

import orjson
from sqlalchemy import (
    Column,
    ColumnElement,
    Integer,
    Row,
    Select,
    String,
    Table,
    Text,
    and_,
    bindparam,
    delete,
    exists,
    literal,
    or_,
    select,
)

from controller.access.roles import may
from controller.models.approval import Contract, Vote, VoteChoice
from controller.models.errors import ConflictError
from controller.models.people import Permission, Person, Role
from controller.store.database.columns import Instant, metadata
from controller.store.database.transaction import Tx
from controller.store.network.planned import plan_tenants
from controller.store.network.plans import plans
from controller.store.network.versions import current_network
from controller.store.people.people import tokens, tokens_in_force, users

votes = Table(
    "votes",
    metadata,
    Column("subject", String, primary_key=True),
    Column("side", String, primary_key=True),
    Column("person", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("choice", String, nullable=False),
    Column("reason", Text, nullable=False, server_default=""),
    Column("at", Instant, nullable=False),
    # How the person proved their identity: with which token of ours, made by whom; or at which provider.
    Column("token", String, nullable=False, server_default=""),
    Column("maker", String, nullable=False, server_default=""),
    Column("issuer", String, nullable=False, server_default=""),
    # Contractual reasons, as a JSON array.
    Column("contracts", Text, nullable=False, server_default="[]"),
    # How often the person changed their vote.
    Column("times", Integer, nullable=False, server_default="1"),
    # How often the person had lost the right to approve by then (``users.stops``).
    Column("stops", Integer, nullable=False, server_default="0"),
)

#: Held while votes on a plan go to a run of it, so that none is overlooked.
PLAN_VOTES = "votes on plans"
#: Columns in which a changed vote differs.
_SAID = ("role", "choice", "reason", "contracts", "token", "maker", "issuer", "stops")
#: How often a person may change their vote about one subject.
MOST = 20
_COLUMNS = [column.name for column in votes.c if column.name not in ("times", "stops")]
_ON_PART = exists().where(
    votes.c.subject == plan_tenants.c.handle,
    votes.c.side == plan_tenants.c.tenant,
    plan_tenants.c.plan == plans.c.id,
    plans.c.id == bindparam("plan_id"),
    plans.c.digest == bindparam("digest"),
)
_REVOKED = select(tokens.c.revoked).where(tokens.c.id == votes.c.token).scalar_subquery().label("revoked")
_STOPS = select(users.c.stops).where(users.c.name == votes.c.person).scalar_subquery().label("stops_now")
#: Votes on the digest of a plan and on its name for a tenant; or on another subject.
_VOTES = (
    select(votes, _REVOKED, _STOPS)
    .where(or_(votes.c.subject == bindparam("digest"), _ON_PART))
    .order_by(votes.c.at, votes.c.person)
)


def cast_vote(
    tx: Tx,
    subject: str,
    person: Person,
    choice: VoteChoice,
    reason: str,
    about: str,
    contracts: tuple[Contract, ...] = (),
    *,
    noted: bool = True,
) -> Vote:
    """Keep a person's vote, and put it on the audit trail (``noted``); an equal vote changes nothing.

    Raises:
        ConflictError: The person changed the vote too often: each time leaves a permanent row on the trail.
    """
    maker = tx.execute(select(tokens.c.maker).where(tokens.c.id == person.token)).scalar() or ""
    vote = Vote(
        subject=subject,
        person=person.name,
        side=person.side,
        role=person.role,
        choice=choice,
        reason=reason,
        contracts=contracts,
        at=tx.now,
        token=person.token,
        maker=maker,
        issuer=person.issuer,
    )
    row = vote.model_dump(mode="python", exclude={"gone"}) | {"role": person.role.value, "choice": choice.value}
    row["stops"] = stops_of(tx, person.name)
    row["contracts"] = orjson.dumps([one.model_dump() for one in contracts]).decode()
    said = {name: row[name] for name in (*_SAID, "at")}
    key = (votes.c.subject, votes.c.side, votes.c.person)
    other = or_(*(votes.c[name] != said[name] for name in _SAID))
    # A no after a yes always counts; after that, no further yes does.
    counts = or_(
        votes.c.times < MOST, and_(votes.c.choice == VoteChoice.APPROVE.value, literal(choice is VoteChoice.REJECT))
    )
    kept = tx.insert(votes).values(row)
    kept = kept.on_conflict_do_update(
        index_elements=key, set_=said | {"times": votes.c.times + 1}, where=and_(other, counts)
    )
    if tx.execute(kept.returning(votes.c.at)).scalar() is None:
        return _as_before(tx, vote, and_(*(column == row[column.name] for column in key), ~other))
    if not noted:
        return vote
    proof = {"token": person.token, "maker": maker, "issuer": person.issuer}
    by = ", ".join(f"{one.agreement} {one.clause}" for one in contracts)
    detail = {"side": person.side, "subject": subject, "reason": reason, "contracts": by} | proof
    tx.note(person.name, f"approval.{choice.value}", about, **detail)
    return vote


def _as_before(tx: Tx, vote: Vote, same: ColumnElement[bool]) -> Vote:
    """The equal vote on record. Raises ConflictError if there is none, since this one would be one too many."""
    at = tx.execute(select(votes.c.at).where(same)).scalar()
    if at is None:
        raise ConflictError(
            f"{vote.person} changed their vote on this {MOST} times, which is the most: only a no after a yes is "
            "counted now; other people of that side may still vote"
        )
    return vote.model_copy(update={"at": at})


def plans_of(handle: str) -> Select[tuple[str]]:
    """Digests of the plans that a tenant knows by this name."""
    return (
        select(plans.c.digest)
        .join(plan_tenants, plan_tenants.c.plan == plans.c.id)
        .where(plan_tenants.c.handle == handle)
    )


def handle_of(tx: Tx, digest: str, tenant: str) -> str:
    """The name by which a tenant knows a plan; empty if the plan does not concern it."""
    own = (
        select(plan_tenants.c.handle)
        .join(plans, plan_tenants.c.plan == plans.c.id)
        .where(plans.c.digest == digest, plan_tenants.c.tenant == tenant)
    )
    return tx.execute(own).scalar() or ""


def spend_votes(tx: Tx, plan: str, subject: str) -> None:
    """Let each yes to a plan count for one run of it, and for no further run. A no stays with the plan.

    Args:
        tx: The transaction.
        plan: Digest of the plan.
        subject: What people approve of the run.
    """
    tx.guard(PLAN_VOTES)
    rows = tx.execute(_VOTES, {"digest": plan, "plan_id": plan[:12]}).all()
    spent = [row._mapping for row in _last_of_each(rows) if row.choice == VoteChoice.APPROVE.value]
    for row in rows:
        whose = and_(votes.c.subject == row.subject, votes.c.side == row.side, votes.c.person == row.person)
        tx.execute(delete(votes).where(whose, votes.c.choice == VoteChoice.APPROVE.value))
    if spent:
        names = [column.name for column in votes.c]
        tx.execute(votes.insert(), [{name: row[name] for name in names} | {"subject": subject} for row in spent])


def votes_on(tx: Tx, subject: str) -> list[Vote]:
    """The last vote of each person on a subject, in order of time, with whether they may vote now."""
    rows = _last_of_each(tx.execute(_VOTES, {"digest": subject, "plan_id": subject[:12]}))
    people = allowed(tx, {row.person for row in rows}, Permission.APPROVE)
    return [_as_vote(row, people) for row in rows]


def _last_of_each(rows: Iterable[Row[Any]]) -> list[Row[Any]]:
    """The last vote of each person, who may have voted on the plan's digest and on its name for a tenant."""
    last: dict[tuple[str, str], Row[Any]] = {}
    for row in rows:
        last.pop((row.side, row.person), None)
        last[row.side, row.person] = row
    return list(last.values())


def _as_vote(row: Row[Any], people: Mapping[str, Person]) -> Vote:
    said = {name: row._mapping[name] for name in _COLUMNS} | {"contracts": orjson.loads(row.contracts)}
    person = people.get(row.person)
    speaks = person is not None and person.side == row.side and row.revoked is None
    # A no goes on to stand: it lets nothing begin.
    lost = row.choice == VoteChoice.APPROVE.value and row.stops != row.stops_now
    return Vote(**said, gone=lost or not speaks)


def stops_of(tx: Tx, person: str) -> int:
    """How often a person lost the right to approve; what they said before the last loss counts no more."""
    return tx.execute(select(users.c.stops).where(users.c.name == person)).scalar() or 0


@cache
def _admitted(permission: Permission) -> Select[Any]:
    """Users with an unrevoked token or sign-in that gives a permission ``now``."""
    opens = or_(tokens.c.scopes.is_(None), (" " + tokens.c.scopes + " ").contains(f" {permission.value} "))
    in_force = tokens_in_force(bindparam("now", type_=Instant()))
    admitted = exists().where(tokens.c.owner == users.c.name, in_force, opens)
    return select(users).where(users.c.disabled.is_(None), or_(users.c.issuer != "", admitted))


def allowed(tx: Tx, names: Collection[str], permission: Permission) -> dict[str, Person]:
    """Those of these people whom something in force gives a permission now, by name.

    Users of our own need a token for it. People of a tenant that left the network have no permissions any more.
    """
    if not names:
        return {}
    active = tx.rows(_admitted(permission), users.c.name, names, now=tx.now)
    found = [Person(name=row.name, role=Role(row.role), tenant=row.tenant) for row in active]
    current = current_network(tx) if any(person.tenant for person in found) else None
    left = {one.tenant for one in found} - {"", *current[1].tenant_by_id} if current else set()
    return {one.name: one for one in found if may(one, permission) and one.tenant not in left}


def approvers_now(tx: Tx) -> list[Person]:
    """Users who may approve now, each with the provider where they sign in."""
    issuers = {row.name: row.issuer for row in tx.execute(_admitted(Permission.APPROVE), {"now": tx.now})}
    found = allowed(tx, issuers.keys(), Permission.APPROVE).values()
    return [one.model_copy(update={"issuer": issuers[one.name]}) for one in found]
