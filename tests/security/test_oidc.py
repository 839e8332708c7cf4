"""Signing in at an identity provider: who is let in, and that everything doubtful is not."""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import socket
import string
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
from joserfc import jws
from joserfc.jwk import ECKey, RSAKey
from pydantic import ValidationError

from controller.access.claims import person_of
from controller.api.auth import SESSION
from controller.api.oidc import Provider
from controller.models.errors import InputError, SignInError
from controller.models.identity import parse_grants
from controller.models.people import Person, Role
from controller.models.settings import Settings
from controller.ports.clock import SystemClock
from controller.store import Page
from tests.support import http
from tests.support.callers import admit
from tests.support.provider import CLIENT, SECRET, IdentityProvider, endless_provider, identity_provider
from tests.unit.api.bench import TINY, ApiBench, files_of, open_bench

ROLES = "minka-noc=noc-engineer minka-admins=administrator andes-ops=tenant-approver:andes"
MALLORY = RSAKey.generate_key(2048, {"kid": "one"}, private=True)


@pytest.fixture
def idp() -> Iterator[IdentityProvider]:
    with identity_provider() as provider:
        provider.claims = {"email": "eva@ipt.pe", "email_verified": True, "groups": ["staff", "minka-noc"]}
        yield provider


@pytest.fixture
async def bench(tmp_path: Path, idp: IdentityProvider) -> AsyncIterator[ApiBench]:
    async with open_bench(tmp_path) as made:
        await made.client.put("/v1/network", json={"files": files_of(TINY)})
        believe(made, idp.url)
        yield made


def believe(bench: ApiBench, issuer: str, **more: Any) -> None:
    """Configure an identity provider, from which nothing is known yet."""
    services = bench.app.state.services
    settings = Settings(
        home=services.settings.home,
        api_url="http://minka",
        oidc_issuer=issuer,
        oidc_client_id=CLIENT,
        oidc_client_secret=SECRET,
        oidc_roles=ROLES,
        **more,
    )
    bench.app.state.services = replace(services, settings=settings, provider=Provider(settings, services.clock))


async def me(bench: ApiBench, token: str) -> httpx.Response:
    async with bench.with_token(token) as client:
        return await client.get("/v1/me")


async def test_a_token_of_the_provider_lets_in(bench: ApiBench, idp: IdentityProvider) -> None:
    said = (await me(bench, idp.token())).json()
    assert (said["name"], said["role"], said["side"]) == ("eva@ipt.pe", "noc-engineer", "host")
    assert (await me(bench, idp.token(aud=["other", CLIENT], azp=CLIENT))).status_code == 200
    user = bench.store.users.get("eva@ipt.pe")
    assert (user.issuer, user.role) == (idp.url, Role.NOC_ENGINEER)
    # Its keys are asked for once, not at each request.
    assert idp.asked == ["/.well-known/openid-configuration", "/keys"]
    assert (await bench.client.get("/v1/me")).json()["name"] == "ana"


async def test_a_tenants_person_signs_in_as_one(bench: ApiBench, idp: IdentityProvider) -> None:
    token = idp.token(email="rosa@andes.pe", sub="u-2", groups=["andes-ops"])
    assert (await me(bench, token)).json()["side"] == "andes"
    async with bench.with_token(token) as client:
        assert [one["id"] for one in (await client.get("/v1/network/tenants")).json()["results"]] == ["andes"]
        assert (await client.post("/v1/plans", json={})).status_code == 404
        trail = (await client.get("/v1/audit")).json()["results"]
    assert [row["action"] for row in trail] == ["access.denied", "user.added"]


async def test_a_role_that_changes_at_the_provider_changes_here(bench: ApiBench, idp: IdentityProvider) -> None:
    await me(bench, idp.token())
    assert (await me(bench, idp.token(groups=["minka-admins"]))).json()["role"] == "administrator"
    assert bench.store.users.get("eva@ipt.pe").role is Role.ADMINISTRATOR
    assert bench.store.audit.page(Page(limit=1))[1][0].action == "user.changed"
    assert (await me(bench, idp.token(groups=["staff"]))).status_code == 401


