"""Users and their API tokens."""

from __future__ import annotations

import secrets
from contextlib import suppress
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Row, and_, case, func, select, update

from controller.access.tokens import check_end, may_manage
from controller.models.errors import ConflictError, NotFoundError, StoreError
from controller.models.people import Permission, Person, Role, Token, User
from controller.ports.people import NewToken
from controller.store.people_tables import tokens, tokens_in_force, users
from controller.store.transaction import Transactions, Tx, reads, writes

#: Guards what becomes of tokens: nothing is made with one while it is revoked with all that it made.
_TOKENS = "tokens"
#: How often the use of a token is written down at most.
_USE = timedelta(minutes=1)
#: Tokens that a user gets within a day at most: each leaves rows for good, and tenants' people make their own.
MOST, _DAY = 100, timedelta(days=1)


class AccountRecords(Transactions):
    """Who may call."""

    @writes
    def add_user(self, tx: Tx, person: Person, actor: str) -> User:
        """See ``Store.add_user``."""
        if not added(tx, person, actor):
            raise ConflictError(f"there is a user {person.name} already")
        return _user(tx, person.name)

    @writes
    def set_user(self, tx: Tx, person: Person, actor: str, *, disabled: bool = False) -> User:
        """See ``Store.set_user``."""
        tx.guard("administrators")
        before = _user(tx, person.name)
        since = (before.disabled or tx.now) if disabled else None
        become(tx, person, person.name, disabled=since)
        working = and_(users.c.role == Role.ADMINISTRATOR.value, users.c.disabled.is_(None))
        if not tx.execute(select(func.count()).select_from(users).where(working)).scalar_one():
            raise ConflictError(f"{person.name} is the last administrator: make somebody else one first")
        after = _user(tx, person.name)
        if after != before:
            state = "disabled" if after.disabled else "enabled"
            tx.note(actor, "user.changed", person.name, role=person.role, tenant=person.tenant, state=state)
        return after

    @reads
    def users(self, tx: Tx) -> list[User]:
        """See ``Store.users``."""
        return [_as_user(row) for row in tx.execute(select(users).order_by(users.c.name))]

    @reads
    def user(self, tx: Tx, name: str) -> User:
        """See ``Store.user``."""
        return _user(tx, name)

    @writes
    def add_token(self, tx: Tx, new: NewToken, actor: str) -> Token:
        """See ``Store.add_token``."""
        tx.guard(_TOKENS)
        owner = _user(tx, new.owner)
        if owner.disabled:
            raise ConflictError(f"the user {new.owner} is disabled")
        if owner.issuer:
            raise ConflictError(f"{new.owner} signs in at {owner.issuer}, whose tokens are used")
        return _keep(tx, new, actor, "token.added")

    @writes
    def ensure_token(self, tx: Tx, new: NewToken, owner: Person) -> None:
        """See ``Store.ensure_token``."""
        tx.guard("ensure token")
        if tx.execute(select(tokens.c.id).where(tokens.c.digest == new.digest)).scalar() is not None:
            return
        added(tx, owner, owner.name)
        if _user(tx, new.owner).disabled is None:
            _keep(tx, new, owner.name, "token.added")

    @writes
    def only_token(self, tx: Tx, new: NewToken, owner: Person) -> Token | None:
        """See ``Store.only_token``."""
        tx.guard(_TOKENS)
        added(tx, owner, owner.name)
        row = tx.execute(select(tokens).where(tokens.c.digest == new.digest)).one_or_none()
        if row is not None:
            known = _as_token(row)
        elif _user(tx, new.owner).disabled is None:
            known = _keep(tx, new, owner.name, "token.added")
        else:
            return None
        if known.revoked or (known.expires and known.expires <= tx.now):
            return None
        same = and_(tokens.c.owner == new.owner, tokens.c.label == new.label, tokens.c.revoked.is_(None))
        for other in tx.execute(select(tokens.c.id).where(same, tokens.c.id != known.id)).scalars().all():
            _revoke(tx, other, new.owner, owner.name)
        return known

    @reads
    def tokens(self, tx: Tx, owner: str | None = None) -> list[Token]:
        """See ``Store.tokens``."""
        if owner is not None:
            _user(tx, owner)
        query = select(tokens).order_by(tokens.c.created, tokens.c.id)
        return [_as_token(row) for row in tx.execute(query if owner is None else query.where(tokens.c.owner == owner))]

    @reads
    def token(self, tx: Tx, token_id: str) -> Token:
        """See ``Store.token``."""
        return _token(tx, token_id)

    @writes
    def revoke_token(self, tx: Tx, token_id: str, by: Person, *, with_made: bool = False) -> None:
        """See ``Store.revoke_token``."""
        tx.guard(_TOKENS)
        found = [_token(tx, token_id), *(_made_with(tx, token_id) if with_made else ())]
        going = [token for token in found if token.revoked is None]
        if foreign := [token.id for token in going if not may_manage(by, token.owner)]:
            raise ConflictError(f"{token_id} made tokens of others, as {foreign[0]}: that takes the permission people")
        for token in going:
            check_end(by, _user(tx, token.owner).role, token)
        for token in going:
            _revoke(tx, token.id, token.owner, by.name)

    @writes
    def rotate_token(self, tx: Tx, token_id: str, digest: str, until: datetime, by: Person) -> Token:
        """See ``Store.rotate_token``."""
        tx.guard(_TOKENS)
        old = _token(tx, token_id)
        if old.revoked or (old.expires and old.expires <= tx.now):
            raise ConflictError(f"the token {token_id} is no longer in force: make a new one")
        expires = old.expires and tx.now + (old.expires - old.created)
        if by.ends is not None:
            expires = min(expires or by.ends, by.ends)
        like = NewToken(digest, old.owner, old.label, old.scopes, expires, by.token)
        new = _keep(tx, like, by.name, "token.rotated", old=old.id)
        ends = min(until, old.expires or until)
        tx.execute(update(tokens).where(tokens.c.id == token_id).values(expires=ends))
        return new

    def bearer(self, digest: str) -> Person | None:
        """See ``Store.bearer``."""
        found = self._bearer(digest)
        if found is None:
            return None
        person, stale = found
        if stale:
            # It was looked up all the same, and its use is only worth knowing.
            with suppress(StoreError):
                self._used(person.token)
        return person

    @reads
    def _bearer(self, tx: Tx, digest: str) -> tuple[Person, bool] | None:
        token = (tokens.c.id, tokens.c.scopes, tokens.c.expires, tokens.c.used)
        query = select(*token, users.c.name, users.c.role, users.c.tenant)
        in_force = and_(tokens.c.digest == digest, tokens_in_force(tx.now))
        in_force = and_(in_force, users.c.disabled.is_(None), users.c.issuer == "")
        row = tx.execute(query.join(users, users.c.name == tokens.c.owner).where(in_force)).one_or_none()
        if row is None:
            return None
        person = Person(name=row.name, role=Role(row.role), tenant=row.tenant, token=row.id)
        return (
            person.model_copy(update={"scopes": _scopes(row.scopes), "ends": row.expires}),
            row.used is None or tx.now - row.used >= _USE,
        )

    @writes
    def _used(self, tx: Tx, token_id: str) -> None:
        tx.execute(update(tokens).where(tokens.c.id == token_id).values(used=tx.now))


