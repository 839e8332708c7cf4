"""Users, their API tokens, and who signs in at an identity provider."""

from __future__ import annotations

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    BindParameter,
    Column,
    ColumnElement,
    ForeignKey,
    Index,
    Integer,
    Row,
    String,
    Table,
    Text,
    and_,
    case,
    delete,
    func,
    literal,
    or_,
    select,
    text,
    update,
)

from controller.access.roles import ROLES
from controller.access.tokens import check_end, may_manage
from controller.models.errors import ConflictError, NotFoundError, SignInError
from controller.models.people import Permission, Person, Role, Token, User
from controller.store.database.columns import Instant, metadata
from controller.store.database.repository import M_co, Repository, method, reads, writes
from controller.store.database.transaction import Tx


@dataclass(frozen=True, slots=True)
class NewToken:
    """A token to keep: the SHA-256 of its secret in hex, its owner, its scopes and its end.

    Attributes:
        made_with: Id of the token that it is made with; empty if that is none of ours.
    """

    digest: str
    owner: str
    label: str = ""
    scopes: tuple[Permission, ...] | None = None
    expires: datetime | None = None
    made_with: str = ""


@dataclass(frozen=True, slots=True)
class SignIn:
    """A verified token of an identity provider.

    Attributes:
        issuer: The provider.
        subject: The provider's permanent identifier of the person.
        issued: When it was issued.
        ends: When it ends.
        digest: SHA-256 of the signed part of the token in hex.
    """

    issuer: str
    subject: str
    issued: datetime
    ends: datetime
    digest: str


users = Table(
    "users",
    metadata,
    Column("name", String, primary_key=True),
    Column("role", String, nullable=False),
    Column("tenant", String, nullable=False),
    Column("created", Instant, nullable=False),
    Column("disabled", Instant),
    # Since when they belong to their side: their earlier acts are not shown to its tenant.
    Column("sided", Instant),
    # How often they lost the right to approve: what they said before a loss does not count again when they are back.
    Column("stops", Integer, nullable=False, server_default="0"),
    # Identity provider and their subject there; empty for users of our own.
    Column("issuer", String, nullable=False, server_default=""),
    Column("subject", String, nullable=False, server_default=""),
    # Issue times of the newest token of the provider, and of the one that changed or removed their role.
    Column("vouched", Instant),
    Column("turned", Instant),
    # One subject of a provider is one user here.
    Index(
        "ix_users_issuer_subject",
        "issuer",
        "subject",
        unique=True,
        sqlite_where=text("issuer != ''"),
        postgresql_where=text("issuer != ''"),
    ),
)

tokens = Table(
    "tokens",
    metadata,
    Column("id", String, primary_key=True),
    # SHA-256 of the secret, which is not on record.
    Column("digest", String, nullable=False, unique=True),
    Column("owner", String, ForeignKey("users.name"), nullable=False, index=True),
    Column("label", Text, nullable=False),
    # Permissions, separated by blanks; NULL for all that the owner's role gives.
    Column("scopes", Text),
    Column("created", Instant, nullable=False),
    Column("expires", Instant),
    Column("used", Instant),
    Column("revoked", Instant),
    # The token in use when it was made; NULL if it was none of ours.
    Column("made_with", String),
    # Who made it. If its owner made it with a token that somebody else made, then that other person.
    Column("maker", String, nullable=False, server_default=""),
)

#: SHA-256 of provider tokens that signed out before they expired.
signed_out = Table(
    "signed_out",
    metadata,
    Column("digest", String, primary_key=True),
    Column("ends", Instant, nullable=False, index=True),
)

#: Guard of changes to tokens: no token is made with one that is being revoked together with all made with it.
_TOKENS = "tokens"
#: The shortest time between two records of a token's use.
_USE = timedelta(minutes=1)
#: The most new tokens of a user within a day: each leaves permanent rows, and people of tenants make their own.
MOST, _DAY = 100, timedelta(days=1)


