"""Who somebody is by the claims of an identity provider."""

from __future__ import annotations

from typing import Any

import pytest

from controller.access.claims import person_of
from controller.models.errors import InputError, SignInError
from controller.models.identity import Grant, parse_grants, private
from controller.models.people import Person, Role

NOC = Grant("noc", Role.NOC_ENGINEER)
BITEL = Grant("bitel-ops", Role.TENANT_APPROVER, "bitel")


@pytest.mark.parametrize(
    "address",
    ["https://idp.example/", "https://localhost", "http://127.0.0.1:8080/x", "http://[::1]/", "http://localhost:1"],
)
def test_what_is_encrypted_or_on_this_machine_is_private(address: str) -> None:
    assert private(address) == address


@pytest.mark.parametrize(
    "address",
    ["http://idp.example/", "http://localhost.example/", "ftp://localhost/", "ldap://127.0.0.1", "localhost", ""],
)
def test_any_other_address_is_refused(address: str) -> None:
    with pytest.raises(InputError, match="is not an https address"):
        private(address)


def test_grants_are_words_with_a_role_and_maybe_a_tenant() -> None:
    assert parse_grants(" noc=noc-engineer\nbitel-ops=tenant-approver:bitel ") == (NOC, BITEL)
    assert parse_grants("") == ()


@pytest.mark.parametrize("word", ["noc", "noc=", "noc=king", "noc=noc-engineer:bitel", "ops=tenant-viewer", "a=b:c"])
def test_a_word_that_is_no_grant_is_named(word: str) -> None:
    with pytest.raises(InputError, match=f"'{word}' is not group=role"):
        parse_grants(f"noc=noc-engineer {word}")


def test_a_group_has_one_role() -> None:
    with pytest.raises(InputError, match="'noc=approver' names the group noc again"):
        parse_grants("noc=noc-engineer noc=approver")
    with pytest.raises(InputError, match="'=approver' names no group"):
        parse_grants("=approver")


def person(claims: dict[str, Any], name: str = "name") -> Person:
    return person_of(claims, (NOC, BITEL), name, "groups")


def test_of_several_groups_the_first_grant_counts() -> None:
    assert person({"name": "eva", "groups": ["bitel-ops", "noc"]}) == Person(name="eva", role=Role.NOC_ENGINEER)
    tenants = Person(name="eva", role=Role.TENANT_APPROVER, tenant="bitel")
    assert person({"name": "eva", "groups": ["others", "bitel-ops"]}) == tenants
    assert person({"name": "eva", "groups": "others bitel-ops"}) == tenants


@pytest.mark.parametrize(
    ("claims", "reason"),
    [
        ({"name": "eva"}, "names no groups"),
        ({"name": "eva", "groups": {"noc": 1}}, "names no groups"),
        ({"name": "eva", "groups": []}, "no role belongs to any of the groups"),
        ({"name": "eva", "groups": ["nocturnal"]}, "no role belongs to any of the groups"),
        ({"name": "eva", "groups": "nocturnal"}, "no role belongs to any of the groups"),
        ({"groups": ["noc"]}, "name of the identity provider is not a valid name"),
        ({"name": "eva maria", "groups": ["noc"]}, "name of the identity provider is not a valid name"),
        ({"name": 7, "groups": ["noc"]}, "name of the identity provider is not a valid name"),
    ],
)
def test_who_can_t_be_known_does_not_sign_in(claims: dict[str, Any], reason: str) -> None:
    with pytest.raises(SignInError, match=reason):
        person(claims)


@pytest.mark.parametrize("verified", [None, False, "true", 1])
def test_an_address_that_was_not_verified_is_nobodys(verified: Any) -> None:
    claims = {"email": "eva@host.example", "groups": ["noc"], "email_verified": verified}
    with pytest.raises(SignInError, match="did not verify the e-mail address"):
        person(claims, "email")
    assert person(claims | {"email_verified": True}, "email").name == "eva@host.example"
    for other in ("name", "cn"):  # names by which it is not asked for its address
        assert person(claims | {other: "eva"}, other).name == "eva"