@pytest.mark.parametrize(
    "then", [["minka-noc"], ["andes-ops"], ["staff"], []], ids=["less", "a tenant's", "none", "no"]
)
async def test_an_older_token_restores_no_older_role(bench: ApiBench, idp: IdentityProvider, then: list[str]) -> None:
    now = int(time.time())
    older = idp.token(iat=now - 60, groups=["minka-admins"])
    never_seen = idp.token(iat=now - 50, groups=["minka-admins"], jti="2")
    assert (await me(bench, older)).json()["role"] == "administrator"
    newer = idp.token(iat=now - 30, groups=then)
    said = await me(bench, newer)
    for token in (older, never_seen, older):
        assert (await me(bench, token)).status_code == 401
    assert (await me(bench, newer)).status_code == said.status_code
    assert (await me(bench, idp.token(groups=["minka-admins"]))).json()["role"] == "administrator"
    for token in (older, never_seen):
        # What it gave was taken back meanwhile, or at least asked for again.
        assert (await me(bench, token)).status_code == 401


async def test_an_older_token_counts_beside_a_newer_one_that_says_the_same(
    bench: ApiBench, idp: IdentityProvider
) -> None:
    """People are signed in with a browser and on the command line."""
    now = int(time.time())
    newer, older = idp.token(iat=now - 30), idp.token(iat=now - 60)
    for token in (newer, older, newer):
        assert (await me(bench, token)).status_code == 200
    assert (await me(bench, idp.token(iat=now - 90, groups=["minka-admins"]))).status_code == 401
    assert bench.store.users.get("eva@ipt.pe").role is Role.NOC_ENGINEER


async def test_a_token_has_an_age_beside_its_end(bench: ApiBench, idp: IdentityProvider) -> None:
    now = int(time.time())
    assert (await me(bench, idp.token(iat=now - 11 * 3600, exp=now + 10**6))).status_code == 200
    refused = await me(bench, idp.token(iat=now - 13 * 3600, exp=now + 10**6))
    assert (refused.status_code, "older than 12 hours" in refused.json()["detail"]) == (401, True)


@pytest.mark.parametrize(
    ("claims", "status"),
    [
        ({"azp": CLIENT}, 200),
        ({"azp": "robot"}, 200),
        ({"azp": "another-program"}, 401),
        ({"azp": ""}, 401),
        ({"azp": [CLIENT]}, 401),
        ({"aud": ["another-program", CLIENT]}, 401),
        ({"aud": ["another-program", CLIENT], "azp": "another-program"}, 401),
        ({"aud": ["another-program", CLIENT], "azp": CLIENT}, 200),
    ],
)
async def test_a_token_was_given_to_us(
    bench: ApiBench, idp: IdentityProvider, claims: dict[str, Any], status: int
) -> None:
    believe(bench, idp.url, oidc_clients="robot")
    assert (await me(bench, idp.token(**claims))).status_code == status


async def test_a_token_that_was_signed_out_opens_nothing(bench: ApiBench, idp: IdentityProvider) -> None:
    token, other = idp.token(jti="1"), idp.token(jti="2")
    for one in (token, other):
        assert (await me(bench, one)).status_code == 200
    async with bench.with_token(token) as client:
        assert (await client.delete("/v1/login")).status_code == 204
        assert (await client.delete("/v1/login")).status_code == 204
    refused = await me(bench, token)
    assert (refused.status_code, "signed out" in refused.json()["detail"]) == (401, True)
    assert (await me(bench, other)).status_code == 200, "another session goes on"
    for nothing in (idp.token(exp=1), idp.token(key=MALLORY), "a.b.c", "x"):
        async with bench.with_token(nothing) as client:
            assert (await client.delete("/v1/login")).status_code == 204
    trail = bench.store.audit.page(Page(limit=10))[1]
    assert [row.action for row in trail if row.actor == "eva@ipt.pe"] == ["user.signed_out", "user.added"]