class Users(Repository[M_co]):
    """People and programs that may use Minka."""

    @writes
    def add(self, tx: Tx, person: Person, actor: str) -> User:
        """Put a user on record. Raises ConflictError if the name is taken."""
        if not added(tx, person, actor):
            name = person.name
            raise ConflictError(
                f"there is already a user {name}; a token for them: minka token new --owner {name}; another role: "
                f"minka user role {name} ROLE; if disabled: minka user enable {name}"
            )
        return _user(tx, person.name)

    @writes
    def change(self, tx: Tx, person: Person, actor: str, *, disabled: bool = False) -> User:
        """Change a user's role and tenant, disable or enable a user; their tokens follow at once.

        Raises:
            NotFoundError: There is no such user.
            ConflictError: No administrator would be left.
        """
        tx.guard("administrators")
        before = _user(tx, person.name)
        since = (before.disabled or tx.now) if disabled else None
        become(tx, person, person.name, disabled=since)
        working = and_(users.c.role == Role.ADMINISTRATOR.value, users.c.disabled.is_(None))
        if not tx.execute(select(func.count()).select_from(users).where(working)).scalar_one():
            raise ConflictError(f"{person.name} is the last administrator: make another user administrator first")
        after = _user(tx, person.name)
        if after != before:
            state = "disabled" if after.disabled else "enabled"
            tx.note(actor, "user.changed", person.name, role=person.role, tenant=person.tenant, state=state)
        return after

    @reads
    def find(self, tx: Tx) -> list[User]:
        """All users by name."""
        return [_as_user(row) for row in tx.execute(select(users).order_by(users.c.name))]

    @reads
    def get(self, tx: Tx, name: str) -> User:
        """A user. Raises NotFoundError."""
        return _user(tx, name)


class Tokens(Repository[M_co]):
    """API tokens of users."""

    @writes
    def add(self, tx: Tx, new: NewToken, actor: str) -> Token:
        """Keep a token.

        Raises:
            NotFoundError: Its owner is no user.
            ConflictError: The owner is disabled or got 100 tokens within a day, or the token in use was revoked.
        """
        tx.guard(_TOKENS)
        owner = _user(tx, new.owner)
        if owner.disabled:
            raise ConflictError(f"the user {new.owner} is disabled")
        if owner.issuer:
            raise ConflictError(f"{new.owner} signs in at {owner.issuer}, whose tokens are used")
        return _keep(tx, new, actor, "token.added")

    @writes
    def ensure(self, tx: Tx, new: NewToken, owner: Person) -> None:
        """Keep a token and its owner if they are not on record yet; existing ones stay as they are."""
        tx.guard("ensure token")
        if tx.execute(select(tokens.c.id).where(tokens.c.digest == new.digest)).scalar() is not None:
            return
        added(tx, owner, owner.name)
        if _user(tx, new.owner).disabled is None:
            _keep(tx, new, owner.name, "token.added")

    @writes
    def keep_only(self, tx: Tx, new: NewToken, owner: Person) -> Token | None:
        """Keep a token if it is not on record, and end all others with the same owner and label.

        Returns:
            The token as it is on record; None, without any change, if it has ended or its owner is disabled.
        """
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
    def find(self, tx: Tx, owner: str | None = None) -> list[Token]:
        """Tokens, oldest first; only those of one owner if given. Raises NotFoundError if there is no such user."""
        if owner is not None:
            _user(tx, owner)
        query = select(tokens).order_by(tokens.c.created, tokens.c.id)
        return [_as_token(row) for row in tx.execute(query if owner is None else query.where(tokens.c.owner == owner))]

    @reads
    def get(self, tx: Tx, token_id: str) -> Token:
        """A token by id. Raises NotFoundError."""
        return _token(tx, token_id)

    @writes
    def revoke(self, tx: Tx, token_id: str, by: Person, *, with_made: bool = False) -> None:
        """End a token permanently, now. Repeating it changes nothing.

        Args:
            token_id: The token.
            by: Who revokes it.
            with_made: Whether to end also all tokens that were made with it, directly or indirectly.

        Raises:
            NotFoundError: There is no such token.
            ConflictError: It permits more than the token in use, or tokens of others were made with it that ``by`` may
                not end.
        """
        tx.guard(_TOKENS)
        found = [_token(tx, token_id), *(_made_with(tx, token_id) if with_made else ())]
        going = [token for token in found if token.revoked is None]
        if foreign := [token.id for token in going if not may_manage(by, token.owner)]:
            raise ConflictError(f"{token_id} made tokens of others, as {foreign[0]}: that needs the permission people")
        for token in going:
            check_end(by, _user(tx, token.owner).role, token)
        for token in going:
            _revoke(tx, token.id, token.owner, by.name)

    @writes
    def rotate(self, tx: Tx, token_id: str, digest: str, until: datetime, by: Person) -> Token:
        """Replace a token by a new one like it; the old one ends at ``until`` or before.

        The new one has the full lifetime of the old one, but ends with the token that ``by`` uses at the latest.

        Raises:
            NotFoundError: There is no such token.
            ConflictError: It is revoked or expired, or its owner got 100 tokens within a day; the token in use was
                revoked.
        """
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

    @method
    def bearer(self, digest: str) -> Person | None:
        """The owner of the token with this SHA-256; None if there is no such token in force. Records the use."""
        found = self._database.run(lambda tx: _bearer(tx, digest), "DEFERRED")
        if found is None:
            return None
        person, stale = found
        if stale:
            # The token was found already, and its use is recorded for information only.
            self._database.run_unless_locked(lambda tx: _note_use(tx, person.token))
        return person