def added(tx: Tx, person: Person, actor: str, **at_provider: str) -> bool:
    """Put a user on record, if nobody has the name."""
    row = {"name": person.name, "role": person.role.value, "tenant": person.tenant} | at_provider
    added = (
        tx.insert(users).values(**row, created=tx.now, sided=tx.now).on_conflict_do_nothing().returning(users.c.name)
    )
    if tx.execute(added).scalar() is None:
        return False
    tx.note(actor, "user.added", person.name, role=person.role, tenant=person.tenant, **at_provider)
    return True


def become(tx: Tx, person: Person, name: str, **more: datetime | None) -> None:
    """Give the user of this name a person's role and side."""
    sided = case((users.c.tenant == person.tenant, users.c.sided), else_=tx.now)
    values = {"role": person.role.value, "tenant": person.tenant, "sided": sided, **more}
    tx.execute(update(users).where(users.c.name == name).values(values))


def _keep(tx: Tx, new: NewToken, actor: str, action: str, **detail: str) -> Token:
    lately = and_(tokens.c.owner == new.owner, tokens.c.created > tx.now - _DAY)
    if tx.execute(select(func.count()).select_from(tokens).where(lately)).scalar_one() >= MOST:
        raise ConflictError(f"{new.owner} got {MOST} tokens within a day, which is the most: use one of them")
    if new.made_with and _token(tx, new.made_with).revoked is not None:
        raise ConflictError(f"the token {new.made_with} was revoked")
    token_id = f"t-{secrets.token_hex(4)}"
    scopes = None if new.scopes is None else " ".join(new.scopes)
    row: dict[str, object] = {
        "id": token_id,
        "digest": new.digest,
        "owner": new.owner,
        "label": new.label,
        "scopes": scopes,
    }
    made_with = new.made_with or None
    row |= {"created": tx.now, "expires": new.expires, "made_with": made_with, "maker": _maker(tx, new, actor)}
    tx.execute(tokens.insert().values(row))
    ends = new.expires and new.expires.isoformat()
    detail |= {"owner": new.owner, "label": new.label}
    tx.note(actor, action, token_id, scopes=scopes, expires=ends, made_with=made_with, **detail)
    return _token(tx, token_id)


def _maker(tx: Tx, new: NewToken, actor: str) -> str:
    """Who makes a token; somebody else may hold the one in use as well where they made that for its owner."""
    used = _token(tx, new.made_with) if new.made_with else None
    return used.maker if used is not None and used.owner == actor == new.owner and used.maker else actor


def _revoke(tx: Tx, token_id: str, owner: str, actor: str) -> None:
    tx.execute(update(tokens).where(tokens.c.id == token_id).values(revoked=tx.now))
    tx.note(actor, "token.revoked", token_id, owner=owner)


def _made_with(tx: Tx, token_id: str) -> list[Token]:
    """Tokens that were made with one, and with those, and so on."""
    family = select(tokens.c.id).where(tokens.c.made_with == token_id).cte("family", recursive=True)
    family = family.union(select(tokens.c.id).where(tokens.c.made_with == family.c.id))
    return [_as_token(row) for row in tx.execute(select(tokens).where(tokens.c.id.in_(select(family.c.id))))]


def _user(tx: Tx, name: str) -> User:
    row = tx.execute(select(users).where(users.c.name == name)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no user {name}")
    return _as_user(row)


def _as_user(row: Row[Any]) -> User:
    return User(**{name: row._mapping[name] for name in User.model_fields})


def _token(tx: Tx, token_id: str) -> Token:
    row = tx.execute(select(tokens).where(tokens.c.id == token_id)).one_or_none()
    if row is None:
        raise NotFoundError(f"there is no token {token_id}")
    return _as_token(row)


def _as_token(row: Row[Any]) -> Token:
    return Token(**{name: row._mapping[name] for name in Token.model_fields} | {"scopes": _scopes(row.scopes)})


def _scopes(text: str | None) -> tuple[Permission, ...] | None:
    return None if text is None else tuple(Permission(word) for word in text.split())
