"""Users and tokens on record."""

from __future__ import annotations

import secrets
from datetime import timedelta

import pytest

from controller.models.errors import ConflictError, NotFoundError, StoreError
from controller.models.people import Permission, Person, Role
from controller.ports.clock import VirtualClock
from controller.store import NewToken, Page, Store
from tests.support.records import START

ANA = Person(name="ana", role=Role.ADMINISTRATOR)
ROSA = Person(name="rosa", role=Role.TENANT_APPROVER, tenant="bitel")
ONE, TWO, THREE = ("1" * 64, "2" * 64, "3" * 64)
DAY = timedelta(days=1)


@pytest.fixture
def store(store: Store) -> Store:
    """A store with two users."""
    store.users.add(ANA, "ana")
    store.users.add(ROSA, "ana")
    return store


def person(store: Store, digest: str) -> Person | None:
    """Who calls with a token, whichever that is."""
    found = store.tokens.bearer(digest)
    return found and found.model_copy(update={"token": ""})


def acts(store: Store) -> list[tuple[str, str, str]]:
    return [(row.actor, row.action, row.object) for row in reversed(store.audit.page(Page())[1])]


def test_users_are_there_once(store: Store) -> None:
    assert [(user.name, user.role, user.tenant, user.created) for user in store.users.find()] == [
        ("ana", Role.ADMINISTRATOR, "", START),
        ("rosa", Role.TENANT_APPROVER, "bitel", START),
    ]
    with pytest.raises(ConflictError, match="a token for them: minka token new --owner rosa; another role: minka user"):
        store.users.add(Person(name="rosa", role=Role.HOST_VIEWER), "ana")
    with pytest.raises(NotFoundError):
        store.users.get("eva")
    assert acts(store) == [("ana", "user.added", "ana"), ("ana", "user.added", "rosa")]


def test_a_token_is_known_by_its_digest(store: Store) -> None:
    made = store.tokens.add(NewToken(ONE, "rosa", "laptop", (Permission.READ,), START + DAY), "ana")
    assert person(store, ONE) == ROSA.model_copy(update={"scopes": (Permission.READ,), "ends": START + DAY})
    assert store.tokens.bearer(TWO) is None
    assert store.tokens.find("rosa") == store.tokens.find() == [made.model_copy(update={"used": START})]
    assert store.tokens.find("ana") == []
    with pytest.raises(NotFoundError, match="there is no user eva"):
        store.tokens.find("eva")
    assert ONE not in str(store.tokens.find()) + str(store.audit.page(Page()))
    with pytest.raises(NotFoundError):
        store.tokens.add(NewToken(TWO, "eva"), "ana")
    with pytest.raises(StoreError):
        store.tokens.add(NewToken(ONE, "ana"), "ana")


def test_a_token_without_scope_follows_its_owner(store: Store) -> None:
    store.tokens.add(NewToken(ONE, "rosa"), "ana")
    store.users.change(Person(name="rosa", role=Role.TENANT_VIEWER, tenant="claro"), "ana")
    assert person(store, ONE) == Person(name="rosa", role=Role.TENANT_VIEWER, tenant="claro")


def test_a_token_without_any_permission_is_not_one_with_all(store: Store) -> None:
    store.tokens.add(NewToken(ONE, "ana", scopes=()), "ana")
    known = store.tokens.bearer(ONE)
    assert known is not None
    assert known.scopes == ()


def test_a_token_ends_by_itself(store: Store, clock: VirtualClock) -> None:
    store.tokens.add(NewToken(ONE, "ana", expires=START + DAY), "ana")
    clock.pause(86399)
    assert person(store, ONE) == ANA.model_copy(update={"ends": START + DAY})
    clock.pause(1)
    assert store.tokens.bearer(ONE) is None


def test_a_revoked_token_opens_nothing(store: Store) -> None:
    token = store.tokens.add(NewToken(ONE, "ana"), "ana")
    store.tokens.revoke(token.id, ANA)
    before = acts(store)
    store.tokens.revoke(token.id, ANA)
    assert acts(store) == before
    assert store.tokens.bearer(ONE) is None
    assert store.tokens.get(token.id).revoked == START
    with pytest.raises(NotFoundError):
        store.tokens.revoke("t-none", ANA)
    with pytest.raises(ConflictError):
        store.tokens.rotate(token.id, TWO, START + DAY, ANA)


def test_what_was_made_with_a_token_ends_with_it_where_that_is_asked_for(store: Store) -> None:
    lost, other = (store.tokens.add(NewToken(digest, "ana"), "ana") for digest in (ONE, TWO))
    thief = store.tokens.bearer(ONE)
    assert thief is not None
    assert thief.token == lost.id
    child = store.tokens.rotate(other.id, THREE, START + DAY, thief)
    grandchild = store.tokens.add(NewToken("4" * 64, "rosa", made_with=child.id), "ana")
    store.tokens.add(NewToken("5" * 64, "ana", made_with=other.id), "ana")
    with pytest.raises(ConflictError, match="needs the permission people"):
        store.tokens.revoke(lost.id, Person(name="ana", role=Role.NOC_ENGINEER), with_made=True)
    assert not any(token.revoked for token in store.tokens.find())
    store.tokens.revoke(lost.id, ANA)
    assert [token.id for token in store.tokens.find() if token.revoked] == [lost.id]
    store.tokens.revoke(lost.id, ANA, with_made=True)
    revoked = {token.id for token in store.tokens.find() if token.revoked}
    assert revoked == {lost.id, child.id, grandchild.id}
    assert {one for _, action, one in acts(store) if action == "token.revoked"} == revoked
    with pytest.raises(ConflictError, match="was revoked"):
        store.tokens.add(NewToken("6" * 64, "ana", made_with=child.id), "ana")
    store.tokens.revoke(lost.id, ANA, with_made=True)