class SignIns(Repository[M_co]):
    """People who sign in at an identity provider."""

    @method
    def accept(self, person: Person, sign_in: SignIn) -> Person:
        """Put somebody on record as a user for whom an identity provider vouches, with the role of the newest token.

        Raises:
            SignInError: The token was signed out, or is older than one that gave another role or none. Or the name
                belongs to a user of our own, to somebody else at the provider, or to a disabled user.
        """
        known = self._database.run(lambda tx: _known(tx, sign_in), "DEFERRED")
        if known is None or known.vouched is None or known.vouched < sign_in.issued or not _same(known, person):
            known = self._database.run(lambda tx: _sign_in(tx, person, sign_in))
        if known.turned is not None and sign_in.issued < known.turned:
            raise SignInError("the identity provider gave another role since it issued this token: sign in again")
        if known.disabled is not None:
            raise SignInError(f"{known.name} is disabled")
        # People who change their name at the provider would be two people here, with a vote each.
        return person.model_copy(update={"name": known.name, "issuer": sign_in.issuer})

    @writes
    def withdraw_role(self, tx: Tx, sign_in: SignIn) -> None:
        """Put on record that the provider gives somebody no role any more: their older tokens become invalid."""
        tx.guard(f"sign in {sign_in.subject}")
        known = _of(tx, sign_in)
        if known is not None and (known.vouched is None or sign_in.issued > known.vouched):
            _note(tx, sign_in, turned=True)
            # Their votes then count as those of viewers, which means not at all.
            role = Role.TENANT_VIEWER if known.tenant else Role.HOST_VIEWER
            become(tx, Person(name=known.name, role=role, tenant=known.tenant), known.name)
            tx.note(known.name, "user.role_lost", known.name, issuer=sign_in.issuer)

    @writes
    def end(self, tx: Tx, sign_in: SignIn) -> None:
        """Put on record that a token of the provider is invalid from now on."""
        tx.execute(delete(signed_out).where(signed_out.c.ends < tx.now))
        row = tx.insert(signed_out).values(digest=sign_in.digest, ends=sign_in.ends)
        new = tx.execute(row.on_conflict_do_nothing().returning(signed_out.c.digest)).scalar()
        known = _of(tx, sign_in)
        if known is not None and new is not None:
            tx.note(known.name, "user.signed_out", known.name, issuer=sign_in.issuer)


def tokens_in_force(at: datetime | BindParameter[datetime]) -> ColumnElement[bool]:
    """Condition of tokens that are neither revoked nor expired."""
    return and_(tokens.c.revoked.is_(None), or_(tokens.c.expires.is_(None), tokens.c.expires > at))


def added(tx: Tx, person: Person, actor: str, **at_provider: str) -> bool:
    """Add a user; False if the name is taken."""
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
    same_side = users.c.tenant == person.tenant
    sided = case((same_side, users.c.sided), else_=tx.now)
    disables = and_(users.c.disabled.is_(None), literal(more.get("disabled") is not None))
    loses = or_(~same_side, disables, literal(Permission.APPROVE not in ROLES[person.role]))
    stops = users.c.stops + case((loses, 1), else_=0)
    values = {"role": person.role.value, "tenant": person.tenant, "sided": sided, "stops": stops, **more}
    tx.execute(update(users).where(users.c.name == name).values(values))