#: Order of the group of P-256 (SEC 2 §2.4.2).
P256 = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551


def spelled_otherwise(token: str) -> Iterator[str]:
    """Tokens of ES256 with the same content that may verify: padded, with other spare bits, with n-s for s."""
    signed, _, signature = token.rpartition(".")
    letters = string.ascii_uppercase + string.ascii_lowercase + string.digits + "-_"
    yield f"{token}="
    yield f"{token}=="
    yield f"{signed}.{signature[:-1]}{letters[letters.index(signature[-1]) ^ 1]}"
    raw = base64.urlsafe_b64decode(signature + "==")
    r, s = raw[:32], P256 - int.from_bytes(raw[32:])
    yield f"{signed}.{base64.urlsafe_b64encode(r + s.to_bytes(32)).rstrip(b'=').decode()}"


async def test_no_other_spelling_of_a_token_that_was_signed_out_opens_anything(
    bench: ApiBench, idp: IdentityProvider
) -> None:
    key = ECKey.generate_key("P-256", {"kid": "two"})
    idp.keys.append(key)
    token = idp.token(alg="ES256", key=key, kid="two", jti="1")
    others = [one for one in spelled_otherwise(token) if (await me(bench, one)).status_code == 200]
    assert others, "the one with n-s verifies"
    async with bench.with_token(token) as client:
        assert (await client.delete("/v1/login")).status_code == 204
    assert [(await me(bench, one)).status_code for one in (token, *others)] == [401] * (1 + len(others))


def unsigned(idp: IdentityProvider, alg: str, **more: object) -> str:
    """A token with a header of one's own and no signature."""
    parts = idp.token().split(".")
    header = base64.urlsafe_b64encode(json.dumps({"alg": alg, "kid": "one"} | more).encode()).rstrip(b"=").decode()
    return f"{header}.{parts[1]}."


def with_public_key_as_secret(idp: IdentityProvider) -> str:
    """What a verifier takes that lets the token say how it is signed."""
    key = idp.keys[0]
    assert isinstance(key, RSAKey)
    parts = unsigned(idp, "HS256").rpartition(".")[0]
    mac = hmac.new(key.as_pem(private=False), parts.encode(), hashlib.sha256).digest()
    return f"{parts}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}"


def with_other_claims(idp: IdentityProvider) -> str:
    """A good signature over other claims."""
    header, _, signature = idp.token().split(".")
    other = idp.token(key=MALLORY, groups=["minka-admins"]).split(".")[1]
    return f"{header}.{other}.{signature}"


def nested(idp: IdentityProvider, *, header: bool) -> str:
    """A token with JSON that is nested very deeply, as header or as claims that the provider signed."""
    deep = b"[" * 3000
    if header:
        return f"{base64.urlsafe_b64encode(deep).rstrip(b'=').decode()}.{idp.token().partition('.')[2]}"
    key = idp.keys[0]
    assert isinstance(key, RSAKey)
    return jws.serialize_compact({"alg": "RS256", "kid": "one"}, deep, key)


