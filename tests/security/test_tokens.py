"""Tokens and users through the API: what a token may be given, who may have which, and that secrets are told once."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import httpx
import pytest
from hypothesis import given
from hypothesis import strategies as st

from controller.access.roles import ROLES, permissions
from controller.access.tokens import check_renewal, end, grant
from controller.api.auth import WEBHOOK_LIFE, digest, ensure_webhook_token
from controller.models.errors import ConflictError
from controller.models.people import Permission, Person, Role, Token
from controller.models.settings import Settings
from controller.ports.clock import VirtualClock
from controller.store import NewToken, Page, open_store
from tests.support.callers import admit
from tests.support.records import START
from tests.unit.api.bench import TINY, ApiBench, files_of, open_bench

scopes = st.none() | st.lists(st.sampled_from(Permission), unique=True).map(tuple)
times = st.none() | st.integers(1, 100).map(lambda days: START + timedelta(days=days))
people = st.builds(
    lambda role, scopes, ends: Person(
        name="ana", role=role, tenant="bitel" if role.of_tenant else "", scopes=scopes, ends=ends
    ),
    st.sampled_from(Role),
    scopes,
    times,
)


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
def test_a_token_for_another_opens_what_that_ones_role_and_the_one_in_use_do(
    caller: Person, owner: Person, asked: Any
) -> None:
    owner = owner.model_copy(update={"name": "rosa", "scopes": None})
    most = permissions(caller) & ROLES[owner.role]
    try:
        granted = grant(caller, owner, asked)
    except ConflictError:
        assert not most >= set(asked)
        return
    assert permissions(owner.model_copy(update={"scopes": granted})) == (most if asked is None else set(asked))


@given(people, times, st.booleans())
def test_a_token_never_outlives_the_one_that_made_it(caller: Person, asked: datetime | None, said: bool) -> None:
    later = caller.ends is not None and (asked is None or asked > caller.ends)
    if later and said:
        with pytest.raises(ConflictError, match="can't outlive"):
            end(caller, asked, said=said)
    else:
        assert end(caller, asked, said=said) == (caller.ends if later else asked)


@given(people, scopes, times)
def test_renewing_is_no_way_up_and_takes_nothing_away(caller: Person, scopes: Any, expires: datetime | None) -> None:
    kept = {"id": "t-1", "owner": "ana", "label": "", "created": START, "used": None, "revoked": None}
    renewed = caller.model_copy(update={"scopes": scopes})
    ends_sooner = caller.ends is not None and (expires is None or caller.ends < expires)
    try:
        check_renewal(caller, caller.role, Token(**kept, scopes=scopes, expires=expires))
    except ConflictError:
        assert ends_sooner or not permissions(renewed) <= permissions(caller)
    else:
        assert not ends_sooner
        assert permissions(renewed) <= permissions(caller)


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        await made.client.put("/v1/network", json={"files": files_of(TINY)})
        yield made


async def made(client: httpx.AsyncClient, **body: Any) -> tuple[dict[str, Any], str]:
    answer = await client.post("/v1/tokens", json=body)
    assert answer.status_code == 201, answer.text
    assert answer.headers["cache-control"] == "no-store"
    return answer.json()["token"], answer.json()["secret"]


async def test_a_life_of_a_token(bench: ApiBench) -> None:
    token, secret = await made(bench.client, label="laptop", scopes=["read", "tokens"], days=30)
    async with bench.with_token(secret) as client:
        me = (await client.get("/v1/me")).json()
        assert datetime.fromisoformat(me.pop("ends")) == datetime.fromisoformat(token["expires"])
        assert me == {"name": "ana", "role": "administrator", "side": "host", "permissions": ["read", "tokens"]}
        assert (await client.post("/v1/plans", json={})).status_code == 403
        listed = (await client.get("/v1/tokens")).json()["results"]
        assert [one["id"] for one in listed] == [one.id for one in bench.store.tokens.find("ana")]
        renewed = (await client.post(f"/v1/tokens/{token['id']}/rotate", json={"overlap_hours": 0})).json()
        assert (await client.get("/v1/me")).status_code == 401
    async with bench.with_token(renewed["secret"]) as client:
        assert (await client.get("/v1/me")).json().items() >= me.items()
        assert (await client.delete(f"/v1/tokens/{renewed['token']['id']}")).status_code == 204
        assert (await client.get("/v1/me")).status_code == 401
    assert secret not in str(listed) + str(bench.store.audit.page(Page(limit=1000)))


async def test_a_weak_token_makes_no_strong_one(bench: ApiBench) -> None:
    strong = bench.store.tokens.find("ana")[0].id
    _, secret = await made(bench.client, scopes=["tokens"])
    async with bench.with_token(secret) as weak:
        answer = await weak.post("/v1/tokens", json={"scopes": ["tokens", "run"]})
        assert (answer.status_code, "can't have run" in answer.json()["detail"]) == (409, True)
        token, _ = await made(weak)
        assert token["scopes"] == ["tokens"]
        assert (await weak.post(f"/v1/tokens/{strong}/rotate", json={})).status_code == 409
        assert (await weak.get("/v1/users")).status_code == 403
        assert (await weak.get("/v1/tokens", params={"owner": "noc"})).status_code == 404


def token_of(bench: ApiBench, secret: str, owner: str, days: float | None) -> Token:
    """A token of a user that ends after so many days, on record without the API."""
    expires = None if days is None else datetime.now(UTC) + timedelta(days=days)
    return bench.store.tokens.add(NewToken(digest(secret), owner, expires=expires), owner)


async def test_a_token_that_ends_makes_none_that_lives_on(bench: ApiBench) -> None:
    admit(bench.store, "endless", "eva", Role.NOC_ENGINEER)
    week = token_of(bench, "a-week", "ana", 7)
    ends = week.model_dump(mode="json")["expires"]
    async with bench.with_token("a-week") as client:
        for owner in ("ana", "eva"):
            for days in (8, 90, None):
                answer = await client.post("/v1/tokens", json={"owner": owner, "days": days})
                assert answer.status_code == 409
                assert f"ends {ends[:16].replace('T', ' ')} UTC: ask for fewer days" in answer.json()["detail"]
            token, _ = await made(client, owner=owner, days=6)
            assert token["expires"] < ends
            token, _ = await made(client, owner=owner)
            assert token["expires"] == ends
        # Nor does it renew what lives longer, its own or another's; that would shorten it.
        for other in (token_of(bench, "a-month", "ana", 30), bench.store.tokens.find("eva")[0]):
            answer = await client.post(f"/v1/tokens/{other.id}/rotate", json={})
            assert (answer.status_code, "use one that lives as long" in answer.json()["detail"]) == (409, True)
            assert bench.store.tokens.get(other.id) == other
        shorter = token_of(bench, "two-days", "eva", 2)
        assert (await client.post(f"/v1/tokens/{shorter.id}/rotate", json={})).status_code == 201
        # Renewed by itself it has another secret and the same end.
        renewed = (await client.post(f"/v1/tokens/{week.id}/rotate", json={"overlap_hours": 1})).json()
        assert renewed["token"]["expires"] == ends
        # In the overlap it is one that ends within the hour.
        answer = await client.post("/v1/tokens", json={"days": 1})
        assert answer.status_code == 409
    async with bench.with_token(renewed["secret"]) as client:
        renewed = (await client.post(f"/v1/tokens/{renewed['token']['id']}/rotate", json={})).json()
        assert renewed["token"]["expires"] == ends
    # What lives longer renews it for its whole lifetime.
    another = token_of(bench, "two-days-more", "eva", 2)
    again = (await bench.client.post(f"/v1/tokens/{another.id}/rotate", json={})).json()
    assert datetime.fromisoformat(again["token"]["expires"]) > datetime.now(UTC) + timedelta(days=1.9)


async def test_a_token_cut_down_to_people_makes_none_that_acts(bench: ApiBench) -> None:
    admit(bench.store, "token-of-eva", "eva", Role.NOC_ENGINEER)
    (evas,) = bench.store.tokens.find("eva")
    _, secret = await made(bench.client, scopes=["people", "tokens"])
    async with bench.with_token(secret) as client:
        answer = await client.post("/v1/tokens", json={"owner": "eva", "scopes": ["run"]})
        assert (answer.status_code, "it can have tokens" in answer.json()["detail"]) == (409, True)
        token, _ = await made(client, owner="eva")
        assert token["scopes"] == ["tokens"]
        answer = await client.post(f"/v1/tokens/{evas.id}/rotate", json={})
        assert (answer.status_code, "opens read, oversee, plan, run" in answer.json()["detail"]) == (409, True)
        assert (await client.delete(f"/v1/tokens/{evas.id}")).status_code == 409


async def test_what_somebody_made_dies_with_them(bench: ApiBench) -> None:
    admit(bench.store, "token-of-eva", "eva", Role.NOC_ENGINEER)
    async with bench.with_token("token-of-eva") as client:
        made_by_eva, secret = await made(client, label="script")
        renewed = (await client.post(f"/v1/tokens/{made_by_eva['id']}/rotate", json={})).json()["secret"]
    await bench.client.put("/v1/users/eva", json={"role": "noc-engineer", "disabled": True})
    for one in ("token-of-eva", secret, renewed):
        async with bench.with_token(one) as client:
            assert (await client.get("/v1/me")).status_code == 401
    assert (await bench.client.post("/v1/tokens", json={"owner": "eva"})).status_code == 409


async def test_tokens_of_others_are_the_administrators(bench: ApiBench) -> None:
    admit(bench.store, "token-of-eva", "eva", Role.NOC_ENGINEER)
    (evas,) = bench.store.tokens.find("eva")
    admit(bench.store, "token-of-tom", "tom", Role.NOC_ENGINEER)
    async with bench.with_token("token-of-tom") as tom:
        for answer in (
            await tom.delete(f"/v1/tokens/{evas.id}"),
            await tom.post(f"/v1/tokens/{evas.id}/rotate", json={}),
            await tom.get("/v1/tokens", params={"owner": "eva"}),
            await tom.post("/v1/tokens", json={"owner": "eva"}),
        ):
            assert answer.status_code == 404
    answer = await bench.client.post("/v1/tokens", json={"owner": "eva", "scopes": ["people"]})
    assert answer.status_code == 409
    token, _ = await made(bench.client, owner="eva", scopes=["read"])
    assert token["owner"] == "eva"
    assert (await bench.client.delete(f"/v1/tokens/{evas.id}")).status_code == 204


async def test_a_lost_token_takes_along_what_was_made_with_it(bench: ApiBench) -> None:
    admit(bench.store, "token-of-eva", "eva", Role.NOC_ENGINEER)
    lost, secret = await made(bench.client)
    async with bench.with_token(secret) as thief:
        _, second = await made(thief, scopes=["tokens", "read"])
        _, evas = await made(thief, owner="eva", scopes=["read"])
    async with bench.with_token(second) as thief:
        renewed = (await thief.post(f"/v1/tokens/{(await made(thief))[0]['id']}/rotate", json={})).json()["secret"]

    async def opened() -> list[bool]:
        clients = [bench.with_token(one) for one in (secret, second, evas, renewed, "token-of-eva")]
        return [(await client.get("/v1/me")).is_success for client in clients]

    assert await opened() == [True] * 5
    assert (await bench.client.delete(f"/v1/tokens/{lost['id']}", params={"with_made": True})).status_code == 204
    assert await opened() == [False] * 4 + [True]
    assert (await bench.client.get("/v1/me")).is_success


async def test_users_come_with_a_role_and_change(bench: ApiBench) -> None:
    tenant = bench.store.networks.get()[1].tenants[0].id
    for body, status in (
        ({"name": "rosa", "role": "tenant-viewer"}, 409),
        ({"name": "rosa", "role": "host-viewer", "tenant": tenant}, 409),
        ({"name": "rosa", "role": "tenant-viewer", "tenant": "nobody"}, 404),
        ({"name": "rosa maria", "role": "host-viewer"}, 422),
        ({"name": "rosa", "role": "tenant-viewer", "tenant": tenant}, 201),
        ({"name": "rosa", "role": "tenant-viewer", "tenant": tenant}, 409),
    ):
        answer = await bench.client.post("/v1/users", json=body)
        assert answer.status_code == status, answer.text
    changed = await bench.client.put("/v1/users/rosa", json={"role": "noc-engineer", "disabled": True})
    assert (changed.json()["role"], changed.json()["tenant"]) == ("noc-engineer", "")
    assert changed.json()["disabled"]
    assert (await bench.client.put("/v1/users/nobody", json={"role": "noc-engineer"})).status_code == 404
    names = [user["name"] for user in (await bench.client.get("/v1/users")).json()["results"]]
    assert names == ["ana", "rosa", "webhook"]


# ------------------------------------------------------------------------- ends


async def test_a_narrow_token_ends_no_wider_one(bench: ApiBench) -> None:
    own, narrow = await made(bench.client, scopes=["tokens"])
    _, people = await made(bench.client, scopes=["tokens", "people"])
    wide, wide_secret = await made(bench.client)
    async with bench.with_token(narrow) as thief, bench.with_token(people) as manager:
        for client in (thief, manager):
            refused = await client.delete(f"/v1/tokens/{wide['id']}")
            assert (refused.status_code, "so it can't end it" in refused.json()["detail"]) == (409, True)
            assert (await client.post(f"/v1/tokens/{wide['id']}/rotate", json={"overlap_hours": 0})).status_code == 409
        async with bench.with_token(wide_secret) as owner:
            assert (await owner.get("/v1/me")).status_code == 200
            below, _ = await made(owner, scopes=["tokens"])
        assert (await thief.delete(f"/v1/tokens/{below['id']}")).status_code == 204
        assert (await thief.delete(f"/v1/tokens/{own['id']}")).status_code == 204, "its own end is anybody's"


async def test_a_narrow_token_ends_no_wider_one_by_way_of_what_made_it(bench: ApiBench) -> None:
    """What is refused for one of several is refused for all."""
    bench.store.users.add(Person(name="tom", role=Role.NOC_ENGINEER), "ana")
    engineer, secret = await made(bench.client, owner="tom")
    async with bench.with_token(secret) as tom:
        mine, _ = await made(tom, scopes=["tokens", "read"])
        _, narrow = await made(tom, scopes=["tokens", "read"])
    async with bench.with_token(narrow) as thief:
        assert (await thief.delete(f"/v1/tokens/{engineer['id']}?with_made=true")).status_code == 409
    assert bench.store.tokens.get(mine["id"]).revoked is None


def test_webhook_tokens_are_long() -> None:
    with pytest.raises(ValueError, match="webhook_token"):
        Settings(webhook_token="x" * 31)
    with pytest.raises(ValueError, match="webhook_token"):
        Settings(webhook_token="x" * 40 + " ")
    assert Settings(webhook_token="x" * 32).webhook_token
    assert Settings(webhook_token="").webhook_token == ""


def test_a_webhook_token_ends_and_gives_way_to_the_next(capsys: pytest.CaptureFixture[str]) -> None:
    clock = VirtualClock()
    store = open_store("sqlite://", clock)

    def start(token: str) -> None:
        ensure_webhook_token(token, store, clock)

    def opens(token: str) -> bool:
        person = store.tokens.bearer(digest(token))
        return person is not None and permissions(person) == {Permission.WEBHOOK}

    start("first")
    start("first")
    assert opens("first")
    assert [row.expires for row in store.tokens.find("webhook")] == [clock.now() + WEBHOOK_LIFE]
    start("second")
    assert (opens("first"), opens("second")) == (False, True)
    start("first")
    assert not opens("first"), "what was rotated away never comes back"
    assert opens("second"), "a process that still has the old one changes nothing"
    assert "webhook.token_over" in capsys.readouterr().out
    start("third")
    clock.pause((WEBHOOK_LIFE - timedelta(days=29)).total_seconds())
    start("third")
    assert "webhook.token_ends" in capsys.readouterr().out
    assert opens("third")
    clock.pause(timedelta(days=29).total_seconds())
    start("third")
    assert not opens("third")
    assert "webhook.token_over" in capsys.readouterr().out
    store.close()