def _keep(tx: Tx, new: NewToken, actor: str, action: str, **detail: str) -> Token:
    lately = and_(tokens.c.owner == new.owner, tokens.c.created > tx.now - _DAY)
    if tx.execute(select(func.count()).select_from(tokens).where(lately)).scalar_one() >= MOST:
        raise ConflictError(f"{new.owner} got {MOST} tokens within a day, which is the limit: use one of them")
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
    """The maker of a new token: the actor, or the maker of the token that the actor uses, who may still hold it."""
    used = _token(tx, new.made_with) if new.made_with else None
    return used.maker if used is not None and used.owner == actor == new.owner and used.maker else actor


def _revoke(tx: Tx, token_id: str, owner: str, actor: str) -> None:
    tx.execute(update(tokens).where(tokens.c.id == token_id).values(revoked=tx.now))
    tx.note(actor, "token.revoked", token_id, owner=owner)


def _made_with(tx: Tx, token_id: str) -> list[Token]:
    """Tokens that were made with a token, directly or indirectly."""
    family = select(tokens.c.id).where(tokens.c.made_with == token_id).cte("family", recursive=True)
    family = family.union(select(tokens.c.id).where(tokens.c.made_with == family.c.id))
    return [_as_token(row) for row in tx.execute(select(tokens).where(tokens.c.id.in_(select(family.c.id))))]


def _user(tx: Tx, name: str) -> User:
    row = tx.execute(select(users).where(users.c.name == name)).one_or_none()
    if row is None:
        raise NotFoundError.of("user", name)
    return _as_user(row)


def _as_user(row: Row[Any]) -> User:
    return User(**{name: row._mapping[name] for name in User.model_fields})


def _token(tx: Tx, token_id: str) -> Token:
    row = tx.execute(select(tokens).where(tokens.c.id == token_id)).one_or_none()
    if row is None:
        raise NotFoundError.of("token", token_id)
    return _as_token(row)


def _as_token(row: Row[Any]) -> Token:
    return Token(**{name: row._mapping[name] for name in Token.model_fields} | {"scopes": _scopes(row.scopes)})


def _scopes(text: str | None) -> tuple[Permission, ...] | None:
    return None if text is None else tuple(Permission(word) for word in text.split())


def _same(known: Row[Any], person: Person) -> bool:
    return (known.role, known.tenant) == (person.role.value, person.tenant)


def _theirs(sign_in: SignIn) -> Any:
    return and_(users.c.issuer == sign_in.issuer, users.c.subject == sign_in.subject)


def _note(tx: Tx, sign_in: SignIn, *, turned: bool) -> None:
    changed = {"vouched": sign_in.issued} | ({"turned": sign_in.issued} if turned else {})
    tx.execute(update(users).where(_theirs(sign_in)).values(changed))


def _of(tx: Tx, sign_in: SignIn) -> Row[Any] | None:
    return tx.execute(select(users).where(_theirs(sign_in))).one_or_none()


def _bearer(tx: Tx, digest: str) -> tuple[Person, bool] | None:
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


def _note_use(tx: Tx, token_id: str) -> None:
    tx.execute(update(tokens).where(tokens.c.id == token_id).values(used=tx.now))


def _known(tx: Tx, sign_in: SignIn) -> Row[Any] | None:
    """The user of a provider's token. Raises SignInError if the token was signed out."""
    if tx.execute(select(signed_out.c.digest).where(signed_out.c.digest == sign_in.digest)).scalar() is not None:
        raise SignInError("this token was signed out: sign in again")
    return _of(tx, sign_in)


def _sign_in(tx: Tx, person: Person, sign_in: SignIn) -> Row[Any]:
    """Record a first sign-in, a newer token, or another role.

    Raises:
        SignInError: The name is taken, or the provider gave another role after it issued this token.
    """
    tx.guard(f"sign in {sign_in.subject}")
    known = _of(tx, sign_in)
    if known is None:
        if not added(tx, person, person.name, issuer=sign_in.issuer, subject=sign_in.subject):
            raise SignInError(f"the name {person.name} belongs to somebody else here")
        _note(tx, sign_in, turned=False)
    elif known.vouched is None or sign_in.issued >= known.vouched:
        same = _same(known, person)
        _note(tx, sign_in, turned=not same)
        if not same:
            become(tx, person, known.name)
            detail = {"role": person.role.value, "tenant": person.tenant, "issuer": sign_in.issuer}
            tx.note(known.name, "user.changed", known.name, **detail)
    elif not _same(known, person):
        raise SignInError("the identity provider gave another role since it issued this token: sign in again")
    found = _of(tx, sign_in)
    assert found is not None
    return found
