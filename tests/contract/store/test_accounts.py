"""Users and tokens on record."""

from __future__ import annotations

import secrets
from datetime import timedelta

import pytest

from controller.models.errors import ConflictError, NotFoundError, StoreError
from controller.models.people import Permission, Person, Role
from controller.ports.clock import VirtualClock
from controller.ports.people import NewToken
from controller.ports.store import Page
from controller.store import SqlStore
from tests.support.records import START

ANA = Person(name="ana", role=Role.ADMINISTRATOR)
ROSA = Person(name="rosa", role=Role.TENANT_APPROVER, tenant="bitel")
ONE, TWO, THREE = ("1" * 64, "2" * 64, "3" * 64)
DAY = timedelta(days=1)


@pytest.fixture
def store(store: SqlStore) -> SqlStore:
    """A store with two users."""
    store.add_user(ANA, "ana")
    store.add_user(ROSA, "ana")
    return store


def person(store: SqlStore, digest: str) -> Person | None:
    """Who calls with a token, whichever that is."""
    found = store.bearer(digest)
    return found and found.model_copy(update={"token": ""})


def acts(store: SqlStore) -> list[tuple[str, str, str]]:
    return [(row.actor, row.action, row.object) for row in reversed(store.audit_rows(Page())[1])]


def test_users_are_there_once(store: SqlStore) -> None:
    assert [(user.name, user.role, user.tenant, user.created) for user in store.users()] == [
        ("ana", Role.ADMINISTRATOR, "", START),
        ("rosa", Role.TENANT_APPROVER, "bitel", START),
    ]
    with pytest.raises(ConflictError):
        store.add_user(Person(name="rosa", role=Role.HOST_VIEWER), "ana")
    with pytest.raises(NotFoundError):
        store.user("eva")
    assert acts(store) == [("ana", "user.added", "ana"), ("ana", "user.added", "rosa")]


def test_a_token_is_known_by_its_digest(store: SqlStore) -> None:
    made = store.add_token(NewToken(ONE, "rosa", "laptop", (Permission.LOOK,), START + DAY), "ana")
    assert person(store, ONE) == ROSA.model_copy(update={"scopes": (Permission.LOOK,), "ends": START + DAY})
    assert store.bearer(TWO) is None
    assert store.tokens("rosa") == store.tokens() == [made.model_copy(update={"used": START})]
    assert store.tokens("ana") == []
    with pytest.raises(NotFoundError, match="there is no user eva"):
        store.tokens("eva")
    assert ONE not in str(store.tokens()) + str(store.audit_rows(Page()))
    with pytest.raises(NotFoundError):
        store.add_token(NewToken(TWO, "eva"), "ana")
    with pytest.raises(StoreError):
        store.add_token(NewToken(ONE, "ana"), "ana")


def test_a_token_without_scope_follows_its_owner(store: SqlStore) -> None:
    store.add_token(NewToken(ONE, "rosa"), "ana")
    store.set_user(Person(name="rosa", role=Role.TENANT_VIEWER, tenant="claro"), "ana")
    assert person(store, ONE) == Person(name="rosa", role=Role.TENANT_VIEWER, tenant="claro")


def test_a_token_without_any_permission_is_not_one_with_all(store: SqlStore) -> None:
    store.add_token(NewToken(ONE, "ana", scopes=()), "ana")
    known = store.bearer(ONE)
    assert known is not None
    assert known.scopes == ()


def test_a_token_ends_by_itself(store: SqlStore, clock: VirtualClock) -> None:
    store.add_token(NewToken(ONE, "ana", expires=START + DAY), "ana")
    clock.pause(86399)
    assert person(store, ONE) == ANA.model_copy(update={"ends": START + DAY})
    clock.pause(1)
    assert store.bearer(ONE) is None


def test_a_revoked_token_opens_nothing(store: SqlStore) -> None:
    token = store.add_token(NewToken(ONE, "ana"), "ana")
    store.revoke_token(token.id, ANA)
    before = acts(store)
    store.revoke_token(token.id, ANA)
    assert acts(store) == before
    assert store.bearer(ONE) is None
    assert store.token(token.id).revoked == START
    with pytest.raises(NotFoundError):
        store.revoke_token("t-none", ANA)
    with pytest.raises(ConflictError):
        store.rotate_token(token.id, TWO, START + DAY, ANA)


def test_what_was_made_with_a_token_ends_with_it_where_that_is_asked_for(store: SqlStore) -> None:
    lost, other = (store.add_token(NewToken(digest, "ana"), "ana") for digest in (ONE, TWO))
    thief = store.bearer(ONE)
    assert thief is not None
    assert thief.token == lost.id
    child = store.rotate_token(other.id, THREE, START + DAY, thief)
    grandchild = store.add_token(NewToken("4" * 64, "rosa", made_with=child.id), "ana")
    store.add_token(NewToken("5" * 64, "ana", made_with=other.id), "ana")
    with pytest.raises(ConflictError, match="takes the permission people"):
        store.revoke_token(lost.id, Person(name="ana", role=Role.NOC_ENGINEER), with_made=True)
    assert not any(token.revoked for token in store.tokens())
    store.revoke_token(lost.id, ANA)
    assert [token.id for token in store.tokens() if token.revoked] == [lost.id]
    store.revoke_token(lost.id, ANA, with_made=True)
    revoked = {token.id for token in store.tokens() if token.revoked}
    assert revoked == {lost.id, child.id, grandchild.id}
    assert {one for _, action, one in acts(store) if action == "token.revoked"} == revoked
    with pytest.raises(ConflictError, match="was revoked"):
        store.add_token(NewToken("6" * 64, "ana", made_with=child.id), "ana")
    store.revoke_token(lost.id, ANA, with_made=True)


