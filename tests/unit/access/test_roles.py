"""What each role may do, written down a second time: a change of the table is a change of two."""

from __future__ import annotations

from typing import Any

import pytest

from controller.access.roles import ROLES, lacking, may, permissions, words
from controller.models.people import Permission, Person, Role

MAY = {
    Role.HOST_VIEWER: "read, oversee, tokens, metrics",
    Role.NOC_ENGINEER: "read, oversee, plan, run, stop, tokens, metrics, webhook, warn, comment, on-call",
    Role.APPROVER: "read, oversee, stop, approve, override, tokens, metrics, comment, promote",
    Role.ADMINISTRATOR: (
        "read, oversee, plan, run, stop, approve, override, network, people, tokens, metrics, webhook, warn, "
        "announce, comment, promote, on-call"
    ),
    Role.TENANT_VIEWER: "read, tokens, metrics",
    Role.TENANT_APPROVER: "read, approve, tokens, metrics, announce, comment, on-call",
}


@pytest.mark.parametrize("role", Role)
def test_each_role_may_do_this_and_nothing_else(role: Role) -> None:
    assert words(ROLES[role]) == MAY[role]


def test_a_token_cuts_a_role_down_and_adds_nothing() -> None:
    viewer = Person(name="ana", role=Role.HOST_VIEWER)
    assert permissions(viewer) == ROLES[Role.HOST_VIEWER]
    narrow = viewer.model_copy(update={"scopes": (Permission.READ, Permission.RUN)})
    assert permissions(narrow) == {Permission.READ}
    assert (may(narrow, Permission.READ), may(narrow, Permission.RUN)) == (True, False)
    assert not permissions(viewer.model_copy(update={"scopes": ()}))


@pytest.mark.parametrize(
    ("lacks", "asked", "way"),
    [
        (
            {"role": Role.HOST_VIEWER},
            Permission.PLAN,
            (
                ", since its role is host-viewer: the permission is of noc-engineer and administrator; "
                "an administrator can give you such a role: minka user role ana noc-engineer"
            ),
        ),
        (
            {"role": Role.NOC_ENGINEER},
            Permission.PROMOTE,
            (
                ", since its role is noc-engineer: the permission is of approver and administrator; "
                "an administrator can give you such a role: minka user role ana approver"
            ),
        ),
        (
            {"role": Role.HOST_VIEWER, "issuer": "https://login.example"},
            Permission.NETWORK,
            (
                ", since its role is host-viewer: the permission is of administrator; "
                "the identity provider at https://login.example says who has such a role"
            ),
        ),
        (
            {"role": Role.NOC_ENGINEER, "scopes": (Permission.READ,)},
            Permission.PLAN,
            (
                ": the role noc-engineer has it, so you or an administrator can make a token with it: "
                "minka token new --owner ana --scope plan"
            ),
        ),
    ],
)
def test_a_refusal_says_which_roles_have_the_permission_and_who_gives_it_by_which_command(
    lacks: dict[str, Any], asked: Permission, way: str
) -> None:
    person = Person(name="ana", **lacks)
    assert lacking(person, asked) == f"this needs the permission {asked}, which the token of ana lacks{way}"