ODD_CRIT: tuple[object, ...] = (5, None, "b64", {}, [5], [["b64"]], [{}], ["x"])
ODD_KEYS: tuple[object, ...] = (5, ["one"], {})
FORGED: list[Callable[[IdentityProvider], str]] = [
    lambda idp: idp.token(exp=1),
    lambda idp: idp.token(exp=None),
    lambda idp: idp.token(exp="never"),
    lambda idp: idp.token(iat=None),
    lambda idp: idp.token(iat="now"),
    lambda idp: idp.token(nbf=4_000_000_000),
    lambda idp: idp.token(iat=4_000_000_000),
    lambda idp: idp.token(aud="somebody-else"),
    lambda idp: idp.token(aud=None),
    lambda idp: idp.token(iss="http://127.0.0.1:1"),
    lambda idp: idp.token(iss=None),
    lambda idp: idp.token(sub=None),
    lambda idp: idp.token(sub=["u-1"]),
    lambda idp: idp.token(exp=10**18),
    lambda idp: idp.token(key=MALLORY),
    lambda idp: idp.token(key=MALLORY, kid="two"),
    lambda idp: idp.token(key=MALLORY, kid=None),
    lambda idp: unsigned(idp, "none"),
    lambda idp: unsigned(idp, "None"),
    lambda idp: unsigned(idp, "RS256"),
    *(partial(unsigned, alg="RS256", crit=odd) for odd in ODD_CRIT),
    *(partial(unsigned, alg="RS256", kid=odd) for odd in ODD_KEYS),
    with_public_key_as_secret,
    with_other_claims,
    partial(nested, header=True),
    partial(nested, header=False),
    lambda idp: idp.token(email_verified=False),
    lambda idp: idp.token(email=None),
    lambda idp: idp.token(email="eva\nadmin"),
    lambda idp: idp.token(email=["eva@ipt.pe"]),
    lambda idp: idp.token(groups=None),
    lambda idp: idp.token(groups=["staff"]),
    lambda idp: idp.token(groups=[["minka-admins"]]),
    lambda idp: idp.token(groups={"minka-admins": True}),
    lambda _: "a.b.c",
    lambda _: "..",
    lambda _: "e30.e30.",
]