def test_a_token_names_who_made_it_or_the_one_that_it_was_made_with(store: SqlStore) -> None:
    given = store.add_token(NewToken("1" * 64, "rosa"), "ana")
    own = store.add_token(NewToken("2" * 64, "rosa", made_with=given.id), "rosa")
    renewed = store.rotate_token(own.id, "3" * 64, START, ROSA.model_copy(update={"token": own.id}))
    # What rosa makes with a token that ana made, ana could have made.
    assert [store.token(one.id).maker for one in (given, own, renewed)] == ["ana"] * 3
    # Somebody else's token for rosa is by who made it, whoever made the one in use.
    store.add_user(Person(name="eva", role=Role.ADMINISTRATOR), "ana")
    evas = store.add_token(NewToken("4" * 64, "eva"), "ana")
    assert store.add_token(NewToken("5" * 64, "rosa", made_with=evas.id), "eva").maker == "eva"


def test_a_disabled_user_is_nobody(store: SqlStore) -> None:
    store.add_token(NewToken(ONE, "rosa"), "ana")
    assert store.set_user(ROSA, "ana", disabled=True).disabled == START
    assert store.bearer(ONE) is None
    with pytest.raises(ConflictError):
        store.add_token(NewToken(TWO, "rosa"), "ana")
    store.set_user(ROSA, "ana")
    assert person(store, ONE) == ROSA
    assert acts(store)[-2:] == [("ana", "user.changed", "rosa")] * 2


def test_the_last_administrator_stays_one(store: SqlStore) -> None:
    for change in ({"disabled": True}, {}):
        role = Role.ADMINISTRATOR if change else Role.HOST_VIEWER
        with pytest.raises(ConflictError, match="last administrator"):
            store.set_user(Person(name="ana", role=role), "ana", **change)
    assert store.user("ana").role is Role.ADMINISTRATOR
    assert store.user("ana").disabled is None
    store.set_user(Person(name="rosa", role=Role.ADMINISTRATOR), "ana")
    assert store.set_user(ANA, "rosa", disabled=True).disabled


def test_an_old_token_goes_on_beside_the_new_one(store: SqlStore, clock: VirtualClock) -> None:
    scopes = (Permission.METRICS,)
    old = store.add_token(NewToken(ONE, "ana", "prometheus", scopes, START + 10 * DAY), "ana")
    clock.pause(5 * 86400)
    new = store.rotate_token(old.id, TWO, START + 6 * DAY, ANA)
    assert (new.owner, new.label, new.scopes, new.expires) == ("ana", "prometheus", scopes, START + 15 * DAY)
    assert [known and known.ends for known in map(store.bearer, (ONE, TWO))] == [START + 6 * DAY, START + 15 * DAY]
    clock.pause(86400)
    assert store.bearer(ONE) is None
    assert store.bearer(TWO)
    with pytest.raises(ConflictError):
        store.rotate_token(old.id, THREE, START + 9 * DAY, ANA)
    assert store.audit_rows(Page())[1][0].detail["old"] == old.id


def test_rotating_never_lengthens_the_old_token(store: SqlStore) -> None:
    old = store.add_token(NewToken(ONE, "ana", expires=START + DAY), "ana")
    store.rotate_token(old.id, TWO, START + 9 * DAY, ANA)
    assert store.token(old.id).expires == START + DAY


def test_a_new_token_lives_no_longer_than_it_may(store: SqlStore, clock: VirtualClock) -> None:
    old = store.add_token(NewToken(ONE, "ana", expires=START + 10 * DAY), "ana")
    endless = store.add_token(NewToken(TWO, "ana"), "ana")
    clock.pause(5 * 86400)
    for token, limit, ends in ((old, 12, 12), (old, 20, 15), (endless, 20, 20)):
        new = store.rotate_token(
            token.id, secrets.token_hex(32), START + 50 * DAY, ANA.model_copy(update={"ends": START + limit * DAY})
        )
        assert new.expires == START + ends * DAY


def test_use_is_noted_once_a_minute(store: SqlStore, clock: VirtualClock) -> None:
    token = store.add_token(NewToken(ONE, "ana"), "ana")
    assert token.used is None
    seen = []
    for _ in range(4):
        store.bearer(ONE)
        seen.append(store.token(token.id).used)
        clock.pause(30)
    minute = timedelta(minutes=1)
    assert seen == [START, START, START + minute, START + minute]


def test_a_token_of_the_settings_is_kept_once(store: SqlStore) -> None:
    noc = Person(name="noc", role=Role.ADMINISTRATOR)
    for _ in range(2):
        store.ensure_token(NewToken(ONE, "noc"), noc)
    assert person(store, ONE) == noc
    assert len(store.tokens("noc")) == 1
    store.revoke_token(store.tokens("noc")[0].id, ANA)
    store.ensure_token(NewToken(ONE, "noc"), noc)
    assert store.bearer(ONE) is None
    store.set_user(noc, "ana", disabled=True)
    store.ensure_token(NewToken(TWO, "noc"), noc)
    assert store.bearer(TWO) is None