def test_a_token_names_who_made_it_or_the_one_that_it_was_made_with(store: Store) -> None:
    given = store.tokens.add(NewToken("1" * 64, "rosa"), "ana")
    own = store.tokens.add(NewToken("2" * 64, "rosa", made_with=given.id), "rosa")
    renewed = store.tokens.rotate(own.id, "3" * 64, START, ROSA.model_copy(update={"token": own.id}))
    # What rosa makes with a token that ana made, ana could have made.
    assert [store.tokens.get(one.id).maker for one in (given, own, renewed)] == ["ana"] * 3
    # Somebody else's token for rosa is by who made it, whoever made the one in use.
    store.users.add(Person(name="eva", role=Role.ADMINISTRATOR), "ana")
    evas = store.tokens.add(NewToken("4" * 64, "eva"), "ana")
    assert store.tokens.add(NewToken("5" * 64, "rosa", made_with=evas.id), "eva").maker == "eva"


def test_a_disabled_user_is_nobody(store: Store) -> None:
    store.tokens.add(NewToken(ONE, "rosa"), "ana")
    assert store.users.change(ROSA, "ana", disabled=True).disabled == START
    assert store.tokens.bearer(ONE) is None
    with pytest.raises(ConflictError):
        store.tokens.add(NewToken(TWO, "rosa"), "ana")
    store.users.change(ROSA, "ana")
    assert person(store, ONE) == ROSA
    assert acts(store)[-2:] == [("ana", "user.changed", "rosa")] * 2


def test_the_last_administrator_stays_one(store: Store) -> None:
    for change in ({"disabled": True}, {}):
        role = Role.ADMINISTRATOR if change else Role.HOST_VIEWER
        with pytest.raises(ConflictError, match="last administrator"):
            store.users.change(Person(name="ana", role=role), "ana", **change)
    assert store.users.get("ana").role is Role.ADMINISTRATOR
    assert store.users.get("ana").disabled is None
    store.users.change(Person(name="rosa", role=Role.ADMINISTRATOR), "ana")
    assert store.users.change(ANA, "rosa", disabled=True).disabled


def test_an_old_token_goes_on_beside_the_new_one(store: Store, clock: VirtualClock) -> None:
    scopes = (Permission.METRICS,)
    old = store.tokens.add(NewToken(ONE, "ana", "prometheus", scopes, START + 10 * DAY), "ana")
    clock.pause(5 * 86400)
    new = store.tokens.rotate(old.id, TWO, START + 6 * DAY, ANA)
    assert (new.owner, new.label, new.scopes, new.expires) == ("ana", "prometheus", scopes, START + 15 * DAY)
    assert [known and known.ends for known in map(store.tokens.bearer, (ONE, TWO))] == [
        START + 6 * DAY,
        START + 15 * DAY,
    ]
    clock.pause(86400)
    assert store.tokens.bearer(ONE) is None
    assert store.tokens.bearer(TWO)
    with pytest.raises(ConflictError):
        store.tokens.rotate(old.id, THREE, START + 9 * DAY, ANA)
    assert store.audit.page(Page())[1][0].detail["old"] == old.id


def test_rotating_never_lengthens_the_old_token(store: Store) -> None:
    old = store.tokens.add(NewToken(ONE, "ana", expires=START + DAY), "ana")
    store.tokens.rotate(old.id, TWO, START + 9 * DAY, ANA)
    assert store.tokens.get(old.id).expires == START + DAY


def test_a_new_token_lives_no_longer_than_it_may(store: Store, clock: VirtualClock) -> None:
    old = store.tokens.add(NewToken(ONE, "ana", expires=START + 10 * DAY), "ana")
    endless = store.tokens.add(NewToken(TWO, "ana"), "ana")
    clock.pause(5 * 86400)
    for token, limit, ends in ((old, 12, 12), (old, 20, 15), (endless, 20, 20)):
        new = store.tokens.rotate(
            token.id, secrets.token_hex(32), START + 50 * DAY, ANA.model_copy(update={"ends": START + limit * DAY})
        )
        assert new.expires == START + ends * DAY


def test_use_is_noted_once_a_minute(store: Store, clock: VirtualClock) -> None:
    token = store.tokens.add(NewToken(ONE, "ana"), "ana")
    assert token.used is None
    seen = []
    for _ in range(4):
        store.tokens.bearer(ONE)
        seen.append(store.tokens.get(token.id).used)
        clock.pause(30)
    minute = timedelta(minutes=1)
    assert seen == [START, START, START + minute, START + minute]


def test_a_token_of_the_settings_is_kept_once(store: Store) -> None:
    noc = Person(name="noc", role=Role.ADMINISTRATOR)
    for _ in range(2):
        store.tokens.ensure(NewToken(ONE, "noc"), noc)
    assert person(store, ONE) == noc
    assert len(store.tokens.find("noc")) == 1
    store.tokens.revoke(store.tokens.find("noc")[0].id, ANA)
    store.tokens.ensure(NewToken(ONE, "noc"), noc)
    assert store.tokens.bearer(ONE) is None
    store.users.change(noc, "ana", disabled=True)
    store.tokens.ensure(NewToken(TWO, "noc"), noc)
    assert store.tokens.bearer(TWO) is None