async def test_whatever_is_doubtful_stays_out(bench: ApiBench, idp: IdentityProvider) -> None:
    for number, forge in enumerate(FORGED):
        answer = await me(bench, forge(idp))
        assert answer.status_code == 401, (number, answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    assert not [user for user in bench.store.users.find() if user.issuer]


async def test_keys_that_are_renewed_are_looked_for(bench: ApiBench, idp: IdentityProvider) -> None:
    provider = bench.app.state.services.provider
    clock = Ahead(bench.app.state.services.clock)
    provider._clock = clock
    await me(bench, idp.token())
    idp.keys = [RSAKey.generate_key(2048, {"kid": "two"}, private=True)]
    # Not at once again, or anybody could have the provider asked without end.
    assert (await me(bench, idp.token(kid="two"))).status_code == 401
    clock.by = 11
    assert (await me(bench, idp.token(kid="two"))).status_code == 200
    assert (await me(bench, idp.token(key=MALLORY, kid="one"))).status_code == 401
    assert idp.asked.count("/keys") == 2


class Ahead:
    """A clock whose monotonic time runs ahead."""

    def __init__(self, clock: Any) -> None:
        self._clock = clock
        self.by = 0.0

    def now(self) -> Any:
        return self._clock.now()

    def monotonic(self) -> float:
        return float(self._clock.monotonic()) + self.by


async def test_a_provider_that_is_away_lets_nobody_in(bench: ApiBench, idp: IdentityProvider) -> None:
    token = idp.token()
    believe(bench, "http://127.0.0.1:9")
    answer = await me(bench, token)
    assert (answer.status_code, answer.json()["type"]) == (503, "urn:minka:error:provider-unavailable")
    assert answer.headers["retry-after"]
    assert (await bench.anonymous.get("/v1/login")).status_code == 503
    # Our own tokens don't depend on it.
    assert (await bench.client.get("/v1/me")).status_code == 200


async def test_a_provider_that_hangs_is_not_waited_for_by_everybody_in_turn(
    bench: ApiBench, idp: IdentityProvider
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as hung:
        believe(bench, f"http://127.0.0.1:{hung.getsockname()[1]}")
        asked = asyncio.gather(*(me(bench, idp.token()) for _ in range(20)))
        answers = await asyncio.wait_for(asked, 60)
    assert {answer.status_code for answer in answers} == {503}


async def test_an_answer_without_an_end_is_read_as_far_as_one_of_a_provider_goes(
    bench: ApiBench, idp: IdentityProvider
) -> None:
    with endless_provider() as (address, sent):
        believe(bench, address)
        answer = await me(bench, idp.token())
        assert (answer.status_code, answer.json()["type"]) == (503, "urn:minka:error:provider-unavailable")
        assert (await bench.anonymous.get("/v1/login")).status_code == 503
        assert sent[0] < 1 << 27, "the connection was closed, and not read to its end"


async def test_keys_are_not_believed_for_ever(bench: ApiBench, idp: IdentityProvider) -> None:
    provider = bench.app.state.services.provider
    clock = Ahead(bench.app.state.services.clock)
    provider._clock = clock
    token = idp.token()
    assert (await me(bench, token)).status_code == 200
    idp.named_issuer = "http://elsewhere"
    assert (await me(bench, token)).status_code == 200
    clock.by = 301
    assert (await me(bench, token)).status_code == 503


async def test_nobody_takes_a_name_that_is_taken(bench: ApiBench, idp: IdentityProvider) -> None:
    assert (await me(bench, idp.token(email="ana", email_verified=True))).status_code == 401
    assert (await me(bench, idp.token())).status_code == 200
    assert (await me(bench, idp.token(sub="u-9", groups=["minka-admins"]))).status_code == 401
    assert bench.store.users.get("eva@ipt.pe").role is Role.NOC_ENGINEER
    assert bench.store.users.get("ana").issuer == ""


async def test_nobody_is_two_people(bench: ApiBench, idp: IdentityProvider) -> None:
    await me(bench, idp.token())
    said = (await me(bench, idp.token(email="Eva@ipt.pe", groups=["minka-admins"]))).json()
    assert (said["name"], said["role"]) == ("eva@ipt.pe", "administrator")
    assert [user.name for user in bench.store.users.find() if user.issuer] == ["eva@ipt.pe"]


def test_a_provider_that_others_can_answer_for_is_none() -> None:
    for issuer in ("http://id.example.net", "ftp://127.0.0.1", "id.example.net"):
        with pytest.raises(ValidationError, match="not an https address"):
            Provider(Settings(oidc_issuer=issuer, oidc_client_id=CLIENT), SystemClock())
    Provider(Settings(oidc_issuer="https://id.example.net", oidc_client_id=CLIENT), SystemClock())


async def test_keys_come_from_nowhere_else(bench: ApiBench, idp: IdentityProvider) -> None:
    idp.keys_at = "http://keys.example.net/keys"
    assert (await me(bench, idp.token())).status_code == 503


async def test_a_token_too_long_for_a_cookie_is_said_to_be_so(bench: ApiBench, idp: IdentityProvider) -> None:
    idp.claims["groups"] = ["minka-noc", *(f"group-{number:04}" for number in range(400))]
    begun = await bench.anonymous.get("/v1/login")
    async with http.async_client() as outside:
        back = (await outside.get(begun.headers["location"])).headers["location"]
    answer = await bench.anonymous.get(back)
    assert (answer.status_code, "too long" in answer.json()["detail"]) == (401, True)


async def test_an_administrator_can_shut_somebody_out(bench: ApiBench, idp: IdentityProvider) -> None:
    await me(bench, idp.token())
    refused = await bench.client.post("/v1/tokens", json={"owner": "eva@ipt.pe"})
    assert refused.status_code == 409
    await bench.client.put("/v1/users/eva@ipt.pe", json={"role": "noc-engineer", "disabled": True})
    assert (await me(bench, idp.token())).status_code == 401


async def test_who_signs_in_makes_tokens_by_role_for_users_of_our_own(bench: ApiBench, idp: IdentityProvider) -> None:
    admit(bench.store, "token-of-tom", "tom", Role.NOC_ENGINEER)
    async with bench.with_token(idp.token()) as engineer:
        for owner, status in ((None, 409), ("tom", 404)):
            assert (await engineer.post("/v1/tokens", json={"owner": owner})).status_code == status
    async with bench.with_token(idp.token(groups=["minka-admins"])) as administrator:
        assert (await administrator.post("/v1/tokens", json={"days": None})).status_code == 409
        answer = await administrator.post("/v1/tokens", json={"owner": "tom", "days": None})
        assert (answer.status_code, answer.json()["token"]["expires"]) == (201, None)


async def test_a_browser_signs_in_and_out(bench: ApiBench, idp: IdentityProvider) -> None:
    browser = bench.anonymous
    begun = await browser.get("/v1/login")
    assert begun.status_code == 303
    assert "httponly" in begun.headers["set-cookie"].lower()
    async with http.async_client() as outside:
        back = (await outside.get(begun.headers["location"])).headers["location"]
    assert back.startswith("http://minka/v1/login/callback?")
    done = await browser.get(back)
    assert (done.status_code, done.headers["location"]) == (303, "/docs")
    kept = next(value for value in done.headers.get_list("set-cookie") if value.startswith(SESSION))
    assert {"httponly", "samesite=strict"} <= {word.strip().lower() for word in kept.split(";")}
    assert (await browser.get("/v1/me")).json()["name"] == "eva@ipt.pe"
    hold = {"target": "T-LTE-1", "reason": "rigger"}
    strange = (
        "http://evil",
        "null",
        "http://[",
        "minka",
        "http://minka.evil",
        "http://evil/://minka",
        "http://evil@minka",
    )
    for origin in ({}, *({"Origin": one} for one in strange)):
        assert (await browser.post("/v1/holds", json=hold, headers=origin)).status_code == 401
    assert (await browser.post("/v1/holds", json=hold, headers={"Origin": "http://minka"})).status_code == 201
    # A code is good once, and for the browser that began.
    assert (await browser.get(back)).status_code == 401
    session = browser.cookies[SESSION]
    assert (await browser.delete("/v1/login")).status_code == 204
    assert (await browser.get("/v1/me")).status_code == 401
    stolen = await browser.get("/v1/me", headers={"Cookie": f"{SESSION}={session}"})
    assert stolen.status_code == 401, "the session ended, not only the browser's memory of it"


async def test_a_sign_in_that_was_not_begun_here_is_none(bench: ApiBench, idp: IdentityProvider) -> None:
    begun = await bench.anonymous.get("/v1/login")
    query = {name: values[0] for name, values in parse_qs(urlsplit(begun.headers["location"]).query).items()}
    back = urlsplit(idp.authorize(query))
    async with bench.with_token("") as other:
        assert (await other.get(f"{back.path}?{back.query}")).status_code == 401
    state = query["state"]
    for wrong in (f"state={state}x&code=1", f"state={state}", "code=1", f"state={state}&code=nothing"):
        assert (await bench.anonymous.get(f"/v1/login/callback?{wrong}")).status_code == 401
    # An ID token for another sign-in, and one whose nonce is missing.
    idp.claims["nonce"] = "another"
    code = parse_qs(back.query)["code"][0]
    idp.codes[code]["nonce"] = "another"
    assert (await bench.anonymous.get(f"{back.path}?{back.query}")).status_code == 401
    assert not [user for user in bench.store.users.find() if user.issuer]


async def test_without_a_provider_there_is_no_other_way_in(bench: ApiBench, idp: IdentityProvider) -> None:
    services = bench.app.state.services
    bench.app.state.services = replace(services, provider=None)
    assert (await me(bench, idp.token())).status_code == 401
    assert (await bench.anonymous.get("/v1/login")).status_code == 404
    assert (await bench.anonymous.get("/v1/me", headers={"Cookie": f"{SESSION}={idp.token()}"})).status_code == 401


def test_grants_are_groups_with_roles() -> None:
    noc, admins, andes = parse_grants(ROLES)
    assert (andes.group, andes.role, andes.tenant) == ("andes-ops", Role.TENANT_APPROVER, "andes")
    claims = {"sub": "u", "name": "eva", "groups": ["minka-admins", "minka-noc"]}
    assert person_of(claims, (noc, admins), "name", "groups") == Person(name="eva", role=Role.NOC_ENGINEER)
    with pytest.raises(SignInError):
        person_of(claims | {"groups": []}, (noc, admins), "name", "groups")
    for wrong in ("noc", "noc=king", "noc=noc-engineer:andes", "ops=tenant-viewer"):
        with pytest.raises(InputError):
            parse_grants(wrong)
