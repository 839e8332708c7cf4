"""Tokens and users through the API: what a token may be given, who may have which, and that secrets are told once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.access.roles import ROLES, permissions
from controller.access.tokens import grant, may_renew
from controller.models.errors import ConflictError
from controller.models.people import Permission, Person, Role
from controller.ports.store import Page
from tests.support.callers import admit
from tests.unit.api.desk import TINY, Desk, files_of, open_desk

people = st.builds(
    lambda role, scopes: Person(name="ana", role=role, tenant="bitel" if role.of_tenant else "", scopes=scopes),
    st.sampled_from(Role),
    st.none() | st.lists(st.sampled_from(Permission), unique=True).map(tuple),
)
scopes = st.none() | st.lists(st.sampled_from(Permission), unique=True).map(tuple)


@given(people, scopes)
def test_a_token_never_opens_more_than_the_one_that_made_it(caller: Person, asked: Any) -> None:
    try:
        granted = grant(caller, caller, asked)
    except ConflictError:
        assert not permissions(caller) >= set(asked)
        return
    made = caller.model_copy(update={"scopes": granted})
    assert permissions(made) <= permissions(caller)
    assert asked is None or permissions(made) == set(asked)


@given(people, people, scopes)
def test_a_token_for_another_opens_no_more_than_that_ones_role(caller: Person, owner: Person, asked: Any) -> None:
    owner = owner.model_copy(update={"name": "rosa", "scopes": None})
    try:
        granted = grant(caller, owner, asked)
    except ConflictError:
        assert not ROLES[owner.role] >= set(asked)
        return
    assert permissions(owner.model_copy(update={"scopes": granted})) <= ROLES[owner.role]


@given(people, scopes)
def test_renewing_is_no_way_up(caller: Person, old: Any) -> None:
    renewed = caller.model_copy(update={"scopes": old})
    if may_renew(caller, caller.role, old) and Permission.PEOPLE not in permissions(caller):
        assert permissions(renewed) <= permissions(caller)


@pytest.fixture
async def desk(tmp_path: Path) -> AsyncIterator[Desk]:
    async with open_desk(tmp_path) as made:
        await made.client.put("/v1/network", json={"files": files_of(TINY)})
        yield made


async def made(client: httpx.AsyncClient, **body: Any) -> tuple[dict[str, Any], str]:
    answer = await client.post("/v1/tokens", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["token"], answer.json()["secret"]


async def test_a_life_of_a_token(desk: Desk) -> None:
    token, secret = await made(desk.client, label="laptop", scopes=["look", "tokens"], days=30)
    async with desk.with_token(secret) as client:
        me = (await client.get("/v1/me")).json()
        assert me == {"name": "ana", "role": "administrator", "side": "host", "permissions": ["look", "tokens"]}
        assert (await client.post("/v1/plans", json={})).status_code == 403
        listed = (await client.get("/v1/tokens")).json()
        assert [one["id"] for one in listed] == [one.id for one in desk.store.tokens("ana")]
        renewed = (await client.post(f"/v1/tokens/{token['id']}/rotate", json={"overlap_hours": 0})).json()
        assert (await client.get("/v1/me")).status_code == 401
    async with desk.with_token(renewed["secret"]) as client:
        assert (await client.get("/v1/me")).json() == me
        assert (await client.delete(f"/v1/tokens/{renewed['token']['id']}")).status_code == 204
        assert (await client.get("/v1/me")).status_code == 401
    assert secret not in str(listed) + str(desk.store.audit_rows(Page(limit=1000)))


async def test_a_weak_token_makes_no_strong_one(desk: Desk) -> None:
    strong = desk.store.tokens("ana")[0].id
    _, secret = await made(desk.client, scopes=["tokens"])
    async with desk.with_token(secret) as weak:
        answer = await weak.post("/v1/tokens", json={"scopes": ["tokens", "run"]})
        assert (answer.status_code, "can't have run" in answer.json()["detail"]) == (409, True)
        token, _ = await made(weak)
        assert token["scopes"] == ["tokens"]
        assert (await weak.post(f"/v1/tokens/{strong}/rotate", json={})).status_code == 409
        assert (await weak.get("/v1/users")).status_code == 403
        assert (await weak.get("/v1/tokens", params={"owner": "noc"})).status_code == 404


async def test_tokens_of_others_are_the_administrators(desk: Desk) -> None:
    admit(desk.store, "token-of-eva", "eva", Role.NOC_ENGINEER)
    (evas,) = desk.store.tokens("eva")
    admit(desk.store, "token-of-tom", "tom", Role.NOC_ENGINEER)
    async with desk.with_token("token-of-tom") as tom:
        for answer in (
            await tom.delete(f"/v1/tokens/{evas.id}"),
            await tom.post(f"/v1/tokens/{evas.id}/rotate", json={}),
            await tom.get("/v1/tokens", params={"owner": "eva"}),
            await tom.post("/v1/tokens", json={"owner": "eva"}),
        ):
            assert answer.status_code == 404
    answer = await desk.client.post("/v1/tokens", json={"owner": "eva", "scopes": ["people"]})
    assert answer.status_code == 409
    token, _ = await made(desk.client, owner="eva", scopes=["look"])
    assert token["owner"] == "eva"
    assert (await desk.client.delete(f"/v1/tokens/{evas.id}")).status_code == 204


async def test_users_come_with_a_role_and_change(desk: Desk) -> None:
    tenant = desk.store.network()[1].tenants[0].id
    for body, status in (
        ({"name": "rosa", "role": "tenant-viewer"}, 409),
        ({"name": "rosa", "role": "host-viewer", "tenant": tenant}, 409),
        ({"name": "rosa", "role": "tenant-viewer", "tenant": "nobody"}, 404),
        ({"name": "rosa maria", "role": "host-viewer"}, 422),
        ({"name": "rosa", "role": "tenant-viewer", "tenant": tenant}, 201),
        ({"name": "rosa", "role": "tenant-viewer", "tenant": tenant}, 409),
    ):
        answer = await desk.client.post("/v1/users", json=body)
        assert answer.status_code == status, answer.text
    changed = await desk.client.put("/v1/users/rosa", json={"role": "noc-engineer", "disabled": True})
    assert (changed.json()["role"], changed.json()["tenant"]) == ("noc-engineer", "")
    assert changed.json()["disabled"]
    assert (await desk.client.put("/v1/users/nobody", json={"role": "noc-engineer"})).status_code == 404
    names = [user["name"] for user in (await desk.client.get("/v1/users")).json()]
    assert names == ["ana", "rosa", "webhook"]
