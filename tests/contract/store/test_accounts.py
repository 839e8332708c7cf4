"""Users and tokens on record."""

from __future__ import annotations

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
    assert store.bearer(ONE) == ROSA.model_copy(update={"scopes": (Permission.LOOK,)})
    assert store.bearer(TWO) is None
    assert store.tokens("rosa") == store.tokens() == [made.model_copy(update={"used": START})]
    assert store.tokens("ana") == []
    assert ONE not in str(store.tokens()) + str(store.audit_rows(Page()))
    with pytest.raises(NotFoundError):
        store.add_token(NewToken(TWO, "eva"), "ana")
    with pytest.raises(StoreError):
        store.add_token(NewToken(ONE, "ana"), "ana")


def test_a_token_without_scope_follows_its_owner(store: SqlStore) -> None:
    store.add_token(NewToken(ONE, "rosa"), "ana")
    store.set_user(Person(name="rosa", role=Role.TENANT_VIEWER, tenant="claro"), "ana")
    assert store.bearer(ONE) == Person(name="rosa", role=Role.TENANT_VIEWER, tenant="claro")


def test_a_token_without_any_permission_is_not_one_with_all(store: SqlStore) -> None:
    store.add_token(NewToken(ONE, "ana", scopes=()), "ana")
    known = store.bearer(ONE)
    assert known is not None
    assert known.scopes == ()


def test_a_token_ends_by_itself(store: SqlStore, clock: VirtualClock) -> None:
    store.add_token(NewToken(ONE, "ana", expires=START + DAY), "ana")
    clock.pause(86399)
    assert store.bearer(ONE) == ANA
    clock.pause(1)
    assert store.bearer(ONE) is None


def test_a_revoked_token_opens_nothing(store: SqlStore) -> None:
    token = store.add_token(NewToken(ONE, "ana"), "ana")
    store.revoke_token(token.id, "ana")
    before = acts(store)
    store.revoke_token(token.id, "ana")
    assert acts(store) == before
    assert store.bearer(ONE) is None
    assert store.token(token.id).revoked == START
    with pytest.raises(NotFoundError):
        store.revoke_token("t-none", "ana")
    with pytest.raises(ConflictError):
        store.rotate_token(token.id, TWO, START + DAY, "ana")


def test_a_disabled_user_is_nobody(store: SqlStore) -> None:
    store.add_token(NewToken(ONE, "rosa"), "ana")
    assert store.set_user(ROSA, "ana", disabled=True).disabled == START
    assert store.bearer(ONE) is None
    with pytest.raises(ConflictError):
        store.add_token(NewToken(TWO, "rosa"), "ana")
    store.set_user(ROSA, "ana")
    assert store.bearer(ONE) == ROSA
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
    new = store.rotate_token(old.id, TWO, START + 6 * DAY, "ana")
    assert (new.owner, new.label, new.scopes, new.expires) == ("ana", "prometheus", scopes, START + 15 * DAY)
    assert store.bearer(ONE) == store.bearer(TWO)
    clock.pause(86400)
    assert store.bearer(ONE) is None
    assert store.bearer(TWO)
    with pytest.raises(ConflictError):
        store.rotate_token(old.id, THREE, START + 9 * DAY, "ana")
    assert store.audit_rows(Page())[1][0].detail["old"] == old.id


def test_rotating_never_lengthens_the_old_token(store: SqlStore) -> None:
    old = store.add_token(NewToken(ONE, "ana", expires=START + DAY), "ana")
    store.rotate_token(old.id, TWO, START + 9 * DAY, "ana")
    assert store.token(old.id).expires == START + DAY


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
    assert store.bearer(ONE) == noc
    assert len(store.tokens("noc")) == 1
    store.revoke_token(store.tokens("noc")[0].id, "ana")
    store.ensure_token(NewToken(ONE, "noc"), noc)
    assert store.bearer(ONE) is None
    store.set_user(noc, "ana", disabled=True)
    store.ensure_token(NewToken(TWO, "noc"), noc)
    assert store.bearer(TWO) is None
