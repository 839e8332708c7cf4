"""Who signs in at an identity provider."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Row, and_, delete, select, update

from controller.models.errors import SignInError
from controller.models.people import Person, Role
from controller.ports.people import SignIn
from controller.store.accounts import added, become
from controller.store.people_tables import signed_out, users
from controller.store.transaction import Transactions, Tx, reads, writes


class SignInRecords(Transactions):
    """Sign-ins: the newest word of the provider counts, in whatever order its tokens come."""

    def signed_in(self, person: Person, sign_in: SignIn) -> Person:
        """See ``Store.signed_in``."""
        known = self._known(sign_in)
        if known is None or known.vouched is None or known.vouched < sign_in.issued or not _same(known, person):
            known = self._sign_in(person, sign_in)
        if known.turned is not None and sign_in.issued < known.turned:
            raise SignInError("the identity provider told another role since it gave this token: sign in again")
        if known.disabled is not None:
            raise SignInError(f"{known.name} is disabled")
        # Whoever changes their name at the provider would be two people here, with a vote each.
        return person.model_copy(update={"name": known.name, "issuer": sign_in.issuer})

    @reads
    def _known(self, tx: Tx, sign_in: SignIn) -> Row[Any] | None:
        """The user of a token. Raises SignInError if it was signed out with."""
        if tx.execute(select(signed_out.c.digest).where(signed_out.c.digest == sign_in.digest)).scalar() is not None:
            raise SignInError("this token was signed out: sign in again")
        return _of(tx, sign_in)

    @writes
    def _sign_in(self, tx: Tx, person: Person, sign_in: SignIn) -> Row[Any]:
        """Note who signs in for the first time, or with a newer token, or with another role.

        Raises:
            SignInError: The name is taken, or another role was told after the token was given.
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
                told = {"role": person.role.value, "tenant": person.tenant, "issuer": sign_in.issuer}
                tx.note(known.name, "user.changed", known.name, **told)
        elif not _same(known, person):
            raise SignInError("the identity provider told another role since it gave this token: sign in again")
        found = _of(tx, sign_in)
        assert found is not None
        return found

    @writes
    def role_lost(self, tx: Tx, sign_in: SignIn) -> None:
        """See ``Store.role_lost``."""
        tx.guard(f"sign in {sign_in.subject}")
        known = _of(tx, sign_in)
        if known is not None and (known.vouched is None or sign_in.issued > known.vouched):
            _note(tx, sign_in, turned=True)
            # Their votes count no more than they would now: those of viewers don't.
            role = Role.TENANT_VIEWER if known.tenant else Role.HOST_VIEWER
            become(tx, Person(name=known.name, role=role, tenant=known.tenant), known.name)
            tx.note(known.name, "user.role_lost", known.name, issuer=sign_in.issuer)

    @writes
    def sign_out(self, tx: Tx, sign_in: SignIn) -> None:
        """See ``Store.sign_out``."""
        tx.execute(delete(signed_out).where(signed_out.c.ends < tx.now))
        row = tx.insert(signed_out).values(digest=sign_in.digest, ends=sign_in.ends)
        new = tx.execute(row.on_conflict_do_nothing().returning(signed_out.c.digest)).scalar()
        known = _of(tx, sign_in)
        if known is not None and new is not None:
            tx.note(known.name, "user.signed_out", known.name, issuer=sign_in.issuer)


def _same(known: Row[Any], person: Person) -> bool:
    return (known.role, known.tenant) == (person.role.value, person.tenant)


def _theirs(sign_in: SignIn) -> Any:
    return and_(users.c.issuer == sign_in.issuer, users.c.subject == sign_in.subject)


def _note(tx: Tx, sign_in: SignIn, *, turned: bool) -> None:
    told = {"vouched": sign_in.issued} | ({"turned": sign_in.issued} if turned else {})
    tx.execute(update(users).where(_theirs(sign_in)).values(told))


def _of(tx: Tx, sign_in: SignIn) -> Row[Any] | None:
    return tx.execute(select(users).where(_theirs(sign_in))).one_or_none()
