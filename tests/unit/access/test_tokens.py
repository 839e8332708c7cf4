"""What a token may be given, and which tokens it may renew or end."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import pytest

from controller.access.tokens import check_end, check_renewal, end, grant, may_manage
from controller.models.errors import ConflictError
from controller.models.people import Permission, Person, Role, Token

SOON = datetime(2026, 3, 1, 12, 30, tzinfo=UTC)
LATER = SOON + timedelta(seconds=1)
READ, RUN, TOKENS, PEOPLE = Permission.READ, Permission.RUN, Permission.TOKENS, Permission.PEOPLE


def person(role: Role = Role.ADMINISTRATOR, name: str = "ana", **more: Any) -> Person:
    return Person(name=name, role=role, **more)


def token(scopes: tuple[Permission, ...] | None = None, expires: datetime | None = None) -> Token:
    return Token(
        id="t-1", owner="ana", label="", scopes=scopes, created=SOON, expires=expires, used=None, revoked=None
    )  # fmt: skip


def test_a_whole_token_gives_the_whole_role_now_and_later() -> None:
    assert grant(person(), person(), None) is None
    assert grant(person(), person(Role.HOST_VIEWER), None) is None


def test_less_than_the_whole_is_named_in_the_order_of_the_table() -> None:
    narrow = person(scopes=(TOKENS, READ))
    assert grant(narrow, person(), None) == (READ, TOKENS)
    assert grant(person(), person(), (TOKENS, READ)) == (READ, TOKENS)
    # A scope that happens to hold all that the role gives today gives no more than that later.
    everything = person(scopes=tuple(Permission))
    assert grant(everything, person(), None) == tuple(Permission)
    # The caller's role gives less than the owner's.
    assert grant(person(Role.HOST_VIEWER), person(), None) == (READ, Permission.OVERSEE, TOKENS, Permission.METRICS)


def test_more_than_there_is_to_give_is_refused_and_named() -> None:
    with pytest.raises(ConflictError, match=r"a token of eva can't have run, people; it can have read, tokens$"):
        grant(person(scopes=(TOKENS, READ, RUN)), person(Role.TENANT_VIEWER, "eva", tenant="b"), (PEOPLE, RUN, READ))


def test_a_token_ends_with_the_one_that_makes_it_at_the_latest() -> None:
    endless, ending = person(), person(ends=SOON)
    assert end(endless, None, said=True) is None
    assert end(endless, LATER, said=True) == LATER
    assert end(ending, SOON, said=True) == SOON
    sooner = SOON - timedelta(minutes=1)
    assert end(ending, sooner, said=True) == end(ending, sooner, said=False) == sooner
    assert end(ending, None, said=False) == SOON
    assert end(ending, LATER, said=False) == SOON
    for asked in (None, LATER):
        with pytest.raises(ConflictError, match="which ends 2026-03-01 12:30 UTC: ask for fewer days"):
            end(ending, asked, said=True)


def test_times_are_given_in_utc() -> None:
    lima = person(ends=SOON.astimezone(timezone(timedelta(hours=-5))))
    with pytest.raises(ConflictError, match="ends 2026-03-01 12:30 UTC"):
        end(lima, None, said=True)


def test_tokens_of_others_are_for_those_who_manage_people() -> None:
    assert may_manage(person(Role.HOST_VIEWER), "ana")
    assert not may_manage(person(Role.HOST_VIEWER), "eva")
    assert not may_manage(person(Role.HOST_VIEWER, "eva"), "ana")
    assert may_manage(person(), "eva")
    assert not may_manage(person(scopes=(TOKENS,)), "eva")


@pytest.mark.parametrize(
    ("caller", "old", "reason"),
    [
        (person(), token(), ""),
        (person(), token(expires=SOON), ""),
        (person(ends=SOON), token(expires=SOON), ""),
        (person(ends=LATER), token(expires=SOON), ""),
        (
            person(ends=SOON),
            token(expires=LATER),
            "lives until 2026-03-01 12:30 UTC and the one in use ends 2026-03-01",
        ),
        (person(ends=SOON), token(), "t-1 has no end and the one in use ends"),
        (person(scopes=(READ, TOKENS)), token((TOKENS, READ)), ""),
        (person(scopes=(READ, TOKENS)), token((READ, RUN)), "t-1 opens run, and the one in use does not"),
        (person(Role.NOC_ENGINEER), token(), "t-1 opens approve, override, network, people, announce, promote, and"),
        # What its owner's role does not give it does not open, whatever its scope says.
        (person(scopes=tuple(set(Permission) - {PEOPLE})), token((READ,)), ""),
    ],
)
def test_a_token_renews_what_opens_no_more_and_lives_no_longer(caller: Person, old: Token, reason: str) -> None:
    if not reason:
        check_renewal(caller, Role.ADMINISTRATOR, old)
        return
    with pytest.raises(ConflictError, match=reason):
        check_renewal(caller, Role.ADMINISTRATOR, old)


def test_a_token_ends_what_opens_no_more() -> None:
    narrow = person(scopes=(READ, TOKENS))
    check_end(narrow, Role.ADMINISTRATOR, token((TOKENS,)))
    check_end(person(scopes=(READ, TOKENS, Permission.METRICS)), Role.TENANT_VIEWER, token())
    check_end(narrow, Role.TENANT_VIEWER, token((READ, RUN)))
    with pytest.raises(ConflictError, match="t-1 opens run, and the one in use does not, so it can't end it"):
        check_end(narrow, Role.ADMINISTRATOR, token((READ, RUN)))
